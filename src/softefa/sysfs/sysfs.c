/*
 * The device's files.
 *
 *   asked for                              found in <fabric>/sys/<tree>
 *   /sys/class/infiniband_verbs            class/infiniband_verbs
 *   /sys/class/infiniband                  class/infiniband
 *   /sys/bus/pci/devices/0000:00:1e.0      devices/pci0000:00/0000:00:1e.0
 *   /sys/devices/pci0000:00/0000:00:1e.0   devices/pci0000:00/0000:00:1e.0
 *   /dev/infiniband                        cdev
 *
 * Device N is PCI slot 0x1e - N. Links are relative as in the real /sys, so a
 * program that walks them arrives at the PCI device and reads its NUMA node.
 * A tree is made under a temporary name and renamed when complete; processes
 * with equal options share it. Modification times must not change afterwards:
 * libibverbs tells devices apart by them.
 */
#define _GNU_SOURCE
#include "sysfs/sysfs.h"
#include "nic/counters.h"
#include "sysfs/counters_file.h"
#include "fabric/fabric.h"
#include "faults/fault.h"
#include "base/log.h"
#include "config/options.h"
#include "nic/port.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

#define DEV_DIR     "/dev/infiniband"
#define PCI_DEVICES "/sys/bus/pci/devices/"
#define PCI_BUS     "/sys/devices/pci0000:00/"

/* The two lists of devices, below class */
#define LIST_IB     "infiniband"
#define LIST_VERBS  "infiniband_verbs"

enum {
    PCI_FIRST_SLOT = 0x1e,
    /* Newest id that rdma-core 44 knows. Where the kernel names the driver by
     * netlink, libibverbs does not look at ids at all; here it has nothing
     * else. All other files and queries give the true id. */
    MODALIAS_MAX   = 0xefa2
};

typedef struct {
    int  status;             /* first error, 0: none */
    char root[PATH_MAX / 4]; /* of the tree that is being made */
} builder_t;

static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
static char tree_root[PATH_MAX / 4]; /* empty: not made yet */
static int tree_error;               /* why it cannot be: said once, not tried
                                        again for every path */

/* ---- making the tree ---- */

static int build_path(builder_t *builder, const char *format, va_list args,
                      char path[PATH_MAX])
{
    int length;

    if (builder->status != 0) {
        return -1;
    }

    length = snprintf(path, PATH_MAX, "%s/", builder->root);
    if (vsnprintf(path + length, PATH_MAX - length, format, args) >=
        PATH_MAX - length) {
        builder->status = ENAMETOOLONG;
        return -1;
    }

    return 0;
}

__attribute__((format(printf, 2, 3)))
static void build_dir(builder_t *builder, const char *format, ...)
{
    char path[PATH_MAX], *end;
    int more;
    va_list args;

    va_start(args, format);
    if (build_path(builder, format, args, path) == 0) {
        end = path + strlen(builder->root);
        do {
            more = (*end == '/');
            *end = '\0';
            if (mkdir(path, 0700) && (errno != EEXIST)) {
                builder->status = errno;
            }
            if (more) {
                *end = '/';
                end  = strchrnul(end + 1, '/');
            }
        } while (more);
    }
    va_end(args);
}

/* text: the content without its newline, then the format of the path. */
__attribute__((format(printf, 3, 4)))
static void build_file(builder_t *builder, const char *text,
                       const char *format, ...)
{
    char path[PATH_MAX], line[256];
    va_list args;
    int fd, length;

    va_start(args, format);
    if (build_path(builder, format, args, path) == 0) {
        length = snprintf(line, sizeof(line), "%s%s", text,
                          (text[0] == '\0') ? "" : "\n");
        fd     = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
                            O_CLOEXEC, 0600);
        if (fd < 0) {
            builder->status = errno;
        } else {
            if (write(fd, line, length) != length) {
                builder->status = ENOSPC;
            }
            close(fd);
        }
    }
    va_end(args);
}

__attribute__((format(printf, 3, 4)))
static void build_link(builder_t *builder, const char *target,
                       const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    if ((build_path(builder, format, args, path) == 0) &&
        symlink(target, path)) {
        builder->status = errno;
    }
    va_end(args);
}

__attribute__((format(printf, 1, 2)))
static const char *text(const char *format, ...)
{
    static __thread char buf[160];
    va_list args;

    va_start(args, format);
    vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    return buf;
}

