/*
 * For programs that write queue entries, ring doorbells and read completions
 * themselves (efadv_query_qp_wqs(), efadv_query_cq(), rdma-core 59 and later).
 *
 * A NIC sees a store to a doorbell. Soft-EFA runs in the program's own threads,
 * so it must be called: libefa's functions are hooked, and a program that calls
 * none of them gets doorbells that trap, at the price of a signal each. It
 * avoids the trap if it asks here for each object, and calls Soft-EFA itself:
 *
 *   softefa_direct_qp_t direct;
 *   int (*query)(struct ibv_qp*, softefa_direct_qp_t*) =
 *           dlsym(RTLD_DEFAULT, "softefa_direct_qp");
 *
 *   if ((query != NULL) && (query(qp, &direct) == 0)) {
 *       doorbell = direct.sq_doorbell;      // in place of efadv's
 *       ring     = direct.ring;             // NULL on a NIC
 *   }
 *
 *   entries; barrier; *doorbell = tail; if (ring) ring(direct.arg);
 *
 * The functions of an object may be called until it is destroyed, by the thread
 * that may use it at that moment. They return nothing: what goes wrong is told
 * by a completion, as from a NIC.
 *
 * The two structures only ever grow at their end; `size` is set by the caller.
 */
#ifndef SOFTEFA_DIRECT_H
#define SOFTEFA_DIRECT_H

#include <stddef.h>
#include <stdint.h>

struct ibv_cq;
struct ibv_qp;

typedef struct {
    size_t   size;                /* in: of this structure */
    uint32_t *sq_doorbell;        /* does not trap */
    void     (*ring)(void *arg);  /* after each store to it */
    void     *arg;
} softefa_direct_qp_t;

typedef struct {
    size_t   size;                /* in: of this structure */
    uint32_t *doorbell;           /* does not trap; NULL: no channel */
    void     (*poll)(void *arg);  /* before entries are looked at */
    void     *poll_arg;
    void     (*armed)(void *arg); /* after a store that asks for an event */
    void     *armed_arg;
} softefa_direct_cq_t;

/* Return 0; ENOENT: the object is not one of Soft-EFA's; EINVAL: size is of no
 * version. */
int softefa_direct_qp(struct ibv_qp *qp, softefa_direct_qp_t *direct);
int softefa_direct_cq(struct ibv_cq *cq, softefa_direct_cq_t *direct);

#endif
