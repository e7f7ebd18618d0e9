/*
 * A peer that does as docs/srd-wire.md says, written from that document alone.
 *
 *   sending     una .. next: each message waits, has arrived (and maybe its
 *               sender does not know), or is acknowledged; una is the lowest
 *               that is not acknowledged
 *   receiving   next, and what came early
 *
 * Whatever hostile peers do at the same time, and however often our device or
 * its own is reset (one at a time): each message of either side is delivered
 * exactly once and in order, and nobody ends the association. It never says
 * farewell, and never answers one: its endpoint stays. Only where the deadline of
 * section 8 has passed while a device was away the association may end (over).
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Section 4, offsets; section 5, operations; section 3, the immediate */
enum {
    AT_VERSION = 0, AT_OP = 1, AT_LEN8 = 2, AT_QKEY = 4, AT_QPN = 8,
    AT_WINDOW = 10, AT_EPOCH = 12, AT_GID = 16, AT_UID = 32, AT_FEATURES = 40,
    AT_ARG = 44, HEADER = 48,
    /* The tail of section 12, and its FLAGS */
    AT_WORD = 48, AT_NEXT = 52, AT_FLAGS = 54, TAIL = 56,
    HAS_NEXT = 1, FRESH = 2
};

enum {
    OP_DATA, OP_HELLO, OP_HELLO_ACK, OP_EXT_REQ, OP_EXT_ACK, OP_BYE,
    OP_BYE_ACK, OP_PING, OP_REJECT, OP_REJOIN, OP_REJOIN_ACK
};

#define IMM_CTL   (1u << 22)
#define IMM_EXT   (1u << 21)
#define EPOCH     0x77777779u   /* the first                                 */
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
    uint32_t    epoch;
    uint32_t    window;         /* of the remote                             */
    int         joined;
    uint32_t    una, next;      /* not modulo; PSN is first + these          */
    uint16_t    first;
    out_state_t state[MAX_OUT];
    uint16_t    length[MAX_OUT];
    uint64_t    arrived;        /* at the remote's handler                   */

    /* receiving */
    int         known;          /* whoever sent uid, epoch; at qpn           */
    int         started;        /* remote_first is valid                     */
    uint32_t    qpn;
    uint8_t     uid[8];
    uint32_t    remote_epoch;
    uint32_t    remote_una;     /* not modulo, as remote_next                */
    uint32_t    remote_next;
    uint16_t    remote_first;
    unsigned    early_length[WINDOW];
    uint8_t     early[WINDOW][FUZZ_MAX_MSG];
    uint64_t    expected;       /* messages that the remote was given        */
    uint64_t    got;
    int         owe_hello_ack, owe_ext_ack, owe_rejoin_ack;

    /* resets */
    int         contacted;      /* something of ours has arrived             */
    uint64_t    deadline;       /* nanoseconds, 0: never passes              */
    uint64_t    died;           /* when, until it has rejoined us; 0: works  */
    int         over;

    /* our own */
    uint64_t    reset;          /* when                                      */
    int         rejoining;      /* nothing but REJOIN leaves                 */
    uint32_t    prev;           /* epoch before it                           */
    uint8_t     flags;          /* of REJOIN                                 */
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

void fuzz_honest_init(uint16_t first_psn, unsigned window, uint64_t deadline)
{
    memset(&me, 0, sizeof(me));
    me.epoch    = EPOCH;
    me.window   = ucs_min(window, 16u);
    me.first    = first_psn;
    me.deadline = deadline;
}

/* ---- resets ------------------------------------------------------------ */

int fuzz_honest_may_die(void)
{
    return ((me.known || !me.contacted) && !me.rejoining) || me.over;
}

void fuzz_honest_died(void)
{
    if (me.died == 0) {
        me.died = fuzz_device.now;
    }
}

/* GONE_TIMEOUT is a fifth of RECOVERY_TIMEOUT: fuzz_user.c */
static int deadline_has_passed(void)
{
    return (me.deadline != 0) &&
           (((me.died != 0) && (fuzz_device.now - me.died >= me.deadline)) ||
            (me.rejoining && (fuzz_device.now - me.reset >= me.deadline / 5)));
}

/* May it be given up, by then or for want of memory? */
static int may_be_failed(void)
{
    return deadline_has_passed() || fuzz_device.alloc_failed;
}

int fuzz_honest_is_over(void)
{
    return me.over;
}

