/*
 * One-sided operations. The region of a process:
 *
 *     0          SOAK_STATIC
 *     +----------+---------------------------------------------+
 *     | never    | areas: by writer, link, generation modulo 4 |
 *     | changes  | each 16 pages that one side may write       |
 *     +----------+---------------------------------------------+
 *
 * The writer knows what its area must hold (shadow). Between two flushes it
 * writes no page twice and reads none that it has written, since nothing orders
 * that. When a flush has completed
 *   - what was got before it must be here, whether or not the get itself has
 *     been reported as complete;
 *   - what was put before it must be there: the hashes of the pages go to the
 *     shared file, the owner looks at its memory, and until then nothing is put
 */
#include "soak_worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t soak_static_key(unsigned proc, uint32_t inc)
{
    return soak_mix(soak->seed, ((uint64_t)proc << 32) | inc);
}

static uint64_t soak_area(unsigned writer, unsigned link, uint32_t gen)
{
    return SOAK_STATIC +
           (uint64_t)SOAK_AREA *
                   ((writer * SOAK_LINKS + link) * SOAK_GENS + gen % SOAK_GENS);
}

static uint64_t soak_hash(const uint8_t *page)
{
    uint64_t hash = 0, word;
    size_t i;

    for (i = 0; i < SOAK_PAGE; i += sizeof(word)) {
        memcpy(&word, page + i, sizeof(word));
        hash = soak_mix(hash, word);
    }
    return hash;
}

void soak_rma_init(void)
{
    soak_fill(me.region, SOAK_STATIC, soak_static_key(me.self, me.inc), 0);
}

/* Does the device read for UCP's get? Otherwise the target answers it with a
 * request whose state UCP leaves as it finds it (ucp_get_req_handler), and
 * crashes when the endpoint fails or is closed before that could be sent. */
static bool soak_rma_gets_are_reads(ucp_ep_h ep)
{
    unsigned major, minor, release;
    bool are_reads = false;
    char *text     = NULL;
    size_t length;
    FILE *stream;

    stream = open_memstream(&text, &length);
    if (stream != NULL) {
        ucp_ep_print_info(ep, stream);
        fclose(stream);
        /* Its protocols from 1.16 on take the lanes of rendezvous, too. */
        ucp_get_version(&major, &minor, &release);
        are_reads = (strstr(text, " rma ") != NULL) ||
                    (strstr(text, " rma\n") != NULL) ||
                    ((minor >= 16) && (strstr(text, " rma_bw#") != NULL));
    }
    free(text);
    return are_reads;
}

void soak_rma_open(soak_conn_t *conn)
{
    conn->known              = 0;
    conn->written            = 0;
    conn->read               = 0;
    conn->version            = 0;
    conn->mine->area_version = 0;
}

void soak_rma_put(soak_conn_t *conn)
{
    uint64_t version = conn->mine->area_version;
    unsigned first = soak_below(SOAK_PAGES), last = first, mask;
    size_t offset = 0, length;
    ucp_request_param_t param;
    soak_op_t *op;

    if (conn->flushing || (conn->num_ops >= 64) ||
        ((version != 0) && (conn->mine->area_checked != version))) {
        return;
    }

    mask = conn->written | conn->read;
    if (mask & (1u << first)) {
        return;
    }
    if (soak_below(5) == 0) {
        while ((last + 1 < SOAK_PAGES) && !(mask & (2u << last))) {
            ++last;
        }
    }
    length = (last + 1 - first) * SOAK_PAGE;
    if ((last == first) && (conn->known & (1u << first))) {
        offset = soak_below(SOAK_PAGE);
        length = 1 + soak_below(SOAK_PAGE - offset);
    }
    offset += first * SOAK_PAGE;

    op = soak_op_new(conn, KIND_PUT, length);
    if (op == NULL) {
        return;
    }
    soak_fill(op->data, length, soak_random(&me.random), 0);
    memcpy(conn->shadow + offset, op->data, length);
    for (; first <= last; ++first) {
        conn->written |= 1u << first;
        conn->known |= 1u << first;
    }
    soak_op_param(op, &param);
    soak_count(PUT, 1);
    soak_count(RMA_BYTES, length);
    soak_op_posted(op, ucp_put_nbx(conn->ep, op->data, length,
                                   soak->proc[conn->peer].region +
                                           soak_area(me.self, conn->link,
                                                     conn->gen) +
                                           offset,
                                   conn->rkey, &param));
}

void soak_rma_get(soak_conn_t *conn)
{
    static int gets = -1; /* not known yet; the same for all endpoints */
    bool mine       = soak_below(3) == 0;
    unsigned page   = soak_below(SOAK_PAGES);
    uint64_t offset = 0;
    ucp_request_param_t param;
    size_t length;
    soak_op_t *op;

    if (conn->flushing || (conn->num_ops >= 64)) {
        return;
    }

    if (gets < 0) {
        gets = soak_rma_gets_are_reads(conn->ep);
    }
    if (!gets) {
        return;
    }

    if (mine) {
        if (!(conn->known & ~conn->written & (1u << page))) {
            return;
        }
        offset = soak_below(SOAK_PAGE);
        length = 1 + soak_below(SOAK_PAGE - offset);
        offset += page * SOAK_PAGE;
        conn->read |= 1u << page;
    } else {
        length = 1 + soak_below((soak_below(20) == 0) ? 300000 : 9000);
        offset = soak_below(SOAK_STATIC - length);
    }

    op = soak_op_new(conn, KIND_GET, 2 * length);
    if (op == NULL) {
        return;
    }
    op->length = length;
    op->offset = offset;
    if (mine) {
        memcpy(op->data + length, conn->shadow + offset, length);
        offset += soak_area(me.self, conn->link, conn->gen);
    } else {
        soak_fill(op->data + length, length,
                  soak_static_key(conn->peer, conn->peer_inc), offset);
    }
    /* differs in every byte from what is to come */
    for (length = 0; length < op->length; ++length) {
        op->data[length] = ~op->data[op->length + length];
    }
    soak_op_param(op, &param);
    soak_count(GET, 1);
    soak_count(RMA_BYTES, op->length);
    soak_op_posted(op, ucp_get_nbx(conn->ep, op->data, op->length,
                                   soak->proc[conn->peer].region + offset,
                                   conn->rkey, &param));
}

