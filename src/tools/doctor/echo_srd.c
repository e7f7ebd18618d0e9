/*
 * srdtool doctor echo: the messages by SRD, and what their fate means.
 *
 *   message:  its number, 4 bytes | bytes that follow from number and side
 *
 * They come in any order, each into a place of its own; so the number is in it.
 */
#include "tools/doctor/echo.h"
#include "stats/efa_status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static uint8_t echo_byte(bool from_server, unsigned message, unsigned i)
{
    return (from_server ? 0xa5 : 0) + (message * 29) + i + (i >> 8);
}

static bool echo_intact(echo_t *echo, uint32_t place)
{
    unsigned message    = (place - ECHO_RECV) / ECHO_LENGTH;
    const uint8_t *data = echo->ep.buffer + place;
    uint32_t number;
    unsigned i;

    /* Which one it is stands in front: they come in any order */
    memcpy(&number, data, sizeof(number));
    number = ntohl(number);
    if ((message >= ECHO_MESSAGES) || (number >= ECHO_MESSAGES)) {
        return false;
    }

    for (i = sizeof(number); i < ECHO_LENGTH; ++i) {
        if (data[i] != echo_byte(!echo->server, number, i)) {
            return false;
        }
    }
    return true;
}

static void echo_account(echo_t *echo, const struct ibv_wc *wc)
{
    if ((wc->status == IBV_WC_SUCCESS) && (wc->byte_len == ECHO_LENGTH) &&
        echo_intact(echo, wc->wr_id)) {
        ++echo->received;
    } else {
        ++echo->wrong;
    }
}

int echo_srd_send(echo_t *echo, echo_message_t *result, uint64_t *ns)
{
    unsigned delivered = 0, done = 0, status = 0, i, b;
    uint64_t start;
    uint32_t number;
    struct ibv_wc wc;
    uint8_t *data;
    int ret = 0;

    for (i = 0; i < ECHO_MESSAGES; ++i) {
        data   = echo->ep.buffer + (i * ECHO_LENGTH);
        number = htonl(i);
        memcpy(data, &number, sizeof(number));
        for (b = sizeof(number); b < ECHO_LENGTH; ++b) {
            data[b] = echo_byte(echo->server, i, b);
        }
    }

    start = verbs_ep_now();
    for (i = 0; (ret == 0) && (i < ECHO_MESSAGES); ++i) {
        ret = verbs_ep_post(&echo->ep, VERBS_EP_SEND, echo->ah,
                            echo->remote_qpn, i * ECHO_LENGTH, ECHO_LENGTH, 0,
                            0);
    }
    while ((ret == 0) && (done < ECHO_MESSAGES)) {
        ret = verbs_ep_wait(&echo->ep, &wc, echo->timeout_ms);
        if (ret != 0) {
            break;
        }
        if (wc.wr_id >= ECHO_RECV) {
            echo_account(echo, &wc);
            continue;
        }
        ++done;
        delivered += (wc.status == IBV_WC_SUCCESS);
        if ((wc.status != IBV_WC_SUCCESS) && (status == 0)) {
            status = wc.vendor_err;
        }
    }

    *ns = verbs_ep_now() - start;
    memset(result, 0, sizeof(*result));
    result->count  = htonl(delivered);
    result->status = htonl(status);
    result->late   = htonl(ret == ETIMEDOUT);
    return ((ret == 0) || (ret == ETIMEDOUT)) ? 0 : ret;
}

void echo_srd_receive(echo_t *echo, unsigned count)
{
    struct ibv_wc wc;

    while ((echo->received + echo->wrong < count) &&
           (verbs_ep_wait(&echo->ep, &wc, echo->timeout_ms) == 0)) {
        if (wc.wr_id >= ECHO_RECV) {
            echo_account(echo, &wc);
        }
    }
}

void echo_srd_verdict(echo_t *echo, bool out, const echo_message_t *sent,
                      const echo_message_t *received, uint64_t ns)
{
    const char *name  = out ? "send" : "receive";
    const char *way   = out ? "from here to the other side" :
                              "from the other side to here";
    const char *rules = out ? "security group: here an outbound rule, there an "
                              "inbound rule that "
                              "allows all traffic of the group with itself; "
                              "both hosts in one "
                              "subnet" :
                              "security group: here an inbound rule, there an "
                              "outbound rule that "
                              "allows all traffic of the group with itself; "
                              "both hosts in one "
                              "subnet";
    unsigned delivered = ntohl(sent->count);
    unsigned status    = ntohl(sent->status);
    unsigned intact    = ntohl(received->count);
    unsigned wrong     = ntohl(received->wrong);
    char code[UCT_EFA_STATUS_NAME_MAX];

    report_fact_int(&echo->report, "messages", ECHO_MESSAGES);
    report_fact_int(&echo->report, "delivered", delivered);
    report_fact_int(&echo->report, "intact", intact);
    report_fact_int(&echo->report, "status", status);
    if ((delivered < ECHO_MESSAGES) && ntohl(sent->late)) {
        report_add(&echo->report, REPORT_FAIL, name, rules,
                   "TCP passes, SRD does not %s: no completion within the "
                   "deadline (%u of %u delivered)",
                   way, delivered, ECHO_MESSAGES);
    } else if ((status == UCT_EFA_STATUS_UNREACHABLE) ||
               (status == UCT_EFA_STATUS_UNRESPONSIVE)) {
        report_add(&echo->report, REPORT_FAIL, name, rules,
                   "TCP passes, SRD does not %s: status %s, %s (%u of %u "
                   "delivered)",
                   way, uct_efa_status_name(status, code),
                   uct_efa_status_desc(status)->text, delivered, ECHO_MESSAGES);
    } else if (delivered < ECHO_MESSAGES) {
        report_add(&echo->report, REPORT_FAIL, name,
                   uct_efa_status_desc(status)->advice,
                   "%s: status %s, %s (%u of %u delivered)", way,
                   uct_efa_status_name(status, code),
                   uct_efa_status_desc(status)->text, delivered, ECHO_MESSAGES);
    } else if ((intact != ECHO_MESSAGES) || (wrong != 0)) {
        report_add(&echo->report, REPORT_FAIL, name,
                   "try other hosts; please report it",
                   "%s: %u were delivered, %u arrived intact, %u with wrong "
                   "content",
                   way, delivered, intact, wrong);
    } else if (out) {
        report_fact_int(&echo->report, "ns", ns);
        report_add(&echo->report, REPORT_OK, name, NULL,
                   "%s: %u messages of %u bytes, %.1f us together", way,
                   delivered, ECHO_LENGTH, ns / 1e3);
    } else {
        report_add(&echo->report, REPORT_OK, name, NULL,
                   "%s: %u messages of %u bytes", way, intact, ECHO_LENGTH);
    }
}