static const char *words(const uint8_t *bytes, int num_words)
{
    static __thread char buf[64];
    int i;

    for (i = 0; i < num_words; ++i) {
        sprintf(buf + 5 * i, "%02x%02x%s", bytes[2 * i], bytes[2 * i + 1],
                (i < num_words - 1) ? ":" : "");
    }
    return buf;
}

/* Their values are written when they are asked for (counters_file.c). */
static void build_counters(builder_t *builder, softefa_counters_t which,
                           const char *ib, const char *port)
{
    const char *name;
    unsigned i;

    build_dir(builder, "%s%s/hw_counters", ib, port);
    build_file(builder, "10", "%s%s/hw_counters/lifespan", ib, port);
    for (i = 0; (name = softefa_counter_name(which, i)) != NULL; ++i) {
        build_file(builder, "0", "%s%s/hw_counters/%s", ib, port, name);
    }
}

static void build_device(builder_t *builder, const softefa_profile_t *profile,
                         unsigned i)
{
    static const struct {
        const char *name;
        const char *value;
    } port_files[] = {
        {"state", "4: ACTIVE"}, {"phys_state", "5: LinkUp"},
        {"lid", "0x0"},         {"lid_mask_count", "1"},
        {"sm_lid", "0x0"},      {"sm_sl", "0"},
        {"cap_mask", "0x00000000"}, {"link_layer", "Unknown"},
        {"pkeys/0", "0xffff"},  {"gid_attrs/types/0", "IB/RoCE v1"},
    };
    unsigned modalias = (profile->pci_device < MODALIAS_MAX) ?
                        profile->pci_device : MODALIAS_MAX;
    char pci[64], ib[96], slot[32];
    uint8_t gid[16];
    size_t f;

    snprintf(slot, sizeof(slot), "0000:00:%02x.0", PCI_FIRST_SLOT - i);
    snprintf(pci, sizeof(pci), "devices/pci0000:00/%s", slot);
    snprintf(ib, sizeof(ib), "%s/infiniband/efa_%u", pci, i);
    softefa_fabric_gid(i, gid);

    build_dir(builder, "%s", pci);
    build_file(builder, "0x1d0f", "%s/vendor", pci);
    build_file(builder, text("0x%04x", profile->pci_device), "%s/device", pci);
    build_file(builder, "0x1d0f", "%s/subsystem_vendor", pci);
    build_file(builder, text("0x%04x", profile->pci_device),
               "%s/subsystem_device", pci);
    build_file(builder, "0x020000", "%s/class", pci);
    build_file(builder, "0x00", "%s/revision", pci);
    build_file(builder, text("pci:v00001D0Fd%08Xsv00001D0Fsd%08Xbc02sc00i00",
                             modalias, profile->pci_device),
               "%s/modalias", pci);
    build_file(builder, "0", "%s/numa_node", pci);
    build_file(builder, text("%s GT/s PCIe", (profile->link_gbps > 200) ?
                             "32.0" : "16.0"), "%s/current_link_speed", pci);
    build_file(builder, "16", "%s/current_link_width", pci);
    build_link(builder, "../../../bus/pci", "%s/subsystem", pci);
    build_link(builder, "../../../bus/pci/drivers/efa", "%s/driver", pci);

    build_dir(builder, "%s/infiniband_verbs/uverbs%u", pci, i);
    build_file(builder, text("efa_%u", i), "%s/infiniband_verbs/uverbs%u/ibdev",
               pci, i);
    build_file(builder, "1", "%s/infiniband_verbs/uverbs%u/abi_version", pci,
               i);
    build_file(builder, text("%u:%u", SOFTEFA_UVERBS_MAJOR,
                             SOFTEFA_UVERBS_MINOR + i),
               "%s/infiniband_verbs/uverbs%u/dev", pci, i);
    build_link(builder, text("../../../%s", slot),
               "%s/infiniband_verbs/uverbs%u/device", pci, i);

    build_dir(builder, "%s/ports/1/pkeys", ib);
    build_dir(builder, "%s/ports/1/gids", ib);
    build_dir(builder, "%s/ports/1/gid_attrs/types", ib);
    build_file(builder, "7: unspecified", "%s/node_type", ib);
    build_file(builder, words(gid + 8, 4), "%s/node_guid", ib);
    build_file(builder, "0000:0000:0000:0000", "%s/sys_image_guid", ib);
    build_file(builder, "", "%s/node_desc", ib);
    build_link(builder, text("../../../%s", slot), "%s/device", ib);
    build_file(builder, words(gid, 8), "%s/ports/1/gids/0", ib);
    build_file(builder, softefa_port_rate(profile), "%s/ports/1/rate", ib);
    for (f = 0; f < ARRAY_SIZE(port_files); ++f) {
        build_file(builder, port_files[f].value, "%s/ports/1/%s", ib,
                   port_files[f].name);
    }

    build_counters(builder, SOFTEFA_COUNTERS_DEVICE, ib, "");
    build_counters(builder, SOFTEFA_COUNTERS_PORT, ib, "/ports/1");

    build_link(builder, text("../../../%s", pci), "bus/pci/devices/%s", slot);
    build_file(builder, "", "cdev/uverbs%u", i);
}

