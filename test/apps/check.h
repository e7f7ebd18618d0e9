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
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
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

/* ---- messages of all sizes, side by side in one area -------------------- */

#define GAP_BYTE 0xa5          /* between them, where nobody is to write */

/* Where each of them lies. Returns the length of the area. */
static inline size_t area_lay_out(const size_t *sizes, size_t *places,
                                  size_t count)
{
    size_t i, at = 0;

    for (i = 0; i < count; ++i) {
        at += 16 + i % 9;
        places[i] = at;
        at += sizes[i];
    }
    return at + 16;
}

/* The first `count` of them: `number` and those that follow. */
static inline void area_fill(uint8_t *area, const size_t *sizes,
                             const size_t *places, size_t count, unsigned from,
                             uint64_t number)
{
    size_t i;

    memset(area, GAP_BYTE, places[count - 1] + sizes[count - 1] + 16);
    for (i = 0; i < count; ++i) {
        fill(area + places[i], sizes[i], from, number + i);
    }
}

static inline void area_verify(const char *what, const uint8_t *area,
                               const size_t *sizes, const size_t *places,
                               size_t count, unsigned from, uint64_t number)
{
    size_t i, end = 0;

    for (i = 0; i < count; ++i) {
        verify_byte(what, area + end, places[i] - end, GAP_BYTE);
        verify(what, area + places[i], sizes[i], from, number + i);
        end = places[i] + sizes[i];
    }
    verify_byte(what, area + end, 16, GAP_BYTE);
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
