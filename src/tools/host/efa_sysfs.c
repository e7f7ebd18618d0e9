/*
 * EFA devices in sysfs: see efa_sysfs.h.
 */
#include "tools/host/efa_sysfs.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One hexadecimal number of a device; 0 where there is none. */
static unsigned efa_sysfs_read_hex(const char *name, const char *attribute)
{
    char path[PATH_MAX];
    unsigned value = 0;
    FILE *file;

    snprintf(path, sizeof(path), EFA_SYSFS_DIR "/%.64s/device/%s", name,
             attribute);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%x", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    return value;
}

bool efa_sysfs_is_efa(const char *name, unsigned *id)
{
    *id = efa_sysfs_read_hex(name, "device");
    return (efa_sysfs_read_hex(name, "vendor") == 0x1d0f) &&
           ((*id & ~0xfu) == 0xefa0);
}

static int efa_sysfs_compare(const void *a, const void *b)
{
    return strverscmp(a, b);
}

unsigned efa_sysfs_list(char names[EFA_SYSFS_MAX][EFA_SYSFS_NAME])
{
    unsigned count = 0;
    struct dirent *entry;
    unsigned id;
    DIR *dir;

    dir = opendir(EFA_SYSFS_DIR);
    if (dir == NULL) {
        return 0;
    }

    while ((count < EFA_SYSFS_MAX) && ((entry = readdir(dir)) != NULL)) {
        if ((entry->d_name[0] != '.') &&
            (strlen(entry->d_name) < EFA_SYSFS_NAME) &&
            efa_sysfs_is_efa(entry->d_name, &id)) {
            strcpy(names[count++], entry->d_name);
        }
    }

    closedir(dir);
    qsort(names, count, sizeof(names[0]), efa_sysfs_compare);
    return count;
}
