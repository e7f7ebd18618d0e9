/*
 * One process of the soak. Whatever it has posted is an operation in the list
 * of its connection; its memory stays until UCP has completed it and, if it did
 * not succeed, until both sides have left: the other one may still be reading.
 */
#ifndef SOAK_WORKER_H
#define SOAK_WORKER_H

#include "soak.h"

#include <ucp/api/ucp.h>
#include <ucs/datastruct/list.h>

#define SOAK_MAGIC 0x50a4b0a7u
#define SOAK_AM_ID 7

/* In front of each message: whose it is. The content follows from it. */
typedef struct {
    uint32_t magic;
    uint8_t  from, to, link, channel;
    uint32_t inc, gen;
    uint64_t seq;
    uint32_t length;
    uint32_t sum;                     /* of the fields above                  */
} soak_header_t;

typedef enum {
    CONN_NONE,                        /* not part of a connection             */
    CONN_OPEN,
    CONN_LEAVING,                     /* the endpoint is being closed         */
    CONN_LEFT                         /* it is closed; claims are compared    */
} soak_conn_state_t;

typedef struct {
    uint64_t sent, done_to;           /* all below have completed             */
    bool     done[SOAK_WINDOW];
} soak_tx_t;

/* What came over one generation of a link */
typedef struct {
    uint64_t next;                    /* highest that came, and 1             */
    uint64_t low;                     /* all below are here in full           */
    uint8_t  state[SOAK_WINDOW];
} soak_rx_t;

typedef struct soak_conn {
    unsigned          peer, link, side;
    soak_pair_t       *pair;
    soak_link_t       *shared;
    soak_side_t       *mine, *other;
    soak_conn_state_t state;
    uint32_t          gen, peer_inc;
    uint64_t          since;          /* us: last progress of the state       */
    ucp_ep_h          ep;
    ucp_rkey_h        rkey;
    unsigned          callbacks;
    bool              hung, flushing;
    struct soak_op    *flushed;       /* a flush that UCP says is complete    */
    ucs_status_t      status;
    ucs_list_link_t   ops, held;
    unsigned          num_ops, num_sends;
    soak_tx_t         tx[NUM_CHANNELS];
    struct {
        uint32_t      gen;
        soak_rx_t     rx[NUM_CHANNELS];
    } rx[SOAK_GENS];
    /* one-sided: what my area in the peer's memory must hold */
    uint8_t           shadow[SOAK_AREA];
    unsigned          known;          /* pages: ever written                  */
    unsigned          written, read;  /* since the last flush                 */
    uint32_t          version;
} soak_conn_t;

typedef enum {
    KIND_SEND, KIND_RECV, KIND_PUT, KIND_GET, KIND_FLUSH, KIND_CLOSE
} soak_kind_t;

typedef struct soak_op {
    ucs_list_link_t list;
    soak_conn_t     *conn;
    soak_kind_t     kind;
    uint32_t        gen;
    uint64_t        started, order;   /* us; posted before and after          */
    unsigned        channel;
    uint64_t        seq;
    uint64_t        mark[NUM_CHANNELS]; /* flush: completed before it         */
    bool            graceful;         /* flush: the last before the end       */
    uint64_t        offset;           /* get: in the region                   */
    bool            checked;
    soak_header_t   header;
    size_t          length;
    uint8_t         *data;            /* behind it, or expected content       */
} soak_op_t;

typedef struct {
    unsigned     self;
    uint32_t     inc;
    uint64_t     random, order;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_mem_h    memh;
    uint8_t      *region;
    soak_proc_t  *proc;
    unsigned     plain_closes;
    soak_conn_t  conn[SOAK_PROCS][SOAK_LINKS];
} soak_self_t;

extern soak_self_t me;

#define soak_count(_what, _n) \
    atomic_fetch_add_explicit(&me.proc->count[SOAK_##_what], _n, \
                              memory_order_relaxed)

static inline uint64_t soak_below(uint64_t n)
{
    return soak_random(&me.random) % n;
}

/* soak_worker.c: operations */
soak_op_t *soak_op_new(soak_conn_t *conn, soak_kind_t kind, size_t length);
/* `cb_flag` and so on; the completion callback gets the operation. */
void soak_op_param(soak_op_t *op, ucp_request_param_t *param);
/* With what UCP returned; completes at once if that was no request. */
void soak_op_posted(soak_op_t *op, ucs_status_ptr_t request);
void soak_op_done(soak_op_t *op, ucs_status_t status);
/* Is an error on this connection to be expected? */
bool soak_is_excused(soak_conn_t *conn);
void soak_error(soak_conn_t *conn, const char *what, ucs_status_t status);
void soak_fill(uint8_t *data, size_t length, uint64_t key, uint64_t offset);
/* Where it differs, or -1. */
long soak_compare(const uint8_t *data, size_t length, uint64_t key,
                  uint64_t offset);

/* soak_conn.c */
void soak_conn_init(soak_conn_t *conn, unsigned peer, unsigned link);
void soak_conn_step(soak_conn_t *conn, uint64_t now);
void soak_conn_connect(soak_conn_t *conn);
void soak_conn_close(soak_conn_t *conn, soak_close_t mode);
void soak_conn_closed(soak_op_t *op, ucs_status_t status);
bool soak_conn_usable(soak_conn_t *conn);

/* soak_send.c */
void soak_send(soak_conn_t *conn, unsigned channel);
void soak_send_done(soak_op_t *op, ucs_status_t status);
uint64_t soak_key(const soak_header_t *header);
uint32_t soak_sum(const soak_header_t *header);

/* soak_recv.c */
void soak_recv_init(void);
unsigned soak_recv_tags(void);
void soak_recv_done(soak_op_t *op, ucs_status_t status);
/* Claimed by the other side and not here: those that nothing excuses. */
uint64_t soak_recv_missing(soak_conn_t *conn, bool cut_excused,
                           uint64_t *excused, char *text, size_t max);

/* soak_rma.c */
void soak_rma_init(void);
void soak_rma_open(soak_conn_t *conn);
void soak_rma_put(soak_conn_t *conn);
void soak_rma_get(soak_conn_t *conn);
void soak_rma_get_done(soak_op_t *op, ucs_status_t status);
void soak_rma_flush(soak_conn_t *conn, bool graceful);

/* True: keeps op, until it is claimed in the next turn, or the connection is
 * gone. */
bool soak_rma_flush_done(soak_op_t *op, ucs_status_t status);
void soak_rma_flush_claim(soak_conn_t *conn);
void soak_rma_flush_drop(soak_conn_t *conn);
/* Of my memory: what the peer says it has flushed. */
void soak_rma_check(soak_conn_t *conn);

#endif
