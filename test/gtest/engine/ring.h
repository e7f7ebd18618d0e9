/*
 * The driver's side of the device's rings, without libefa: what rdma-core 44
 * cannot ask for (RDMA write, 128-byte entries, malformed ones) and what must
 * be killed at any point are tested below it, on src/softefa/nic/nic.h.
 *
 *   ring_port   an open device, a PD, registered memory, an AH per device
 *   ring_cq     a CQ with its consumer index
 *   ring_qp     a QP with its producer indices, in RTS
 *
 * A failed CHECK ends the process with abort(): each case has its own.
 */
#ifndef TEST_ENGINE_RING_H
#define TEST_ENGINE_RING_H

#include "nic/nic.h"
#include "fabric/fabric.h"
#include "abi/efa_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(_condition)                                                     \
    do {                                                                      \
        if (!(_condition)) {                                                  \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__,              \
                    #_condition);                                             \
            abort();                                                          \
        }                                                                     \
    } while (0)

enum {
    RING_MEMORY  = 1 << 20,
    RING_DEVICES = 3,
    RING_QKEY    = 5
};

typedef struct {
    softefa_dev_t *dev;
    uint16_t      pdn;
    uint16_t      ahn[RING_DEVICES];
    softefa_mr_t  *mr;
    uint32_t      lkey, rkey;
    uint8_t       *memory;           /* RING_MEMORY bytes, page aligned */
} ring_port_t;

typedef struct {
    softefa_dev_t    *dev;
    softefa_cq_t     *cq;
    softefa_cq_map_t map;
    uint32_t         depth, consumed;
} ring_cq_t;

typedef struct {
    softefa_qp_t     *qp;
    softefa_qp_map_t map;
    uint32_t         sq_size, rq_size, entry_size;
    uint16_t         sq_tail, rq_tail;
    uint8_t          phase;          /* of the entry at sq_tail */
} ring_qp_t;

void ring_port_open(ring_port_t *port, unsigned device);
void ring_port_close(ring_port_t *port);

void ring_cq_create(ring_port_t *port, ring_cq_t *cq, uint32_t depth,
                    softefa_channel_t *channel, uint64_t cookie);

/* One completion, or false. ring_cq_wait() takes one within ten seconds;
 * ring_cq_silent() checks that none comes for some polls and milliseconds. */
bool ring_cq_poll(ring_cq_t *cq, softefa_io_cqe_t *cqe);
softefa_io_cqe_t ring_cq_wait(ring_cq_t *cq);
void ring_cq_silent(ring_cq_t *cq);

/* attr: sizes 0 mean 64 entries of 64 bytes, 64 descriptors. */
int ring_qp_create(ring_port_t *port, ring_qp_t *qp, ring_cq_t *send,
                   ring_cq_t *recv, softefa_qp_attr_t attr);
void ring_qp_to(ring_qp_t *qp, int state);
void ring_qp_to_rts(ring_qp_t *qp, uint32_t qkey, int rnr_retry);

void ring_recv(ring_qp_t *qp, void *buffer, uint16_t length, uint32_t lkey,
               uint16_t id);

/* Completes the control bits, writes the entry; ring_doorbell() announces. */
void ring_put(ring_qp_t *qp, softefa_op_t op, softefa_io_wqe_t wqe);
void ring_doorbell(ring_qp_t *qp);

/* An entry to a QP of this port's device; inline for lkey 0. */
softefa_io_wqe_t ring_send(const ring_port_t *port, uint16_t qpn, uint16_t id,
                           const void *buffer, uint32_t length);
softefa_io_wqe_t ring_rdma(const ring_port_t *port, uint16_t qpn, uint16_t id,
                           uint64_t remote, void *local, uint32_t length);

/* Percent of message counts to do: TEST_SCALE. */
unsigned ring_scaled(unsigned count);

/* ns, monotonic */
uint64_t ring_now(void);

/* When to give up what must come: it only ends what hangs. */
#define RING_DEADLINE 600 /* seconds */
uint64_t ring_deadline(void);

/* Nothing is left of processes that are gone: `opens` files are open. */
void expect_empty(unsigned device, uint32_t opens);

/* The cases, each in a process of its own. */
void test_rdma_write(void);
void test_rdma_write_imm(void);
void test_rdma_write_unsolicited(void);
void test_rdma_errors(void);
void test_malformed(void);
void test_ah_destroyed(void);
void test_flush_and_reset(void);
void test_events(void);
void test_fork(void);
void test_kill_traffic(void);
void test_kill_admin(void);
void test_kill_attach(void);
void test_points_send(void);
void test_points_armed(void);
void test_points_fifo(void);
void test_points_admin(void);
void test_stopped_admin(void);
void test_stopped_attach(void);
void test_stopped_queues(void);
void test_lock_excludes(void);
void test_lock_of_thread(void);
void test_lock_of_former(void);
void test_lock_of_stopped(void);
void test_lock_of_joining(void);

#endif
