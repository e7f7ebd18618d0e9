#include "driver.h"

#include "common/harness.h"

#include <atomic>
#include <cstring>
#include <infiniband/verbs.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace pci {

enum {
    AQ_DEPTH   = 32,
    AENQ_DEPTH = 16,
    EQ_DEPTH   = 1024
};

driver::driver(const server &of, size_t memory) :
    m_client(of), m_size(memory), m_next(BASE + 4096), m_llq(nullptr),
    m_mmio(0), m_aq(0), m_acq(0), m_aenq(0), m_eq(0), m_request(0), m_sent(0),
    m_done(0), m_async(0), m_event(0), m_eqn(0)
{
    softefa_vfu_dma_map_t map     = {sizeof(map), 3, 0, BASE, memory};
    softefa_vfu_set_irqs_t irqs   = {sizeof(irqs),
                                     SOFTEFA_VFU_SET_EVENTFD |
                                             SOFTEFA_VFU_SET_TRIGGER,
                                     SOFTEFA_VFU_IRQ_MSIX, 0, 9};
    softefa_vfu_region_info_t bar = {};

    m_client.hello();
    m_memory_fd = memfd_create("guest", MFD_CLOEXEC);
    EXPECT_EQ(0, ftruncate(m_memory_fd, memory));
    m_memory = (uint8_t *)mmap(nullptr, memory, PROT_READ | PROT_WRITE,
                               MAP_SHARED, m_memory_fd, 0);
    EXPECT_EQ(0, m_client.request(SOFTEFA_VFU_DMA_MAP, map, {m_memory_fd})
                         .error());
    for (unsigned i = 0; i < irqs.count; ++i) {
        m_vectors.push_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
    EXPECT_EQ(0,
              m_client.request(SOFTEFA_VFU_SET_IRQS, irqs, m_vectors).error());

    bar.argsz   = sizeof(bar);
    bar.index   = 2;
    reply reply = m_client.request(SOFTEFA_VFU_GET_REGION_INFO, bar);
    if (reply.fds.size() == 1) {
        m_llq = (uint8_t *)mmap(nullptr,
                                reply.as<softefa_vfu_region_info_t>().size,
                                PROT_READ | PROT_WRITE, MAP_SHARED,
                                reply.fds[0], 0);
        close(reply.fds[0]);
    }
}

driver::~driver()
{
    munmap(m_memory, m_size);
    close(m_memory_fd);
    for (int fd : m_vectors) {
        close(fd);
    }
}

uint64_t driver::alloc(size_t size)
{
    uint64_t address = m_next;

    m_next += (size + 4095) & ~(size_t)4095;
    EXPECT_LE(m_next, BASE + m_size);
    return address;
}

uint8_t *driver::llq()
{
    return m_llq;
}

void driver::wait(const std::function<bool()> &done)
{
    EXPECT_TRUE(harness::wait_until(done, [] { usleep(100); }));
}

void driver::write_bar(unsigned bar, uint64_t offset, uint32_t value)
{
    struct {
        softefa_vfu_access_t head;
        uint32_t             value;
    } __attribute__((packed)) message = {{offset, bar, 4}, value};

    EXPECT_EQ(0, m_client.request(SOFTEFA_VFU_REGION_WRITE, message).error());
}

uint32_t driver::read_region(unsigned region, uint64_t offset)
{
    softefa_vfu_access_t ask = {offset, region, 4};
    reply got = m_client.request(SOFTEFA_VFU_REGION_READ, ask);
    uint32_t value;

    EXPECT_EQ(0, got.error());
    if (got.payload.size() != sizeof(ask) + sizeof(value)) {
        ADD_FAILURE() << got.payload.size() << " bytes";
        return 0;
    }

    memcpy(&value, got.payload.data() + sizeof(ask), sizeof(value));
    return value;
}

uint32_t driver::read_reg(unsigned offset)
{
    volatile softefa_mmio_resp_t *resp = at<softefa_mmio_resp_t>(m_mmio);

    resp->req_id = ++m_request + 0x9a;
    write_bar(0, SOFTEFA_REG_MMIO_REG_READ, (offset << 16) | m_request);
    EXPECT_EQ(m_request, resp->req_id);
    EXPECT_EQ(offset, resp->offset);
    return resp->value;
}

bool driver::in_reset()
{
    return read_reg(SOFTEFA_REG_DEV_STS) & SOFTEFA_DEV_STS_RESETTING;
}

static void write_address(driver &drv, unsigned low, unsigned high,
                          uint64_t address)
{
    drv.write_bar(0, low, address);
    drv.write_bar(0, high, address >> 32);
}

void driver::reset()
{
    if (m_mmio == 0) {
        m_mmio = alloc(8);
    }
    write_address(*this, SOFTEFA_REG_MMIO_RESP_LO, SOFTEFA_REG_MMIO_RESP_HI,
                  m_mmio);
    EXPECT_TRUE(read_reg(SOFTEFA_REG_DEV_STS) & SOFTEFA_DEV_STS_READY);
    write_bar(0, SOFTEFA_REG_DEV_CTL, SOFTEFA_DEV_CTL_RESET);
    write_address(*this, SOFTEFA_REG_MMIO_RESP_LO, SOFTEFA_REG_MMIO_RESP_HI,
                  m_mmio);
    EXPECT_TRUE(in_reset());
    write_bar(0, SOFTEFA_REG_DEV_CTL, 0);
    EXPECT_FALSE(in_reset());
    m_sent = m_done = m_async = m_event = 0;
}

void driver::start_queues()
{
    m_aq   = alloc(AQ_DEPTH * 64);
    m_acq  = alloc(AQ_DEPTH * 64);
    m_aenq = alloc(AENQ_DEPTH * 64);
    write_address(*this, SOFTEFA_REG_AQ_BASE_LO, SOFTEFA_REG_AQ_BASE_HI, m_aq);
    write_bar(0, SOFTEFA_REG_AQ_CAPS, AQ_DEPTH | (64 << 16));
    write_address(*this, SOFTEFA_REG_ACQ_BASE_LO, SOFTEFA_REG_ACQ_BASE_HI,
                  m_acq);
    write_bar(0, SOFTEFA_REG_ACQ_CAPS, AQ_DEPTH | (64 << 16));
    write_address(*this, SOFTEFA_REG_AENQ_BASE_LO, SOFTEFA_REG_AENQ_BASE_HI,
                  m_aenq);
    write_bar(0, SOFTEFA_REG_AENQ_CAPS, AENQ_DEPTH | (64 << 16));
}

unsigned driver::admin(softefa_admin_cmd_t &cmd, softefa_admin_resp_t *resp)
{
    softefa_admin_resp_t ignored;
    const softefa_admin_resp_t *entry;

    cmd.head.id = m_sent & (AQ_DEPTH - 1);
    cmd.head.flags |= (m_sent & AQ_DEPTH) ? 0 : SOFTEFA_ADMIN_PHASE;
    at<softefa_admin_cmd_t>(m_aq)[m_sent & (AQ_DEPTH - 1)] = cmd;
    write_bar(0, SOFTEFA_REG_AQ_PROD_DB, ++m_sent);

    entry = &at<softefa_admin_resp_t>(m_acq)[m_done & (AQ_DEPTH - 1)];
    EXPECT_EQ((m_done & AQ_DEPTH) ? 0 : SOFTEFA_ADMIN_PHASE,
              entry->head.flags & SOFTEFA_ADMIN_PHASE);
    EXPECT_EQ(cmd.head.id, entry->head.id);
    ++m_done;
    *((resp != nullptr) ? resp : &ignored) = *entry;
    return entry->head.status;
}

unsigned driver::number(unsigned opcode, uint32_t object)
{
    softefa_admin_cmd_t cmd = {};

    cmd.head.opcode   = opcode;
    cmd.object.handle = object;
    return admin(cmd, nullptr);
}

void driver::probe()
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    reset();
    start_queues();
    cmd.head.opcode          = SOFTEFA_ADMIN_SET_FEATURE;
    cmd.feature.feature      = SOFTEFA_FEATURE_AENQ;
    cmd.feature.aenq.enabled = 0x1e;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, nullptr));

    m_eq                  = alloc(EQ_DEPTH * sizeof(softefa_eq_entry_t));
    cmd                   = {};
    cmd.head.opcode       = SOFTEFA_ADMIN_CREATE_EQ;
    cmd.create_eq.depth   = EQ_DEPTH;
    cmd.create_eq.vector  = 1;
    cmd.create_eq.words   = 4;
    cmd.create_eq.addr_lo = m_eq;
    cmd.create_eq.addr_hi = m_eq >> 32;
    cmd.create_eq.events  = 1;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    m_eqn = resp.number;
    arm_eq();
}

