/*
 * Connections. soak.h has the states of a link, which both sides share; this is
 * what one side does in them:
 *
 *   NONE     link OPENING, both incarnations those that are meant: make the
 *            endpoint -> OPEN
 *            and send one message. The link is OPEN when both have received
 *            that: UCP 1.13 ends with an assertion if an endpoint is closed by
 *            force before its connection request has been answered
 *   OPEN     link CLOSING: as the mode says; BROKEN or own endpoint failed:
 *            close by force -> LEAVING
 *            grace:  send no more; all completed: flush; the other has done so
 *                    and everything is here: close
 *            flush:  who began waits for its sends, flushes and closes. The
 *                    other one waits for that and for what was claimed, and
 *                    closes by force
 *            force:  who began closes by force. The other one as above
 *   LEAVING  endpoint closed and every operation completed: claims are final
 *            -> LEFT
 *   LEFT     the other one's are too, or it is dead; what it claimed is here:
 *            gone -> NONE
 */
#include "soak_worker.h"

#include <stdlib.h>
#include <string.h>

void soak_conn_init(soak_conn_t *conn, unsigned peer, unsigned link)
{
    conn->peer   = peer;
    conn->link   = link;
    conn->side   = me.self > peer;
    conn->pair   = soak_pair(me.self, peer);
    conn->shared = &conn->pair->link[link];
    conn->mine   = &conn->shared->side[conn->side];
    conn->other  = &conn->shared->side[!conn->side];
    ucs_list_head_init(&conn->ops);
    ucs_list_head_init(&conn->held);
}

bool soak_conn_usable(soak_conn_t *conn)
{
    unsigned state = word_state(conn->shared->word);

    return (conn->state == CONN_OPEN) && (conn->callbacks == 0) &&
           ((state == LINK_OPENING) || (state == LINK_OPEN));
}

static bool soak_conn_swap(soak_conn_t *conn, uint64_t word, unsigned state,
                           unsigned mode)
{
    return atomic_compare_exchange_strong(&conn->shared->word, &word,
                                          soak_word(word_gen(word), state, mode,
                                                    me.self));
}

/* As BROKEN, whatever it was; the first reason stays. */
static void soak_conn_break(soak_conn_t *conn)
{
    uint64_t word = conn->shared->word;

    while ((word_gen(word) == conn->gen) && (word_state(word) != LINK_IDLE) &&
           (word_state(word) != LINK_BROKEN)) {
        if (atomic_compare_exchange_weak(&conn->shared->word, &word,
                                         soak_word(conn->gen, LINK_BROKEN,
                                                   word_mode(word),
                                                   word_who(word)))) {
            break;
        }
    }
}

static void soak_conn_on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    soak_conn_t *conn = arg;

    soak_count(CALLBACKS, 1);
    if ((++conn->callbacks > 1) || (ep != conn->ep) ||
        (conn->state == CONN_NONE)) {
        soak_note("process %u: error callback number %u for %u/%u gen %u (%s)",
                  me.self, conn->callbacks, conn->peer, conn->link, conn->gen,
                  ucs_status_string(status));
        soak_count(UNEXPECTED, 1);
    }
    conn->status       = status;
    conn->mine->failed = conn->gen;
    soak_error(conn, "endpoint", status);
}

/* ---- making ------------------------------------------------------------- */

/* The lock of a pair is given back here, whoever has got it: its holder may
 * have died at any point. */
static void soak_conn_unlock(soak_pair_t *pair)
{
    uint64_t lock = pair->opening, word;
    unsigned who, link;

    if (lock == 0) {
        return;
    }

    who  = (lock >> 8) & 255;
    link = (lock & 255) - 1;
    word = pair->link[link].word;
    if (((word_gen(word) == (lock >> 32)) &&
         (word_state(word) != LINK_OPENING)) ||
        ((word_gen(word) < (lock >> 32)) &&
         !soak_lives(who, (lock >> 16) & 0xffff))) {
        atomic_compare_exchange_strong(&pair->opening, &lock, 0);
    }
}

