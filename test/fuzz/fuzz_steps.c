/*
 * An input is a program: four bytes of configuration, then steps. Each step is
 * a byte that names it (modulo their number) and the bytes that it takes; where
 * the input ends, bytes are 0. docs: README.md, "How to add a step".
 *
 *   open --> step, check, step, check ... --> all that honest peers have sent
 *   arrives --> close: nothing is left
 */
#include "fuzz.h"

#include "stats/efa_status.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 400u

/* Failures that no message to the honest peer may exceed */
#define MANY_RETRIES 200u

/* The hostile ones: alone; with the honest one's QPN, elsewhere; on the honest
 * one's host; two more, one of them beside the first, as that one would be after
 * a reset. */
#define HOST(_n) {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x55, 0xc0, 0xff, 0xfe, \
                  0x54, 0x70, _n}
fuzz_who_t fuzz_who[FUZZ_WHO_NUM] = {
    {.gid = HOST(1), .qpn = FUZZ_HONEST_QPN(0), .qkey = 0x11111111},
    {.gid = HOST(2), .qpn = 200, .qkey = 0x22222222},
    {.gid = HOST(3), .qpn = 100, .qkey = 0x33333333},
    {.gid = HOST(1), .qpn = 201, .qkey = 0x44444444},
    {.gid = HOST(4), .qpn = 202, .qkey = 0x55555555},
    {.gid = HOST(2), .qpn = 203, .qkey = 0x22222222}
};

/* What a hostile peer says about itself if nothing is twisted */
static struct {
    uint32_t epoch;
    uint64_t uid;
    uint16_t psn;
    uint32_t our_epoch;        /* from the last header it got                */
} hostile[FUZZ_WHO_NUM];

static int fuzz_all;

static struct {
    const uint8_t *data;
    size_t        size;
} input;

static unsigned byte(void)
{
    if (input.size == 0) {
        return 0;
    }
    --input.size;
    return *input.data++;
}

static unsigned word(void)
{
    unsigned low = byte();

    return low | (byte() << 8);
}

int fuzz_who_find(const void *gid, uint32_t qpn)
{
    unsigned i;

    for (i = 0; i < FUZZ_WHO_NUM; ++i) {
        if ((fuzz_who[i].qpn == qpn) &&
            (memcmp(fuzz_who[i].gid, gid, sizeof(fuzz_who[i].gid)) == 0)) {
            return i;
        }
    }
    return -1;
}

unsigned fuzz_honest_resets;

int fuzz_honest_had(const void *gid, uint32_t qpn)
{
    unsigned i;

    for (i = 0; i <= fuzz_honest_resets; ++i) {
        if ((qpn == FUZZ_HONEST_QPN(i)) &&
            (memcmp(gid, fuzz_who[FUZZ_HONEST].gid,
                    sizeof(fuzz_who[FUZZ_HONEST].gid)) == 0)) {
            return 1;
        }
    }
    return 0;
}

/* ---- hostile messages -------------------------------------------------- */

static unsigned hostile_who(unsigned choice)
{
    return 1 + (choice % (FUZZ_WHO_NUM - 1));
}

static void hostile_deliver(unsigned who, int has_imm, uint32_t imm,
                            uint8_t *message, unsigned length)
{
    unsigned i;

    /* FUZZ_ALL: also lies that nobody can recognise. Nor can who has no memory to
     * note which GID an AH number means. */
    if (!fuzz_all && (!fuzz_device_tells(who) || fuzz_device.alloc_failed)) {
        memcpy(message + UCT_SRD_EXT_GID, fuzz_who[who].gid,
               sizeof(fuzz_who[who].gid));
    }

    /* Never the AM id of the honest peer: that tells them apart in the handler */
    if (uct_srd_imm_am_id(imm) == FUZZ_AM_HONEST) {
        imm += 1u << UCT_SRD_IMM_AM_SHIFT;
    }
    /* With a UID that another one has, who therefore is the same interface after
     * a reset, it ends the other's association: that one is told. */
    if ((imm & UCT_SRD_IMM_EXT) && (length > UCT_SRD_EXT_OP) &&
        (message[UCT_SRD_EXT_OP] == UCT_SRD_OP_REJECT)) {
        for (i = 0; i < FUZZ_WHO_NUM; ++i) {
            ++fuzz_who[i].excuses;
        }
    }

    FUZZ_SAY("  %u sends imm 0x%08x%s, %u bytes\n", who, imm,
             has_imm ? "" : " (not told)", length);
    fuzz_device_deliver(who, has_imm, imm, message, length);
}

