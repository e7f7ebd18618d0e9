/*
 * Verbs objects and endpoints for the device tests; see verbs_test.h.
 */
#include "verbs_test.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <sched.h>

namespace device {

std::runtime_error failure(const std::string &what)
{
    return std::runtime_error(what + ": " + strerror(errno));
}

void wait_until(const std::function<bool()> &done,
                const std::function<void()> &step, const std::string &what)
{
    if (!harness::wait_until(done, step)) {
        throw std::runtime_error("in vain: " + what);
    }
}

/* --- objects ------------------------------------------------------------ */

handle<ibv_context> open_device(unsigned index)
{
    int count         = 0;
    ibv_device **list = ibv_get_device_list(&count);
    ibv_context *context;

    if ((list == nullptr) || (index >= (unsigned)count)) {
        if (list != nullptr) {
            ibv_free_device_list(list);
        }
        throw std::runtime_error("no RDMA device " + std::to_string(index) +
                                 ", there are " + std::to_string(count) +
                                 "; is libsoftefa.so in LD_PRELOAD?");
    }

    context = ibv_open_device(list[index]);
    ibv_free_device_list(list);
    if (context == nullptr) {
        throw failure("ibv_open_device");
    }
    return handle<ibv_context>(context);
}

handle<ibv_pd> alloc_pd(ibv_context *context)
{
    ibv_pd *pd = ibv_alloc_pd(context);

    if (pd == nullptr) {
        throw failure("ibv_alloc_pd");
    }
    return handle<ibv_pd>(pd);
}

bool played()
{
    return dlsym(RTLD_DEFAULT, "softefa_inject") != nullptr;
}

handle<ibv_mr> reg_mr(ibv_pd *pd, void *addr, size_t length, int access)
{
    ibv_mr *mr = ibv_reg_mr(pd, addr, length, access);

    if (mr == nullptr) {
        throw failure("ibv_reg_mr");
    }
    return handle<ibv_mr>(mr);
}

handle<ibv_cq> create_cq(ibv_context *context, int cqe)
{
    ibv_cq *cq = ibv_create_cq(context, cqe, nullptr, nullptr, 0);

    if (cq == nullptr) {
        throw failure("ibv_create_cq");
    }
    return handle<ibv_cq>(cq);
}

ibv_ah *try_create_ah(ibv_pd *pd, const ibv_gid &gid)
{
    ibv_ah_attr attr = {};

    attr.is_global = 1;
    attr.port_num  = 1;
    attr.grh.dgid  = gid;
    return ibv_create_ah(pd, &attr);
}

handle<ibv_ah> create_ah(ibv_pd *pd, const ibv_gid &gid)
{
    ibv_ah *ah = try_create_ah(pd, gid);

    if (ah == nullptr) {
        throw failure("ibv_create_ah");
    }
    return handle<ibv_ah>(ah);
}

ibv_gid gid_of(ibv_context *context)
{
    ibv_gid gid;

    if (ibv_query_gid(context, 1, 0, &gid) != 0) {
        throw failure("ibv_query_gid");
    }
    return gid;
}

ibv_gid made_up_gid(unsigned index)
{
    ibv_gid gid = {};

    gid.raw[0]  = 0xfe;
    gid.raw[1]  = 0x80;
    gid.raw[8]  = 0x5e; /* no Soft-EFA device and no other test has it */
    gid.raw[12] = index >> 24;
    gid.raw[13] = index >> 16;
    gid.raw[14] = index >> 8;
    gid.raw[15] = index;
    return gid;
}

efadv_device_attr efa_attr(ibv_context *context)
{
    efadv_device_attr attr;

    errno = efadv_query_device(context, &attr, sizeof(attr));
    if (errno != 0) {
        throw failure("efadv_query_device");
    }
    return attr;
}

ibv_device_attr device_attr(ibv_context *context)
{
    ibv_device_attr attr;

    if (ibv_query_device(context, &attr) != 0) {
        throw failure("ibv_query_device");
    }
    return attr;
}

ibv_qp *try_create_qp(ibv_pd *pd, ibv_cq *cq, bool ud, const ibv_qp_cap &cap)
{
    ibv_qp_init_attr attr = {};

    attr.send_cq    = cq;
    attr.recv_cq    = cq;
    attr.cap        = cap;
    attr.qp_type    = ud ? IBV_QPT_UD : IBV_QPT_DRIVER;
    attr.sq_sig_all = 1;
    return ud ? ibv_create_qp(pd, &attr) :
                efadv_create_driver_qp(pd, &attr, EFADV_QP_DRIVER_TYPE_SRD);
}

/* --- endpoint ----------------------------------------------------------- */

endpoint::endpoint(const config &cfg) :
    cfg(cfg), own_context(open_device(cfg.device)),
    own_pd(alloc_pd(own_context.get())), context(own_context.get()),
    pd(own_pd.get())
{
    create();
}

endpoint::endpoint(const config &cfg, ibv_context *context, ibv_pd *pd) :
    cfg(cfg), own_pd(pd ? nullptr : alloc_pd(context)), context(context),
    pd(pd ? pd : own_pd.get())
{
    create();
}

void endpoint::create()
{
    ibv_cq_init_attr_ex cq_attr    = {};
    efadv_cq_init_attr efa_cq_attr = {};
    ibv_qp_init_attr_ex qp_attr    = {};
    efadv_qp_init_attr efa_qp_attr = {};
    int cqe                        = cfg.cqe;
    ibv_cq_ex *cq_ex;
    ibv_qp *new_qp;

    buffer.resize(cfg.buffer);
    mr = reg_mr(pd, buffer.data(), buffer.size(), cfg.access);

    if (cfg.channel) {
        channel.reset(ibv_create_comp_channel(context));
        if (!channel) {
            throw failure("ibv_create_comp_channel");
        }
    }

    cqe = cqe ? cqe : (int)(2 * (cfg.send_wr + cfg.recv_wr));
    if (cfg.extended || cfg.sgid) {
        cq_attr.cqe          = cqe;
        cq_attr.channel      = channel.get();
        cq_attr.wc_flags     = IBV_WC_STANDARD_FLAGS;
        efa_cq_attr.wc_flags = cfg.sgid ? EFADV_WC_EX_WITH_SGID : 0;
        cq_ex = cfg.sgid ? efadv_create_cq(context, &cq_attr, &efa_cq_attr,
                                           sizeof(efa_cq_attr)) :
                           ibv_create_cq_ex(context, &cq_attr);
        cq.reset(cq_ex ? ibv_cq_ex_to_cq(cq_ex) : nullptr);
    } else {
        cq.reset(ibv_create_cq(context, cqe, nullptr, channel.get(), 0));
    }
    if (!cq) {
        throw failure("create a CQ");
    }

    qp_attr.send_cq             = cq.get();
    qp_attr.recv_cq             = cq.get();
    qp_attr.cap.max_send_wr     = cfg.send_wr;
    qp_attr.cap.max_recv_wr     = cfg.recv_wr;
    qp_attr.cap.max_send_sge    = cfg.send_sge;
    qp_attr.cap.max_recv_sge    = cfg.recv_sge;
    qp_attr.cap.max_inline_data = cfg.max_inline;
    qp_attr.qp_type             = cfg.ud ? IBV_QPT_UD : IBV_QPT_DRIVER;
    qp_attr.sq_sig_all          = 1;
    qp_attr.pd                  = pd;
    qp_attr.comp_mask           = IBV_QP_INIT_ATTR_PD;
    if (cfg.post == api::WR) {
        qp_attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
        qp_attr.send_ops_flags = IBV_QP_EX_WITH_SEND |
                                 IBV_QP_EX_WITH_SEND_WITH_IMM |
                                 (cfg.rdma ? IBV_QP_EX_WITH_RDMA_READ : 0) |
                                 (cfg.write ? WRITE_OPS : 0);
        efa_qp_attr.driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD;
        new_qp = cfg.ud ? ibv_create_qp_ex(context, &qp_attr) :
                          efadv_create_qp_ex(context, &qp_attr, &efa_qp_attr,
                                             sizeof(efa_qp_attr));
    } else {
        /* The short call creates another kind of QP inside libefa: without
         * the ibv_wr_* functions. */
        ibv_qp_init_attr old = {};

        memcpy(&old, &qp_attr, sizeof(old));
        new_qp = cfg.ud ? ibv_create_qp(pd, &old) :
                          efadv_create_driver_qp(pd, &old,
                                                 EFADV_QP_DRIVER_TYPE_SRD);
    }
    qp.reset(new_qp);
    if (!qp) {
        throw failure("create a QP");
    }

    to_state(cfg.state, cfg.rnr_retry);
}

int endpoint::modify(ibv_qp_attr attr, int mask)
{
    return ibv_modify_qp(qp.get(), &attr, mask);
}

void endpoint::to_state(ibv_qp_state state, int rnr_retry)
{
    /* RESET, INIT, RTR, RTS, SQD */
    static const int masks[] = {
        IBV_QP_STATE,
        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
        IBV_QP_STATE,
        IBV_QP_STATE | IBV_QP_SQ_PSN,
        IBV_QP_STATE,
    };
    ibv_qp_attr attr = {};
    int next, mask;

    attr.port_num  = 1;
    attr.qkey      = cfg.qkey;
    attr.rnr_retry = rnr_retry;

    if (state == IBV_QPS_RESET || state == IBV_QPS_ERR) {
        attr.qp_state = state;
        if (modify(attr, IBV_QP_STATE) != 0) {
            throw failure("modify to RESET or ERR");
        }
        return;
    }

    for (next = qp->state + 1; next <= state; ++next) {
        attr.qp_state = (ibv_qp_state)next;
        mask          = masks[next];
        if ((next == IBV_QPS_RTS) && (rnr_retry >= 0)) {
            mask |= IBV_QP_RNR_RETRY;
        }
        if (modify(attr, mask) != 0) {
            throw failure("modify to state " + std::to_string(next));
        }
    }
}

address endpoint::addr() const
{
    return {gid_of(context), qp->qp_num, cfg.qkey};
}

ibv_ah *endpoint::ah(const ibv_gid &gid)
{
    for (auto &known : ahs) {
        if (memcmp(&known.first, &gid, sizeof(gid)) == 0) {
            return known.second.get();
        }
    }

    ahs.emplace_back(gid, create_ah(pd, gid));
    return ahs.back().second.get();
}

ibv_sge endpoint::sge(size_t offset, uint32_t length) const
{
    return {(uint64_t)(uintptr_t)(buffer.data() + offset), length, mr->lkey};
}

int endpoint::try_send(const address &to, const send_args &args)
{
    ibv_send_wr wr = {}, *bad = nullptr;
    ibv_qp_ex *qpx;
    std::vector<ibv_data_buf> bufs;

    if (cfg.post == api::POST_SEND) {
        wr.wr_id      = args.wr_id;
        wr.sg_list    = const_cast<ibv_sge *>(args.sgl.data());
        wr.num_sge    = args.sgl.size();
        wr.opcode     = args.has_imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
        wr.send_flags = IBV_SEND_SIGNALED |
                        (args.inlined ? IBV_SEND_INLINE : 0);
        wr.imm_data          = htonl(args.imm);
        wr.wr.ud.ah          = ah(to);
        wr.wr.ud.remote_qpn  = to.qpn;
        wr.wr.ud.remote_qkey = to.qkey;
        return ibv_post_send(qp.get(), &wr, &bad);
    }

    qpx           = ibv_qp_to_qp_ex(qp.get());
    ibv_ah *to_ah = ah(to);
    ibv_wr_start(qpx);
    qpx->wr_id    = args.wr_id;
    qpx->wr_flags = IBV_SEND_SIGNALED;
    if (args.has_imm) {
        ibv_wr_send_imm(qpx, htonl(args.imm));
    } else {
        ibv_wr_send(qpx);
    }
    if (args.inlined && (args.sgl.size() == 1)) {
        ibv_wr_set_inline_data(qpx, (void *)(uintptr_t)args.sgl[0].addr,
                               args.sgl[0].length);
    } else if (args.inlined) {
        for (const ibv_sge &sge : args.sgl) {
            bufs.push_back({(void *)(uintptr_t)sge.addr, sge.length});
        }
        ibv_wr_set_inline_data_list(qpx, bufs.size(), bufs.data());
    } else if (args.sgl.size() == 1) {
        ibv_wr_set_sge(qpx, args.sgl[0].lkey, args.sgl[0].addr,
                       args.sgl[0].length);
    } else {
        ibv_wr_set_sge_list(qpx, args.sgl.size(), args.sgl.data());
    }
    ibv_wr_set_ud_addr(qpx, to_ah, to.qpn, to.qkey);
    return ibv_wr_complete(qpx);
}

int endpoint::try_read(const address &to, uint64_t wr_id, const ibv_sge &local,
                       uint64_t remote_addr, uint32_t rkey)
{
    ibv_qp_ex *qpx = ibv_qp_to_qp_ex(qp.get());
    ibv_ah *to_ah  = ah(to);

    ibv_wr_start(qpx);
    qpx->wr_id    = wr_id;
    qpx->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_rdma_read(qpx, rkey, remote_addr);
    ibv_wr_set_sge(qpx, local.lkey, local.addr, local.length);
    ibv_wr_set_ud_addr(qpx, to_ah, to.qpn, to.qkey);
    return ibv_wr_complete(qpx);
}

int endpoint::try_write(const address &to, uint64_t wr_id, const ibv_sge &local,
                        uint64_t remote_addr, uint32_t rkey,
                        const uint32_t *imm)
{
    ibv_qp_ex *qpx = ibv_qp_to_qp_ex(qp.get());
    ibv_ah *to_ah  = ah(to);

    ibv_wr_start(qpx);
    qpx->wr_id    = wr_id;
    qpx->wr_flags = IBV_SEND_SIGNALED;
    if (imm != nullptr) {
        ibv_wr_rdma_write_imm(qpx, rkey, remote_addr, htonl(*imm));
    } else {
        ibv_wr_rdma_write(qpx, rkey, remote_addr);
    }
    ibv_wr_set_sge(qpx, local.lkey, local.addr, local.length);
    ibv_wr_set_ud_addr(qpx, to_ah, to.qpn, to.qkey);
    return ibv_wr_complete(qpx);
}

int endpoint::try_recv(uint64_t wr_id, const std::vector<ibv_sge> &sgl)
{
    ibv_recv_wr wr = {}, *bad = nullptr;

    wr.wr_id   = wr_id;
    wr.sg_list = const_cast<ibv_sge *>(sgl.data());
    wr.num_sge = sgl.size();
    return ibv_post_recv(qp.get(), &wr, &bad);
}

void endpoint::send(const address &to, const send_args &args)
{
    if ((errno = try_send(to, args)) != 0) {
        throw failure("post a send");
    }
}

void endpoint::send(const address &to, uint64_t wr_id, size_t offset,
                    uint32_t length)
{
    send_args args;

    args.wr_id = wr_id;
    args.sgl   = {sge(offset, length)};
    send(to, args);
}

void endpoint::read(const address &to, uint64_t wr_id, const ibv_sge &local,
                    uint64_t remote_addr, uint32_t rkey)
{
    if ((errno = try_read(to, wr_id, local, remote_addr, rkey)) != 0) {
        throw failure("post a read");
    }
}

void endpoint::write(const address &to, uint64_t wr_id, const ibv_sge &local,
                     uint64_t remote_addr, uint32_t rkey, const uint32_t *imm)
{
    if ((errno = try_write(to, wr_id, local, remote_addr, rkey, imm)) != 0) {
        throw failure("post a write");
    }
}

void endpoint::recv(uint64_t wr_id, const std::vector<ibv_sge> &sgl)
{
    if ((errno = try_recv(wr_id, sgl)) != 0) {
        throw failure("post a receive");
    }
}

void endpoint::recv(uint64_t wr_id, size_t offset, uint32_t length)
{
    recv(wr_id, {sge(offset, length)});
}

std::vector<completion> endpoint::poll(unsigned max)
{
    std::vector<completion> out;

    out = (cfg.extended || cfg.sgid) ? poll_extended(max) : poll_plain(max);
    if (out.empty()) {
        /* On a busy machine the other side may be waiting for this core. */
        sched_yield();
    }
    return out;
}

std::vector<completion> endpoint::poll_plain(unsigned max)
{
    std::vector<completion> out;
    std::vector<ibv_wc> wcs(max);
    int count;

    count = ibv_poll_cq(cq.get(), max, wcs.data());
    if (count < 0) {
        throw std::runtime_error("ibv_poll_cq: " + std::to_string(count));
    }

    for (int i = 0; i < count; ++i) {
        const ibv_wc &wc = wcs[i];
        completion c     = {};

        c.wr_id      = wc.wr_id;
        c.status     = wc.status;
        c.vendor_err = wc.vendor_err;
        c.opcode     = wc.opcode;
        c.qp_num     = wc.qp_num;
        c.sgid_error = 1;
        if (wc.opcode & IBV_WC_RECV) {
            c.byte_len = wc.byte_len;
            c.src_qp   = wc.src_qp;
            c.slid     = wc.slid;
            c.has_imm  = (wc.wc_flags & IBV_WC_WITH_IMM) != 0;
            c.imm      = c.has_imm ? ntohl(wc.imm_data) : 0;
        }
        out.push_back(c);
    }
    return out;
}

std::vector<completion> endpoint::poll_extended(unsigned max)
{
    std::vector<completion> out;
    ibv_poll_cq_attr attr = {};
    ibv_cq_ex *cqx        = reinterpret_cast<ibv_cq_ex *>(cq.get());
    int err               = ibv_start_poll(cqx, &attr);

    if (err == ENOENT) {
        return out;
    }
    if (err != 0) {
        throw std::runtime_error("ibv_start_poll: " + std::to_string(err));
    }

    do {
        completion c = {};

        c.wr_id      = cqx->wr_id;
        c.status     = cqx->status;
        c.vendor_err = ibv_wc_read_vendor_err(cqx);
        c.opcode     = ibv_wc_read_opcode(cqx);
        c.qp_num     = ibv_wc_read_qp_num(cqx);
        c.sgid_error = 1;
        if (c.opcode & IBV_WC_RECV) {
            c.byte_len = ibv_wc_read_byte_len(cqx);
            c.src_qp   = ibv_wc_read_src_qp(cqx);
            c.slid     = ibv_wc_read_slid(cqx);
            c.has_imm  = (ibv_wc_read_wc_flags(cqx) & IBV_WC_WITH_IMM) != 0;
            c.imm      = c.has_imm ? ntohl(ibv_wc_read_imm_data(cqx)) : 0;
            if (cfg.sgid) {
                c.sgid_error = efadv_wc_read_sgid(efadv_cq_from_ibv_cq_ex(cqx),
                                                  &c.sgid);
            }
        }
        out.push_back(c);
        err = (out.size() < max) ? ibv_next_poll(cqx) : ENOENT;
    } while (err == 0);

    ibv_end_poll(cqx);
    if (err != ENOENT) {
        throw std::runtime_error("ibv_next_poll: " + std::to_string(err));
    }
    return out;
}

std::vector<completion> endpoint::wait(unsigned count, endpoint *peer)
{
    std::vector<completion> all;

    wait_until([&] { return all.size() >= count; },
               [&] {
        for (const completion &c : poll()) {
            all.push_back(c);
        }
        if (peer != nullptr) {
            /* Progress without consuming anything. */
            ibv_poll_cq(peer->cq.get(), 0, nullptr);
        }
    },
               std::to_string(count) + " completions");
    if (all.size() > count) {
        throw std::runtime_error("more completions than messages");
    }
    return all;
}

void endpoint::expect_silence(unsigned polls)
{
    for (unsigned i = 0; i < polls; ++i) {
        for (const completion &c : poll()) {
            ADD_FAILURE() << "unexpected completion: wr_id " << c.wr_id
                          << " status " << c.vendor_err << " qp " << c.qp_num;
        }
    }
}

/* --- data --------------------------------------------------------------- */

uint8_t pattern(uint64_t seed, size_t i)
{
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15ull + i * 0xff51afd7ed558ccdull;

    return (uint8_t)((x ^ (x >> 29)) >> 7);
}

void fill(uint8_t *to, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; ++i) {
        to[i] = pattern(seed, i);
    }
}

void check(const uint8_t *from, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; ++i) {
        if (from[i] != pattern(seed, i)) {
            ADD_FAILURE() << "message " << seed << " of " << length
                          << " bytes differs at byte " << i;
            return;
        }
    }
}

} /* namespace device */
