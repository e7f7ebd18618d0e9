/*
 * Shared by the MPI and the OpenSHMEM test programs: content that both sides
 * compute, complaints, and the count of bytes that had to travel.
 *
 * Every byte of message `number` from process `from` follows from both; a byte
 * in the wrong place, of another message or of another sender differs.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MAX_COMPLAINTS 5

/* check_bytes: what was moved between two processes, counted once, where it
 * was asked for. The transport must have counted at least as much. */
static unsigned long check_errors, check_bytes;
static int check_rank, check_size;

static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x  = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x  = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static inline void fill(void *buffer, size_t size, unsigned from,
                        uint64_t number)
{
    uint8_t *p   = buffer;
    uint64_t key = mix64(((uint64_t)from << 48) ^ number), word;
    size_t i;

    for (i = 0; i < size; i += 8) {
        word = mix64(key + i);
        memcpy(p + i, &word, (size - i < 8) ? size - i : 8);
    }
}

static inline void complain(const char *what, unsigned from, uint64_t number,
                            size_t at)
{
    if (check_errors++ < CHECK_MAX_COMPLAINTS) {
        printf("rank %d: %s: message %lu from rank %u wrong at %zu\n",
               check_rank, what, (unsigned long)number, from, at);
    }
}

static inline void verify(const char *what, const void *buffer, size_t size,
                          unsigned from, uint64_t number)
{
    const uint8_t *p = buffer;
    uint64_t key     = mix64(((uint64_t)from << 48) ^ number), word;
    size_t i;

    for (i = 0; i < size; i += 8) {
        word = mix64(key + i);
        if (memcmp(p + i, &word, (size - i < 8) ? size - i : 8) != 0) {
            complain(what, from, number, i);
            return;
        }
    }
}

/* All of it is `byte`: what nobody was to write. */
static inline void verify_byte(const char *what, const void *buffer,
                               size_t size, uint8_t byte)
{
    const uint8_t *p = buffer;
    size_t i;

    for (i = 0; i < size; ++i) {
        if (p[i] != byte) {
            if (check_errors++ < CHECK_MAX_COMPLAINTS) {
                printf("rank %d: %s: 0x%x, not 0x%x at %zu of %zu\n",
                       check_rank, what, p[i], byte, i, size);
            }
            return;
        }
    }
}

static inline void expect(int condition, const char *what)
{
    if (!condition && (check_errors++ < CHECK_MAX_COMPLAINTS)) {
        printf("rank %d: %s\n", check_rank, what);
    }
}

static inline void expect_long(const char *what, long is, long expected)
{
    if ((is != expected) && (check_errors++ < CHECK_MAX_COMPLAINTS)) {
        printf("rank %d: %s: %ld, not %ld\n", check_rank, what, is, expected);
    }
}

/* Percent of the full work: argv[1] */
static inline unsigned long scaled(int argc, char **argv, unsigned long count)
{
    unsigned long percent = (argc > 1) ? strtoul(argv[1], NULL, 0) : 100;

    count = count * percent / 100;
    return (count > 0) ? count : 1;
}

#endif
