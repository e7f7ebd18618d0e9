/*
 * One process: steps its connections, does something at random, looks whether
 * anything takes too long. Killed at any time; else it ends with 0 when the
 * conductor says so.
 */
#include "soak_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

soak_self_t me;

/* ---- content ------------------------------------------------------------ */

/* The word at a place follows from key and place, so that a part of it can be
 * computed, and any shift is seen. */
static uint64_t soak_content(uint64_t key, uint64_t index)
{
    return soak_mix(key, index);
}

void soak_fill(uint8_t *data, size_t length, uint64_t key, uint64_t offset)
{
    uint64_t word = 0, end = offset + length, at = offset;

    while (at < end) {
        size_t skip = at % 8;
        size_t size = ((end - at) < (8 - skip)) ? (end - at) : (8 - skip);

        word = soak_content(key, at / 8);
        memcpy(data + (at - offset), (uint8_t *)&word + skip, size);
        at += size;
    }
}

long soak_compare(const uint8_t *data, size_t length, uint64_t key,
                  uint64_t offset)
{
    uint8_t expected[512];
    size_t at, size, i;

    for (at = 0; at < length; at += size) {
        size = (length - at < sizeof(expected)) ? length - at :
                                                  sizeof(expected);
        soak_fill(expected, size, key, offset + at);
        if (memcmp(data + at, expected, size) != 0) {
            for (i = 0; data[at + i] == expected[i]; ++i) {
            }
            return at + i;
        }
    }
    return -1;
}

/* ---- operations --------------------------------------------------------- */

soak_op_t *soak_op_new(soak_conn_t *conn, soak_kind_t kind, size_t length)
{
    soak_op_t *op = malloc(sizeof(*op) + length);

    if (op == NULL) {
        return NULL;
    }

    memset(op, 0, sizeof(*op));
    op->conn    = conn;
    op->kind    = kind;
    op->gen     = conn->gen;
    op->started = soak_now();
    op->order   = ++me.order;
    op->length  = length;
    op->data    = (uint8_t *)(op + 1);
    ucs_list_add_tail(&conn->ops, &op->list);
    if (kind != KIND_RECV) {
        ++conn->num_ops;
    }
    return op;
}

static void soak_on_send(void *request, ucs_status_t status, void *arg)
{
    ucp_request_free(request);
    soak_op_done(arg, status);
}

static void soak_on_tag(void *request, ucs_status_t status,
                        const ucp_tag_recv_info_t *info, void *arg)
{
    (void)info;
    ucp_request_free(request);
    soak_op_done(arg, status);
}

static void soak_on_am(void *request, ucs_status_t status, size_t length,
                       void *arg)
{
    (void)length;
    ucp_request_free(request);
    soak_op_done(arg, status);
}

void soak_op_param(soak_op_t *op, ucp_request_param_t *param)
{
    memset(param, 0, sizeof(*param));
    param->op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK |
                          UCP_OP_ATTR_FIELD_USER_DATA;
    param->user_data = op;
    if (op->kind != KIND_RECV) {
        param->cb.send = soak_on_send;
    } else if (op->channel == CHANNEL_TAG) {
        param->cb.recv = soak_on_tag;
    } else {
        param->cb.recv_am = soak_on_am;
    }
}

void soak_op_posted(soak_op_t *op, ucs_status_ptr_t request)
{
    if (!UCS_PTR_IS_PTR(request)) {
        soak_op_done(op, UCS_PTR_STATUS(request));
    }
}

