/* What several floors need and no library has. */
#ifndef SOFTEFA_UTIL_H
#define SOFTEFA_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define softefa_likely(_x)   __builtin_expect(!!(_x), 1)
#define softefa_unlikely(_x) __builtin_expect(!!(_x), 0)

/* A step of the fast path that stands apart to be read, and is called once. */
#define SOFTEFA_STEP static inline __attribute__((always_inline))

#define SOFTEFA_ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

/* In a loop that waits for another processor */
static inline void softefa_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline uint64_t softefa_page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}

static inline uint64_t softefa_page_align(uint64_t size)
{
    return (size + softefa_page_size() - 1) & ~(softefa_page_size() - 1);
}

static inline bool softefa_is_pow2(uint32_t value)
{
    return (value != 0) && ((value & (value - 1)) == 0);
}

/* xorshift64*: good enough for keys and orders, one word of state. */
static inline uint64_t softefa_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

#endif
