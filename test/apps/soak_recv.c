/*
 * Messages, receiving. A message is announced when UCP calls back or finds it
 * in its queue: that is the order that is checked. It is received when its
 * content has arrived and is right.
 *
 *   sequence    0 ... low ........ next ............ low + WINDOW
 *               here    announced,       may come
 *                       here or missing
 *
 *   announced again, or below low                     duplicated
 *   announced below next for the first time           misordered
 *   not here when both sides have left                lost
 */
#include "soak_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RX_NONE, RX_ANNOUNCED, RX_HERE };

/* Counters of the generation of a header; NULL if it is nobody's. */
static soak_rx_t *soak_recv_rx(const soak_header_t *header)
{
    soak_conn_t *conn = &me.conn[header->from][header->link];
    uint32_t newest   = word_gen(conn->shared->word);
    unsigned slot     = header->gen % SOAK_GENS;

    if (conn->rx[slot].gen != header->gen) {
        if (header->gen != newest) {
            return NULL; /* too old to be told apart             */
        }
        memset(&conn->rx[slot], 0, sizeof(conn->rx[slot]));
        conn->rx[slot].gen = header->gen;
    }
    return &conn->rx[slot].rx[header->channel];
}

/* Is it one of ours at all? */
static bool soak_recv_valid(const soak_header_t *header, unsigned channel)
{
    soak_conn_t *conn;

    if ((header->magic != SOAK_MAGIC) || (header->channel != channel) ||
        (header->from >= SOAK_PROCS) || (header->from == me.self) ||
        (header->to != me.self) || (header->link >= SOAK_LINKS) ||
        (header->sum != soak_sum(header))) {
        soak_note("process %u: corrupted header: magic %x from %u to %u link "
                  "%u channel %u gen %u seq %lu",
                  me.self, header->magic, header->from, header->to,
                  header->link, header->channel, header->gen,
                  (unsigned long)header->seq);
        soak_count(CORRUPTED, 1);
        return false;
    }

    conn = &me.conn[header->from][header->link];
    if (header->gen > word_gen(conn->shared->word)) {
        soak_note("process %u: message of generation %u, which does not exist",
                  me.self, header->gen);
        soak_count(CORRUPTED, 1);
        return false;
    }
    return true;
}

/* Returns whether the content is to be received. */
static bool soak_recv_announce(const soak_header_t *header)
{
    soak_rx_t *rx = soak_recv_rx(header);
    uint64_t seq  = header->seq;
    const char *what;

    if (rx == NULL) {
        return false;
    }

    if ((seq < rx->low) || ((seq < rx->low + SOAK_WINDOW) &&
                            (rx->state[seq % SOAK_WINDOW] != RX_NONE))) {
        soak_count(DUPLICATED, 1);
        what = "duplicated";
    } else if (seq >= rx->low + SOAK_WINDOW) {
        soak_count(CORRUPTED, 1);
        what = "beyond the window";
    } else {
        rx->state[seq % SOAK_WINDOW] = RX_ANNOUNCED;
        if (seq >= rx->next) {
            rx->next = seq + 1;
            return true;
        }
        soak_count(MISORDERED, 1);
        soak_note("process %u: misordered: %s from %u/%u gen %u, number %lu "
                  "after %lu",
                  me.self, header->channel ? "tag" : "am", header->from,
                  header->link, header->gen, (unsigned long)seq,
                  (unsigned long)rx->next - 1);
        return true;
    }

    soak_note("process %u: %s: %s from %u/%u gen %u, number %lu, awaited %lu, "
              "complete %lu",
              me.self, what, header->channel ? "tag" : "am", header->from,
              header->link, header->gen, (unsigned long)seq,
              (unsigned long)rx->next, (unsigned long)rx->low);
    return false;
}

static void soak_recv_here(const soak_header_t *header, const uint8_t *data,
                           size_t length)
{
    soak_conn_t *conn = &me.conn[header->from][header->link];
    soak_rx_t *rx     = soak_recv_rx(header);
    long at           = -1;

    if ((length != header->length) ||
        ((at = soak_compare(data, length, soak_key(header), 0)) >= 0)) {
        soak_count(CORRUPTED, 1);
        soak_note("process %u: corrupted: %s from %u/%u gen %u, number %lu, "
                  "%zu of %u bytes, wrong at %ld",
                  me.self, header->channel ? "tag" : "am", header->from,
                  header->link, header->gen, (unsigned long)header->seq, length,
                  header->length, at);
    }
    if ((rx == NULL) || (header->seq < rx->low)) {
        return;
    }

    rx->state[header->seq % SOAK_WINDOW] = RX_HERE;
    while ((rx->low < rx->next) &&
           (rx->state[rx->low % SOAK_WINDOW] == RX_HERE)) {
        rx->state[rx->low % SOAK_WINDOW] = RX_NONE;
        ++rx->low;
    }
    if ((conn->state != CONN_NONE) && (conn->gen == header->gen)) {
        conn->mine->stream[header->channel].received = rx->low;
    }
}

