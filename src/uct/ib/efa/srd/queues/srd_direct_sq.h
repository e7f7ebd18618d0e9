/*
 * The send queue, written by us.
 *
 *      posted - unrung              posted
 *            |                        |
 *   ... | E | E | E | ... | E | E | E | free ...     i mod entries, phase bit:
 *            ^ the doorbell says so      ^            odd rounds have 1
 *            far: rung                 written next
 *
 * It cannot be full: a slot has one entry at most, and there is an entry for
 * each slot. The slot's index is the request id, so that a completion leads to
 * it without a table.
 */
#ifndef UCT_SRD_DIRECT_SQ_H
#define UCT_SRD_DIRECT_SQ_H

#include "srd/def/srd_iface_def.h"
#include "srd/queues/srd_direct_io.h"
#include "srd/queues/srd_direct_mmio.h"

static UCS_F_ALWAYS_INLINE void uct_srd_direct_sq_ring(uct_srd_direct_sq_t *sq)
{
    sq->unrung = 0;
    uct_srd_direct_wc_flush();
    *sq->doorbell = (uint16_t)sq->posted;
    if (sq->rung.func != NULL) {
        sq->rung.func(sq->rung.arg);
    }
}

/* The words that say where an entry goes; length: bytes inline, or buffers */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_meta(const uct_srd_direct_sq_t *sq,
                       uct_srd_direct_line_t *line, const uct_srd_dest_t *dest,
                       uint16_t id, uint64_t ctrl, uint32_t imm,
                       uint64_t length)
{
    uint64_t phase = (sq->posted >> sq->round_shift) & 1;

    line->word[0] = id | ctrl | UCT_SRD_DIRECT_META | UCT_SRD_DIRECT_FIRST |
                    UCT_SRD_DIRECT_LAST | UCT_SRD_DIRECT_COMP_REQ |
                    (phase << UCT_SRD_DIRECT_PHASE_SHIFT) |
                    ((uint64_t)(uint16_t)dest->qpn
                     << UCT_SRD_DIRECT_QPN_SHIFT) |
                    (length << UCT_SRD_DIRECT_LENGTH_SHIFT);
    line->word[1] = imm | ((uint64_t)dest->ahn << UCT_SRD_DIRECT_AH_SHIFT);
    line->word[2] = dest->qkey;
    line->word[3] = 0;
}

static UCS_F_ALWAYS_INLINE void uct_srd_direct_sq_buffer(uint64_t *word,
                                                         uint32_t key,
                                                         uint64_t addr,
                                                         uint32_t length)
{
    word[0] = length | ((uint64_t)key << 32);
    word[1] = addr;
}

static UCS_F_ALWAYS_INLINE void uct_srd_direct_sq_sge(uint64_t *word,
                                                      const struct ibv_sge *sge)
{
    uct_srd_direct_sq_buffer(word, sge->lkey & UCT_SRD_DIRECT_KEY_MASK,
                             sge->addr, sge->length);
}

/* Words of data behind `from`; what is not of it follows in that memory, and is
 * of no meaning to the device. */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_words(uint64_t *word, const void *data, unsigned count)
{
    unsigned i;

#pragma GCC unroll 8
    for (i = 0; i < count; ++i) {
        memcpy(&word[i], UCS_PTR_BYTE_OFFSET(data, i * sizeof(*word)),
               sizeof(*word));
    }
}

/* Takes the entry: line, and in a wide one `more` words at wide, then zeros */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_put(uct_srd_direct_sq_t *sq,
                      const uct_srd_direct_line_t *line, const void *wide,
                      unsigned more)
{
    uct_srd_direct_line_t second = {};
    uint8_t *entry;

    if (sq->unrung == 0) {
        uct_srd_direct_wc_start();
    }

    entry = sq->ring + ((size_t)(sq->posted & sq->mask) << sq->entry_shift);
    uct_srd_direct_store_line(entry, line);
    if (ucs_unlikely(sq->entry_shift == UCT_SRD_DIRECT_SQ_SHIFT_WIDE)) {
        uct_srd_direct_sq_words(second.word, wide, more);
        uct_srd_direct_store_line(entry + sizeof(*line), &second);
    }
    ++sq->posted;
}