void driver::arm_eq()
{
    write_bar(0, SOFTEFA_REG_EQ_DB, SOFTEFA_EQ_DB_ARM | m_eqn);
}

uint16_t driver::alloc_pd()
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode = SOFTEFA_ADMIN_ALLOC_PD;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return resp.number;
}

uint16_t driver::alloc_uar()
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode = SOFTEFA_ADMIN_ALLOC_UAR;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return resp.number;
}

std::vector<uint8_t> driver::gid()
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode     = SOFTEFA_ADMIN_GET_FEATURE;
    cmd.feature.feature = SOFTEFA_FEATURE_NETWORK;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return std::vector<uint8_t>(resp.network.gid, resp.network.gid + 16);
}

std::vector<uint64_t> driver::stats(unsigned type)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode = SOFTEFA_ADMIN_GET_STATS;
    cmd.stats.type  = type;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return std::vector<uint64_t>(resp.stats, resp.stats + SOFTEFA_STATS_MAX);
}

uint16_t driver::create_ah(uint16_t pd, const uint8_t *gid)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode  = SOFTEFA_ADMIN_CREATE_AH;
    cmd.create_ah.pd = pd;
    memcpy(cmd.create_ah.gid, gid, 16);
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return resp.number;
}

/* Lists of pages are as the driver makes them: in the command, one list, or
 * chunks of lists. */
