/*
 * Remote keys: what a peer needs to read or write our memory.
 *
 * Packed, as UCP carries it to the peer; all versions begin with the format,
 * which fixes the rest and its length (UCT's unpack gets no length):
 *
 *   byte   0         1         2..5
 *        +---------+---------+--------------------------+
 *        | format  | access  | rkey, little-endian      |   format 1
 *        +---------+---------+--------------------------+
 *
 *   access  bit 0: the memory may be read, bit 1: it may be written. Neither:
 *           memory for messages; such a key can be carried, not used.
 *           bits 2..7: generation of the key, see efa_context.h
 *
 * Unpacked, as uct_rkey_t carries it through UCP to the data path:
 *
 *   bit    63 ... 40  39 ... 34     33      32     31 ... 0
 *        +-----------+------------+-------+------+--------------+
 *        |     0     | generation | write | read |     rkey     |
 *        +-----------+------------+-------+------+--------------+
 *
 * The device checks every access; the bits are here so that one that can only
 * fail does so at once, with a clear text and without a round trip.
 */
#ifndef UCT_EFA_RKEY_H
#define UCT_EFA_RKEY_H

#include "base/device/efa_context.h"

#include <uct/api/uct_def.h>
#include <ucs/sys/compiler_def.h>
#include <ucs/type/status.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UCT_EFA_RKEY_FORMAT 1

/* In uct_rkey_t */
#define UCT_EFA_RKEY_READ  ((uct_rkey_t)1 << 32)
#define UCT_EFA_RKEY_WRITE ((uct_rkey_t)1 << 33)
#define UCT_EFA_RKEY_GENERATION_SHIFT 34

/* In the packed key */
enum {
    UCT_EFA_RKEY_PACKED_READ  = 1 << 0,
    UCT_EFA_RKEY_PACKED_WRITE = 1 << 1,
    UCT_EFA_RKEY_PACKED_GENERATION_SHIFT = 2
};

typedef struct {
    uint8_t  format;
    uint8_t  access;
    uint32_t rkey;                    /* little-endian                       */
} UCS_S_PACKED uct_efa_packed_rkey_t;

static_assert(sizeof(uct_efa_packed_rkey_t) == 6, "size of a packed key");
static_assert(offsetof(uct_efa_packed_rkey_t, format) == 0, "format is first");
static_assert(offsetof(uct_efa_packed_rkey_t, access) == 1, "then access");
static_assert(offsetof(uct_efa_packed_rkey_t, rkey) == 2, "then the key");
static_assert(UCT_EFA_RKEY_PACKED_GENERATION_SHIFT + UCT_EFA_GENERATION_BITS ==
              8, "access and generation are one byte");
static_assert(sizeof(uct_rkey_t) >= sizeof(uint64_t),
              "access bits lie above the key");

/* What the device wants in a work request */
static inline uint32_t uct_efa_rkey_value(uct_rkey_t rkey)
{
    return (uint32_t)rkey;
}

static inline unsigned uct_efa_rkey_generation(uct_rkey_t rkey)
{
    return (unsigned)(rkey >> UCT_EFA_RKEY_GENERATION_SHIFT) &
           UCT_EFA_GENERATION_MASK;
}

/* bits: UCT_EFA_RKEY_READ, UCT_EFA_RKEY_WRITE; all of them are needed. */
static inline int uct_efa_rkey_may(uct_rkey_t rkey, uct_rkey_t bits)
{
    return (rkey & bits) == bits;
}

/* buffer: uct_efa_packed_rkey_t, at any address. ibv_access: IBV_ACCESS_ that
 * the memory was registered with. */
void uct_efa_rkey_pack(uint32_t rkey, unsigned ibv_access, unsigned generation,
                       void *buffer);

/* UCS_ERR_INVALID_PARAM: a format of another version, logged. */
ucs_status_t uct_efa_rkey_unpack(const void *buffer, uct_rkey_t *rkey_p,
                                 void **handle_p);

#ifdef __cplusplus
}
#endif

#endif