/* A message of `length` bytes, at most the device's max_inline. Of the memory
 * at data UCT_SRD_DIRECT_INLINE_WIDE bytes may be read. */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_send_inline(uct_srd_direct_sq_t *sq,
                              const uct_srd_dest_t *dest, uint16_t id,
                              uint32_t imm, const void *data, size_t length)
{
    uct_srd_direct_line_t line;

    uct_srd_direct_sq_meta(sq, &line, dest, id,
                           UCT_SRD_DIRECT_HAS_IMM | UCT_SRD_DIRECT_IS_INLINE,
                           imm, length);
    uct_srd_direct_sq_words(&line.word[4], data, 4);
    uct_srd_direct_sq_put(sq, &line,
                          UCS_PTR_BYTE_OFFSET(data, UCT_SRD_DIRECT_INLINE),
                          (UCT_SRD_DIRECT_INLINE_WIDE - UCT_SRD_DIRECT_INLINE) /
                                  sizeof(uint64_t));
}

/* A message of one or two buffers */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_send(uct_srd_direct_sq_t *sq, const uct_srd_dest_t *dest,
                       uint16_t id, uint32_t imm, const struct ibv_sge *sge,
                       unsigned num_sge)
{
    uct_srd_direct_line_t line;

    uct_srd_direct_sq_meta(sq, &line, dest, id, UCT_SRD_DIRECT_HAS_IMM, imm,
                           num_sge);
    line.word[4] = line.word[5] = line.word[6] = line.word[7] = 0;
    if (ucs_likely(num_sge > 0)) {
        uct_srd_direct_sq_sge(&line.word[4], &sge[0]);
    }
    if (num_sge > 1) {
        uct_srd_direct_sq_sge(&line.word[6], &sge[1]);
    }
    uct_srd_direct_sq_put(sq, &line, NULL, 0);
}

/* One of the two. Inline it is the one buffer at sge, of `length`, which
 * otherwise does not matter. */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_message(uct_srd_direct_sq_t *sq, const uct_srd_dest_t *dest,
                          uint16_t id, uint32_t imm, int is_inline,
                          const struct ibv_sge *sge, unsigned num_sge,
                          size_t length)
{
    if (is_inline) {
        uct_srd_direct_sq_send_inline(sq, dest, id, imm, (void *)sge->addr,
                                      length);
    } else {
        uct_srd_direct_sq_send(sq, dest, id, imm, sge, num_sge);
    }
}

/* READ into sge, or WRITE from it */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_sq_rdma(uct_srd_direct_sq_t *sq, const uct_srd_dest_t *dest,
                       uint16_t id, uct_srd_direct_op_t op, uint32_t rkey,
                       uint64_t remote_addr, const struct ibv_sge *sge)
{
    uct_srd_direct_line_t line;

    uct_srd_direct_sq_meta(sq, &line, dest, id,
                           (uint64_t)op << UCT_SRD_DIRECT_OP_SHIFT, 0, 1);
    uct_srd_direct_sq_buffer(&line.word[4], rkey, remote_addr, sge->length);
    uct_srd_direct_sq_sge(&line.word[6], sge);
    uct_srd_direct_sq_put(sq, &line, NULL, 0);
}

/* Rings for what of a batch no doorbell has told yet. Whether there was
 * something */
static UCS_F_ALWAYS_INLINE int
uct_srd_direct_sq_batch_end(uct_srd_direct_sq_t *sq)
{
    if (sq->unrung == 0) {
        return 0;
    }

    uct_srd_direct_sq_ring(sq);
    return 1;
}

/* An entry that was put waits for the others of its batch, while it may. */
static UCS_F_ALWAYS_INLINE void uct_srd_direct_sq_batch(uct_srd_direct_sq_t *sq)
{
    if (++sq->unrung >= sq->max_batch) {
        uct_srd_direct_sq_ring(sq);
    }
}

#endif