static void hostile_claim(uct_srd_ext_t *ext)
{
    unsigned choice = byte();
    unsigned other  = choice % 8;

    if (other < FUZZ_WHO_NUM) {
        memcpy(ext->gid, fuzz_who[other].gid, sizeof(ext->gid));
    } else {
        ext->gid[13] = byte(); /* invented */
    }
    if (choice & 8) {
        ext->qpn = fuzz_who[other % FUZZ_WHO_NUM].qpn;
    }
    switch (choice >> 4 & 3) {
    case 1:
        ext->qkey = fuzz_who[other % FUZZ_WHO_NUM].qkey;
        break;
    case 2:
        ext->qkey = byte();
        break;
    }
}

/* With an extended header: right, but for what a byte of flags asks for */
static void step_ext(void)
{
    unsigned who      = hostile_who(byte());
    unsigned op       = byte();
    unsigned twist    = byte();
    uct_srd_ext_t ext = {
        .version = 1,
        .op      = (op & 0x80) ? op : (op % UCT_SRD_OP_LAST),
        .len8    = UCT_SRD_EXT_LEN / 8,
        .qkey    = fuzz_who[who].qkey,
        .qpn     = fuzz_who[who].qpn,
        .window  = 64,
        .uid     = hostile[who].uid,
        .features = 7
    };
    uint8_t message[FUZZ_MAX_MSG] = {0};
    unsigned length               = 0;
    uint32_t imm;
    uint16_t psn;

    memcpy(ext.gid, fuzz_who[who].gid, sizeof(ext.gid));
    psn = hostile[who].psn;
    switch (ext.op) {
    case UCT_SRD_OP_DATA:
        length = 20;
        ++hostile[who].psn;
        /* fall through */
    case UCT_SRD_OP_HELLO:
    case UCT_SRD_OP_BYE:
        ext.arg = psn;
        break;
    case UCT_SRD_OP_HELLO_ACK:
    case UCT_SRD_OP_BYE_ACK:
        ext.arg = hostile[who].our_epoch;
        break;
    case UCT_SRD_OP_REJECT:
        ext.arg = UCT_SRD_REJECT_FAILED;
        break;
    default:
        break;
    }

    if (twist & 1) {
        hostile[who].epoch += (int8_t)byte();
    }
    if (twist & 2) {
        ext.uid = hostile[who].uid = byte();
    }
    ext.epoch = hostile[who].epoch;
    if (twist & 4) {
        ext.arg = word();
    }
    if (twist & 8) {
        hostile_claim(&ext);
    }
    if (twist & 16) {
        ext.window   = 1u << (byte() % 16);
        ext.features = byte();
    }
    if (twist & 32) {
        psn    = word();
        length = word() % (FUZZ_MAX_MSG - UCT_SRD_EXT_LEN + 1);
    }

    imm = (ext.op == UCT_SRD_OP_DATA) ?
                  uct_srd_imm_pack(ext.epoch, 5, UCT_SRD_IMM_EXT, psn) :
                  uct_srd_imm_pack_ctl(ext.epoch);
    uct_srd_ext_pack(&ext, message);
    length += UCT_SRD_EXT_LEN;
    if (twist & 64) {
        message[byte() % UCT_SRD_EXT_LEN] ^= byte();
    }
    if (twist & 128) {
        imm ^= 1u << (byte() % 32);
        length = byte() % (length + 1);
    }

    FUZZ_SAY("  op %u, epoch %u, uid %" PRIu64 ", arg %u, qkey 0x%x\n", ext.op,
             ext.epoch, ext.uid, ext.arg, ext.qkey);
    hostile_deliver(who, 1, imm, message, length);
}

