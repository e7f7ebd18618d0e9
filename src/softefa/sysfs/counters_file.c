/*
 * The counters as files:
 *
 *   <tree>/devices/.../efa_N/hw_counters/<name>            the device's
 *   <tree>/devices/.../efa_N/ports/1/hw_counters/<name>    the port's
 *
 * A file holds what it was when somebody last used its path, or that of its
 * directory: each use writes it anew, elsewhere, and moves it there, so that a
 * reader never sees half a number. What is open already does not change; in
 * sysfs it would.
 */
#define _GNU_SOURCE
#include "sysfs/counters_file.h"
#include "nic/counters.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define COUNTERS_DIR "/hw_counters"

/* Takes apart ".../efa_N[/ports/1]/hw_counters[/<name>]". NULL: it is not that,
 * else the name, which may be empty. */
static const char *counters_parse(const char *path, softefa_counters_t *which,
                                  unsigned *index)
{
    const char *dir = strstr(path, COUNTERS_DIR);
    const char *device;
    char port[16] = "";
    int length    = 0;

    if (dir == NULL) {
        return NULL;
    }

    device = dir;
    do {
        if (device == path) {
            return NULL;
        }
        --device;
    } while (strncmp(device, "/efa_", strlen("/efa_")));

    if ((sscanf(device, "/efa_%2u%n", index, &length) != 1) ||
        (*index >= SOFTEFA_MAX_DEVICES) ||
        (dir - (device + length) >= (ssize_t)sizeof(port))) {
        return NULL;
    }

    memcpy(port, device + length, dir - (device + length));
    if (!strcmp(port, "/ports/1")) {
        *which = SOFTEFA_COUNTERS_PORT;
    } else if (port[0] == '\0') {
        *which = SOFTEFA_COUNTERS_DEVICE;
    } else {
        return NULL;
    }

    dir += strlen(COUNTERS_DIR);
    return ((*dir == '\0') || (*dir == '/')) ? dir + (*dir == '/') : NULL;
}

static void counters_write(const char *dir, int dir_length, const char *root,
                           const char *name, uint64_t value)
{
    char path[PATH_MAX], tmp[PATH_MAX], line[32];
    int fd, length;

    length = snprintf(line, sizeof(line), "%" PRIu64 "\n", value);
    if ((snprintf(tmp, sizeof(tmp), "%s/.counter.%d", root, (int)getpid()) >=
         (int)sizeof(tmp)) ||
        (snprintf(path, sizeof(path), "%.*s/%s", dir_length, dir, name) >=
         (int)sizeof(path))) {
        return;
    }

    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return; /* /dev/shm is full: the file keeps its old value */
    }

    if ((write(fd, line, length) != length) || (rename(tmp, path) < 0)) {
        unlink(tmp);
    }
    close(fd);
}

void softefa_counters_file_refresh(const char *path, const char *root)
{
    softefa_counters_t which;
    const char *wanted, *name;
    unsigned index, i;
    int dir_length;

    wanted = counters_parse(path, &which, &index);
    if (wanted == NULL) {
        return;
    }

    dir_length = (strstr(path, COUNTERS_DIR) - path) + strlen(COUNTERS_DIR);
    for (i = 0; (name = softefa_counters_name(which, i)) != NULL; ++i) {
        if ((*wanted == '\0') || !strcmp(wanted, name)) {
            counters_write(path, dir_length, root, name,
                           softefa_counters_value(which, index, i));
        }
    }
}