/* One of both is to be killed: nothing is opened, nor closed in time. */
static bool soak_conn_doomed(soak_conn_t *conn)
{
    return (soak->proc[conn->peer].doomed == soak->proc[conn->peer].inc) ||
           (me.proc->doomed == me.inc);
}

void soak_conn_connect(soak_conn_t *conn)
{
    uint64_t word = conn->shared->word, none = 0;

    if ((conn->state != CONN_NONE) || (word_state(word) != LINK_IDLE) ||
        (conn->pair->opening != 0) || !soak_is_ready(conn->peer) ||
        soak_conn_doomed(conn) || soak->proc[conn->peer].moving ||
        me.proc->moving ||
        !atomic_compare_exchange_strong(&conn->pair->opening, &none,
                                        soak_opening(word_gen(word) + 1, me.inc,
                                                     me.self, conn->link))) {
        return;
    }

    if (conn->shared->word != word) {
        conn->pair->opening = 0;
        return;
    }
    conn->shared->inc[conn->side]  = me.inc;
    conn->shared->inc[!conn->side] = soak->proc[conn->peer].ready;
    conn->shared->word = soak_word(word_gen(word) + 1, LINK_OPENING, 0,
                                   me.self);
}

static ucs_status_t soak_conn_make(soak_conn_t *conn)
{
    soak_proc_t *proc = &soak->proc[conn->peer];
    ucp_ep_params_t params;
    ucs_status_t status;

    memset(&params, 0, sizeof(params));
    params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                        UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                        UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params.address         = (const ucp_address_t *)proc->address;
    params.err_mode        = UCP_ERR_HANDLING_MODE_PEER;
    params.err_handler.cb  = soak_conn_on_error;
    params.err_handler.arg = conn;
    conn->ep               = NULL;
    conn->rkey             = NULL;
    status                 = ucp_ep_create(me.worker, &params, &conn->ep);
    if (status == UCS_OK) {
        status = ucp_ep_rkey_unpack(conn->ep, proc->rkey, &conn->rkey);
    }
    return status;
}

static void soak_conn_join(soak_conn_t *conn, uint64_t word)
{
    unsigned slot = word_gen(word) % SOAK_GENS, c;
    ucs_status_t status;

    conn->gen       = word_gen(word);
    conn->peer_inc  = conn->shared->inc[!conn->side];
    conn->callbacks = 0;
    conn->status    = UCS_OK;
    conn->hung      = false;
    soak_rma_flush_drop(conn);
    memset(conn->tx, 0, sizeof(conn->tx));
    soak_rma_open(conn);
    for (c = 0; c < NUM_CHANNELS; ++c) {
        conn->mine->stream[c].sent     = 0;
        conn->mine->stream[c].claimed  = 0;
        /* something may have come before we have an endpoint */
        conn->mine->stream[c].received = (conn->rx[slot].gen == conn->gen) ?
                                                 conn->rx[slot].rx[c].low :
                                                 0;
    }
    conn->state = CONN_OPEN;
    status      = soak_conn_make(conn);
    if (status != UCS_OK) {
        soak_error(conn, "connect", status);
        ++conn->callbacks;
    }
    soak_count(CONNECT, 1);
    conn->mine->gen = conn->gen;
}

/* ---- leaving ------------------------------------------------------------ */

void soak_conn_close(soak_conn_t *conn, soak_close_t mode)
{
    uint64_t word = conn->shared->word;

    if (soak_conn_usable(conn) && (word_state(word) == LINK_OPEN) &&
        !soak_conn_doomed(conn)) {
        soak_conn_swap(conn, word, LINK_CLOSING, mode);
    }
}