void soak_op_done(soak_op_t *op, ucs_status_t status)
{
    soak_conn_t *conn = op->conn;
    bool kept         = false;

    ucs_list_del(&op->list);
    if (op->kind != KIND_RECV) {
        --conn->num_ops;
    }
    switch (op->kind) {
    case KIND_SEND:
        soak_send_done(op, status);
        break;
    case KIND_RECV:
        soak_recv_done(op, status);
        break;
    case KIND_GET:
        soak_rma_get_done(op, status);
        break;
    case KIND_PUT:
        if (status != UCS_OK) {
            soak_error(conn, "put", status);
        }
        break;
    case KIND_FLUSH:
        kept = soak_rma_flush_done(op, status);
        break;
    case KIND_CLOSE:
        soak_conn_closed(op, status);
        break;
    }
    if ((op->kind == KIND_SEND) && (status != UCS_OK)) {
        ucs_list_add_tail(&conn->held, &op->list);
    } else if (!kept) {
        free(op);
    }
}

bool soak_is_excused(soak_conn_t *conn)
{
    uint64_t word = conn->shared->word, now, at;

    /* The other one may leave, and UCP says so, when both have everything */
    if (!soak_lives(conn->peer, conn->peer_inc) ||
        ((conn->mine->done == conn->gen) &&
         ((conn->other->done == conn->gen) ||
          (word_mode(word) == CLOSE_FLUSH))) ||
        (conn->state != CONN_OPEN) || (word_gen(word) != conn->gen) ||
        (word_state(word) == LINK_BROKEN) ||
        ((word_state(word) == LINK_CLOSING) &&
         (word_mode(word) != CLOSE_GRACE) && (word_who(word) != me.self))) {
        return true;
    }
    if (soak->resets_fail) {
        now = soak_now();
        at  = me.proc->reset_at;
        if ((at != 0) && (now - at < 60000000)) {
            return true;
        }
        at = soak->proc[conn->peer].reset_at;
        return (at != 0) && (now - at < 60000000);
    }
    return false;
}

void soak_error(soak_conn_t *conn, const char *what, ucs_status_t status)
{
    unsigned index = (-(int)status < 128) ? -(int)status : 127;
    char text[200];

    if ((conn == NULL) || soak_is_excused(conn) || (conn->callbacks > 1) ||
        ((conn->callbacks == 1) && (strcmp(what, "endpoint") != 0))) {
        atomic_fetch_add(&me.proc->excused_status[index], 1);
        return;
    }
    atomic_fetch_add(&me.proc->status[index], 1);
    soak_count(UNEXPECTED, 1);
    soak_note("process %u: unexpected error of %s to %u/%u gen %u: %s: %s",
              me.self, what, conn->peer, conn->link, conn->gen,
              ucs_status_string(status),
              soak_link_string(me.self, conn->peer, conn->link, text,
                               sizeof(text)));
}

/* ---- watching ----------------------------------------------------------- */

static void soak_worker_hung(soak_conn_t *conn, const char *what, uint64_t us)
{
    static const char *const states[] = {"none", "open", "leaving", "left"};
    char text[1000];

    if (conn->hung) {
        return;
    }
    conn->hung = true;
    soak_note("process %u: hung: %s for %lu s (to %u/%u, %s, %u operations, "
              "%u callbacks)",
              me.self, what, (unsigned long)(us / 1000000), conn->peer,
              conn->link, states[conn->state], conn->num_ops, conn->callbacks);
    printf("%s\n", soak_link_string(me.self, conn->peer, conn->link, text,
                                    sizeof(text)));
    fflush(stdout);
    soak_count(HUNG, 1);
}

static void soak_worker_watch(soak_conn_t *conn, uint64_t now)
{
    static const char *const kinds[] = {
        "a send", "a receive", "a put", "a get", "a flush", "a close"
    };
    uint64_t limit = soak->limit * 1000000ull;
    soak_op_t *op;

    if (!ucs_list_is_empty(&conn->ops)) {
        op = ucs_list_head(&conn->ops, soak_op_t, list);
        if (now > op->started + limit) {
            soak_worker_hung(conn, kinds[op->kind], now - op->started);
        }
    }
    if ((conn->state != CONN_NONE) && (now > conn->since + limit)) {
        if ((conn->state != CONN_OPEN) ||
            (word_state(conn->shared->word) != LINK_OPEN)) {
            if (now > conn->since + limit + limit / 2) {
                soak_worker_hung(conn, "opening or closing", now - conn->since);
            }
        } else if (!soak_lives(conn->peer, conn->peer_inc)) {
            soak_worker_hung(conn, "no error callback of a dead peer",
                             now - conn->since);
        }
    }
    /* what is waited for begins when the link leaves OPEN or the peer dies */
    if ((conn->state == CONN_OPEN) &&
        (word_state(conn->shared->word) == LINK_OPEN) &&
        soak_lives(conn->peer, conn->peer_inc)) {
        conn->since = now;
    }
}

