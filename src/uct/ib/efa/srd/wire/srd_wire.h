/*
 * What srd interfaces say to each other: layouts, packing and unpacking.
 * The protocol itself is docs/srd-wire.md; section numbers refer to it.
 *
 *     immediate (3)            extended header (4)
 *     31    28 27    24 ...    VERS OP LEN8 0 | QKEY | QPN WINDOW | EPOCH |
 *     |  0    | EPOCH4 | ...   GID | UID | FEATURES | ARG
 *
 * Plain C, no dependency: tests and tools include it. Multi-byte fields are
 * little-endian on the wire and in host order in the structures.
 */
#ifndef UCT_SRD_WIRE_H
#define UCT_SRD_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UCT_SRD_WIRE_VERSION   1
#define UCT_SRD_EXT_LEN        48u    /* extended header, bytes              */
#define UCT_SRD_EXT_TAIL_LEN   56u    /* with the tail                       */
#define UCT_SRD_IFACE_ADDR_LEN 8
#define UCT_SRD_DEV_ADDR_LEN   16     /* the GID                             */
#define UCT_SRD_WINDOW_MIN     16u    /* messages; granted to everybody      */
#define UCT_SRD_WINDOW_MAX     4096u
#define UCT_SRD_QKEY_MASK      0x7fffffffu /* the rest is privileged         */

/* Section 3, the immediate */
#define UCT_SRD_IMM_PSN_MASK   0x0000ffffu
#define UCT_SRD_IMM_AM_SHIFT   16
#define UCT_SRD_IMM_AM_MASK    0x001f0000u
#define UCT_SRD_IMM_EXT        0x00200000u
#define UCT_SRD_IMM_CTL        0x00400000u
#define UCT_SRD_IMM_EPOCH_SHIFT 24
#define UCT_SRD_IMM_EPOCH_MASK 0x0f000000u
#define UCT_SRD_IMM_MBZ        0xf0800000u

/* Section 5, operations */
typedef enum {
    UCT_SRD_OP_DATA,
    UCT_SRD_OP_HELLO,
    UCT_SRD_OP_HELLO_ACK,
    UCT_SRD_OP_EXT_REQ,
    UCT_SRD_OP_EXT_ACK,
    UCT_SRD_OP_BYE,
    UCT_SRD_OP_BYE_ACK,
    UCT_SRD_OP_PING,
    UCT_SRD_OP_REJECT,
    UCT_SRD_OP_REJOIN,
    UCT_SRD_OP_REJOIN_ACK,
    UCT_SRD_OP_KEY_REQ,
    UCT_SRD_OP_KEY_ACK,
    UCT_SRD_OP_LAST
} uct_srd_op_t;

#define UCT_SRD_OP_NAMES \
    { "DATA", "HELLO", "HELLO_ACK", "EXT_REQ", "EXT_ACK", "BYE", "BYE_ACK", \
      "PING", "REJECT", "REJOIN", "REJOIN_ACK", "KEY_REQ", "KEY_ACK" }

/* ARG of REJECT */
enum {
    UCT_SRD_REJECT_VERSION   = 1,
    UCT_SRD_REJECT_RESOURCES = 2,
    UCT_SRD_REJECT_FAILED    = 3
};

/* FEATURES */
enum {
    UCT_SRD_FEATURE_READ  = 1u << 0,
    UCT_SRD_FEATURE_WRITE = 1u << 1,
    UCT_SRD_FEATURE_SGID  = 1u << 2
};

/* And in their upper bits: how often the sender's device was reset, mod 64 */
#define UCT_SRD_GENERATION_SHIFT 26

/* FLAGS of the tail (12) */
enum {
    UCT_SRD_TAIL_NEXT  = 1u << 0,     /* NEXT is valid                       */
    UCT_SRD_TAIL_FRESH = 1u << 1,     /* REJOIN: else take it for a HELLO    */
    UCT_SRD_TAIL_KEY   = 1u << 2,     /* KEY_ACK: there is such memory       */
    UCT_SRD_TAIL_READ  = 1u << 3,     /* which may be read,                  */
    UCT_SRD_TAIL_WRITE = 1u << 4      /* written                             */
};

typedef struct {
    uint8_t  version;
    uint8_t  op;
    uint8_t  len8;
    uint32_t qkey;
    uint16_t qpn;
    uint16_t window;
    uint32_t epoch;
    uint8_t  gid[16];
    uint64_t uid;
    uint32_t features;
    uint32_t arg;
    /* Tail: REJOIN and what follows it in the list of operations; else 0 */
    uint32_t word;                    /* PREV, or a key                      */
    uint16_t next;
    uint8_t  flags;
    uint8_t  generation;
} uct_srd_ext_t;

typedef struct {
    uint16_t qpn;
    uint8_t  version;
    uint32_t qkey;
} uct_srd_iface_addr_t;