/* The list `name`, in the directory `dir`: links to the devices that live. */
static void build_list(builder_t *builder, const softefa_options_t *options,
                       const char *name, const char *dir)
{
    bool verbs = !strcmp(name, LIST_VERBS);
    unsigned i;

    build_dir(builder, "class/%s", dir);
    if (verbs) {
        build_file(builder, "6", "class/%s/abi_version", dir);
    }

    /* tmpfs lists the newest first, libibverbs turns that around twice */
    for (i = options->devices; i-- > 0;) {
        if (softefa_device_lives(i)) {
            build_link(builder, text("../../devices/pci0000:00/0000:00:%02x.0/"
                                     "%s/%s%u", PCI_FIRST_SLOT - i, name,
                                     verbs ? "uverbs" : "efa_", i),
                       "class/%s/%s%u", dir, verbs ? "uverbs" : "efa_", i);
        }
    }
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void softefa_sysfs_clean(const char *fabric_dir)
{
    char path[sizeof(tree_root)];

    if (snprintf(path, sizeof(path), "%s/sys", fabric_dir) <
        (int)sizeof(path)) {
        remove_tree(path);
    }
}

/* Makes the tree and moves it to `root`, unless it is there already. */
static int tree_build(const softefa_options_t *options, const char *root,
                      const char *tmp)
{
    builder_t builder = {};
    unsigned i;

    if (snprintf(builder.root, sizeof(builder.root), "%s", tmp) >=
        (int)sizeof(builder.root)) {
        return ENAMETOOLONG;
    }

    build_dir(&builder, "bus/pci/devices");
    build_dir(&builder, "bus/pci/drivers/efa");
    build_dir(&builder, "cdev");
    for (i = 0; i < options->devices; ++i) {
        build_device(&builder, &options->profile, i);
    }
    build_list(&builder, options, LIST_IB, LIST_IB);
    build_list(&builder, options, LIST_VERBS, LIST_VERBS);

    if ((builder.status == 0) && rename(tmp, root) && (errno != ENOTEMPTY) &&
        (errno != EEXIST)) {
        builder.status = errno;
    }

    /* what is left when it failed, or when another process was faster */
    if (access(tmp, F_OK) == 0) {
        remove_tree(tmp);
    }
    return builder.status;
}

/* Locked. Makes a list anew and puts it in place of the old one at once. */
static int tree_relist(const softefa_options_t *options, const char *name)
{
    builder_t builder = {};
    char path[PATH_MAX], tmp[PATH_MAX], dir[32];

    snprintf(builder.root, sizeof(builder.root), "%s", tree_root);
    snprintf(path, sizeof(path), "%s/class/%s", tree_root, name);
    snprintf(dir, sizeof(dir), ".%d", (int)getpid());
    snprintf(tmp, sizeof(tmp), "%s/class/%s", tree_root, dir);
    build_list(&builder, options, name, dir);
    if ((builder.status == 0) &&
        (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) < 0)) {
        builder.status = errno;
    }

    remove_tree(tmp);
    return builder.status;
}

/* Locked. Takes a dead device from the lists, and puts it there again when it
 * has returned. Whoever looks first does so, for all. */