int fuzz_honest_end(ucs_status_t status)
{
    if (!me.over && may_be_failed() &&
        ((status == UCS_ERR_IO_ERROR) || (status == UCS_ERR_ENDPOINT_TIMEOUT) ||
         (status == UCS_ERR_NO_MEMORY) ||
         (status == UCS_ERR_CANCELED))) { /* no memory for a copy at close */
        FUZZ_SAY("    honest: over\n");
        me.over = 1;
    }
    return me.over;
}

void fuzz_honest_settle(void)
{
    me.over |= may_be_failed();
}

/* To the interface; 0: it was not there */
static int message_send(uint32_t imm, const uint8_t *data, unsigned length)
{
    if (!me.known && !me.contacted) {
        me.qpn = fuzz_queues->qpn; /* as it was told, or has asked for anew */
    }
    if (me.over || (me.qpn != fuzz_queues->qpn) ||
        !fuzz_device_deliver(FUZZ_HONEST, 1, imm, data, length)) {
        return 0;
    }

    me.contacted = 1;
    return 1;
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

static int message_is(const uint8_t *data, unsigned length, uint64_t number)
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
    put32(header + AT_EPOCH, me.epoch);
    memcpy(header + AT_GID, fuzz_who[FUZZ_HONEST].gid, 16);
    put32(header + AT_UID, UID_LOW);
    put32(header + AT_UID + 4, UID_HIGH);
    put32(header + AT_FEATURES, 7);
    put32(header + AT_ARG, arg);
}

static int control_send(unsigned op, uint32_t arg)
{
    uint8_t header[TAIL] = {0};

    if (me.rejoining && (op != OP_REJOIN)) {
        return 0;
    }

    header_fill(header, op, arg);
    if (op == OP_REJOIN) {
        header[AT_LEN8]  = TAIL / 8;
        header[AT_FLAGS] = me.flags | (me.started ? HAS_NEXT : 0);
        put16(header + AT_NEXT, me.remote_first + me.remote_next);
        put32(header + AT_WORD, me.prev);
    }
    if (op == OP_REJOIN_ACK) {
        header[AT_LEN8]  = TAIL / 8;
        header[AT_FLAGS] = me.started ? HAS_NEXT : 0;
        put16(header + AT_NEXT, me.remote_first + me.remote_next);
    }
    return message_send(((me.epoch & 15) << 24) | IMM_EXT | IMM_CTL, header,
                        header[AT_LEN8] * 8);
}

static uint16_t psn_of(uint32_t number)
{
    return (uint16_t)(me.first + number);
}

void fuzz_honest_hello(void)
{
    control_send(me.rejoining ? OP_REJOIN : OP_HELLO, psn_of(me.una));
}

int fuzz_honest_may_reset(void)
{
    return me.contacted && !me.over && !me.owe_rejoin_ack && (me.died == 0) &&
           !fuzz_queues->dead && !fuzz_device.away &&
           (me.qpn == fuzz_queues->qpn);
}

void fuzz_honest_reset(void)
{
    uint32_t i, acked = 0;

    for (i = 0; i < me.next; ++i) {
        acked += (me.state[i] == ACKED);
    }
    if (!me.rejoining) {
        me.prev  = me.epoch;
        me.flags = (!me.known && (acked == 0)) ? FRESH : 0;
        me.reset = fuzz_device.now;
    }
    me.rejoining = 1;
    me.joined    = 0;
    ++me.epoch;
    FUZZ_SAY("    honest: reset, epoch %u\n", me.epoch);
}