/* Without: a burst, with holes and repetitions as the bytes say */
static void step_plain(void)
{
    unsigned who   = hostile_who(byte());
    unsigned count = 1 + (byte() % 8);
    uint8_t message[FUZZ_MAX_MSG];
    unsigned length, jump;
    uint32_t imm;

    memset(message, 0xab, sizeof(message));
    while (count-- > 0) {
        jump   = byte();
        length = (jump & 7) * 64;
        if (jump >= 250) {
            hostile[who].psn = word();
        } else if (jump >= 128) {
            hostile[who].psn += (int)(jump >> 3 & 15) - 6;
        }
        imm = uct_srd_imm_pack(hostile[who].epoch, 6, 0, hostile[who].psn++);
        hostile_deliver(who, 1, imm, message, length);
    }
}

static void step_raw(void)
{
    unsigned who   = hostile_who(byte());
    unsigned flags = byte();
    uint32_t imm   = word() | ((uint32_t)word() << 16);
    uint8_t message[FUZZ_MAX_MSG];
    unsigned length, i;

    length = word() % (FUZZ_MAX_MSG + 1);
    memset(message, 0xcd, sizeof(message));
    for (i = 0; (i < length) && (input.size > 0) && (i < 64); ++i) {
        message[i] = byte();
    }
    hostile_deliver(who, flags & 1, imm, message, length);
}

/* About resets, and the keys of memory: what the tail is for. Right, but for what
 * a byte of flags asks for. */
static void step_tail(void)
{
    unsigned who      = hostile_who(byte());
    unsigned op       = byte();
    unsigned twist    = byte();
    uct_srd_ext_t ext = {
        .version  = 1,
        .op       = UCT_SRD_OP_REJOIN + (op & 3),
        .len8     = UCT_SRD_EXT_TAIL_LEN / 8,
        .qkey     = fuzz_who[who].qkey,
        .qpn      = fuzz_who[who].qpn,
        .window   = 64,
        .uid      = hostile[who].uid,
        .features = 7 | (op >> 2 << UCT_SRD_GENERATION_SHIFT)
    };
    uint8_t message[FUZZ_MAX_MSG] = {0};
    unsigned length               = UCT_SRD_EXT_TAIL_LEN;
    uint32_t imm;

    memcpy(ext.gid, fuzz_who[who].gid, sizeof(ext.gid));
    switch (ext.op) {
    case UCT_SRD_OP_REJOIN:
        ext.word = hostile[who].epoch;
        hostile[who].epoch += (twist & 1) ? (int8_t)byte() : 1;
        ext.arg = hostile[who].psn;
        break;
    case UCT_SRD_OP_REJOIN_ACK:
        ext.arg = hostile[who].our_epoch;
        break;
    case UCT_SRD_OP_KEY_REQ:
        ext.arg        = fuzz_device_rkey(byte());
        ext.generation = ext.arg >> 16;
        break;
    default:
        ext.arg   = 0x11223344; /* of fuzz_user_rma() */
        ext.word  = fuzz_device_rkey(byte());
        ext.flags = UCT_SRD_TAIL_KEY | UCT_SRD_TAIL_READ | UCT_SRD_TAIL_WRITE;
        break;
    }

    if (twist & 2) {
        ext.uid = hostile[hostile_who(byte())].uid;
    }
    ext.epoch = hostile[who].epoch;
    if (twist & 4) {
        ext.word = (twist & 1) ? word() : ext.word + (int8_t)byte();
    }
    if (twist & 8) {
        hostile_claim(&ext);
    }
    if (twist & 16) {
        ext.next  = word();
        ext.flags = byte();
    }
    if (twist & 32) {
        ext.arg        = word();
        ext.generation = byte();
    }

    imm = uct_srd_imm_pack_ctl(ext.epoch);
    uct_srd_ext_pack(&ext, message);
    if (twist & 64) {
        message[byte() % UCT_SRD_EXT_TAIL_LEN] ^= byte();
    }
    if (twist & 128) {
        length = byte() % (length + 1);
    }

    FUZZ_SAY("  op %u, epoch %u, uid %" PRIu64 ", arg %u, word %u, next %u, "
             "flags %u\n",
             ext.op, ext.epoch, ext.uid, ext.arg, ext.word, ext.next,
             ext.flags);
    hostile_deliver(who, 1, imm, message, length);
}

/* ---- the device -------------------------------------------------------- */