static void soak_rma_get_verify(soak_op_t *op, const char *when)
{
    size_t i;

    if (op->checked) {
        return;
    }

    op->checked = true;
    for (i = 0; i < op->length; ++i) {
        if (op->data[i] != op->data[op->length + i]) {
            soak_count(CORRUPTED, 1);
            soak_note("process %u: corrupted: get of %zu bytes at %lu from "
                      "%u/%u gen %u: wrong from byte %zu on when %s",
                      me.self, op->length, (unsigned long)op->offset,
                      op->conn->peer, op->conn->link, op->gen, i, when);
            return;
        }
    }
}

void soak_rma_get_done(soak_op_t *op, ucs_status_t status)
{
    if (status == UCS_OK) {
        soak_rma_get_verify(op, "it completed");
    } else {
        soak_error(op->conn, "get", status);
    }
}

void soak_rma_flush(soak_conn_t *conn, bool graceful)
{
    ucp_request_param_t param;
    unsigned c;
    soak_op_t *op;

    if (conn->flushing) {
        return;
    }

    op = soak_op_new(conn, KIND_FLUSH, 0);
    if (op == NULL) {
        return;
    }
    for (c = 0; c < NUM_CHANNELS; ++c) {
        op->mark[c] = conn->tx[c].done_to;
    }
    op->graceful   = graceful;
    conn->flushing = true;
    soak_op_param(op, &param);
    soak_count(FLUSH, 1);
    soak_op_posted(op, ucp_ep_flush_nbx(conn->ep, &param));
}

bool soak_rma_flush_done(soak_op_t *op, ucs_status_t status)
{
    soak_conn_t *conn = op->conn;

    if (status != UCS_OK) {
        conn->flushing = false;
        soak_error(conn, "flush", status);
        return false;
    }
    /* UCP says so too of a flush that was ended by a forced close, and of one
     * that waits for the remote side when the endpoint fails: the second is
     * known when the progress call has returned, that is in the next turn. */
    if (conn->state != CONN_OPEN) {
        conn->flushing = false;
        return false;
    }
    conn->flushed = op;
    return true;
}

void soak_rma_flush_drop(soak_conn_t *conn)
{
    free(conn->flushed);
    conn->flushed  = NULL;
    conn->flushing = false;
}

void soak_rma_flush_claim(soak_conn_t *conn)
{
    soak_op_t *op = conn->flushed;
    soak_op_t *other;
    unsigned c, page;

    ucs_list_for_each(other, &conn->ops, list) {
        if ((other->kind == KIND_GET) && (other->order < op->order)) {
            soak_rma_get_verify(other, "a later flush completed");
        }
    }
    for (c = 0; c < NUM_CHANNELS; ++c) {
        if (op->mark[c] > conn->mine->stream[c].claimed) {
            conn->mine->stream[c].claimed = op->mark[c];
        }
    }
    if (conn->written != 0) {
        for (page = 0; page < SOAK_PAGES; ++page) {
            conn->mine->area_hash[page] = soak_hash(conn->shadow +
                                                    page * SOAK_PAGE);
        }
        conn->mine->area_known   = conn->known;
        conn->mine->area_version = ((uint64_t)conn->gen << 32) |
                                   ++conn->version;
    }
    conn->written = 0;
    conn->read    = 0;
    if (op->graceful) {
        conn->mine->done = conn->gen;
    }
    soak_rma_flush_drop(conn);
    /* What was claimed a moment ago must arrive all the same */
    if (me.proc->die == me.inc) {
        me.proc->killed = me.inc;
        kill(getpid(), SIGKILL);
    }
}

void soak_rma_check(soak_conn_t *conn)
{
    uint64_t version = conn->other->area_version;
    char text[200];
    unsigned page;

    if ((version == 0) || (version >> 32 != conn->gen) ||
        (version == conn->other->area_checked)) {
        return;
    }

    for (page = 0; page < SOAK_PAGES; ++page) {
        if (!(conn->other->area_known & (1u << page))) {
            continue;
        }
        soak_count(CHECKED, 1);
        if (soak_hash(me.region + soak_area(conn->peer, conn->link, conn->gen) +
                      page * SOAK_PAGE) != conn->other->area_hash[page]) {
            soak_count(CORRUPTED, 1);
            soak_note("process %u: corrupted: page %u of the area of %u/%u gen "
                      "%u is not what was put and flushed (version %u): %s",
                      me.self, page, conn->peer, conn->link, conn->gen,
                      (uint32_t)version,
                      soak_link_string(me.self, conn->peer, conn->link, text,
                                       sizeof(text)));
        }
    }
    conn->other->area_checked = version;
}
