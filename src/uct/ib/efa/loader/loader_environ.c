#define _GNU_SOURCE
#include "loader_environ.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* setenv() may move the array and free the old one, which crashes a getenv()
 * that goes through it in another thread: those of Open MPI's PMIx do while UCX
 * starts. Here the old one stays, and readers find in it what was there. */
void loader_environ_add(char *entry)
{
    size_t length = strcspn(entry, "=") + 1;
    char **copy;
    size_t count;

    for (count = 0; (environ != NULL) && (environ[count] != NULL); ++count) {
        if (!strncmp(environ[count], entry, length)) {
            return;
        }
    }

    copy = malloc((count + 2) * sizeof(*copy));
    if (copy == NULL) {
        return;
    }

    if (count > 0) {
        memcpy(copy, environ, count * sizeof(*copy));
    }
    copy[count]     = entry;
    copy[count + 1] = NULL;
    __atomic_store_n(&environ, copy, __ATOMIC_RELEASE);
}