/* The message of a send that arrives */
static void send_arrives(const fuzz_send_t *send, int who)
{
    uint8_t data[FUZZ_MAX_MSG];
    unsigned length;

    if ((send->opcode != IBV_WR_SEND_WITH_IMM) || (who < 0) ||
        (send->qkey != fuzz_who[who].qkey)) {
        return;
    }

    length = fuzz_device_gather(send, data);
    if (who == FUZZ_HONEST) {
        fuzz_honest_receive(send->imm, data, length);
    } else if (send->imm & UCT_SRD_IMM_EXT) {
        hostile[who].our_epoch = uct_srd_get32(data + UCT_SRD_EXT_EPOCH);
    }
}

void fuzz_steps_arrive(const fuzz_send_t *send)
{
    send_arrives(send, fuzz_who_find(send->gid, send->qpn));
}

static int is_to_honest(const fuzz_send_t *send)
{
    return fuzz_honest_had(send->gid, send->qpn);
}

/* A send fails, for which its peer may be failed: that one is told so, wherever
 * it is now. */
static void excuse(const fuzz_send_t *send, int who)
{
    const uct_srd_slot_t *slot = (const uct_srd_slot_t *)(send->wr_id &
                                                          ~UCT_SRD_WR_ID_SEND);
    int now                    = (slot->peer == NULL) ? -1 :
                                                        fuzz_who_find(slot->peer->ident.gid,
                                                                      slot->peer->ident.qpn);

    if (who >= 0) {
        ++fuzz_who[who].excuses;
    }
    if ((now >= 0) && (now != who)) {
        ++fuzz_who[now].excuses;
    }
}

static void complete(unsigned i, unsigned status, int arrives)
{
    fuzz_send_t *send = &fuzz_queues->sends[i];
    int who           = fuzz_who_find(send->gid, send->qpn);

    if ((who < 0) && is_to_honest(send) && !(send->arrived && (status == 0))) {
        status  = (status == 13) ? 13 : 9; /* to its queue pair of before */
        arrives = 0;
    }

    /* Who has another QKEY is not there */
    if ((who >= 0) && (send->qkey != fuzz_who[who].qkey)) {
        status = (who == FUZZ_HONEST) ? 9 : status;
    }
    if (status == 0) {
        arrives = 1;
    } else {
        excuse(send, who);
    }

    FUZZ_SAY("  send %u to %d ends with %u%s\n", i, who, status,
             arrives ? ", arrives" : "");
    if (arrives) {
        send_arrives(send, who);
        if (i >= fuzz_queues->num_sends) {
            return;
        }
    }
    fuzz_device_complete(i, status);
}

static unsigned honest_retries; /* of one input */

static void step_complete(void)
{
    static const uint8_t harmless[] = {0, 0, 0, 10, 13, 12, 10, 13};
    static const uint8_t any[]      = {0, 0, 0, 10, 13, 12, 10, 15, 9,  8, 2,
                                       3, 4, 5, 6,  7,  11, 14, 14, 18, 0, 99};
    unsigned choice                 = byte();
    unsigned how                    = byte();
    unsigned status;
    fuzz_send_t *send;

    if (fuzz_queues->num_sends == 0) {
        return;
    }

    send = &fuzz_queues->sends[choice % fuzz_queues->num_sends];
    if (!is_to_honest(send)) {
        status = any[how % sizeof(any)];
    } else {
        status = harmless[how % sizeof(harmless)];
        /* Too many of these are the end of the honest peer, rightly */
        if (((status == 12) || (status == 13)) &&
            ((fuzz_iface->config.retry_count < MANY_RETRIES) ||
             (honest_retries++ >= MANY_RETRIES))) {
            status = 10;
        }
        if (send->opcode != IBV_WR_SEND_WITH_IMM) {
            status = (status == 12) ? 14 : (status == 10) ? 0 : status;
        }
    }

    complete(choice % fuzz_queues->num_sends, status,
             ((status == 13) || (status == 12)) && (how & 0x80));
}

/* status: of what does not go to the honest peer */
static void complete_all(unsigned status)
{
    unsigned count;

    for (count = fuzz_queues->num_sends; count > 0; --count) {
        complete(0,
                 (is_to_honest(&fuzz_queues->sends[0]) &&
                  !fuzz_honest_is_over()) ?
                         0 :
                         status,
                 0);
    }
}

/* ---- the program ------------------------------------------------------- */