static void soak_conn_leave(soak_conn_t *conn, bool force)
{
    ucp_request_param_t param;
    soak_op_t *op;
    unsigned c;

    /* UCP 1.18 resumes some flushes from a callback of the worker, which it does
     * not take back when their endpoint is closed by force: a crash. */
    if (force && conn->flushing && (conn->ep != NULL) &&
        (conn->callbacks == 0)) {
        return; /* in a later turn */
    }

    conn->state = CONN_LEAVING;
    soak_rma_flush_drop(conn);
    if (conn->rkey != NULL) {
        ucp_rkey_destroy(conn->rkey);
        conn->rkey = NULL;
    }
    if (conn->ep == NULL) {
        return;
    }

    op = soak_op_new(conn, KIND_CLOSE, 0);
    if (op == NULL) {
        soak_note("process %u: out of memory", me.self);
        abort();
    }
    op->graceful = !force;
    for (c = 0; c < NUM_CHANNELS; ++c) {
        op->mark[c] = conn->tx[c].done_to;
    }
    soak_op_param(op, &param);
    param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = force ? UCP_EP_CLOSE_FLAG_FORCE : 0;
    soak_op_posted(op, ucp_ep_close_nbx(conn->ep, &param));
}

void soak_conn_closed(soak_op_t *op, ucs_status_t status)
{
    unsigned c;

    op->conn->ep = NULL;
    if (!op->graceful) {
        return;
    }
    if (status != UCS_OK) {
        soak_error(op->conn, "close", status);
        return;
    }
    for (c = 0; c < NUM_CHANNELS; ++c) {
        op->conn->mine->stream[c].claimed = op->mark[c];
    }
}

/* UCP keeps an endpoint that was not closed by force until its worker ends. So
 * that memory does not grow, this is done a limited number of times. */
static bool soak_conn_plain(void)
{
    if ((me.plain_closes >= 200) || (soak_below(4) != 0)) {
        return false;
    }
    ++me.plain_closes;
    return true;
}

static void soak_conn_step_open(soak_conn_t *conn, uint64_t word)
{
    uint64_t excused;
    char text[1];

    if (conn->callbacks != 0) {
        soak_conn_break(conn);
        soak_conn_leave(conn, true);
        return;
    }
    if (conn->flushed != NULL) {
        soak_rma_flush_claim(conn);
    }

    switch (word_state(word)) {
    case LINK_OPENING:
        if (conn->tx[CHANNEL_AM].sent == 0) {
            soak_send(conn, CHANNEL_AM);
        }
        if ((conn->other->gen == conn->gen) &&
            (conn->mine->stream[CHANNEL_AM].received > 0) &&
            (conn->other->stream[CHANNEL_AM].received > 0)) {
            soak_conn_swap(conn, word, LINK_OPEN, 0);
        }
        break;
    case LINK_BROKEN:
        soak_conn_leave(conn, true);
        break;
    case LINK_CLOSING:
        if ((word_mode(word) != CLOSE_GRACE) && (word_who(word) != me.self)) {
            if ((conn->other->done == conn->gen) &&
                (soak_recv_missing(conn, false, &excused, text, sizeof(text)) ==
                 0)) {
                soak_conn_leave(conn, true);
            }
        } else if (word_mode(word) == CLOSE_FORCE) {
            soak_conn_leave(conn, true);
        } else if (conn->mine->done != conn->gen) {
            if ((conn->num_ops == 0) && (word_mode(word) == CLOSE_FLUSH) &&
                soak_conn_plain()) {
                soak_conn_leave(conn, false);
            } else if (conn->num_ops == 0) {
                soak_rma_flush(conn, true);
            }
        } else if (word_mode(word) == CLOSE_FLUSH) {
            soak_conn_leave(conn, true);
        } else if ((conn->other->done == conn->gen) &&
                   (soak_recv_missing(conn, false, &excused, text,
                                      sizeof(text)) == 0)) {
            soak_rma_check(conn);
            soak_conn_leave(conn, !soak_conn_plain());
        }
        break;
    default:
        break;
    }
}

