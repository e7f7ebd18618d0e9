/*
 * The NIC model: what an attachment can ask of it, the counterpart of EFA's
 * admin queue and doorbells.
 *
 *   kernel/, preload/   the attachment: plays kernel and driver for a process
 *        |                   ^
 *        |  THIS INTERFACE   |  nic/host.h
 *        v                   |
 *   dev.c pd.c ah.c mr.c cq.c qp.c channel.c async.c  objects and their limits
 *   engine.c  doorbell --> validate.h --> message.h --> deliver.h, rdma.c,
 *             burst.c: sgl.h, dest.h, rx.h         --> cq.h: completions
 *   flight.c  what cannot be finished at once (reorder.c); progress.c looks
 *             after it
 *   device.c  status of a whole device; counters.c what it counts
 *        |
 *   fabric/             the memory that all processes share
 *
 * All functions return 0 or a positive errno and log nothing, except where
 * noted. Each may fail with ETIME, logged, like an admin command without an
 * answer: another process is stopped at a moment when it holds what is needed.
 * They may be called from any thread. Handles are process local; numbers (pdn,
 * qpn, ahn, cqn, keys) are what the hardware would show.
 */
#ifndef SOFTEFA_NIC_H
#define SOFTEFA_NIC_H

#include "config/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct softefa_dev     softefa_dev_t;     /* one open uverbs file  */
typedef struct softefa_cq      softefa_cq_t;
typedef struct softefa_qp      softefa_qp_t;
typedef struct softefa_mr      softefa_mr_t;
typedef struct softefa_channel softefa_channel_t; /* completion channel    */

/* Places of rings and doorbells ("keys") are offsets in the fabric's memory
 * (softefa_fabric_at()), and in the file that it is. */

/* Life cycle: one object per open of /dev/infiniband/uverbsN. Closing it
 * destroys whatever was left, as the kernel does when a file is closed. */
int  softefa_dev_open(unsigned index, softefa_dev_t **dev_p);
void softefa_dev_close(softefa_dev_t *dev);

/* Closing begins: from now on every destroy succeeds. What cannot be freed,
 * as a process is stopped at the wrong moment, stays until this one ends. */
void softefa_dev_close_begin(softefa_dev_t *dev);

/* Limits and capabilities of the generation this device plays. Not owned. */
const softefa_profile_t *softefa_dev_profile(const softefa_dev_t *dev);
/* Bytes 8..15 of the GID are the node GUID. Before a device is open, sysfs
 * takes it from softefa_fabric_gid(). */
void softefa_dev_gid(const softefa_dev_t *dev, uint8_t gid[16]);

/* Protection domains: ENOMEM above the profile's max_pd; EBUSY when in use. */
int softefa_pd_alloc(softefa_dev_t *dev, uint16_t *pdn);
int softefa_pd_free(softefa_dev_t *dev, uint16_t pdn);

/* Address handles. ENOMEM: table full. EINVAL: no such pd. Equal (pd, gid)
 * share one number, counted. */
int softefa_ah_create(softefa_dev_t *dev, uint16_t pdn, const uint8_t gid[16],
                      uint16_t *ahn);
int softefa_ah_destroy(softefa_dev_t *dev, uint16_t pdn, uint16_t ahn);

/* Memory regions. access: IBV_ACCESS_* already checked by the caller. */
int softefa_mr_reg(softefa_dev_t *dev, uint16_t pdn, uint64_t addr,
                   uint64_t length, uint64_t iova, uint32_t access,
                   softefa_mr_t **mr_p, uint32_t *lkey, uint32_t *rkey);
int softefa_mr_dereg(softefa_mr_t *mr);

/* Completion channels: fd is what libibverbs reads 8-byte events from. It
 * belongs to the application, whose close() the kernel half sees: it calls
 * softefa_channel_destroy(), which does not close fd, and then closes fd.
 * A channel whose fd was closed while CQs still name it is destroyed with the
 * last of those CQs, so softefa_channel_destroy() always finds it unused. */
int  softefa_channel_create(softefa_dev_t *dev, softefa_channel_t **channel_p,
                            int *fd);
int  softefa_channel_destroy(softefa_channel_t *channel);

typedef struct {
    unsigned           depth;        /* entries per sub-CQ, power of two    */
    unsigned           entry_size;   /* 16 or 32 bytes                      */
    unsigned           num_sub_cqs;
    bool               with_sgid;    /* source GID for an unknown AH        */
    softefa_channel_t *channel;      /* NULL: no notifications              */
    uint64_t           cookie;       /* returned in the channel's event     */
} softefa_cq_attr_t;

typedef struct {
    uint16_t cqn;
    uint64_t ring_key, ring_size;    /* place of the ring(s), bytes         */
    uint64_t db_key;                 /* place of the doorbell page          */
} softefa_cq_map_t;

