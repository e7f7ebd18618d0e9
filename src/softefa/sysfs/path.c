/*
 * Which paths lead into the tree.
 *
 *   asked for                              found in the tree
 *   /sys/class/infiniband_verbs            class/infiniband_verbs
 *   /sys/class/infiniband                  class/infiniband
 *   /sys/bus/pci/devices/0000:00:1e.0      devices/pci0000:00/0000:00:1e.0
 *   /sys/devices/pci0000:00/0000:00:1e.0   devices/pci0000:00/0000:00:1e.0
 *   /dev/infiniband                        cdev
 */
#define _GNU_SOURCE
#include "sysfs/path.h"
#include "base/util.h"
#include "config/options.h"
#include "sysfs/build.h"
#include "sysfs/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEV_DIR     "/dev/infiniband"
#define PCI_DEVICES "/sys/bus/pci/devices/"
#define PCI_BUS     "/sys/devices/pci0000:00/"

/* The rest of path after prefix, if prefix is a whole number of components. */
static const char *path_rest(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);

    if (strncmp(path, prefix, length)) {
        return NULL;
    }

    path += length;
    return ((*path == '\0') || (*path == '/')) ? path : NULL;
}

/* "0000:00:1e.0" and what follows: one of our devices? */
static int path_is_pci_device(const char *name,
                              const softefa_options_t *options)
{
    unsigned slot, i;
    int length = 0;

    if ((sscanf(name, "0000:00:%2x.0%n", &slot, &length) != 1) ||
        (length == 0) || ((name[length] != '\0') && (name[length] != '/'))) {
        return 0;
    }

    i = SOFTEFA_PCI_FIRST_SLOT - slot;
    return (slot <= SOFTEFA_PCI_FIRST_SLOT) && (i < options->devices);
}

/* Splits path into the tree's directory and the rest. NULL: not ours. */
static const char *path_match(const char *path, const char **dir)
{
    static const struct {
        const char *prefix;
        const char *dir;
    } prefix_table[] = {
        {"/sys/class/infiniband_verbs", "class/infiniband_verbs"},
        {"/sys/class/infiniband", "class/infiniband"},
        {DEV_DIR, "cdev"},
    };
    static const struct {
        const char *prefix;
        const char *dir;
    } pci_table[] = {
        {PCI_DEVICES, "bus/pci/devices/"},
        {PCI_BUS, "devices/pci0000:00/"},
    };
    const softefa_options_t *options;
    const char *rest;
    size_t i, length;

    for (i = 0; i < SOFTEFA_ARRAY_SIZE(prefix_table); ++i) {
        rest = path_rest(path, prefix_table[i].prefix);
        if ((rest != NULL) && (softefa_options() != NULL)) {
            *dir = prefix_table[i].dir;
            return rest;
        }
    }

    for (i = 0; i < SOFTEFA_ARRAY_SIZE(pci_table); ++i) {
        length = strlen(pci_table[i].prefix);
        if (!strncmp(path, pci_table[i].prefix, length)) {
            options = softefa_options();
            if ((options != NULL) &&
                path_is_pci_device(path + length, options)) {
                *dir = pci_table[i].dir;
                return path + length;
            }
        }
    }

    return NULL;
}

int softefa_path_uverbs(const char *path)
{
    const softefa_options_t *options;
    unsigned index;
    int length = 0;

    if ((path == NULL) || strncmp(path, DEV_DIR, sizeof(DEV_DIR) - 1) ||
        (sscanf(path, DEV_DIR "/uverbs%3u%n", &index, &length) != 1) ||
        (path[length] != '\0')) {
        return -1;
    }

    options = softefa_options();
    return ((options != NULL) && (index < options->devices)) ? (int)index : -1;
}

const char *softefa_path_rewrite(const char *path, char buf[PATH_MAX])
{
    int saved_errno = errno;
    const char *rest, *dir;
    int ret;

    if (path == NULL) {
        errno = EFAULT;
        return NULL;
    }

    if (strncmp(path, "/sys/", 5) &&
        strncmp(path, DEV_DIR, sizeof(DEV_DIR) - 1)) {
        return path;
    }

    rest = path_match(path, &dir);
    if (rest == NULL) {
        errno = saved_errno;
        return path;
    }

    ret = softefa_tree_file(dir, rest, buf);
    if (ret != 0) {
        errno = ret;
        return NULL;
    }

    errno = saved_errno;
    return buf;
}

void softefa_path_restore(char path[PATH_MAX])
{
    char root[PATH_MAX], copy[PATH_MAX];
    const char *rest, *dev;

    rest = softefa_tree_root(root) ? path_rest(path, root) : NULL;
    if (rest != NULL) {
        dev = path_rest(rest, "/cdev");
        strcpy(copy, (dev != NULL) ? dev : rest);
        snprintf(path, PATH_MAX, "%s%.*s", (dev != NULL) ? DEV_DIR : "/sys",
                 PATH_MAX - 32, copy);
    }
}