static void step_progress(void)
{
    unsigned count = 1 + (byte() % 8);

    while (count-- > 0) {
        fuzz_user_progress();
    }
}

static void step_time(void)
{
    static const unsigned usec[] = {1,     60,     500,     1100,
                                    10500, 120000, 1100000, 11000000};

    fuzz_device.now += 1000ull * usec[byte() % 8];
    fuzz_user_progress();
}

static void step_honest_send(void)
{
    unsigned how = byte();
    unsigned i;

    for (i = 0; i <= (how & 7); ++i) {
        fuzz_honest_send((how * 3) & 511);
    }
}

static void step_honest_transmit(void)
{
    unsigned how = byte();
    unsigned i;

    for (i = 0; i <= (how & 3); ++i) {
        fuzz_honest_transmit(how >> 3, how & 4);
    }
}

static void step_honest_hello(void)
{
    fuzz_honest_hello();
}

/* bits: which of what is under way to it arrives before */
static void step_honest_reset(void)
{
    uct_srd_ident_t ident = {.qpn  = fuzz_who[FUZZ_HONEST].qpn,
                             .qkey = fuzz_who[FUZZ_HONEST].qkey};
    unsigned bits         = byte();
    uct_srd_peer_t *peer;
    fuzz_send_t *send;
    unsigned i;

    /* One that the interface knows, and whose messages it awaits: whoever was never
     * heard from is failed by the first send that does not arrive. */
    memcpy(ident.gid, fuzz_who[FUZZ_HONEST].gid, sizeof(ident.gid));
    peer = uct_srd_names_find(fuzz_iface, &ident);
    if ((peer == NULL) || !peer->rx.started ||
        uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED) ||
        fuzz_iface->recover.is || !fuzz_honest_may_reset()) {
        return;
    }

    for (i = 0; i < fuzz_queues->num_sends;
         ++i, bits = (bits >> 1) | ((bits & 1) << 7)) {
        send = &fuzz_queues->sends[i];
        if ((fuzz_who_find(send->gid, send->qpn) == FUZZ_HONEST) &&
            (send->opcode == IBV_WR_SEND_WITH_IMM) && (bits & 1)) {
            send_arrives(send, FUZZ_HONEST);
            send->arrived = 1;
        }
    }

    fuzz_honest_reset();
    ++fuzz_who[FUZZ_HONEST].excuses; /* it may be given up: REJECT */
    fuzz_who[FUZZ_HONEST].qpn = FUZZ_HONEST_QPN(++fuzz_honest_resets);
}

static void step_complete_all(void)
{
    complete_all(0);
}

static void step_connect(void)
{
    unsigned choice = byte();

    fuzz_user_connect(choice, byte());
}

static void step_disconnect(void)
{
    fuzz_user_disconnect(byte());
}

static void step_am(void)
{
    unsigned ep     = byte();
    unsigned kind   = byte();
    unsigned count  = 1 + (kind >> 2 & 7);
    unsigned length = word() & 1023;

    while (count-- > 0) {
        fuzz_user_am(ep, kind, length, kind >> 5);
    }
}

static void step_rma(void)
{
    unsigned ep   = byte();
    unsigned kind = byte();

    fuzz_user_rma(ep, kind, byte());
}

static void step_flush(void)
{
    unsigned ep = byte();

    fuzz_user_flush(ep, byte());
}

static void step_fence(void)
{
    unsigned ep = byte();

    fuzz_user_fence(ep, byte());
}

static void step_check(void)
{
    unsigned ep = byte();

    fuzz_user_check(ep, byte());
}

static void step_pending(void)
{
    unsigned ep = byte();

    fuzz_user_pending(ep, 1 + (byte() % 4));
}

static void step_keep(void)
{
    fuzz_user_keep(byte() % 16);
}

static void step_release(void)
{
    fuzz_user_release(byte() % 8);
}

static void step_in_handler(void)
{
    fuzz_user_in_handler(word());
}

static void step_refuse(void)
{
    unsigned i;

    fuzz_device.refuse = byte() % 4;
    for (i = 0; i < FUZZ_WHO_NUM; ++i) {
        fuzz_who[i].excuses += fuzz_device.refuse;
    }
}

static void step_recv_error(void)
{
    fuzz_device_recv_error();
}

