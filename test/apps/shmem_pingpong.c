/*
 * Two PEs: latency of a put that the other one waits for, and bandwidth of
 * puts and gets. Rounds that are timed have nothing else in them: content is
 * checked in rounds of their own before, and afterwards.
 *
 *   shmem_pingpong [ROUNDS]     of the smallest size (default 20000)
 *
 * Prints a line for each size, "BYTES us MB/s MB/s": half round trip (the
 * median), bandwidth of puts, of gets; at the end "payload N": bytes that both
 * PEs have moved.
 */
#include "shmem_check.h"

#include <time.h>

enum { LARGEST = 1 << 20, WINDOW = 16, CHECKED = 5 };

static const size_t sizes[] = {8, 1024, 8192, 65536, LARGEST};

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* One round of puts in both directions; its half in us */
static double round_trip(uint8_t *target, const uint8_t *source, size_t size,
                         long value)
{
    /* the last word of the data says that all of it is there */
    volatile long *flag = (volatile long *)(target + size - sizeof(*flag));
    double start        = now_us(), time;
    int other           = !check_rank, i;

    for (i = 0; i < 2; ++i) {
        if (check_rank == i) {
            if (size > sizeof(*flag)) {
                shmem_putmem(target, source, size - sizeof(*flag), other);
                shmem_fence();
            }
            shmem_long_p((long *)flag, value, other);
        } else {
            shmem_long_wait_until(flag, SHMEM_CMP_EQ, value);
        }
    }
    time = (now_us() - start) / 2;
    check_bytes += size;
    return time;
}

int main(int argc, char **argv)
{
    unsigned rounds = (argc > 1) ? (unsigned)atoi(argv[1]) : 20000;
    double *times, put_bw, get_bw, start;
    uint8_t *target, *source;
    unsigned i, count;
    size_t s, size;
    int other;

    check_begin();
    if (check_size != 2) {
        fprintf(stderr, "shmem_pingpong: needs 2 PEs\n");
        shmem_global_exit(2);
    }
    other  = !check_rank;
    target = symmetric_get(LARGEST * (size_t)WINDOW);
    source = symmetric_get(LARGEST);
    times  = private_get(sizeof(*times) * (rounds + 50));
    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); ++s) {
        size  = sizes[s];
        count = rounds / (1 + (unsigned)(size / 4096));
        count = (count < 50) ? 50 : count;

        fill(source, size, check_rank, s);
        memset(target, 0xff, size); /* no round's value */
        shmem_barrier_all();
        for (i = 0; i < CHECKED; ++i) {
            round_trip(target, source, size, i);
            /* the next one's data comes when both have looked */
            verify("put", target, size - sizeof(long), other, s);
            memset(target, 0, size - sizeof(long));
            shmem_barrier_all();
        }
        for (i = 0; i < count; ++i) {
            times[i] = round_trip(target, source, size, CHECKED + (long)i);
        }
        verify("put", target, size - sizeof(long), other, s);
        qsort(times, count, sizeof(*times), compare);

        shmem_barrier_all();
        put_bw = get_bw = 0;
        memset(target, 0, size * WINDOW);
        shmem_barrier_all();
        if (check_rank == 0) {
            start = now_us();
            for (i = 0; i < count; ++i) {
                shmem_putmem_nbi(target + (i % WINDOW) * size, source, size,
                                 other);
                if (i % WINDOW == WINDOW - 1) {
                    shmem_quiet();
                }
                check_bytes += size;
            }
            shmem_quiet();
            put_bw = size * (double)count / (now_us() - start);
        }
        shmem_barrier_all();
        for (i = 0; (check_rank == 1) && (i < WINDOW); ++i) {
            verify("put", target + i * size, size, other, s);
        }
        memset(target, 0, size * WINDOW);
        shmem_barrier_all();
        if (check_rank == 0) {
            start = now_us();
            for (i = 0; i < count; ++i) {
                shmem_getmem_nbi(target + (i % WINDOW) * size, source, size,
                                 other);
                if (i % WINDOW == WINDOW - 1) {
                    shmem_quiet();
                }
                check_bytes += size;
            }
            shmem_quiet();
            get_bw = size * (double)count / (now_us() - start);
            for (i = 0; i < WINDOW; ++i) {
                verify("get", target + i * size, size, other, s);
            }
            printf("%zu %.2f %.1f %.1f\n", size, times[count / 2], put_bw,
                   get_bw);
        }
        shmem_barrier_all();
    }
    free(times);
    shmem_free(source);
    shmem_free(target);
    return check_end();
}
