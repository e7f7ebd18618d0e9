/*
 * The shared file: made by the conductor, mapped by all. It outlives whoever is
 * killed. Helpers that do not need UCX.
 */
#include "soak.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

soak_shared_t *soak;

const char *const soak_count_text[SOAK_NUM_COUNTS] = {
#define SOAK_COUNT_TEXT(_name, _text) _text,
    SOAK_COUNTS(SOAK_COUNT_TEXT)
};

static int soak_log_map(const char *path, int flags)
{
    void *map = MAP_FAILED;
    int fd    = open(path, flags | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        return -1;
    }

    if (!(flags & O_CREAT) || (ftruncate(fd, sizeof(*soak)) == 0)) {
        map = mmap(NULL, sizeof(*soak), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   0);
    }
    close(fd);
    if (map == MAP_FAILED) {
        return -1;
    }

    soak = map;
    return 0;
}

int soak_log_create(const char *path)
{
    return soak_log_map(path, O_CREAT | O_EXCL);
}

int soak_log_open(const char *path)
{
    return soak_log_map(path, 0);
}

uint64_t soak_total(unsigned count)
{
    uint64_t total = 0;
    unsigned i;

    for (i = 0; i < SOAK_PROCS; ++i) {
        total += soak->proc[i].count[count];
    }
    return total;
}

uint64_t soak_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

uint64_t soak_mix(uint64_t a, uint64_t b)
{
    a += 0x9e3779b97f4a7c15ull * (b + 1);
    a = (a ^ (a >> 30)) * 0xbf58476d1ce4e5b9ull;
    a = (a ^ (a >> 27)) * 0x94d049bb133111ebull;
    return a ^ (a >> 31);
}

uint64_t soak_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    return soak_mix(*state, 0);
}

void soak_note(const char *format, ...)
{
    char line[sizeof(soak->note[0])];
    va_list args;
    unsigned at;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    printf("%.3f %s\n", soak_now() / 1e6, line);
    fflush(stdout);
    at = atomic_fetch_add(&soak->num_notes, 1);
    if (at < SOAK_NOTES) {
        memcpy(soak->note[at], line, sizeof(line));
    }
}

soak_pair_t *soak_pair(unsigned a, unsigned b)
{
    unsigned low = (a < b) ? a : b, high = (a < b) ? b : a;

    return &soak->pair[high * (high - 1) / 2 + low];
}

bool soak_lives(unsigned proc, uint32_t inc)
{
    return (soak->proc[proc].inc == inc) && (soak->proc[proc].killed != inc);
}

bool soak_is_ready(unsigned proc)
{
    uint32_t ready = soak->proc[proc].ready;

    return (ready != 0) && soak_lives(proc, ready);
}

const char *soak_link_string(unsigned a, unsigned b, unsigned link, char *buf,
                             size_t max)
{
    static const char *const states[] = {
        "idle", "opening", "open", "closing", "broken"
    };
    static const char *const modes[] = {"grace", "flush", "force"};
    soak_link_t *l                   = &soak_pair(a, b)->link[link];
    uint64_t word                    = l->word;
    int length;
    unsigned i, c;

    length = snprintf(buf, max, "link %u-%u/%u gen %u %s", a, b, link,
                      word_gen(word), states[word_state(word) % 5]);
    if (word_state(word) >= LINK_CLOSING) {
        length += snprintf(buf + length, max - length, " (%s by %u)",
                           modes[word_mode(word) % 3], word_who(word));
    }
    for (i = 0; i < 2; ++i) {
        length += snprintf(buf + length, max - length,
                           "; side %u inc %u gen %u gone %u failed %u done %u",
                           i, l->inc[i], l->side[i].gen, l->side[i].gone,
                           l->side[i].failed, l->side[i].done);
        for (c = 0; (c < NUM_CHANNELS) && ((size_t)length < max); ++c) {
            length += snprintf(buf + length, max - length, " %s %lu/%lu/%lu",
                               c ? "tag" : "am",
                               (unsigned long)l->side[i].stream[c].sent,
                               (unsigned long)l->side[i].stream[c].claimed,
                               (unsigned long)l->side[i].stream[c].received);
        }
        if ((size_t)length >= max) {
            break;
        }
    }
    return buf;
}