/* Offsets in the extended header */
enum {
    UCT_SRD_EXT_VERSION  = 0,
    UCT_SRD_EXT_OP       = 1,
    UCT_SRD_EXT_LEN8     = 2,
    UCT_SRD_EXT_ZERO     = 3,
    UCT_SRD_EXT_QKEY     = 4,
    UCT_SRD_EXT_QPN      = 8,
    UCT_SRD_EXT_WINDOW   = 10,
    UCT_SRD_EXT_EPOCH    = 12,
    UCT_SRD_EXT_GID      = 16,
    UCT_SRD_EXT_UID      = 32,
    UCT_SRD_EXT_FEATURES = 40,
    UCT_SRD_EXT_ARG      = 44,
    UCT_SRD_EXT_END      = 48,
    UCT_SRD_EXT_WORD     = 48,        /* the tail                            */
    UCT_SRD_EXT_NEXT     = 52,
    UCT_SRD_EXT_FLAGS    = 54,
    UCT_SRD_EXT_GENERATION = 55,
    UCT_SRD_EXT_TAIL_END = 56
};

/* What is wrong with an extended header */
typedef enum {
    UCT_SRD_EXT_OK,
    UCT_SRD_EXT_MALFORMED,
    UCT_SRD_EXT_BAD_VERSION
} uct_srd_ext_check_t;

#ifndef __cplusplus
_Static_assert((unsigned)UCT_SRD_EXT_END == UCT_SRD_EXT_LEN, "section 4");
_Static_assert(UCT_SRD_EXT_LEN % 8 == 0, "LEN8 counts units of eight bytes");
_Static_assert((UCT_SRD_IMM_PSN_MASK ^ UCT_SRD_IMM_AM_MASK ^ UCT_SRD_IMM_EXT ^
                UCT_SRD_IMM_CTL ^ UCT_SRD_IMM_EPOCH_MASK ^ UCT_SRD_IMM_MBZ) ==
               0xffffffffu, "every bit of the immediate has one owner");
_Static_assert((UCT_SRD_WINDOW_MAX & (UCT_SRD_WINDOW_MAX - 1)) == 0,
               "windows are powers of two");
_Static_assert(2 * UCT_SRD_WINDOW_MAX < 32768,
               "early and duplicate PSNs are told apart, section 6");
#endif

static inline void uct_srd_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void uct_srd_put32(uint8_t *p, uint32_t v)
{
    uct_srd_put16(p, (uint16_t)v);
    uct_srd_put16(p + 2, (uint16_t)(v >> 16));
}

static inline uint16_t uct_srd_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (p[1] << 8));
}

static inline uint32_t uct_srd_get32(const uint8_t *p)
{
    return uct_srd_get16(p) | ((uint32_t)uct_srd_get16(p + 2) << 16);
}

static inline uint32_t uct_srd_imm_pack(uint32_t epoch, unsigned am_id,
                                        uint32_t flags, uint16_t psn)
{
    return ((epoch & 0xf) << UCT_SRD_IMM_EPOCH_SHIFT) | flags |
           (am_id << UCT_SRD_IMM_AM_SHIFT) | psn;
}

static inline uint32_t uct_srd_imm_pack_ctl(uint32_t epoch)
{
    return uct_srd_imm_pack(epoch, 0, UCT_SRD_IMM_EXT | UCT_SRD_IMM_CTL, 0);
}

static inline unsigned uct_srd_imm_am_id(uint32_t imm)
{
    return (imm & UCT_SRD_IMM_AM_MASK) >> UCT_SRD_IMM_AM_SHIFT;
}

static inline void uct_srd_iface_addr_pack(const uct_srd_iface_addr_t *addr,
                                           void *out)
{
    uint8_t *p = (uint8_t *)out;

    uct_srd_put16(p, addr->qpn);
    p[2] = addr->version;
    p[3] = 0;
    uct_srd_put32(p + 4, addr->qkey);
}

static inline void uct_srd_iface_addr_unpack(const void *in,
                                             uct_srd_iface_addr_t *addr)
{
    const uint8_t *p = (const uint8_t *)in;

    addr->qpn     = uct_srd_get16(p);
    addr->version = p[2];
    addr->qkey    = uct_srd_get32(p + 4);
}

static inline int uct_srd_op_has_tail(unsigned op)
{
    return op >= UCT_SRD_OP_REJOIN;
}

/* Bytes of the header of an operation */
static inline unsigned uct_srd_ext_len(unsigned op)
{
    return uct_srd_op_has_tail(op) ? UCT_SRD_EXT_TAIL_LEN : UCT_SRD_EXT_LEN;
}