/* Nothing more of mine: compares what the other one claimed. */
static void soak_conn_step_left(soak_conn_t *conn, uint64_t word, uint64_t now)
{
    bool dead = !soak_lives(conn->peer, conn->peer_inc);
    bool cut_excused;
    uint64_t missing, excused;
    char text[160], state[200];

    if (!dead && (conn->other->done != conn->gen) &&
        (conn->other->gone != conn->gen)) {
        return;
    }

    /* UCP drops what it has cut up or sends by rendezvous when it has no
     * endpoint any more */
    cut_excused = dead || (conn->callbacks != 0) ||
                  (word_state(word) == LINK_BROKEN) ||
                  ((word_mode(word) != CLOSE_GRACE) &&
                   (word_who(word) == me.self));
    missing = soak_recv_missing(conn, cut_excused, &excused, text,
                                sizeof(text));
    if (missing != 0) {
        if (now - conn->since < soak->limit * 1000000ull / 2) {
            return;
        }
        soak_note("process %u: lost: %lu from %u/%u gen %u, first %s: %s",
                  me.self, (unsigned long)missing, conn->peer, conn->link,
                  conn->gen, text,
                  soak_link_string(me.self, conn->peer, conn->link, state,
                                   sizeof(state)));
        soak_count(LOST, missing);
    }
    soak_count(EXCUSED, excused);
    soak_rma_check(conn);
    while (!ucs_list_is_empty(&conn->held) &&
           ((conn->other->gone == conn->gen) || dead)) {
        free(ucs_list_extract_head(&conn->held, soak_op_t, list));
    }
    conn->mine->gone = conn->gen;
    conn->state      = CONN_NONE;
}

/* Last one out. */
static void soak_conn_idle(soak_conn_t *conn, uint64_t word)
{
    static const unsigned counts[] = {
        SOAK_CLOSE_GRACE, SOAK_CLOSE_FLUSH, SOAK_CLOSE_FORCE
    };
    uint32_t gen = word_gen(word);

    if ((conn->shared->inc[conn->side] == me.inc) &&
        (conn->mine->gone != gen)) {
        return;
    }
    if ((conn->other->gone != gen) &&
        soak_lives(conn->peer, conn->shared->inc[!conn->side])) {
        return;
    }
    if (soak_conn_swap(conn, word, LINK_IDLE, 0) &&
        (word_state(word) == LINK_CLOSING)) {
        atomic_fetch_add(&me.proc->count[counts[word_mode(word)]], 1);
    }
    while (!ucs_list_is_empty(&conn->held)) {
        free(ucs_list_extract_head(&conn->held, soak_op_t, list));
    }
}

void soak_conn_step(soak_conn_t *conn, uint64_t now)
{
    uint64_t word           = conn->shared->word;
    soak_conn_state_t state = conn->state;
    bool fresh              = (word_gen(word) != conn->mine->gone) &&
                 (conn->shared->inc[conn->side] == me.inc);

    soak_conn_unlock(conn->pair);
    if ((conn->state != CONN_NONE) && (word_gen(word) == conn->gen)) {
        soak_rma_check(conn);
    }
    switch (conn->state) {
    case CONN_NONE:
        if ((word_state(word) == LINK_OPENING) && fresh) {
            if (soak_lives(conn->peer, conn->shared->inc[!conn->side])) {
                soak_conn_join(conn, word);
            } else {
                conn->gen = word_gen(word);
                soak_conn_break(conn);
            }
        } else if (word_state(word) >= LINK_CLOSING) {
            if (fresh) {
                conn->mine->gone = word_gen(word);
            }
            soak_conn_idle(conn, word);
        }
        break;
    case CONN_OPEN:
        soak_conn_step_open(conn, word);
        break;
    case CONN_LEAVING:
        if ((conn->ep == NULL) && (conn->num_ops == 0)) {
            conn->mine->done = conn->gen;
            conn->state      = CONN_LEFT;
        }
        break;
    case CONN_LEFT:
        soak_conn_step_left(conn, word, now);
        break;
    }
    if (conn->state != state) {
        conn->since = now;
    }
}
