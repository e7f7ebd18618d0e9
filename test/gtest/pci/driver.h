/*
 * What Linux's efa driver does with the function, as far as the tests need it:
 * guest memory, reset, admin queue, objects, rings. Everything in one page
 * table: guest address = offset in the memory + BASE.
 */
#ifndef TEST_PCI_DRIVER_H_
#define TEST_PCI_DRIVER_H_

#include "client.h"

#include "abi/efa_admin.h"
#include "abi/efa_io.h"

#include <functional>

namespace pci {

class driver {
public:
    static const uint64_t BASE = 0x40000000;

    explicit driver(const server &of, size_t memory = 16 << 20);
    ~driver();
    driver(const driver&)            = delete;
    driver &operator=(const driver&) = delete;

    client &vfu() { return m_client; }

    /* Guest memory: whole pages, zero; where it is here */
    uint64_t alloc(size_t size);
    template<typename T = uint8_t> T *at(uint64_t address)
    {
        return (T*)(m_memory + (address - BASE));
    }

    void     write_bar(unsigned bar, uint64_t offset, uint32_t value);
    uint32_t read_reg(unsigned offset);        /* as the driver: by memory */
    uint32_t read_region(unsigned region, uint64_t offset); /* by a message */

    /* The whole of a probe: reset, queues, features, event queue */
    void probe();
    void reset();
    bool in_reset();
    void start_queues();

    /* A command; its status */
    unsigned admin(softefa_admin_cmd_t &cmd, softefa_admin_resp_t *resp);
    unsigned number(unsigned opcode, uint32_t object);

    uint16_t alloc_pd();
    uint16_t alloc_uar();
    uint16_t create_ah(uint16_t pd, const uint8_t *gid);
    softefa_admin_reg_mr_resp_t reg_mr(uint16_t pd, uint64_t iova,
                                       uint64_t length,
                                       const std::vector<uint64_t> &pages,
                                       unsigned access = 7, unsigned shift = 12);
    std::vector<uint8_t> gid();
    std::vector<uint64_t> stats(unsigned type);

    /* Whether an interrupt of this vector came; takes it */
    bool interrupt(unsigned vector);
    /* CQ numbers in the event queue, since the last call */
    std::vector<uint16_t> events();
    void arm_eq();
    std::vector<unsigned> async_groups();

    uint8_t *llq();
    uint16_t eqn() const { return m_eqn; }

    /* Waits until done(); fails after the deadline. */
    void wait(const std::function<bool()> &done);

private:
    client   m_client;
    int      m_memory_fd;
    size_t   m_size;
    uint8_t  *m_memory;
    uint64_t m_next;
    std::vector<int> m_vectors;
    uint8_t  *m_llq;
    uint64_t m_mmio, m_aq, m_acq, m_aenq, m_eq;
    uint16_t m_request, m_sent, m_done, m_async, m_event, m_eqn;
};

struct cq {
    cq(driver &drv, uint16_t uar, unsigned depth, bool interrupts = false,
       unsigned entry_size = 32);

    bool poll(softefa_io_cqe_t *cqe);         /* also tells the doorbell */
    softefa_io_cqe_t next();                  /* waits */
    void arm();

    driver   &drv;
    uint16_t number;
    unsigned depth, entry_size, sub_cqs;
    uint64_t ring;
    uint32_t db;
    std::vector<uint32_t> head;
    uint32_t consumed;
};

struct qp {
    qp(driver &drv, uint16_t pd, uint16_t uar, cq &send, cq &recv,
       unsigned type = SOFTEFA_ADMIN_QP_SRD, unsigned depth = 16);

    unsigned modify(unsigned state, uint32_t qkey);
    void     to_rts(uint32_t qkey);
    unsigned destroy();

    void post_recv(uint16_t id, uint64_t addr, uint32_t length, uint32_t lkey);
    void post(const softefa_io_wqe_t &wqe);
    void send(uint16_t id, uint16_t ah, const qp &to, uint64_t addr,
              uint32_t length, uint32_t lkey);
    void rdma(uint16_t id, unsigned op, uint16_t ah, const qp &to,
              uint64_t local, uint32_t lkey, uint64_t remote, uint32_t rkey,
              uint32_t length);

    driver   &drv;
    softefa_admin_create_qp_resp_t made;
    unsigned status;
    unsigned depth;
    uint64_t rq;
    uint8_t  *llq;
    uint32_t qkey;
    uint16_t sq_pc, rq_pc;
};

} // namespace pci

#endif
