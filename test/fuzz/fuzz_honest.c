/*
 * A peer that does as docs/srd-wire.md says, written from that document alone.
 *
 *   sending     una .. next: each message waits, has arrived (and maybe its
 *               sender does not know), or is acknowledged; una is the lowest
 *               that is not acknowledged
 *   receiving   next, and what came early
 *
 * Whatever hostile peers do at the same time: each message of either side is
 * delivered exactly once and in order, and nobody ends the association. It
 * never says farewell, and never answers one: its endpoint stays.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Section 4, offsets; section 5, operations; section 3, the immediate */
enum {
    AT_VERSION = 0, AT_OP = 1, AT_LEN8 = 2, AT_QKEY = 4, AT_QPN = 8,
    AT_WINDOW = 10, AT_EPOCH = 12, AT_GID = 16, AT_UID = 32, AT_FEATURES = 40,
    AT_ARG = 44, HEADER = 48
};

enum {
    OP_DATA, OP_HELLO, OP_HELLO_ACK, OP_EXT_REQ, OP_EXT_ACK, OP_BYE,
    OP_BYE_ACK, OP_PING, OP_REJECT
};

#define IMM_CTL   (1u << 22)
#define IMM_EXT   (1u << 21)
#define EPOCH     0x77777779u
#define UID_LOW   0x600d600du
#define UID_HIGH  0x0badc0deu
#define WINDOW    32u           /* that we grant                             */
#define MAX_OUT   4096u         /* messages that we keep                     */
#define MAGIC     0x5ca1ab1eu

typedef enum { WAITS, ARRIVED, ACKED } out_state_t;

/* What messages of either direction begin with; a pattern follows. */
typedef struct {
    uint32_t magic;
    uint32_t length;
    uint64_t number;
} message_t;

static struct {
    /* sending */
    uint32_t    window;         /* of the remote                             */
    int         joined;
    uint32_t    una, next;      /* not modulo; PSN is first + these          */
    uint16_t    first;
    out_state_t state[MAX_OUT];
    uint16_t    length[MAX_OUT];
    uint64_t    arrived;        /* at the remote's handler                   */

    /* receiving */
    int         known;
    uint32_t    remote_epoch;
    uint32_t    remote_una;     /* not modulo, as remote_next                */
    uint32_t    remote_next;
    uint16_t    remote_first;
    unsigned    early_length[WINDOW];
    uint8_t     early[WINDOW][FUZZ_MAX_MSG];
    uint64_t    expected;       /* messages that the remote was given        */
    uint64_t    got;
    int         owe_hello_ack, owe_ext_ack;
} me;

static void put16(uint8_t *p, unsigned v)
{
    p[0] = v & 0xff;
    p[1] = (v >> 8) & 0xff;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16);
}