static void tree_list_living(const softefa_options_t *options)
{
    static const char *const lists[][2] = {
        {LIST_IB, "efa_"}, {LIST_VERBS, "uverbs"}
    };
    char path[PATH_MAX];
    bool changed;
    unsigned i;
    size_t j;
    int ret;

    for (j = 0; j < ARRAY_SIZE(lists); ++j) {
        for (i = 0, changed = false; i < options->devices; ++i) {
            if (softefa_fabric.shm->fate[i].life != 0) {
                snprintf(path, sizeof(path), "%s/class/%s/%s%u", tree_root,
                         lists[j][0], lists[j][1], i);
                changed |= ((access(path, F_OK) == 0) !=
                            softefa_device_lives(i));
            }
        }

        ret = changed ? tree_relist(options, lists[j][0]) : 0;
        if (ret != 0) {
            softefa_error("cannot list the devices anew in %s: %s", tree_root,
                          strerror(ret));
        }
    }
}

/* Locked. The tree's directory, made if need be. The fabric's directory goes
 * away with the last process in it, so what was made may be gone. */
static const char *tree_get(const softefa_options_t *options)
{
    char tmp[sizeof(tree_root) + 64];
    const char *dir;
    int length, ret;

    dir = softefa_fabric_dir();
    if (dir == NULL) {
        errno = ENODEV;
        return NULL;
    }

    length = snprintf(tree_root, sizeof(tree_root), "%s/sys/%s.%u", dir,
                      options->profile.name, options->devices);
    if (length >= (int)sizeof(tree_root)) {
        errno = ENAMETOOLONG;
        return NULL;
    }

    if (access(tree_root, F_OK) == 0) {
        tree_list_living(options);
        return tree_root;
    }

    snprintf(tmp, sizeof(tmp), "%s/sys/.%d.%p", dir, (int)getpid(),
             (void*)&length);
    snprintf(tree_root, sizeof(tree_root), "%s/sys", dir);
    ret = (mkdir(tree_root, 0700) && (errno != EEXIST)) ? errno : 0;
    snprintf(tree_root, sizeof(tree_root), "%s/sys/%s.%u", dir,
             options->profile.name, options->devices);
    if (ret == 0) {
        ret = tree_build(options, tree_root, tmp);
    }
    if (ret != 0) {
        softefa_error("cannot make the device's files in %s: %s", tree_root,
                      strerror(ret));
        errno = ret;
        return NULL;
    }

    tree_list_living(options);
    return tree_root;
}

/* ---- paths ---- */

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

    i = PCI_FIRST_SLOT - slot;
    return (slot <= PCI_FIRST_SLOT) && (i < options->devices);
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

    for (i = 0; i < ARRAY_SIZE(prefix_table); ++i) {
        rest = path_rest(path, prefix_table[i].prefix);
        if ((rest != NULL) && (softefa_options() != NULL)) {
            *dir = prefix_table[i].dir;
            return rest;
        }
    }

    for (i = 0; i < ARRAY_SIZE(pci_table); ++i) {
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

static void tree_fork_child(void)
{
    pthread_mutex_init(&tree_lock, NULL);
}

static void tree_fork_init(void)
{
    pthread_atfork(NULL, NULL, tree_fork_child);
}

const char *softefa_path_rewrite(const char *path, char buf[PATH_MAX])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *rest, *dir, *root;
    int saved_errno = errno;
    int length      = 0;

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

    pthread_once(&once, tree_fork_init);
    pthread_mutex_lock(&tree_lock);
    root = (tree_error == 0) ? tree_get(softefa_options()) : NULL;
    if (root != NULL) {
        length = snprintf(buf, PATH_MAX, "%s/%s%s", root, dir, rest);
        if (length < PATH_MAX) {
            softefa_counters_refresh(buf, root);
        }
    } else {
        tree_error = (tree_error == 0) ? errno : tree_error;
        errno      = tree_error;
    }
    pthread_mutex_unlock(&tree_lock);
    if (root == NULL) {
        return NULL;
    }

    if (length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return NULL;
    }

    errno = saved_errno;
    return buf;
}

void softefa_path_restore(char path[PATH_MAX])
{
    char root[PATH_MAX], copy[PATH_MAX];
    const char *rest, *dev;

    pthread_mutex_lock(&tree_lock);
    if ((tree_root[0] == '\0') || (realpath(tree_root, root) == NULL)) {
        root[0] = '\0';
    }
    pthread_mutex_unlock(&tree_lock);

    rest = (root[0] == '\0') ? NULL : path_rest(path, root);
    if (rest != NULL) {
        dev = path_rest(rest, "/cdev");
        strcpy(copy, (dev != NULL) ? dev : rest);
        snprintf(path, PATH_MAX, "%s%.*s", (dev != NULL) ? DEV_DIR : "/sys",
                 PATH_MAX - 32, copy);
    }
}
