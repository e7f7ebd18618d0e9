/*
 * OpenSHMEM: put, get, atomics, locks, collectives, each result checked.
 *
 *   shmem_check [PERCENT]
 */
#include <shmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH 200000

static long counter, errors_here, errors_all, lock_word, guarded;
static long reduce_work[SHMEM_REDUCE_MIN_WRKDATA_SIZE];
static long reduce_sync[SHMEM_REDUCE_SYNC_SIZE];
static int me, num;

static long value(int from, int to, long round, long i)
{
    return ((long)from * 7919 + to * 104729 + round * 15485863 + i) * 2654435761l;
}

static void complain(const char *what, long at)
{
    if (errors_here++ < 5) {
        printf("PE %d: %s wrong at %ld\n", me, what, at);
    }
}

int main(int argc, char **argv)
{
    long percent = (argc > 1) ? atol(argv[1]) : 100;
    long rounds = 20 * percent / 100 + 1, adds = 2000 * percent / 100 + 1;
    long *target, *source, *back, i, round, length;
    int right, left;

    shmem_init();
    me     = shmem_my_pe();
    num    = shmem_n_pes();
    right  = (me + 1) % num;
    left   = (me + num - 1) % num;
    target = shmem_malloc(sizeof(*target) * LENGTH);
    source = shmem_malloc(sizeof(*source) * LENGTH);
    back   = malloc(sizeof(*back) * LENGTH);
    for (i = 0; i < SHMEM_REDUCE_SYNC_SIZE; ++i) {
        reduce_sync[i] = SHMEM_SYNC_VALUE;
    }
    shmem_barrier_all();

    for (round = 0; round < rounds; ++round) {
        length = (round % 4 == 0) ? LENGTH : 1 + (round * 977) % 3000;
        for (i = 0; i < length; ++i) {
            source[i] = value(me, right, round, i);
        }
        shmem_long_put(target, source, length, right);
        shmem_quiet();
        shmem_barrier_all();
        for (i = 0; i < length; ++i) {
            if (target[i] != value(left, me, round, i)) {
                complain("put", i);
                break;
            }
        }
        shmem_long_get(back, source, length, left);
        for (i = 0; i < length; ++i) {
            if (back[i] != value(left, me, round, i)) {
                complain("get", i);
                break;
            }
        }
        shmem_barrier_all();
    }

    for (i = 0; i < adds; ++i) {
        shmem_long_atomic_add(&counter, 1, (int)(i % num));
    }
    shmem_barrier_all();
    if (counter != (adds / num + (me < adds % num)) * num) {
        complain("atomic add", counter);
    }

    for (i = 0; i < 20; ++i) {
        long seen;
        shmem_set_lock(&lock_word);
        seen = shmem_long_g(&guarded, 0);
        shmem_long_p(&guarded, seen + 1, 0);
        shmem_quiet();
        shmem_clear_lock(&lock_word);
    }
    shmem_barrier_all();
    if ((me == 0) && (guarded != 20l * num)) {
        complain("lock", guarded);
    }

    shmem_long_sum_to_all(&errors_all, &errors_here, 1, 0, 0, num, reduce_work,
                          reduce_sync);
    shmem_barrier_all();
    if (me == 0) {
        printf("%d PEs, %ld errors\n", num, errors_all);
    }
    i = errors_all;
    free(back);
    shmem_free(source);
    shmem_free(target);
    shmem_finalize();
    return i != 0;
}
