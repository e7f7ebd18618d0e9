/*
 * What each further peer costs that is connected, both ways, and idle (scale.h).
 *
 *   scale memory N      N peers besides the first hundred
 *
 *   heap      bytes of malloc, glibc's overhead included: endpoint, peer, tables
 *   segment   bytes of the stats segment
 *   process   growth of private memory that is in use (Anonymous in
 *             /proc/self/smaps_rollup), plus segment
 *   connect   nanoseconds to make an endpoint, without the handshake
 *
 * Prints "KIND BYTES" or "KIND NS" of one peer. The first hundred have made what
 * does not grow with them: receive buffers, address handles.
 */
#include "scale.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST      100u
#define BATCH      10u       /* endpoints of one time                          */
#define TALKERS    64u
#define REST_MS    3000u     /* until an idle peer has given back what it can  */

typedef struct {
    uint64_t heap, segment, anonymous;
} memory_t;

static uint64_t anonymous(void)
{
    FILE *file                   = fopen("/proc/self/smaps_rollup", "r");
    unsigned long long kilobytes = 0;
    char line[256];

    if (file == NULL) {
        scale_die("/proc/self/smaps_rollup", "cannot be read");
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Anonymous: %llu", &kilobytes) == 1) {
            break;
        }
    }
    fclose(file);
    return kilobytes * 1024;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void look(memory_t *memory)
{
    stats_segment_t segment;
    struct mallinfo2 info;

    malloc_trim(0); /* what we have freed */
    info              = mallinfo2();
    memory->heap      = info.uordblks + info.hblkhd;
    memory->anonymous = anonymous();
    scale_segment(&segment);
    memory->segment = segment.header.used;
    stats_free(&segment);
}

static void rest(void)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t end              = now_ns() + REST_MS * 1000000ull;

    while (now_ns() < end) {
        uct_iface_progress(scale_own);
        nanosleep(&nap, NULL);
    }
}

/* Several messages from each at once: on a device without order each peer has
 * had some that came too early. */
static void talk(unsigned first, unsigned num)
{
    unsigned i, k, part;
    uint64_t wanted;

    for (i = first; i < first + num; i += part) {
        part   = (first + num - i < TALKERS) ? first + num - i : TALKERS;
        wanted = scale_got + SCALE_MANY * part;
        scale_let_burst(i, part);
        while (scale_got < wanted) {
            uct_iface_progress(scale_own);
        }
        for (k = 0; k < SCALE_MANY * part; ++k) {
            scale_send(i + k / SCALE_MANY, 0, NULL, 0);
        }
        scale_drain(true);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The median of batches: what others do meanwhile is not counted. */
static uint64_t connect_from(unsigned first, unsigned num)
{
    uint64_t *times = scale_alloc(num / BATCH, sizeof(*times));
    uint64_t median;
    unsigned i, k;

    for (i = 0; i < num / BATCH; ++i) {
        times[i] = now_ns();
        for (k = first + i * BATCH; k < first + (i + 1) * BATCH; ++k) {
            scale_eps[k] = scale_connect(scale_own, &scale_addresses[k]);
        }
        times[i] = (now_ns() - times[i]) / BATCH;
    }
    qsort(times, num / BATCH, sizeof(*times), compare);
    median = times[num / BATCH / 2];
    free(times);
    return median;
}

int scale_memory(const char *program, unsigned num)
{
    memory_t before, after;
    uint64_t connect;

    num -= num % BATCH;
    if (num == 0) {
        scale_die("memory", "at least ten peers");
    }
    scale_start(program, FIRST + num, SCALE_PER_PROCESS, false);
    connect_from(0, FIRST);
    scale_meet(0, FIRST);
    talk(0, FIRST);
    rest();
    memset(scale_eps + FIRST, 0xff, num * sizeof(*scale_eps)); /* in use */
    look(&before);
    connect = connect_from(FIRST, num);
    scale_meet(FIRST, num);
    talk(FIRST, num);
    rest();
    look(&after);

    printf("heap %lu\n", (unsigned long)((after.heap - before.heap) / num));
    printf("segment %lu\n",
           (unsigned long)((after.segment - before.segment) / num));
    printf("process %lu\n",
           (unsigned long)((after.anonymous - before.anonymous + after.segment -
                            before.segment) /
                           num));
    printf("connect %lu\n", (unsigned long)connect);
    scale_stop();
}
