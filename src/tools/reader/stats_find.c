/*
 * Where stats segments lie: "ucx-efa.<pid>.<n>" in /dev/shm and
 * $XDG_RUNTIME_DIR.
 */
#include "tools/reader/stats_reader.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    uint32_t pid;
    uint32_t number;
    char     *path;
} found_t;

typedef struct {
    uint32_t pid;        /* wanted; 0: any  */
    found_t  *list;
    unsigned num;
    unsigned room;
    bool     foreign;    /* somebody else's */
    uint32_t foreign_uid;
} search_t;

/* "ucx-efa.<pid>.<n>" */
static bool is_segment_name(const char *name, uint32_t *pid, uint32_t *number)
{
    const size_t prefix = strlen(EFA_STATS_FILE_PREFIX);
    int length          = 0;

    return strncmp(name, EFA_STATS_FILE_PREFIX, prefix) == 0 &&
           sscanf(name + prefix, "%u.%u%n", pid, number, &length) == 2 &&
           name[prefix + (size_t)length] == '\0';
}

static void search_add(search_t *search, const found_t *found)
{
    unsigned room;
    found_t *list;

    if (search->num == search->room) {
        room = (search->room == 0) ? 64 : search->room * 2;
        list = realloc(search->list, room * sizeof(*list));
        if (list == NULL) {
            return;
        }
        search->list = list;
        search->room = room;
    }

    search->list[search->num]      = *found;
    search->list[search->num].path = strdup(found->path);
    if (search->list[search->num].path != NULL) {
        ++search->num;
    }
}

static void search_dir(search_t *search, const char *dir_path)
{
    char path[PATH_MAX];
    struct dirent *entry;
    struct stat st;
    found_t found;
    DIR *dir;

    dir = opendir(dir_path);
    if (dir == NULL) {
        return;
    }

    found.path = path;
    while ((entry = readdir(dir)) != NULL) {
        if (!is_segment_name(entry->d_name, &found.pid, &found.number) ||
            (search->pid != 0 && search->pid != found.pid) ||
            snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name) >=
                    (int)sizeof(path) ||
            lstat(path, &st) != 0) {
            continue;
        }
        if (st.st_uid == geteuid()) {
            search_add(search, &found);
        } else {
            search->foreign     = true;
            search->foreign_uid = st.st_uid;
        }
    }

    closedir(dir);
}

static void search_run(search_t *search)
{
    const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
    struct stat shm, dir;

    search_dir(search, "/dev/shm");
    /* That may be the same one, by another name */
    if (runtime_dir != NULL && stat(runtime_dir, &dir) == 0 &&
        (stat("/dev/shm", &shm) != 0 || shm.st_dev != dir.st_dev ||
         shm.st_ino != dir.st_ino)) {
        search_dir(search, runtime_dir);
    }
}

static void search_free(search_t *search)
{
    unsigned i;

    for (i = 0; i < search->num; ++i) {
        free(search->list[i].path);
    }
    free(search->list);
}

static int found_compare(const void *a, const void *b)
{
    const found_t *x = a, *y = b;

    return (x->pid != y->pid)       ? (x->pid < y->pid ? -1 : 1) :
           (x->number != y->number) ? (x->number < y->number ? -1 : 1) :
                                      strcmp(x->path, y->path);
}

unsigned stats_find(uint32_t pid, void (*func)(const char *path, void *arg),
                    void *arg)
{
    search_t search = {.pid = pid};
    unsigned i;

    search_run(&search);
    if (search.num > 0) {
        qsort(search.list, search.num, sizeof(*search.list), found_compare);
    }
    for (i = 0; i < search.num; ++i) {
        func(search.list[i].path, arg);
    }

    search_free(&search);
    return search.num;
}

bool stats_find_foreign(uint32_t pid, uint32_t *uid)
{
    search_t search = {.pid = pid};

    search_run(&search);
    *uid = search.foreign_uid;
    search_free(&search);
    return search.foreign;
}