static ucs_status_t soak_recv_am(void *arg, const void *header_data,
                                 size_t header_length, void *data,
                                 size_t length, const ucp_am_recv_param_t *recv)
{
    ucp_request_param_t param;
    soak_header_t header;
    soak_op_t *op;

    (void)arg;
    if (header_length != sizeof(header)) {
        soak_count(CORRUPTED, 1);
        soak_note("process %u: corrupted: a header of %zu bytes", me.self,
                  header_length);
        return UCS_OK;
    }

    memcpy(&header, header_data, sizeof(header));
    if (!soak_recv_valid(&header, CHANNEL_AM) || !soak_recv_announce(&header)) {
        return UCS_OK;
    }
    if (!(recv->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) {
        soak_recv_here(&header, data, length);
        return UCS_OK;
    }

    op = soak_op_new(&me.conn[header.from][header.link], KIND_RECV, length);
    if (op == NULL) {
        return UCS_ERR_NO_MEMORY;
    }
    op->header = header;
    op->gen    = header.gen;
    soak_op_param(op, &param);
    soak_op_posted(op, ucp_am_recv_data_nbx(me.worker, data, op->data, length,
                                            &param));
    return UCS_INPROGRESS;
}

unsigned soak_recv_tags(void)
{
    ucp_request_param_t param;
    ucp_tag_recv_info_t info;
    ucp_tag_message_h message;
    soak_header_t header;
    unsigned count;
    soak_op_t *op;

    for (count = 0; count < 64; ++count) {
        message = ucp_tag_probe_nb(me.worker, 0, 0, 1, &info);
        if (message == NULL) {
            break;
        }

        memset(&header, 0, sizeof(header));
        header.from    = (info.sender_tag >> 60) % SOAK_PROCS;
        header.link    = ((info.sender_tag >> 56) & 15) % SOAK_LINKS;
        header.channel = CHANNEL_TAG;
        header.seq     = info.sender_tag & 0xffffffffffull;
        /* the tag has the lower bits */
        header.gen     = word_gen(me.conn[header.from][header.link].shared ?
                                          me.conn[header.from][header.link]
                                                  .shared->word :
                                          0);
        header.gen -= (header.gen - (info.sender_tag >> 40)) & 0xffff;
        op = soak_op_new(&me.conn[header.from][header.link], KIND_RECV,
                         info.length);
        if (op == NULL) {
            break;
        }
        op->header  = header;
        op->gen     = header.gen;
        op->channel = CHANNEL_TAG;
        op->checked = (header.from != me.self) && soak_recv_announce(&header);
        soak_op_param(op, &param);
        soak_op_posted(op, ucp_tag_msg_recv_nbx(me.worker, op->data, op->length,
                                                message, &param));
    }
    return count;
}

void soak_recv_done(soak_op_t *op, ucs_status_t status)
{
    soak_header_t *header = &op->header;

    if (status != UCS_OK) {
        /* not here: it is missing when its connection ends */
        soak_error((op->conn->gen == op->gen) ? op->conn : NULL, "receive",
                   status);
        return;
    }
    if (op->channel == CHANNEL_AM) {
        soak_recv_here(header, op->data, op->length);
        return;
    }

    if (op->length < sizeof(*header)) {
        soak_count(CORRUPTED, 1);
        soak_note("process %u: corrupted: a tagged message of %zu bytes",
                  me.self, op->length);
        return;
    }
    memcpy(header, op->data, sizeof(*header));
    if (soak_recv_valid(header, CHANNEL_TAG) && op->checked) {
        soak_recv_here(header, op->data + sizeof(*header),
                       op->length - sizeof(*header));
    }
}

uint64_t soak_recv_missing(soak_conn_t *conn, bool cut_excused,
                           uint64_t *excused, char *text, size_t max)
{
    unsigned slot  = conn->gen % SOAK_GENS, c, state;
    uint64_t count = 0, seq, claimed, end;
    soak_stream_t *stream;
    soak_rx_t *rx;

    text[0]  = '\0';
    *excused = 0;
    for (c = 0; c < NUM_CHANNELS; ++c) {
        if (conn->rx[slot].gen != conn->gen) {
            memset(&conn->rx[slot], 0, sizeof(conn->rx[slot]));
            conn->rx[slot].gen = conn->gen;
        }
        rx      = &conn->rx[slot].rx[c];
        stream  = &conn->other->stream[c];
        claimed = (conn->other->gen == conn->gen) ? stream->claimed : 0;
        end     = (claimed > rx->next) ? claimed : rx->next;
        for (seq = rx->low; seq < end; ++seq) {
            state = rx->state[seq % SOAK_WINDOW];
            if (state == RX_HERE) {
                continue;
            }
            if (stream->cut[seq % SOAK_WINDOW] &&
                (cut_excused || (seq >= claimed))) {
                ++*excused;
                continue;
            }
            if (count++ == 0) {
                snprintf(text, max,
                         "%s number %lu (sent %lu, claimed %lu, "
                         "next %lu%s%s)",
                         c ? "tag" : "am", (unsigned long)seq,
                         (unsigned long)stream->sent, (unsigned long)claimed,
                         (unsigned long)rx->next,
                         stream->cut[seq % SOAK_WINDOW] ? ", long" : "",
                         state ? ", announced" : "");
            }
        }
    }
    return count;
}

void soak_recv_init(void)
{
    ucp_am_handler_param_t param;

    param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                       UCP_AM_HANDLER_PARAM_FIELD_CB;
    param.id = SOAK_AM_ID;
    param.cb = soak_recv_am;
    ucp_worker_set_am_recv_handler(me.worker, &param);
}
