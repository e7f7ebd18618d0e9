/*
 * Somebody with a queue pair of its own, who knows an interface's address and
 * QKEY and sends it what it likes:
 *
 *   send      any bytes, any immediate
 *   send_ext  behind an extended header that says `me`
 *   answers   the headers of what came back
 */
#ifndef TEST_UCT_STRANGER_H_
#define TEST_UCT_STRANGER_H_

#include "uct_test.h"

#include "srd/wire/srd_wire.h"

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#include <endian.h>

namespace uct_test {

/* Verbs, and as much of the protocol as is wanted */
class stranger {
public:
    stranger(const std::string &device, const address &to)
    {
        struct ibv_device **list = ibv_get_device_list(nullptr);
        for (int i = 0; list[i] != nullptr; ++i) {
            if (device == std::string(ibv_get_device_name(list[i])) + ":1") {
                m_ctx = ibv_open_device(list[i]);
            }
        }
        ibv_free_device_list(list);
        need(m_ctx != nullptr, "device");

        m_pd = ibv_alloc_pd(m_ctx);
        m_cq = ibv_create_cq(m_ctx, 512, nullptr, nullptr, 0);
        need((m_pd != nullptr) && (m_cq != nullptr), "pd, cq");

        struct ibv_qp_init_attr init = {};
        init.qp_type                 = IBV_QPT_DRIVER;
        init.send_cq = init.recv_cq  = m_cq;
        init.sq_sig_all              = 1;
        init.cap                     = {64, 256, 1, 1, 0};
        m_qp = efadv_create_driver_qp(m_pd, &init, EFADV_QP_DRIVER_TYPE_SRD);
        need(m_qp != nullptr, "qp");

        struct ibv_qp_attr mod = {};
        mod.port_num           = 1;
        mod.qkey               = QKEY;
        mod.qp_state           = IBV_QPS_INIT;
        need(!ibv_modify_qp(m_qp, &mod, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
                                        IBV_QP_PORT | IBV_QP_QKEY), "init");
        mod.qp_state = IBV_QPS_RTR;
        need(!ibv_modify_qp(m_qp, &mod, IBV_QP_STATE), "rtr");
        mod.qp_state = IBV_QPS_RTS;
        need(!ibv_modify_qp(m_qp, &mod, IBV_QP_STATE | IBV_QP_SQ_PSN), "rts");

        struct ibv_ah_attr ah = {};
        memcpy(ah.grh.dgid.raw, to.dev.data(), 16);
        ah.is_global = 1;
        ah.port_num  = 1;
        m_ah         = ibv_create_ah(m_pd, &ah);
        need(m_ah != nullptr, "ah");
        uct_srd_iface_addr_unpack(to.iface.data(), &m_to);

        m_mr = ibv_reg_mr(m_pd, m_mem, sizeof(m_mem), IBV_ACCESS_LOCAL_WRITE);
        need(m_mr != nullptr, "mr");
        for (unsigned i = 0; i < 128; ++i) {
            post_recv(i);
        }

        union ibv_gid gid;
        need(!ibv_query_gid(m_ctx, 1, 0, &gid), "gid");
        memset(&me, 0, sizeof(me));
        me.version = UCT_SRD_WIRE_VERSION;
        me.len8    = UCT_SRD_EXT_LEN / 8;
        me.qkey    = QKEY;
        me.qpn     = m_qp->qp_num;
        me.window  = 64;
        me.epoch   = 5;
        me.uid     = 4711;
        memcpy(me.gid, gid.raw, sizeof(me.gid));
    }

    ~stranger()
    {
        ibv_destroy_qp(m_qp);
        ibv_destroy_cq(m_cq);
        ibv_dereg_mr(m_mr);
        ibv_destroy_ah(m_ah);
        ibv_dealloc_pd(m_pd);
        ibv_close_device(m_ctx);
    }

    /* Returns when the device has delivered it; answers are put aside. */
    void send(const void *data, size_t length, uint32_t imm, bool with_imm,
              const std::function<void()> &meanwhile)
    {
        struct ibv_sge sge     = {};
        struct ibv_send_wr wr  = {}, *bad;

        memcpy(m_mem, data, length);
        sge.addr              = (uintptr_t)m_mem;
        sge.length            = length;
        sge.lkey              = m_mr->lkey;
        wr.wr_id              = SEND;
        wr.sg_list            = &sge;
        wr.num_sge            = 1;
        wr.opcode             = with_imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
        wr.imm_data           = htobe32(imm);
        wr.wr.ud.ah           = m_ah;
        wr.wr.ud.remote_qpn   = m_to.qpn;
        wr.wr.ud.remote_qkey  = m_to.qkey;
        need(!ibv_post_send(m_qp, &wr, &bad), "send");
        for (bool done = false; !done; ) {
            done = poll();
            meanwhile();
        }
    }

    /* data behind an extended header */
    void send_ext(uint32_t imm, const void *data, size_t length,
                  const std::function<void()> &meanwhile)
    {
        std::vector<uint8_t> message(me.len8 * 8 + length);

        uct_srd_ext_pack(&me, message.data());
        if (length > 0) {
            memcpy(message.data() + me.len8 * 8, data, length);
        }
        send(message.data(), message.size(), imm, true, meanwhile);
    }

    /* true: our send has completed */
    bool poll()
    {
        struct ibv_wc wc;
        bool done = false;

        while (ibv_poll_cq(m_cq, 1, &wc) > 0) {
            if (wc.wr_id == SEND) {
                EXPECT_EQ(IBV_WC_SUCCESS, wc.status);
                done = true;
            } else if (wc.status == IBV_WC_SUCCESS) {
                uct_srd_ext_t ext;
                if (uct_srd_ext_unpack(slot(wc.wr_id), wc.byte_len,
                                       be32toh(wc.imm_data), &ext) ==
                    UCT_SRD_EXT_OK) {
                    answers.push_back(ext);
                }
                post_recv(wc.wr_id);
            }
        }
        return done;
    }

    uct_srd_ext_t              me;
    std::vector<uct_srd_ext_t> answers;

private:
    static const uint32_t QKEY = 0x1234567;
    static const uint64_t SEND = 1000;

    static void need(bool good, const char *what)
    {
        if (!good) {
            throw std::runtime_error(std::string("stranger: ") + what);
        }
    }

    uint8_t *slot(uint64_t i)
    {
        return m_mem + 16384 + i * 256;
    }

    void post_recv(uint64_t i)
    {
        struct ibv_sge sge    = {(uintptr_t)slot(i), 256, m_mr->lkey};
        struct ibv_recv_wr wr = {}, *bad;

        wr.wr_id   = i;
        wr.sg_list = &sge;
        wr.num_sge = 1;
        need(!ibv_post_recv(m_qp, &wr, &bad), "recv");
    }

    struct ibv_context  *m_ctx = nullptr;
    struct ibv_pd       *m_pd;
    struct ibv_cq       *m_cq;
    struct ibv_qp       *m_qp;
    struct ibv_ah       *m_ah;
    struct ibv_mr       *m_mr;
    uct_srd_iface_addr_t m_to;
    uint8_t              m_mem[16384 + 128 * 256];
};

} // namespace uct_test

#endif