softefa_admin_reg_mr_resp_t driver::reg_mr(uint16_t pd, uint64_t iova,
                                           uint64_t length,
                                           const std::vector<uint64_t> &pages,
                                           unsigned access, unsigned shift)
{
    softefa_admin_cmd_t cmd   = {};
    softefa_admin_resp_t resp = {};

    cmd.head.opcode   = SOFTEFA_ADMIN_REG_MR;
    cmd.reg_mr.pd     = pd;
    cmd.reg_mr.length = length;
    cmd.reg_mr.flags  = shift;
    cmd.reg_mr.access = access;
    cmd.reg_mr.iova   = iova;
    if (pages.size() <= SOFTEFA_ADMIN_INLINE_PAGES) {
        memcpy(cmd.reg_mr.pages, pages.data(), pages.size() * 8);
    } else if (pages.size() <= 512) {
        uint64_t list = alloc(4096);
        memcpy(at(list), pages.data(), pages.size() * 8);
        cmd.head.flags          = SOFTEFA_ADMIN_CTRL;
        cmd.reg_mr.list.addr_lo = list;
        cmd.reg_mr.list.addr_hi = list >> 32;
    } else {
        uint64_t chunk = alloc(4096);
        cmd.head.flags = SOFTEFA_ADMIN_CTRL | SOFTEFA_ADMIN_CTRL_INDIRECT;
        cmd.reg_mr.list.addr_lo = chunk;
        cmd.reg_mr.list.addr_hi = chunk >> 32;
        for (size_t i = 0, slot = 0; i < pages.size(); i += 512, ++slot) {
            if (slot == SOFTEFA_ADMIN_CHUNK_PAGES) {
                uint64_t next         = alloc(4096);
                softefa_admin_buf_t b = {4096, (uint32_t)next,
                                         (uint32_t)(next >> 32)};
                memcpy(at(chunk + (slot * 8)), &b, sizeof(b));
                chunk = next;
                slot  = 0;
            }
            uint64_t list = alloc(4096);
            memcpy(at(list), &pages[i],
                   std::min<size_t>(512, pages.size() - i) * 8);
            at<uint64_t>(chunk)[slot] = list;
        }
    }

    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)admin(cmd, &resp));
    return resp.reg_mr;
}

