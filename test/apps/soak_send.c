/*
 * Messages, sending: a sequence per connection and channel (active messages,
 * tags). What a flush that was posted after them proves to have left is claimed
 * in the shared file by soak_rma.c.
 */
#include "soak_worker.h"

#include <stdlib.h>
#include <string.h>

uint64_t soak_key(const soak_header_t *header)
{
    return soak_mix(soak_mix(soak->seed ^ header->seq,
                             ((uint64_t)header->inc << 32) | header->gen),
                    (header->from << 24) | (header->to << 16) |
                            (header->link << 8) | header->channel);
}

uint32_t soak_sum(const soak_header_t *header)
{
    return soak_mix(soak_key(header), header->length);
}

/* Mostly small; sometimes cut up, sometimes by rendezvous. */
static size_t soak_send_length(void)
{
    unsigned dice = soak_below(100);

    if (dice < 60) {
        return soak_below(200);
    } else if (dice < 85) {
        return soak_below(SOAK_SMALL - sizeof(soak_header_t));
    } else if (dice < 95) {
        return soak_below(20000);
    } else if (dice < 99) {
        return soak_below(150000);
    }
    return soak_below(SOAK_LONGEST);
}

void soak_send(soak_conn_t *conn, unsigned channel)
{
    soak_tx_t *tx         = &conn->tx[channel];
    soak_stream_t *stream = &conn->mine->stream[channel];
    soak_header_t *header;
    ucp_request_param_t param;
    ucs_status_ptr_t request;
    uint64_t received = 0;
    ucp_tag_t tag;
    soak_op_t *op;
    size_t length;

    if (conn->other->gen == conn->gen) {
        received = conn->other->stream[channel].received;
    }
    /* the other side's memory, and what the checker can tell apart */
    if ((tx->sent - received >= SOAK_WINDOW) ||
        (tx->sent - tx->done_to >= SOAK_WINDOW) || (conn->num_ops >= 64)) {
        return;
    }

    /* the first one opens the link, and must not be cut up */
    length = (tx->sent == 0) ? soak_below(200) : soak_send_length();
    op     = soak_op_new(conn, KIND_SEND, sizeof(*header) + length);
    if (op == NULL) {
        return;
    }

    op->channel     = channel;
    op->seq         = tx->sent;
    header          = &op->header;
    header->magic   = SOAK_MAGIC;
    header->from    = me.self;
    header->to      = conn->peer;
    header->link    = conn->link;
    header->channel = channel;
    header->inc     = me.inc;
    header->gen     = conn->gen;
    header->seq     = op->seq;
    header->length  = length;
    header->sum     = soak_sum(header);
    memcpy(op->data, header, sizeof(*header));
    soak_fill(op->data + sizeof(*header), length, soak_key(header), 0);

    stream->cut[op->seq % SOAK_WINDOW] = (sizeof(*header) + length >
                                          SOAK_SMALL);
    tx->done[op->seq % SOAK_WINDOW]    = false;
    tx->sent                           = op->seq + 1;
    ++conn->num_sends;
    stream->sent = tx->sent;

    soak_op_param(op, &param);
    if (channel == CHANNEL_AM) {
        soak_count(AM, 1);
        /* long ones, too: cut up, or by rendezvous */
        param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
        param.flags = ((length < 10000) || (soak_below(2) == 0)) ?
                              UCP_AM_SEND_FLAG_EAGER :
                              UCP_AM_SEND_FLAG_RNDV;
        request     = ucp_am_send_nbx(conn->ep, SOAK_AM_ID, &op->header,
                                      sizeof(*header), op->data + sizeof(*header),
                                      length, &param);
    } else {
        soak_count(TAG, 1);
        tag = ((ucp_tag_t)me.self << 60) | ((ucp_tag_t)conn->link << 56) |
              ((ucp_tag_t)(conn->gen & 0xffff) << 40) |
              (op->seq & 0xffffffffffull);
        request = ucp_tag_send_nbx(conn->ep, op->data, sizeof(*header) + length,
                                   tag, &param);
    }
    soak_count(BYTES, length);
    soak_op_posted(op, request);
}

void soak_send_done(soak_op_t *op, ucs_status_t status)
{
    soak_tx_t *tx = &op->conn->tx[op->channel];

    --op->conn->num_sends;
    if (status != UCS_OK) {
        soak_error(op->conn, "send", status);
        return; /* never completed, so never claimed    */
    }

    tx->done[op->seq % SOAK_WINDOW] = true;
    while ((tx->done_to < tx->sent) && tx->done[tx->done_to % SOAK_WINDOW]) {
        ++tx->done_to;
    }
}
