/*
 * The device of paper, for fuzz_device.c, fuzz_direct.c and fuzz_life.c alone.
 *
 *   context   PD, memory, AHs: one for each life of the device. A dead one stays
 *             until it is closed; every command on it fails with EIO
 *   queue     and its CQ: present (fuzz_queues), or about to be destroyed
 *     pair    as another one replaces it
 */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include "fuzz.h"

#include <errno.h>

#define FUZZ_MAX_CQES  4096
#define FUZZ_MAX_RECVS 1024
#define FUZZ_MAX_MRS   1024
#define FUZZ_MAX_AHS   64
#define FUZZ_MAX_QPS   2
#define FUZZ_MAX_CTXS  4
#define FUZZ_NO_AHN    0xffff

typedef struct {
    struct ibv_wc wc;
    union ibv_gid gid;
    int           who;             /* of a receive; -1: nobody, or counted   */
    uint8_t       odd_flags;       /* of its entry, for the direct path      */
    uint16_t      odd_qpn;         /* added to ours                          */
} fuzz_cqe_t;

typedef struct {
    struct ibv_ah super;
    union ibv_gid gid;
    uint16_t      ahn;
} fuzz_ah_t;

typedef struct {
    struct ibv_mr super;
    int           access;
} fuzz_mr_t;

typedef struct {
    struct verbs_context vctx;
    uint32_t             keys;     /* upper half of its keys                 */
    int                  dead;
    int                  event;    /* DEVICE_FATAL is to be read             */
    fuzz_mr_t            *mrs[FUZZ_MAX_MRS];
    fuzz_ah_t            *ahs[FUZZ_MAX_AHS];
    unsigned             num_ahs;
} fuzz_ctx_t;

/* In memory, fuzz_direct.c; head: entries that the device has seen */
typedef struct {
    int      on;                   /* the transport's: without libefa        */
    uint8_t  *sq, *rq, *cq;
    unsigned sq_entries, rq_entries, cqe_size;
    uint32_t sq_doorbell, rq_doorbell, cq_doorbell;
    uint16_t sq_head, rq_head;
    uint32_t written, taken;       /* entries of the CQ                      */
    int      garbage;              /* the last one written is                */
    int      garbage_recv;         /* and has a receive's id                 */
    int      broken;               /* it was taken                           */
} fuzz_direct_t;

typedef struct {
    fuzz_queues_t     super;
    fuzz_ctx_t        *ctx;
    int               has_cq, has_qp;
    int               flush;       /* dead: what is posted comes back        */
    int               event;       /* QP_FATAL is to be read                 */
    struct ibv_cq_ex  cq;
    struct efadv_cq   cq_efa;
    struct ibv_qp_ex  qp;
    struct ibv_qp_cap cap;
    unsigned          sq_used;     /* posted, and not polled                 */
    fuzz_cqe_t        cqes[FUZZ_MAX_CQES], *current;
    unsigned          cqe_head;
    struct {
        uint64_t       wr_id;
        struct ibv_sge sge;
    }                 recvs[FUZZ_MAX_RECVS];
    unsigned          recv_head;
    fuzz_send_t       *building;   /* between wr_start and wr_complete       */
    fuzz_direct_t     direct;
} fuzz_qp_t;

extern fuzz_qp_t  fuzz_qps[FUZZ_MAX_QPS];
extern fuzz_ctx_t *fuzz_ctxs[FUZZ_MAX_CTXS];

static inline fuzz_ctx_t *fuzz_ctx(struct ibv_context *ctx)
{
    return ucs_container_of(ctx, fuzz_ctx_t, vctx.context);
}

static inline fuzz_qp_t *fuzz_qp(struct ibv_qp *qp)
{
    return ucs_container_of(qp, fuzz_qp_t, qp.qp_base);
}

static inline fuzz_qp_t *fuzz_qp_present(void)
{
    return ucs_container_of(fuzz_queues, fuzz_qp_t, super);
}

fuzz_cqe_t *fuzz_cqe_push(fuzz_qp_t *qp, uint64_t wr_id, unsigned status);

/* The oldest one, which the transport has taken; NULL: none */
fuzz_cqe_t *fuzz_cqe_pull(fuzz_qp_t *qp);

/* The message of a completion that can be seen counts as one from its sender. */
void fuzz_cqe_count(fuzz_cqe_t *cqe);

/* What fuzz_device.complete_all says */
void fuzz_device_complete_all(fuzz_qp_t *qp);

/* A send is posted: add, set, posted. */
fuzz_send_t *fuzz_send_add(fuzz_qp_t *qp);
void fuzz_send_set_ah(const fuzz_qp_t *qp, fuzz_send_t *send,
                      struct ibv_ah *ibv_ah, uint32_t qpn, uint32_t qkey);
void fuzz_send_set_sges(const fuzz_qp_t *qp, fuzz_send_t *send,
                        const struct ibv_sge *sges, unsigned count,
                        int is_inline);
void fuzz_send_posted(fuzz_qp_t *qp);

/* A receive is posted. ENOMEM: the queue is full */
int fuzz_recv_add(fuzz_qp_t *qp, uint64_t wr_id, const struct ibv_sge *sge);

/* The first receive that is posted is so no more. */
void fuzz_recv_drop(fuzz_qp_t *qp);

void fuzz_direct_create_cq(fuzz_qp_t *qp, int has_gid);
void fuzz_direct_create_qp(fuzz_qp_t *qp);
void fuzz_direct_destroy_cq(fuzz_qp_t *qp);
void fuzz_direct_destroy_qp(fuzz_qp_t *qp);

/* Send i ends without the device: with status 1, or nobody hears of it. */
void fuzz_send_lose(fuzz_qp_t *qp, unsigned i, int flush);

/* The first receive that is posted comes back. */
void fuzz_recv_error(fuzz_qp_t *qp, unsigned status);

/* A command to the device, at which it may die. 0 or EIO, errno, too */
int fuzz_command(struct ibv_context *ctx);

#endif