bool driver::interrupt(unsigned vector)
{
    uint64_t value;

    return read(m_vectors[vector], &value, sizeof(value)) == sizeof(value);
}

std::vector<uint16_t> driver::events()
{
    volatile softefa_eq_entry_t *ring = at<softefa_eq_entry_t>(m_eq);
    std::vector<uint16_t> result;

    while ((ring[m_event & (EQ_DEPTH - 1)].common & 1) ==
           ((m_event & EQ_DEPTH) ? 0u : 1u)) {
        uint16_t cqn = ring[m_event & (EQ_DEPTH - 1)].cqn;
        result.push_back(cqn);
        ++m_event;
    }
    return result;
}

std::vector<unsigned> driver::async_groups()
{
    volatile softefa_aenq_entry_t *ring = at<softefa_aenq_entry_t>(m_aenq);
    std::vector<unsigned> result;

    while ((ring[m_async & (AENQ_DEPTH - 1)].flags & 1) ==
           ((m_async & AENQ_DEPTH) ? 0u : 1u)) {
        uint16_t group = ring[m_async & (AENQ_DEPTH - 1)].group;
        result.push_back(group);
        ++m_async;
    }
    if (!result.empty()) {
        write_bar(0, SOFTEFA_REG_AENQ_CONS_DB, m_async);
    }
    return result;
}

/* ---- completion queues ---- */

cq::cq(driver &drv, uint16_t uar, unsigned depth, bool interrupts,
       unsigned entry_size) :
    drv(drv),
    number(0), depth(depth), entry_size(entry_size), sub_cqs(1),
    ring(drv.alloc(depth * entry_size)), db(0), head(1), consumed(0)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode           = SOFTEFA_ADMIN_CREATE_CQ;
    cmd.create_cq.caps_1      = interrupts ? SOFTEFA_ADMIN_CQ_INTERRUPT : 0;
    cmd.create_cq.caps_2      = entry_size / 4;
    cmd.create_cq.depth       = depth;
    cmd.create_cq.eqn         = drv.eqn();
    cmd.create_cq.addr_lo     = ring;
    cmd.create_cq.addr_hi     = ring >> 32;
    cmd.create_cq.num_sub_cqs = sub_cqs;
    cmd.create_cq.uar         = uar;
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)drv.admin(cmd, &resp));
    number = resp.create_cq.cqn;
    db     = resp.create_cq.db;
}

bool cq::poll(softefa_io_cqe_t *cqe)
{
    uint8_t *slot = drv.at(ring + ((head[0] & (depth - 1)) * entry_size));
    softefa_io_cqe_t first;

    first.first = __atomic_load_n((uint32_t *)slot, __ATOMIC_ACQUIRE);
    if ((first.flags & SOFTEFA_CQE_PHASE) !=
        ((head[0] & depth) ? 0 : SOFTEFA_CQE_PHASE)) {
        return false;
    }

    memset(cqe, 0, sizeof(*cqe));
    memcpy(cqe, slot, entry_size);
    ++head[0];
    drv.write_bar(4, db, ++consumed & 0xffff);
    return true;
}

softefa_io_cqe_t cq::next()
{
    softefa_io_cqe_t cqe = {};

    drv.wait([&] { return poll(&cqe); });
    return cqe;
}

void cq::arm()
{
    drv.write_bar(4, db, (consumed & 0xffff) | SOFTEFA_CQ_DB_ARM);
}

/* ---- queue pairs ---- */