/* Peers that are failed as a reset lasts are told so. */
static void die(unsigned how)
{
    uct_srd_peer_t *peer;
    int who;

    ucs_list_for_each(peer, &fuzz_iface->peers.alive, list) {
        who = fuzz_who_find(peer->ident.gid, peer->ident.qpn);
        if (who >= 0) {
            ++fuzz_who[who].excuses;
        }
    }
    fuzz_device_die(how);
}

static void step_die(void)
{
    die(byte());
}

static void step_die_in(void)
{
    fuzz_device.die_in  = byte() % 64;
    fuzz_device.die_how = byte();
}

static void step_alloc_fails(void)
{
    unsigned i;

    fuzz_device.alloc_in = 1 + (byte() % 32);
    for (i = 0; i < FUZZ_WHO_NUM; ++i) {
        ++fuzz_who[i].excuses; /* for whom there is none, it is told so */
    }
}

static void step_tell(void)
{
    fuzz_device_tell();
}

static void step_return(void)
{
    fuzz_device_return();
}

static int die_at_close; /* in this input: how, and 256 */

static void step_die_at_close(void)
{
    die_at_close = byte() | 256;
}

/* What the device says of the next message besides: as of one that is a WRITE,
 * or of another queue pair */
static void step_odd(void)
{
    fuzz_device.odd_flags = byte() & 0xf8;
    fuzz_device.odd_qpn   = byte();
}

/* Bits as of step die: what arrives before */
static void step_garbage(void)
{
    unsigned kind  = byte();
    unsigned value = word();
    unsigned how   = byte();

    if (!fuzz_direct_may_garbage()) {
        return;
    }

    die((how & ~FUZZ_DIE_FLUSH) | FUZZ_DIE_QP | FUZZ_DIE_LATE);
    if (fuzz_queues->dead) {
        fuzz_direct_garbage(kind, value);
    }
}

static const struct {
    const char *name;
    void       (*func)(void);
} steps[] = {
    {"ext", step_ext},
    {"plain", step_plain},
    {"raw", step_raw},
    {"progress", step_progress},
    {"complete", step_complete},
    {"complete_all", step_complete_all},
    {"time", step_time},
    {"honest_send", step_honest_send},
    {"honest_transmit", step_honest_transmit},
    {"honest_hello", step_honest_hello},
    {"connect", step_connect},
    {"disconnect", step_disconnect},
    {"am", step_am},
    {"rma", step_rma},
    {"flush", step_flush},
    {"fence", step_fence},
    {"check", step_check},
    {"pending", step_pending},
    {"keep", step_keep},
    {"release", step_release},
    {"in_handler", step_in_handler},
    {"refuse", step_refuse},
    {"recv_error", step_recv_error},
    {"tail", step_tail},
    {"die", step_die},
    {"die_in", step_die_in},
    {"tell", step_tell},
    {"return", step_return},
    {"die_at_close", step_die_at_close},
    {"honest_reset", step_honest_reset},
    {"alloc_fails", step_alloc_fails},
    {"odd", step_odd},
    {"garbage", step_garbage}
    /* append only: the corpus knows steps by their place */
};

/* ---- an input ---------------------------------------------------------- */

static void configure(void)
{
    static const unsigned ah_limits[] = {64, 3, 4, 8};
    unsigned a = byte(), b = byte();
    fuzz_config_t config;
    unsigned i;

    fuzz_device.has_sgid      = !(a & 1);
    fuzz_device.has_rdma      = !(a & 2);
    fuzz_device.ah_limit      = ah_limits[a >> 2 & 3];
    config.queue_len          = (a & 16) ? 8 : 48;
    config.retry_count        = (a & 32) ? 2 : UCT_SRD_RETRY_MAX;
    config.window             = (a & 64) ? 16 : 64;
    config.rx_len             = (b & 1) ? 16 : 64;
    config.rx_batch           = (b & 2) ? 1 : 8;
    config.tx_bufs            = (b & 8) ? 40 : 2000;
    config.rx_max             = config.rx_len + ((b & 4) ? 4 : 300);
    honest_retries            = 0;
    fuzz_honest_resets        = 0;
    fuzz_who[FUZZ_HONEST].qpn = FUZZ_HONEST_QPN(0);
    for (i = 0; i < FUZZ_WHO_NUM; ++i) {
        fuzz_who[i].sent_to_us = 0;
        fuzz_who[i].answers    = 0;
        fuzz_who[i].excuses    = 0;
        hostile[i].epoch       = 100 * i;
        hostile[i].uid         = i;
        hostile[i].psn         = 0;
        hostile[i].our_epoch   = 0;
    }
    FUZZ_SAY("source GIDs %d, RDMA %d, %u AHs, send queue %u, retries %u, "
             "window %u, receive queue %u, batch %u, buffers %u\n",
             fuzz_device.has_sgid, fuzz_device.has_rdma, fuzz_device.ah_limit,
             config.queue_len, config.retry_count, config.window, config.rx_len,
             config.rx_batch, config.rx_max);
    die_at_close = 0;
    fuzz_honest_init(word(), config.window,
                     (config.retry_count > 100) ? 0 : 10000000000ull);
    fuzz_user_open(&config);
}

