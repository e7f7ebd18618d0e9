/*
 * Reads the file of a stats segment: see stats_reader.h. What is in it is the
 * business of stats_parse.c.
 *
 *   open --> is it a file of ours? --> [0, used) twice --> parse
 *        '-> lock: does its owner live?  --> state of the process
 */
#include "tools/reader/stats_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reads exactly length bytes from the start; false: the file has less. */
static bool read_all(int fd, void *buffer, size_t length)
{
    char *out    = buffer;
    off_t offset = 0;
    ssize_t got;

    while (length > 0) {
        got = pread(fd, out, length, offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        out += got;
        offset += got;
        length -= (size_t)got;
    }

    return true;
}

/* State of the owner, if the process of its number is still the owner. */
static char read_proc_state(const efa_stats_header_t *header)
{
    unsigned long long start;
    char path[64], line[1024], *end;
    char state;
    FILE *file;
    bool got;

    snprintf(path, sizeof(path), "/proc/%u/stat", header->pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    got = fgets(line, sizeof(line), file) != NULL;
    fclose(file);

    /* The name, field 2, may have anything in it, also ')' */
    end = got ? strrchr(line, ')') : NULL;
    if (end == NULL ||
        sscanf(end + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %llu",
               &state, &start) != 2 ||
        start != header->start_time) {
        return 0;
    }
    return state;
}

/* Both copies of [0, used), one behind the other, or NULL and the reason */
static uint8_t *read_twice(int fd, size_t *size, const char **reason)
{
    efa_stats_header_t header;
    uint8_t *data;

    if (!read_all(fd, &header, sizeof(header))) {
        *reason = "cannot be read";
        return NULL;
    }
    *reason = stats_parse_header(&header, *size);
    if (*reason != NULL) {
        return NULL;
    }

    *size = header.used;
    data  = malloc(2 * *size);
    if (data == NULL) {
        *reason = "no memory to read it";
        return NULL;
    }
    if (!read_all(fd, data, *size) || !read_all(fd, data + *size, *size)) {
        *reason = "became shorter while it was read";
        free(data);
        return NULL;
    }
    /* It may have grown since */
    memcpy(data, &header, sizeof(header));
    return data;
}

/* Its owner, who writes the magic number last, has not come that far. */
static bool is_unborn(int fd)
{
    efa_stats_header_t header = {0};

    return pread(fd, &header, sizeof(header), 0) >= 0 && header.magic == 0;
}

int stats_read(const char *path, stats_segment_t *segment, char *error,
               size_t max)
{
    const char *reason = NULL;
    uint8_t *data      = NULL;
    struct timespec now;
    struct stat st;
    size_t size = 0;
    int fd, err;

    memset(segment, 0, sizeof(*segment));

    /* O_NONBLOCK: a FIFO of that name must not stop us */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        err = errno;
        snprintf(error, max, "%s: %s", path,
                 (err == ELOOP) ? "a link, not a stats segment" :
                                  strerror(err));
        errno = err;
        return -1;
    }

    if (fstat(fd, &st) != 0) {
        reason = strerror(errno);
    } else if (!S_ISREG(st.st_mode)) {
        reason = "not a regular file";
    } else if (st.st_size < (off_t)sizeof(segment->header)) {
        reason = "too short for a stats segment";
    } else if (st.st_size > (off_t)EFA_STATS_MAX_SIZE) {
        reason = "too large for a stats segment";
    } else {
        size = (size_t)st.st_size;
        data = read_twice(fd, &size, &reason);
    }
    if (reason == NULL) {
        reason = stats_parse(data, data + size, size, segment);
    }
    free(data);

    if (reason != NULL) {
        err = is_unborn(fd) ? ENODATA : EINVAL;
        snprintf(error, max, "%s: %s", path, reason);
        close(fd);
        errno = err;
        return -1;
    }

    /* The owner holds the lock; nobody else does for longer than this */
    segment->alive = (flock(fd, LOCK_SH | LOCK_NB) != 0) &&
                     (errno == EWOULDBLOCK);
    close(fd);

    snprintf(segment->path, sizeof(segment->path), "%s", path);
    if (segment->alive) {
        segment->proc_state = read_proc_state(&segment->header);
        clock_gettime(CLOCK_MONOTONIC, &now);
        segment->now = (uint64_t)now.tv_sec * 1000000000u +
                       (uint64_t)now.tv_nsec;
    } else {
        segment->now = stats_time_newest(segment);
    }
    return 0;
}
