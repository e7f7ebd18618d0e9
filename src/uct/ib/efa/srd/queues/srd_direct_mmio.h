/*
 * The order in which a device sees stores, and we see its own.
 *
 *   wc_start    what is stored to write-combining memory from here on comes
 *               behind the last doorbell
 *   wc_flush    what was stored there comes before the next doorbell, at once;
 *               and so does what lies in host memory
 *   to_device   host memory that the device reads, before the doorbell
 *   from_device what the device wrote before the word that was just read
 *
 * A load of host memory passes no other one on x86-64, whoever wrote it, so
 * that there from_device is a matter of the compiler alone.
 */
#ifndef UCT_SRD_DIRECT_MMIO_H
#define UCT_SRD_DIRECT_MMIO_H

#include <stdint.h>
#if defined(__aarch64__) && !defined(__AARCH64EB__)
#  include <arm_neon.h>
#endif

/* The words of a cache line, as an entry is stored */
typedef struct {
    uint64_t word[8];
} uct_srd_direct_line_t;

#if defined(__x86_64__)

#  define UCT_SRD_DIRECT_ARCH 1
#  define uct_srd_direct_wc_start()    asm volatile("sfence" ::: "memory")
#  define uct_srd_direct_wc_flush()    asm volatile("sfence" ::: "memory")
#  define uct_srd_direct_to_device()   asm volatile("" ::: "memory")
#  define uct_srd_direct_from_device() asm volatile("" ::: "memory")

/* Ascending, so that the line is sent when it is full. */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_store_line(void *dest, const uct_srd_direct_line_t *line)
{
    volatile uint64_t *word = dest;

    word[0] = line->word[0];
    word[1] = line->word[1];
    word[2] = line->word[2];
    word[3] = line->word[3];
    word[4] = line->word[4];
    word[5] = line->word[5];
    word[6] = line->word[6];
    word[7] = line->word[7];
}

#elif defined(__aarch64__) && !defined(__AARCH64EB__)

#  define UCT_SRD_DIRECT_ARCH 1
#  define uct_srd_direct_wc_start()    asm volatile("dsb st" ::: "memory")
#  define uct_srd_direct_wc_flush()    asm volatile("dsb st" ::: "memory")
#  define uct_srd_direct_to_device()   asm volatile("dmb oshst" ::: "memory")
#  define uct_srd_direct_from_device() asm volatile("dmb oshld" ::: "memory")

/* In one instruction, which makes one write of the bus of it. */
static UCS_F_ALWAYS_INLINE void
uct_srd_direct_store_line(void *dest, const uct_srd_direct_line_t *line)
{
    vst1q_u64_x4(dest, vld1q_u64_x4(line->word));
}

#else

/* libefa knows the architecture; the direct path is not used. */
#  define UCT_SRD_DIRECT_ARCH 0
#  define uct_srd_direct_wc_start()    __sync_synchronize()
#  define uct_srd_direct_wc_flush()    __sync_synchronize()
#  define uct_srd_direct_to_device()   __sync_synchronize()
#  define uct_srd_direct_from_device() __sync_synchronize()

static UCS_F_ALWAYS_INLINE void
uct_srd_direct_store_line(void *dest, const uct_srd_direct_line_t *line)
{
    *(uct_srd_direct_line_t *)dest = *line;
}

#endif

#endif