int softefa_cq_create(softefa_dev_t *dev, const softefa_cq_attr_t *attr,
                      softefa_cq_t **cq_p, softefa_cq_map_t *map);
/* events: how many completion events were raised for this CQ so far, so that
 * ibv_destroy_cq() can wait for the ones not yet acknowledged;
 * SOFTEFA_EVENTS_UNKNOWN after a sender died while it raised one. */
#define SOFTEFA_EVENTS_UNKNOWN UINT32_MAX
int softefa_cq_destroy(softefa_cq_t *cq, uint32_t *events);

/* Where its entries and its doorbell are in this process. */
typedef struct {
    uint8_t  *ring;
    unsigned entry_size;             /* bytes */
    unsigned num_entries;            /* CQ: of the first sub-CQ */
    uint32_t *doorbell;              /* CQ without a channel: NULL */
} softefa_ring_t;

void softefa_cq_ring(const softefa_cq_t *cq, softefa_ring_t *ring);

/* Before each look at its entries, but for a CQ whose polls are not seen: makes
 * entries of what has come in, and retries what waits on its device (RNR, held
 * back by the fault plan). Cheap if there is nothing. */
void softefa_cq_poll(softefa_cq_t *cq);
/* Whether softefa_cq_poll() will be called. As long as it never was, and is not
 * ruled out here, nothing relies on it. */
void softefa_fifo_set_seen(softefa_cq_t *cq, bool seen);

/* Called after libefa wrote an armed doorbell. Raises the event at once if an
 * unconsumed completion is already there. */
void softefa_cq_arm(softefa_cq_t *cq);
/* Whether libefa took entries without saying so by the doorbell: ibv_end_poll()
 * does not when the poll before it found the CQ empty. */
void softefa_cq_set_behind(softefa_cq_t *cq, bool behind);

typedef enum { SOFTEFA_QP_UD, SOFTEFA_QP_SRD } softefa_qp_type_t;

typedef struct {
    softefa_qp_type_t type;
    uint16_t          pdn;
    softefa_cq_t     *send_cq, *recv_cq;
    uint32_t          sq_ring_size;   /* bytes */
    uint32_t          rq_ring_size;   /* bytes, 0: no receive queue        */
    uint32_t          sq_entry_size;  /* 64 or 128 bytes                   */
    uint32_t          max_inline;     /* bytes */
    bool              unsolicited_write_recv;
    uint64_t          cookie;         /* element of its asynchronous events */
} softefa_qp_attr_t;

typedef struct {
    uint16_t qpn;
    uint64_t sq_key, sq_size;         /* LLQ */
    uint64_t sq_db_key;
    uint64_t rq_key, rq_size;
    uint64_t rq_db_key;
    uint16_t send_sub_cq, recv_sub_cq;
} softefa_qp_map_t;

int softefa_qp_create(softefa_dev_t *dev, const softefa_qp_attr_t *attr,
                      softefa_qp_t **qp_p, softefa_qp_map_t *map);
/* rq may be without entries. */
void softefa_qp_rings(const softefa_qp_t *qp, softefa_ring_t *sq,
                      softefa_ring_t *rq);

/* state: enum ibv_qp_state. The caller has checked the transition and the
 * mask (docs/soft-efa.md, "Driver checks"); -1 leaves a field as it is. */
typedef struct {
    int     state;
    int64_t qkey;
    int64_t sq_psn;
    int     rnr_retry;                /* 0..7, 7: without end */
} softefa_qp_mod_t;

int  softefa_qp_modify(softefa_qp_t *qp, const softefa_qp_mod_t *mod);
void softefa_qp_query(const softefa_qp_t *qp, softefa_qp_mod_t *mod);
int  softefa_qp_destroy(softefa_qp_t *qp);

/* Asynchronous events: fd is what libibverbs reads
 * softefa_abi_async_event_t from; it belongs to the application. One a device.
 * qp_events: before a QP is destroyed; takes its unread events back and returns
 * how many were read, which ibv_destroy_qp() waits for to be acknowledged. */
int      softefa_async_open(softefa_dev_t *dev, int *fd);
uint32_t softefa_async_qp_events(softefa_qp_t *qp);

/* Whether it is of this process, which is still a member: not in the child of a
 * fork, nor after exit. Whether commands on it fail with EIO: its device
 * died. */
bool softefa_dev_is_valid(const softefa_dev_t *dev);
bool softefa_dev_is_dead(const softefa_dev_t *dev);

/* The data path, in the caller's thread.
 * doorbell: the SQ doorbell of qp was rung; send what is new.
 * progress: retry what waits (RNR, held back by the fault plan). Cheap when
 *           nothing waits. Called from every poll (softefa_cq_poll()). */
void softefa_engine_doorbell(softefa_qp_t *qp);
void softefa_progress(softefa_dev_t *dev);

#endif