static uint64_t soak_worker_rss(void)
{
    unsigned long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file != NULL) {
        if (fscanf(file, "%lu %lu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- main --------------------------------------------------------------- */

static void soak_worker_check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK) {
        soak_note("process %u: %s: %s", me.self, what,
                  ucs_status_string(status));
        exit(1);
    }
}

/* After a reset of the device it is another one. */
static void soak_worker_publish(void)
{
    ucp_address_t *address;
    size_t length;

    soak_worker_check(ucp_worker_get_address(me.worker, &address, &length),
                      "ucp_worker_get_address");
    if (length > sizeof(me.proc->address)) {
        soak_worker_check(UCS_ERR_BUFFER_TOO_SMALL, "address");
    }
    if ((length != me.proc->address_length) ||
        (memcmp(me.proc->address, address, length) != 0)) {
        memcpy(me.proc->address, address, length);
        me.proc->address_length = length;
    }
    ucp_worker_release_address(me.worker, address);
}

static void soak_worker_open(void)
{
    ucp_params_t params               = {0};
    ucp_worker_params_t worker_params = {0};
    ucp_mem_map_params_t map          = {0};
    ucp_config_t *config;
    size_t length;
    void *rkey;

    /* No tagged message in several fragments: UCP would wait for the rest of
     * it for ever when its sender is killed. */
    soak_worker_check(ucp_config_read(NULL, NULL, &config), "ucp_config_read");
    soak_worker_check(ucp_config_modify(config, "RNDV_THRESH", "8000"),
                      "UCX_RNDV_THRESH");
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features   = UCP_FEATURE_AM | UCP_FEATURE_TAG | UCP_FEATURE_RMA;
    soak_worker_check(ucp_init(&params, config, &me.context), "ucp_init");
    ucp_config_release(config);
    worker_params.field_mask  = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    worker_params.thread_mode = UCS_THREAD_MODE_SINGLE;
    soak_worker_check(ucp_worker_create(me.context, &worker_params, &me.worker),
                      "ucp_worker_create");
    soak_recv_init();

    me.region = aligned_alloc(SOAK_PAGE, SOAK_REGION);
    if (me.region == NULL) {
        soak_worker_check(UCS_ERR_NO_MEMORY, "region");
    }
    memset(me.region, 0, SOAK_REGION);
    soak_rma_init();
    map.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                     UCP_MEM_MAP_PARAM_FIELD_LENGTH;
    map.address = me.region;
    map.length  = SOAK_REGION;
    soak_worker_check(ucp_mem_map(me.context, &map, &me.memh), "ucp_mem_map");
    soak_worker_check(ucp_rkey_pack(me.context, me.memh, &rkey, &length),
                      "ucp_rkey_pack");
    if (length > sizeof(me.proc->rkey)) {
        soak_worker_check(UCS_ERR_BUFFER_TOO_SMALL, "remote key");
    }
    memcpy(me.proc->rkey, rkey, length);
    me.proc->rkey_length = length;
    me.proc->region      = (uint64_t)(uintptr_t)me.region;
    ucp_rkey_buffer_release(rkey);
    soak_worker_publish();
    me.proc->ready = me.inc;
}

static void soak_worker_close(void)
{
    me.proc->ready = 0;
    ucp_mem_unmap(me.context, me.memh);
    ucp_worker_destroy(me.worker);
    ucp_cleanup(me.context);
    free(me.region);
}

static void soak_worker_act(void)
{
    unsigned total = 0, op, peer;
    uint64_t dice;
    soak_conn_t *conn;

    for (op = 0; op < NUM_OPS; ++op) {
        total += soak->weight[op];
    }
    dice = soak_below(total);
    for (op = 0; dice >= soak->weight[op]; ++op) {
        dice -= soak->weight[op];
    }
    peer = soak_below(SOAK_PROCS - 1);
    peer = (peer >= me.self) ? peer + 1 : peer;
    conn = &me.conn[peer][soak_below(SOAK_LINKS)];
    if (op == OP_CONNECT) {
        soak_conn_connect(conn);
        return;
    }
    if (!soak_conn_usable(conn)) {
        return;
    }
    if (me.proc->die == me.inc) {
        for (op = 0; op < 8; ++op) {
            soak_send(conn, op % NUM_CHANNELS);
        }
        soak_rma_flush(conn, false);
        return;
    }

    switch (op) {
    case OP_AM:
        soak_send(conn, CHANNEL_AM);
        break;
    case OP_TAG:
        soak_send(conn, CHANNEL_TAG);
        break;
    case OP_PUT:
        soak_rma_put(conn);
        break;
    case OP_GET:
        soak_rma_get(conn);
        break;
    case OP_FLUSH:
        soak_rma_flush(conn, false);
        break;
    default:
        soak_conn_close(conn, soak_below(4) < 2 ? CLOSE_GRACE :
                              soak_below(2)     ? CLOSE_FLUSH :
                                                  CLOSE_FORCE);
        break;
    }
}

int soak_worker(unsigned self)
{
    uint64_t now, started, burst = 0;
    unsigned peer, link, busy;
    bool idle;

    me.self   = self;
    me.proc   = &soak->proc[self];
    me.inc    = me.proc->inc;
    me.random = soak_mix(soak->seed, (self << 16) + me.inc);
    for (peer = 0; peer < SOAK_PROCS; ++peer) {
        for (link = 0; (peer != self) && (link < SOAK_LINKS); ++link) {
            soak_conn_init(&me.conn[peer][link], peer, link);
        }
    }
    soak_worker_open();
    me.proc->rss_warm = 0;
    started           = soak_now();
    do {
        ++me.proc->loops;
        now  = soak_now();
        busy = ucp_worker_progress(me.worker) + soak_recv_tags();
        idle = true;
        for (peer = 0; peer < SOAK_PROCS; ++peer) {
            for (link = 0; (peer != self) && (link < SOAK_LINKS); ++link) {
                soak_conn_step(&me.conn[peer][link], now);
                idle = idle && (me.conn[peer][link].state == CONN_NONE) &&
                       (word_state(me.conn[peer][link].shared->word) ==
                        LINK_IDLE);
                if ((me.proc->loops & 63) == 0) {
                    soak_worker_watch(&me.conn[peer][link], now);
                }
                if (soak->phase == PHASE_DRAIN) {
                    soak_conn_close(&me.conn[peer][link], CLOSE_GRACE);
                }
            }
        }
        if ((me.proc->loops & 1023) == 0) {
            soak_worker_publish();
            me.proc->rss_now = soak_worker_rss();
            if ((me.proc->rss_warm == 0) &&
                (now - started > soak->warm * 1000000ull)) {
                me.proc->rss_warm = me.proc->rss_now;
            }
        }
        if (soak->phase == PHASE_RUN) {
            soak_worker_act();
            /* now and then many at once */
            burst = (burst > 0) ? burst - 1 : (soak_below(200) == 0) ? 100 : 0;
        } else {
            burst = 0;
        }
        if ((busy == 0) && (burst == 0)) {
            usleep(20);
        }
    } while ((soak->phase != PHASE_QUIT) || !idle);

    soak_worker_close();
    return 0;
}