static void settle_round(unsigned status, unsigned msec)
{
    fuzz_user_release(100);
    fuzz_honest_push();
    complete_all(status);
    fuzz_user_progress();
    fuzz_device.now += msec * 1000000ull;
}

static int is_away(void)
{
    return fuzz_queues->dead || fuzz_iface->recover.is;
}

static int is_quiet(void)
{
    return !is_away() && (fuzz_queues->num_sends == 0) &&
           (fuzz_queues->num_cqes == 0) && (fuzz_iface->rx.stash_len == 0) &&
           (fuzz_iface->tx.num_free == fuzz_iface->config.tx_queue_len);
}

/* Whatever happened, the honest peer gets what it was promised, and everything
 * that was taken is given back. */
static void settle(void)
{
    unsigned rounds;
    char why[256];

    FUZZ_SAY("settle\n");
    fuzz_device.refuse   = 0;
    fuzz_device.die_in   = 0;
    fuzz_device.alloc_in = 0;
    fuzz_device_return();
    fuzz_user_in_handler(0);
    fuzz_user_keep(0);
    for (rounds = 0; (rounds < 5) || !fuzz_honest_is_done() || is_away();
         ++rounds) {
        if (rounds == 150) {
            /* Who does not answer REJOIN, and is owed messages or cannot be told
             * by its GID, keeps its AH until RECOVERY_TIMEOUT. */
            fuzz_device.ah_limit = 64;
        }
        if (rounds == 300) {
            fuzz_honest_settle();
            if (fuzz_honest_is_over() && !is_away()) {
                break;
            }
            fuzz_check_show();
            fuzz_honest_explain(why, sizeof(why));
            FUZZ_CHECK(0, "the honest peer waits: %s", why);
        }
        settle_round(0, 20);
    }

    /* Who never answered is not there any more: what is kept for it ends.
     * Without time, what timers repeat comes to an end, too. */
    for (rounds = 0; (rounds < 2000) && !is_quiet(); ++rounds) {
        if (rounds % 100 < 40) {
            settle_round(15, (rounds % 4 == 3) ? 2000000000u : 500);
        } else {
            complete_all(15);
            fuzz_user_progress();
        }
    }
    FUZZ_CHECK(fuzz_honest_is_done(), "the honest peer got something new");
    fuzz_check_quiet();
}

int LLVMFuzzerInitialize(UCS_V_UNUSED int *argc, UCS_V_UNUSED char ***argv)
{
    const char *verbose = getenv("FUZZ_VERBOSE");
    const char *direct  = getenv("FUZZ_DIRECT");

    fuzz_verbose = (verbose != NULL) && (atoi(verbose) != 0);
    fuzz_all     = getenv("FUZZ_ALL") != NULL;
    fuzz_direct  = (direct != NULL) && (strcmp(direct, "y") == 0);
    fuzz_user_setup();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned count, step;

    input.data = data;
    input.size = size;
    fuzz_device_reset();
    configure();

    for (count = 0; (count < MAX_STEPS) && (input.size > 0); ++count) {
        step = byte() % ucs_static_array_size(steps);
        FUZZ_SAY("%s\n", steps[step].name);
        steps[step].func();
        fuzz_check_step();
    }

    settle();
    if (die_at_close) {
        die(die_at_close & 255);
    }
    fuzz_device.complete_all = 1;
    fuzz_user_close();
    return 0;
}
