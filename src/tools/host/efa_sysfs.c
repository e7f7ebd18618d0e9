/*
 * EFA devices in sysfs: see efa_sysfs.h.
 */
#include "tools/host/efa_sysfs.h"

#include "uct/ib/efa/loader/efa_pci.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int efa_sysfs_compare(const void *a, const void *b)
{
    return strverscmp(a, b);
}

unsigned efa_sysfs_list(char names[EFA_SYSFS_MAX][EFA_SYSFS_NAME])
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir;

    dir = opendir(EFA_SYSFS_DIR);
    if (dir == NULL) {
        return 0;
    }

    while ((count < EFA_SYSFS_MAX) && ((entry = readdir(dir)) != NULL)) {
        if ((entry->d_name[0] != '.') &&
            (strlen(entry->d_name) < EFA_SYSFS_NAME) &&
            ucx_efa_pci_is_efa(EFA_SYSFS_DIR, entry->d_name)) {
            strcpy(names[count++], entry->d_name);
        }
    }

    closedir(dir);
    qsort(names, count, sizeof(names[0]), efa_sysfs_compare);
    return count;
}
