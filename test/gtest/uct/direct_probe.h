/*
 * The transport's direct data path (srd/queues/srd_direct_*.h) on memory of a
 * test.
 */
#ifndef TEST_UCT_DIRECT_PROBE_H
#define TEST_UCT_DIRECT_PROBE_H

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    DIRECT_PROBE_INLINE,
    DIRECT_PROBE_SEND,
    DIRECT_PROBE_READ,
    DIRECT_PROBE_WRITE
} direct_probe_op_t;

typedef struct {
    direct_probe_op_t op;
    uint16_t          id, ahn;
    uint32_t          qpn, qkey, imm;
    const void        *data;         /* INLINE: 80 bytes may be read          */
    size_t            length;
    struct ibv_sge    sge[2];
    unsigned          num_sge;
    uint64_t          remote_addr;
    uint32_t          rkey;
} direct_probe_wr_t;

/* The entry number `posted` of a send queue of `entries` with entries of `size`
 * bytes, to out, aligned. Returns what the doorbell says. */
uint32_t direct_probe_send(unsigned size, unsigned entries, uint32_t posted,
                           const direct_probe_wr_t *wr, void *out);

/* Doorbells that a batch of `count` sends rings, if max_batch may be at once */
unsigned direct_probe_doorbells(unsigned max_batch, unsigned count);

/* A receive entry with request id `id` */
void direct_probe_recv(uint16_t id, const struct ibv_sge *sge, void *out);

/* Reads a ring of completions. False: there is none. */
typedef struct {
    const void *ring;
    unsigned   size, entries;
    uint32_t   consumed;             /* so far                                */
} direct_probe_cq_t;

typedef struct {
    int      is_send, has_imm;
    uint16_t id, length, ahn, src_qpn;
    uint8_t  status;
    uint32_t imm, doorbell;
} direct_probe_cqe_t;

int direct_probe_next(direct_probe_cq_t *cq, direct_probe_cqe_t *cqe);

#ifdef __cplusplus
}
#endif

#endif
