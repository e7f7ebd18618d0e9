/*
 * See hw_counters.h.
 */
#include "tools/host/hw_counters.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False: not there, or no number ("lifespan" is one, in ms, not a counter). */
static bool read_one(const char *dir, const char *name, hw_counter_t *counter)
{
    char path[PATH_MAX];
    bool found;
    FILE *file;

    if ((name[0] == '.') || !strcmp(name, "lifespan") ||
        (strlen(name) >= sizeof(counter->name)) ||
        (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
         (int)sizeof(path))) {
        return false;
    }

    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }

    strcpy(counter->name, name);
    found = fscanf(file, "%" SCNu64, &counter->value) == 1;
    fclose(file);
    return found;
}

static int compare(const void *a, const void *b)
{
    const hw_counter_t *first = a, *second = b;

    return strcmp(first->name, second->name);
}

int hw_counters_read(const char *device, unsigned port, hw_counters_t *counters)
{
    static const char root[] = "/sys/class/infiniband";
    char path[PATH_MAX];
    struct dirent *entry;
    hw_counter_t *list;
    unsigned room = 0;
    DIR *dir;

    if (strchr(device, '/') != NULL) {
        return EINVAL;
    }

    if (port == 0) {
        snprintf(path, sizeof(path), "%s/%.255s/hw_counters", root, device);
    } else {
        snprintf(path, sizeof(path), "%s/%.255s/ports/%u/hw_counters", root,
                 device, port);
    }

    dir = opendir(path);
    if (dir == NULL) {
        return errno;
    }

    counters->list  = NULL;
    counters->count = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (counters->count == room) {
            room = (room == 0) ? 32 : (room * 2);
            list = realloc(counters->list, room * sizeof(*list));
            if (list == NULL) {
                closedir(dir);
                hw_counters_free(counters);
                return ENOMEM;
            }
            counters->list = list;
        }
        counters->count += read_one(path, entry->d_name,
                                    &counters->list[counters->count]);
    }

    closedir(dir);
    if (counters->count == 0) {
        hw_counters_free(counters);
        return ENOENT;
    }

    qsort(counters->list, counters->count, sizeof(*counters->list), compare);
    return 0;
}

int hw_counters_gid(const char *device, uint8_t gid[16])
{
    char path[PATH_MAX], line[INET6_ADDRSTRLEN + 1] = "";
    FILE *file;
    int found;

    snprintf(path, sizeof(path), "/sys/class/infiniband/%.255s/ports/1/gids/0",
             device);
    file = fopen(path, "re");
    if (file == NULL) {
        return errno;
    }

    found = (fscanf(file, "%46s", line) == 1) &&
            (inet_pton(AF_INET6, line, gid) == 1);
    fclose(file);
    return found ? 0 : EINVAL;
}

void hw_counters_free(hw_counters_t *counters)
{
    free(counters->list);
    counters->list  = NULL;
    counters->count = 0;
}

const hw_counter_t *hw_counters_find(const hw_counters_t *counters,
                                     const char *name)
{
    unsigned i;

    for (i = 0; i < counters->count; ++i) {
        if (!strcmp(counters->list[i].name, name)) {
            return &counters->list[i];
        }
    }
    return NULL;
}