/* out: uct_srd_ext_len(ext->op) bytes */
static inline void uct_srd_ext_pack(const uct_srd_ext_t *ext, void *out)
{
    uint8_t *p = (uint8_t *)out;

    p[UCT_SRD_EXT_VERSION] = ext->version;
    p[UCT_SRD_EXT_OP]      = ext->op;
    p[UCT_SRD_EXT_LEN8]    = ext->len8;
    p[UCT_SRD_EXT_ZERO]    = 0;
    uct_srd_put32(p + UCT_SRD_EXT_QKEY, ext->qkey);
    uct_srd_put16(p + UCT_SRD_EXT_QPN, ext->qpn);
    uct_srd_put16(p + UCT_SRD_EXT_WINDOW, ext->window);
    uct_srd_put32(p + UCT_SRD_EXT_EPOCH, ext->epoch);
    memcpy(p + UCT_SRD_EXT_GID, ext->gid, sizeof(ext->gid));
    uct_srd_put32(p + UCT_SRD_EXT_UID, (uint32_t)ext->uid);
    uct_srd_put32(p + UCT_SRD_EXT_UID + 4, (uint32_t)(ext->uid >> 32));
    uct_srd_put32(p + UCT_SRD_EXT_FEATURES, ext->features);
    uct_srd_put32(p + UCT_SRD_EXT_ARG, ext->arg);
    if (uct_srd_op_has_tail(ext->op)) {
        uct_srd_put32(p + UCT_SRD_EXT_WORD, ext->word);
        uct_srd_put16(p + UCT_SRD_EXT_NEXT, ext->next);
        p[UCT_SRD_EXT_FLAGS]      = ext->flags;
        p[UCT_SRD_EXT_GENERATION] = ext->generation;
    }
}

/* length: of the whole message, bytes. imm: its immediate. On BAD_VERSION the
 * sender's qkey, qpn and gid are filled as version 1 has them. */
static inline uct_srd_ext_check_t uct_srd_ext_unpack(const void *in,
                                                     size_t length,
                                                     uint32_t imm,
                                                     uct_srd_ext_t *ext)
{
    const uint8_t *p = (const uint8_t *)in;
    int is_ctl       = (imm & UCT_SRD_IMM_CTL) != 0;

    if (length < UCT_SRD_EXT_LEN) {
        return UCT_SRD_EXT_MALFORMED;
    }

    ext->version = p[UCT_SRD_EXT_VERSION];
    ext->op      = p[UCT_SRD_EXT_OP];
    ext->len8    = p[UCT_SRD_EXT_LEN8];
    ext->qkey    = uct_srd_get32(p + UCT_SRD_EXT_QKEY);
    ext->qpn     = uct_srd_get16(p + UCT_SRD_EXT_QPN);
    ext->window  = uct_srd_get16(p + UCT_SRD_EXT_WINDOW);
    ext->epoch   = uct_srd_get32(p + UCT_SRD_EXT_EPOCH);
    memcpy(ext->gid, p + UCT_SRD_EXT_GID, sizeof(ext->gid));
    ext->uid = uct_srd_get32(p + UCT_SRD_EXT_UID) |
               ((uint64_t)uct_srd_get32(p + UCT_SRD_EXT_UID + 4) << 32);
    ext->features = uct_srd_get32(p + UCT_SRD_EXT_FEATURES);
    ext->arg      = uct_srd_get32(p + UCT_SRD_EXT_ARG);

    ext->word       = 0;
    ext->next       = 0;
    ext->flags      = 0;
    ext->generation = 0;

    if (ext->version != UCT_SRD_WIRE_VERSION) {
        return UCT_SRD_EXT_BAD_VERSION;
    }

    if ((ext->len8 * 8u < UCT_SRD_EXT_LEN) || (ext->len8 * 8u > length) ||
        (p[UCT_SRD_EXT_ZERO] != 0) || (ext->op >= UCT_SRD_OP_LAST) ||
        (is_ctl != (ext->op != UCT_SRD_OP_DATA)) ||
        (is_ctl && (imm & (UCT_SRD_IMM_PSN_MASK | UCT_SRD_IMM_AM_MASK))) ||
        (((imm & UCT_SRD_IMM_EPOCH_MASK) >> UCT_SRD_IMM_EPOCH_SHIFT) !=
         (ext->epoch & 0xf)) ||
        (ext->window < UCT_SRD_WINDOW_MIN) ||
        (ext->window > UCT_SRD_WINDOW_MAX) ||
        (ext->window & (ext->window - 1)) || (ext->qkey & ~UCT_SRD_QKEY_MASK) ||
        (ext->len8 * 8u < uct_srd_ext_len(ext->op))) {
        return UCT_SRD_EXT_MALFORMED;
    }

    if (uct_srd_op_has_tail(ext->op)) {
        ext->word       = uct_srd_get32(p + UCT_SRD_EXT_WORD);
        ext->next       = uct_srd_get16(p + UCT_SRD_EXT_NEXT);
        ext->flags      = p[UCT_SRD_EXT_FLAGS];
        ext->generation = p[UCT_SRD_EXT_GENERATION];
    }

    return UCT_SRD_EXT_OK;
}

#endif
