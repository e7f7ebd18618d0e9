/*
 * Process-local handles of the device's objects: data only.
 *
 *   softefa_dev --+-- softefa_mr --> softefa_shm_mr_t     (fabric/layout.h)
 *                 +-- softefa_cq --> softefa_shm_cq_t
 *                 '-- softefa_qp --> softefa_shm_qp_t
 *                         |
 *                         '-- SQ reader, messages in flight (this process)
 *
 * Locks of this process, outermost first:
 *   list of devices -> dev->lock (its lists) -> qp->lock (SQ, flight)
 *                                                  -> shared locks
 *                                                  -> dev->wait_lock
 *   dev->ah_lock -> admin lock
 */
#ifndef SOFTEFA_OBJECT_H
#define SOFTEFA_OBJECT_H

#include "abi/efa_io.h"
#include "base/list.h"
#include "base/util.h"
#include "fabric/fabric.h"
#include "nic/nic.h"

#include <pthread.h>

struct softefa_dev {
    uint32_t          epoch;         /* of softefa_fabric when it was opened */
    uint32_t          owner;         /* tag of its entries in the tables */
    unsigned          index;
    uint32_t          incarnation;   /* of the device when it was opened */
    softefa_shm_dev_t *shm;
    softefa_profile_t profile;
    uint8_t           gid[16];
    uint16_t          listed;        /* where a PD's ah_of has its AH */
    bool              closing;       /* destroys leave what they cannot free */
    _Atomic uint32_t  waiting;       /* messages that progress looks at */
    _Atomic uint32_t  late_arms;     /* of which are CQs to be armed */
    atomic_bool       polled;        /* somebody did, since the last look */
    bool              async;         /* has a descriptor for events */
    pthread_mutex_t   lock;          /* the lists */
    softefa_link_t    qps, cqs, mrs, channels;
    pthread_mutex_t   ah_lock;       /* the next one, and its AHs' references */
    struct softefa_ah_index *ahs;    /* ah_index.h */
    pthread_mutex_t   wait_lock;     /* of the next two */
    softefa_link_t    waiters;       /* QPs with messages that wait */
    uint32_t          num_waiters;
    softefa_link_t    link;          /* dev_list.c */
};

struct softefa_mr {
    softefa_dev_t    *dev;
    softefa_shm_mr_t *shm;
    softefa_link_t   link;
};

struct softefa_channel {
    softefa_dev_t         *dev;
    softefa_shm_channel_t *shm;
    unsigned              index;
    int                   reader;    /* to take events back */
    softefa_link_t        link;
};

struct softefa_cq {
    softefa_dev_t     *dev;
    softefa_shm_cq_t  *shm;
    softefa_channel_t *channel;
    unsigned          index;
    unsigned          next_sub_cq;   /* for the next queue */
    atomic_bool       arm_later;     /* its lock could not be taken */
    softefa_link_t    link;
};

/* Where a message that could not be finished at once stands. */
typedef enum {
    SOFTEFA_MSG_FREE,
    SOFTEFA_MSG_HELD,                /* by the reorder option, not sent yet */
    SOFTEFA_MSG_DONE,                /* no CQE yet: by the reorder option, or
                                        the CQ's lock could not be taken */
    SOFTEFA_MSG_RNR,                 /* waits for the destination's RQ */
    SOFTEFA_MSG_LATE                 /* held by a fault until `deadline` */
} softefa_msg_state_t;

typedef struct softefa_msg softefa_msg_t;

struct softefa_msg {
    softefa_io_wqe_t    wqe;         /* the device's own copy */
    softefa_msg_state_t state;
    int                 status;      /* DONE */
    uint32_t            ah_generation;
    uint64_t            deadline;    /* RNR, LATE: ns; MAX: without end */
    uint64_t            check;       /* RNR: when to ask if the peer lives */
    softefa_msg_t       *next;       /* free list; done; late; RNR: same
                                        destination */
    softefa_msg_t       *next_dest;  /* RNR, first of its destination only */
    softefa_msg_t       *last;       /* RNR, first of its destination only */
};

struct softefa_qp {
    softefa_dev_t    *dev;
    softefa_shm_qp_t *shm;
    softefa_cq_t     *send_cq, *recv_cq;
    softefa_qp_type_t type;
    uint16_t         qpn, pdn;
    uint8_t          send_sub_cq;
    uint8_t          rnr_retry;
    int              state;          /* enum ibv_qp_state */
    uint32_t         sq_psn;
    uint32_t         max_inline;
    bool             doorbell_error; /* already logged */
    _Atomic uint32_t waiting;        /* of dev->waiting; written under lock */
    softefa_link_t   wait_link;      /* in dev->waiters, if waiting */
    softefa_link_t   link;

    softefa_lock_t   lock;           /* everything below */
    const uint8_t    *sq;
    const _Atomic uint32_t *sq_db;
    uint32_t         sq_size;        /* entries, power of two */
    uint32_t         wqe_shift;      /* 6 or 7 */
    uint16_t         sq_head;        /* entries fetched so far */
    uint8_t          sq_phase;       /* of the next entry */
    bool             learn_phase;    /* libefa keeps its phase over RESET */

    softefa_msg_t    *flight;        /* sq_size of them */
    uint32_t         num_flight;     /* of which have been used */
    softefa_msg_t    *free;
    softefa_msg_t    *rnr;           /* first message of each destination */
    softefa_msg_t    *done;          /* their CQEs are to be written */
    softefa_msg_t    *done_last;
    bool             backlog;        /* entries announced, not fetched */
    bool             flush_later;    /* receives, into a CQ as above */
    softefa_msg_t    **held;         /* HELD and DONE, reorder.c */
    uint32_t         num_held;
    softefa_msg_t    *late;          /* in the order of posting */
    uint32_t         reorder;        /* depth, 0: off */
    bool             planned;        /* this process has a fault plan */
    bool             slow;           /* either of the two */
    uint64_t         random;
};

#endif