qp::qp(driver &drv, uint16_t pd, uint16_t uar, cq &send, cq &recv,
       unsigned type, unsigned depth) :
    drv(drv),
    made(), depth(depth), rq(drv.alloc(depth * 16)), llq(nullptr), qkey(0),
    sq_pc(0), rq_pc(0)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode            = SOFTEFA_ADMIN_CREATE_QP;
    cmd.create_qp.pd           = pd;
    cmd.create_qp.type         = type;
    cmd.create_qp.rq_base      = rq;
    cmd.create_qp.send_cq      = send.number;
    cmd.create_qp.recv_cq      = recv.number;
    cmd.create_qp.sq_ring_size = depth * 64;
    cmd.create_qp.sq_depth     = depth;
    cmd.create_qp.rq_ring_size = depth * 16;
    cmd.create_qp.rq_depth     = depth;
    cmd.create_qp.uar          = uar;
    status                     = drv.admin(cmd, &resp);
    EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)status);
    made = resp.create_qp;
    llq  = drv.llq() + made.llq;
}

unsigned qp::modify(unsigned state, uint32_t key)
{
    softefa_admin_cmd_t cmd = {};

    cmd.head.opcode      = SOFTEFA_ADMIN_MODIFY_QP;
    cmd.modify_qp.mask   = SOFTEFA_ADMIN_MOD_STATE | SOFTEFA_ADMIN_MOD_QKEY;
    cmd.modify_qp.handle = made.handle;
    cmd.modify_qp.state  = state;
    cmd.modify_qp.qkey   = key;
    return drv.admin(cmd, nullptr);
}

void qp::to_rts(uint32_t key)
{
    qkey = key;
    for (unsigned state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
        EXPECT_EQ(SOFTEFA_ADMIN_OK, (int)modify(state, key));
    }
}

unsigned qp::destroy()
{
    return drv.number(SOFTEFA_ADMIN_DESTROY_QP, made.handle);
}

void qp::post_recv(uint16_t id, uint64_t addr, uint32_t length, uint32_t lkey)
{
    softefa_io_rx_t desc = {};

    desc.addr_lo   = addr;
    desc.addr_hi   = addr >> 32;
    desc.req_id    = id;
    desc.length    = length;
    desc.lkey_ctrl = lkey | SOFTEFA_RX_FIRST | SOFTEFA_RX_LAST;
    drv.at<softefa_io_rx_t>(rq)[rq_pc & (depth - 1)] = desc;
    drv.write_bar(4, made.rq_db, ++rq_pc);
}

void qp::post(const softefa_io_wqe_t &given)
{
    softefa_io_wqe_t wqe = given;

    wqe.ctrl1 |= SOFTEFA_CTRL1_META;
    wqe.ctrl2 |= SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST |
                 SOFTEFA_CTRL2_COMP_REQ |
                 ((sq_pc & depth) ? SOFTEFA_CTRL2_PHASE : 0);
    memcpy(llq + ((sq_pc & (depth - 1)) * 64), &wqe, 64);
    drv.write_bar(4, made.sq_db, ++sq_pc);
}

static void fill(softefa_io_buf_t *buf, uint64_t addr, uint32_t length,
                 uint32_t key)
{
    buf->addr_lo = addr;
    buf->addr_hi = addr >> 32;
    buf->length  = length;
    buf->key     = key;
}

void qp::send(uint16_t id, uint16_t ah, const qp &to, uint64_t addr,
              uint32_t length, uint32_t lkey)
{
    softefa_io_wqe_t wqe = {};

    wqe.req_id   = id;
    wqe.ctrl1    = SOFTEFA_OP_SEND;
    wqe.dest_qpn = to.made.qpn;
    wqe.qkey     = to.qkey;
    wqe.ahn      = ah;
    wqe.length   = 1;
    fill(&wqe.sge[0], addr, length, lkey);
    post(wqe);
}

void qp::rdma(uint16_t id, unsigned op, uint16_t ah, const qp &to,
              uint64_t local, uint32_t lkey, uint64_t remote, uint32_t rkey,
              uint32_t length)
{
    softefa_io_wqe_t wqe = {};

    wqe.req_id   = id;
    wqe.ctrl1    = op;
    wqe.dest_qpn = to.made.qpn;
    wqe.qkey     = to.qkey;
    wqe.ahn      = ah;
    wqe.length   = 1;
    fill(&wqe.rdma.remote, remote, length, rkey);
    fill(&wqe.rdma.local, local, length, lkey);
    post(wqe);
}

} // namespace pci