void fuzz_honest_send(unsigned length)
{
    if (!me.over && (me.next - me.una < me.window) && (me.next < MAX_OUT)) {
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

    if ((me.una == me.next) || me.over || me.rejoining) {
        return;
    }

    i = me.una + (i % (me.next - me.una));
    if (me.state[i] == ACKED) {
        return;
    }

    imm    = ((me.epoch & 15) << 24) | (FUZZ_AM_HONEST << 16) | psn_of(i);
    offset = 0;
    if (!me.joined) {
        imm |= IMM_EXT;
        offset = HEADER;
        header_fill(message, OP_DATA, psn_of(me.una));
    }

    message_fill(message + offset, i, me.length[i]);
    if (!message_send(imm, message, offset + me.length[i])) {
        return; /* RNR, or our device is away: again later */
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
    if (me.owe_rejoin_ack && control_send(OP_REJOIN_ACK, me.remote_epoch)) {
        me.owe_rejoin_ack = 0;
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
               ", got another one of %u bytes",
               me.got, length);
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

    FUZZ_CHECK(distance < WINDOW,
               "psn %u is beyond the window of %u of the "
               "honest peer",
               psn, WINDOW);
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

/* It has followed us. data: its REJOIN_ACK */
static void receive_rejoin_ack(const uint8_t *data)
{
    if (!me.rejoining || (get32(data + AT_ARG) != me.epoch)) {
        return; /* of an earlier one */
    }

    FUZZ_CHECK((data[AT_FLAGS] & HAS_NEXT) ? ((int16_t)(get16(data + AT_NEXT) -
                                                        psn_of(me.una)) >= 0) :
                                             (me.una == 0),
               "it follows, awaits psn %u, and has all below %u",
               get16(data + AT_NEXT), psn_of(me.una));
    me.rejoining = 0;
    me.joined    = !!(data[AT_FLAGS] & HAS_NEXT);
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
        if (arg == me.epoch) {
            me.joined    = 1;
            me.rejoining = 0; /* a FRESH one was taken for a HELLO */
        }
        break;
    case OP_REJOIN_ACK:
        break;
    case OP_REJECT:
        FUZZ_CHECK(may_be_failed(), "the honest peer is rejected");
        me.over = 1;
        return;
    case OP_EXT_REQ:
        me.joined      = 0; /* nothing of ours is ever under way */
        me.owe_ext_ack = 1;
        break;
    case OP_EXT_ACK:
    case OP_BYE:
    case OP_PING:
        break;
    default:
        fuzz_broken(__FILE__, __LINE__,
                    "the honest peer got operation %u, "
                    "argument %u",
                    op, arg);
    }
    me.window = window;
    answers_send();
}

/* Section 12, the other side. Nonzero: it is to be taken for a HELLO. */
static int receive_rejoin(const uint8_t *data)
{
    uint32_t epoch = get32(data + AT_EPOCH);
    uint16_t next  = get16(data + AT_NEXT);
    uint16_t una   = get32(data + AT_ARG);

    if (!me.known) {
        FUZZ_CHECK(data[AT_FLAGS] & FRESH,
                   "REJOIN to who has never heard of it, and not FRESH");
        return 1;
    }

    FUZZ_CHECK(memcmp(me.uid, data + AT_UID, sizeof(me.uid)) == 0,
               "REJOIN with another UID");
    if (epoch != me.remote_epoch) {
        FUZZ_CHECK((int32_t)(epoch - me.remote_epoch) > 0,
                   "REJOIN of epoch %u after %u", epoch, me.remote_epoch);
        FUZZ_CHECK((int32_t)(me.remote_epoch - get32(data + AT_WORD)) >= 0,
                   "REJOIN: %u was confirmed, and we know %u",
                   get32(data + AT_WORD), me.remote_epoch);
        FUZZ_CHECK((data[AT_FLAGS] & HAS_NEXT) ?
                           ((int16_t)(next - psn_of(me.una)) >= 0) :
                           (me.una == 0),
                   "it awaits psn %u, and has all below %u", next,
                   psn_of(me.una));
        FUZZ_CHECK(!me.started || ((int16_t)(me.remote_first + me.remote_next -
                                             una) >= 0),
                   "below %u all has arrived, it says, and we await %u", una,
                   (uint16_t)(me.remote_first + me.remote_next));
        FUZZ_SAY("    honest: follows from %u to %u\n", me.qpn,
                 get16(data + AT_QPN));
        me.remote_epoch  = epoch;
        me.qpn           = get16(data + AT_QPN);
        me.owe_hello_ack = 0;
    }
    me.window         = get16(data + AT_WINDOW);
    me.owe_rejoin_ack = 1;
    answers_send();
    return 0;
}

static void check_header(const uint8_t *data, unsigned length, uint32_t imm)
{
    unsigned window = get16(data + AT_WINDOW);
    unsigned op     = data[AT_OP];
    unsigned total  = (op >= OP_REJOIN) ? TAIL : HEADER;

    FUZZ_CHECK((length >= total) && (data[AT_VERSION] == 1) &&
                       (data[AT_LEN8] == total / 8) && (data[3] == 0),
               "a header of %u bytes is not as it should be", length);
    FUZZ_CHECK(((imm & IMM_CTL) != 0) == (op != OP_DATA), "op %u", op);
    FUZZ_CHECK(!(imm & IMM_CTL) || (length == total), "length %u", length);
    FUZZ_CHECK((window >= 16) && (window <= 4096) &&
                       ((window & (window - 1)) == 0),
               "window %u", window);
    FUZZ_CHECK(((imm >> 24) & 15) == (get32(data + AT_EPOCH) & 15),
               "epoch in 0x%x", imm);
    FUZZ_CHECK(get16(data + AT_QPN) == fuzz_queues->qpn,
               "queue pair %u says that it is %u", fuzz_queues->qpn,
               get16(data + AT_QPN));
}

void fuzz_honest_receive(uint32_t imm, const uint8_t *data, unsigned length)
{
    unsigned offset = 0;
    unsigned op     = OP_DATA;
    uint32_t epoch;

    FUZZ_CHECK((imm & 0xf0800000u) == 0, "reserved bits: 0x%x", imm);
    if (imm & IMM_EXT) {
        check_header(data, length, imm);
        op     = data[AT_OP];
        epoch  = get32(data + AT_EPOCH);
        offset = HEADER;
        if (may_be_failed() &&
            (me.known ? (epoch != me.remote_epoch) : (me.got < me.expected))) {
            me.over = 1; /* it was failed there; a late REJOIN is void, and what
                            had been for it is not sent in what begins now */
        }
        if (me.over) {
            return;
        }
        if (op == OP_REJOIN) {
            if (!receive_rejoin(data)) {
                return;
            }
            op = OP_HELLO;
        }
        FUZZ_CHECK(!me.known || (epoch == me.remote_epoch),
                   "the association has ended: epoch %u, then %u, operation %u",
                   me.remote_epoch, epoch, op);
        FUZZ_CHECK(!me.known || (me.qpn == fuzz_queues->qpn),
                   "operation %u, not REJOIN, from a new queue pair", op);
        /* By other operations nobody is known, section 5 */
        if (!me.known && (op <= OP_HELLO_ACK)) {
            me.known        = 1;
            me.qpn          = fuzz_queues->qpn;
            me.remote_epoch = epoch;
            memcpy(me.uid, data + AT_UID, sizeof(me.uid));
        }
        if (!me.started && (op <= OP_HELLO)) {
            me.started      = 1;
            me.remote_first = get32(data + AT_ARG);
        }
        if (!fuzz_queues->dead && (data[AT_OP] != OP_REJOIN)) {
            me.died = 0; /* that one comes until it is answered */
        }
        if (op == OP_REJOIN_ACK) {
            receive_rejoin_ack(data);
        }
        receive_control(op, get32(data + AT_ARG), get16(data + AT_WINDOW));
    } else {
        if (me.over) {
            return;
        }
        FUZZ_CHECK(me.started, "no header, and we are not acquainted");
        FUZZ_CHECK(((imm >> 24) & 15) == (me.remote_epoch & 15),
                   "epoch in 0x%x", imm);
        FUZZ_CHECK(me.qpn == fuzz_queues->qpn,
                   "no header, from a new queue pair");
        me.died = fuzz_queues->dead ? me.died : 0;
    }

    if (op == OP_DATA) {
        FUZZ_CHECK(((imm >> 16) & 31) == FUZZ_AM_HONEST, "AM id in 0x%x", imm);
        receive_data(imm & 0xffff, data + offset, length - offset);
    }
}

/* ---- what the local program sees --------------------------------------- */

void fuzz_honest_arrived(const void *data, unsigned length)
{
    if (me.over) {
        return; /* of an association that came after it */
    }

    FUZZ_CHECK((me.arrived < me.next) && (length == me.length[me.arrived]) &&
                       message_is(data, length, me.arrived),
               "message %" PRIu64 " of the honest peer is due, another one of "
               "%u bytes was delivered",
               me.arrived, length);
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
    if (me.over) {
        return 1;
    }

    return (me.una == me.next) && (me.arrived == me.next) &&
           (me.got == me.expected) && !me.owe_hello_ack && !me.owe_ext_ack &&
           !me.owe_rejoin_ack && !me.rejoining &&
           (!me.known || (me.qpn == fuzz_queues->qpn));
}

void fuzz_honest_explain(char *buffer, size_t max)
{
    snprintf(buffer, max,
             "from it: %u sent, %u acknowledged, %" PRIu64 " delivered, %s; to "
             "it: %" PRIu64 " sent, %" PRIu64 " delivered; it knows queue pair "
             "%u, there is %u",
             me.next, me.una, me.arrived, me.joined ? "joined" : "not joined",
             me.expected, me.got, me.qpn, fuzz_queues->qpn);
}
