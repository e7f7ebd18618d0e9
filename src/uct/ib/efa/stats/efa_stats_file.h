/*
 * The file of a stats segment, as its owner has it.
 *
 *   map:   [header][record][record]...[record]|          |          (hole)
 *                                             ^used      ^backed    ^size
 *
 * The whole size is mapped, but pages are asked for from the file system in
 * steps, with posix_fallocate(), before anybody touches them: a full /dev/shm
 * is then an answer, and not a SIGBUS.
 *
 * After fork() the child has the mapping, too. The file is its parent's: it is
 * "mine" only in the process that made it.
 */
#ifndef UCT_EFA_STATS_FILE_H
#define UCT_EFA_STATS_FILE_H

#include "stats/efa_stats_format.h"

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    char     *map;                    /* NULL: no file                      */
    int      fd;                      /* holds the lock                     */
    pid_t    pid;                     /* that made it                       */
    int      keep;                    /* not removed by destroy and unlink  */
    size_t   used, backed;            /* bytes                              */
    unsigned count;                   /* <n> of the next file's name        */
    char     path[PATH_MAX];          /* "" if there is none                */
} uct_efa_stats_file_t;

/* Removes what dead processes of this user left in the directory, and makes a
 * file. If that fails there is none; the reason goes to the debug log. */
void uct_efa_stats_file_create(uct_efa_stats_file_t *file, int keep);
void uct_efa_stats_file_destroy(uct_efa_stats_file_t *file);

/* Takes only the name away, from a mapping that may still be in use. */
void uct_efa_stats_file_unlink(uct_efa_stats_file_t *file);

int uct_efa_stats_file_is_mine(const uct_efa_stats_file_t *file);
int uct_efa_stats_file_contains(const uct_efa_stats_file_t *file,
                                const void *block);

/* Zeroed room for `length` bytes behind the last record; NULL: none. Readers
 * go there after publish, for which the new records must have lengths. */
void *uct_efa_stats_file_extend(uct_efa_stats_file_t *file, size_t length);
void uct_efa_stats_file_publish(uct_efa_stats_file_t *file);

static inline efa_stats_header_t *
uct_efa_stats_file_header(uct_efa_stats_file_t *file)
{
    return (efa_stats_header_t *)file->map;
}

#endif