static unsigned get16(const uint8_t *p)
{
    return p[0] | (p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | ((uint32_t)get16(p + 2) << 16);
}

void fuzz_honest_init(uint16_t first_psn, unsigned window)
{
    memset(&me, 0, sizeof(me));
    me.window = ucs_min(window, 16u);
    me.first  = first_psn;
}

static void message_fill(uint8_t *out, uint64_t number, unsigned length)
{
    message_t message = {MAGIC, length, number};
    unsigned i;

    memcpy(out, &message, sizeof(message));
    for (i = sizeof(message); i < length; ++i) {
        out[i] = (uint8_t)((number * 31) + (i * 7));
    }
}

static int
message_is(const uint8_t *data, unsigned length, uint64_t number)
{
    uint8_t good[FUZZ_MAX_MSG];

    if ((length < sizeof(message_t)) || (length > sizeof(good))) {
        return 0;
    }
    message_fill(good, number, length);
    return memcmp(data, good, length) == 0;
}

/* ---- sending ----------------------------------------------------------- */

static void header_fill(uint8_t *header, unsigned op, uint32_t arg)
{
    memset(header, 0, HEADER);
    header[AT_VERSION] = 1;
    header[AT_OP]      = op;
    header[AT_LEN8]    = HEADER / 8;
    put32(header + AT_QKEY, fuzz_who[FUZZ_HONEST].qkey);
    put16(header + AT_QPN, fuzz_who[FUZZ_HONEST].qpn);
    put16(header + AT_WINDOW, WINDOW);
    put32(header + AT_EPOCH, EPOCH);
    memcpy(header + AT_GID, fuzz_who[FUZZ_HONEST].gid, 16);
    put32(header + AT_UID, UID_LOW);
    put32(header + AT_UID + 4, UID_HIGH);
    put32(header + AT_FEATURES, 7);
    put32(header + AT_ARG, arg);
}

static int control_send(unsigned op, uint32_t arg)
{
    uint8_t header[HEADER];

    header_fill(header, op, arg);
    return fuzz_device_deliver(FUZZ_HONEST, 1,
                               ((EPOCH & 15) << 24) | IMM_EXT | IMM_CTL,
                               header, HEADER);
}

static uint16_t psn_of(uint32_t number)
{
    return (uint16_t)(me.first + number);
}

void fuzz_honest_hello(void)
{
    control_send(OP_HELLO, psn_of(me.una));
}

void fuzz_honest_send(unsigned length)
{
    if ((me.next - me.una < me.window) && (me.next < MAX_OUT)) {
        me.length[me.next] = ucs_max(ucs_min(length, FUZZ_MAX_MSG - HEADER),
                                     sizeof(message_t));
        me.state[me.next]  = WAITS;
        ++me.next;
    }
}

void fuzz_honest_transmit(unsigned i, int lost_ack)
{
    uint8_t message[HEADER + FUZZ_MAX_MSG];
    uint32_t imm;
    unsigned offset;

    if (me.una == me.next) {
        return;
    }

    i = me.una + (i % (me.next - me.una));
    if (me.state[i] == ACKED) {
        return;
    }

    imm    = ((EPOCH & 15) << 24) | (FUZZ_AM_HONEST << 16) | psn_of(i);
    offset = 0;
    if (!me.joined) {
        imm   |= IMM_EXT;
        offset = HEADER;
        header_fill(message, OP_DATA, psn_of(me.una));
    }

    message_fill(message + offset, i, me.length[i]);
    if (!fuzz_device_deliver(FUZZ_HONEST, 1, imm, message,
                             offset + me.length[i])) {
        return; /* RNR: again later */
    }

    FUZZ_SAY("    honest: message %u, psn %u%s%s\n", i, psn_of(i),
             me.joined ? "" : ", header", lost_ack ? ", not acknowledged" : "");
    me.state[i] = lost_ack ? ARRIVED : ACKED;
    while ((me.una < me.next) && (me.state[me.una] == ACKED)) {
        ++me.una;
    }
}

/* Answers for which there was no room */
static void answers_send(void)
{
    if (me.owe_hello_ack && control_send(OP_HELLO_ACK, me.remote_epoch)) {
        me.owe_hello_ack = 0;
    }
    if (me.owe_ext_ack && control_send(OP_EXT_ACK, 0)) {
        me.owe_ext_ack = 0;
    }
}

void fuzz_honest_push(void)
{
    uint32_t i;

    answers_send();
    if (!me.joined) {
        fuzz_honest_hello();
    }
    for (i = me.una; i < me.next; ++i) {
        if (me.state[i] != ACKED) {
            fuzz_honest_transmit(i - me.una, 0);
            i = ucs_max(i, me.una);
        }
    }
}

/* ---- receiving --------------------------------------------------------- */

static void deliver(const uint8_t *data, unsigned length)
{
    FUZZ_CHECK(message_is(data, length, me.got),
               "the honest peer awaits message %" PRIu64
               ", got another one of %u bytes", me.got, length);
    ++me.got;
    FUZZ_CHECK(me.got <= me.expected, "a message that nobody sent");
}

static void receive_data(uint16_t psn, const uint8_t *data, unsigned length)
{
    uint16_t distance = psn - (uint16_t)(me.remote_first + me.remote_next);
    unsigned place;

    if (distance >= 32768) {
        return; /* a duplicate */
    }

    FUZZ_CHECK(distance < WINDOW, "psn %u is beyond the window of %u of the "
               "honest peer", psn, WINDOW);
    place = psn % WINDOW;
    if (distance > 0) {
        memcpy(me.early[place], data, length);
        me.early_length[place] = length;
        return;
    }

    deliver(data, length);
    for (;;) {
        me.early_length[place] = 0;
        ++me.remote_next;
        place = (uint16_t)(me.remote_first + me.remote_next) % WINDOW;
        if (me.early_length[place] == 0) {
            break;
        }
        deliver(me.early[place], me.early_length[place]);
    }
}

static void receive_control(unsigned op, uint32_t arg, unsigned window)
{
    switch (op) {
    case OP_DATA:
        break;
    case OP_HELLO:
        me.owe_hello_ack = 1;
        break;
    case OP_HELLO_ACK:
        if (arg == EPOCH) {
            me.joined = 1;
        }
        break;
    case OP_EXT_REQ:
        me.joined      = 0; /* nothing of ours is ever under way */
        me.owe_ext_ack = 1;
        break;
    case OP_EXT_ACK:
    case OP_BYE:
    case OP_PING:
        break;
    default:
        fuzz_broken(__FILE__, __LINE__, "the honest peer got operation %u, "
                    "argument %u", op, arg);
    }
    me.window = window;
    answers_send();
}

void fuzz_honest_receive(uint32_t imm, const uint8_t *data, unsigned length)
{
    unsigned offset = 0;
    unsigned op     = OP_DATA;
    unsigned window;
    uint32_t epoch;

    FUZZ_CHECK((imm & 0xf0800000u) == 0, "reserved bits: 0x%x", imm);
    if (imm & IMM_EXT) {
        FUZZ_CHECK((length >= HEADER) && (data[AT_VERSION] == 1) &&
                   (data[AT_LEN8] == HEADER / 8) && (data[3] == 0),
                   "a header of %u bytes is not as it should be", length);
        op     = data[AT_OP];
        window = get16(data + AT_WINDOW);
        epoch  = get32(data + AT_EPOCH);
        offset = HEADER;
        FUZZ_CHECK(((imm & IMM_CTL) != 0) == (op != OP_DATA), "op %u", op);
        FUZZ_CHECK(!(imm & IMM_CTL) || (length == HEADER), "length %u", length);
        FUZZ_CHECK((window >= 16) && (window <= 4096) &&
                   ((window & (window - 1)) == 0), "window %u", window);
        FUZZ_CHECK(((imm >> 24) & 15) == (epoch & 15), "epoch in 0x%x", imm);
        FUZZ_CHECK(!me.known || (epoch == me.remote_epoch),
                   "the association has ended: epoch %u, then %u",
                   me.remote_epoch, epoch);
        if (!me.known && (op <= OP_HELLO)) {
            me.known        = 1;
            me.remote_epoch = epoch;
            me.remote_first = get32(data + AT_ARG);
        }
        receive_control(op, get32(data + AT_ARG), window);
    } else {
        FUZZ_CHECK(me.known, "no header, and we are not acquainted");
        FUZZ_CHECK(((imm >> 24) & 15) == (me.remote_epoch & 15),
                   "epoch in 0x%x", imm);
    }

    if (op == OP_DATA) {
        FUZZ_CHECK(((imm >> 16) & 31) == FUZZ_AM_HONEST, "AM id in 0x%x", imm);
        receive_data(imm & 0xffff, data + offset, length - offset);
    }
}

/* ---- what the local program sees --------------------------------------- */

void fuzz_honest_arrived(const void *data, unsigned length)
{
    FUZZ_CHECK((me.arrived < me.next) && (length == me.length[me.arrived]) &&
               message_is(data, length, me.arrived),
               "message %" PRIu64 " of the honest peer is due, another one of "
               "%u bytes was delivered", me.arrived, length);
    ++me.arrived;
}

int fuzz_honest_is_intact(const void *data, unsigned length)
{
    const message_t *message = data;

    return (length >= sizeof(*message)) &&
           message_is(data, length, message->number);
}

uint64_t fuzz_honest_expect(void)
{
    return me.expected++;
}

void fuzz_honest_fill(void *out, uint64_t number, unsigned length)
{
    message_fill(out, number, length);
}

void fuzz_honest_unexpect(void)
{
    --me.expected;
}

int fuzz_honest_is_done(void)
{
    return (me.una == me.next) && (me.arrived == me.next) &&
           (me.got == me.expected) && !me.owe_hello_ack && !me.owe_ext_ack;
}

void fuzz_honest_explain(char *buffer, size_t max)
{
    snprintf(buffer, max,
             "from it: %u sent, %u acknowledged, %" PRIu64 " delivered, %s; to "
             "it: %" PRIu64 " sent, %" PRIu64 " delivered", me.next, me.una,
             me.arrived, me.joined ? "joined" : "not joined", me.expected,
             me.got);
}
