/*
 * Can this process use an EFA device, and if not, why? The picture is in
 * efa_probe.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UCT_EFA_CDEV_DIR "/dev/infiniband"

/* Descriptors that listing and opening devices take at once, and some more */
#define UCT_EFA_FILES 8

/* Prints one warning for a process. The first device's trouble is everybody's,
 * and a second thread's line more would be no harm. */
#define uct_efa_probe_warn(_fmt, ...) \
    { \
        static int warned = 0; \
        \
        if (!__atomic_exchange_n(&warned, 1, __ATOMIC_RELAXED)) { \
            ucs_warn(_fmt, ##__VA_ARGS__); \
        } \
    }

/* First line of the file at `path`; 0 if it could be read. */
static int uct_efa_probe_read_file(const char *path, char *buffer, size_t max)
{
    ssize_t length;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }

    length = read(fd, buffer, max - 1);
    close(fd);
    if (length <= 0) {
        return -1;
    }

    buffer[length]                = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
    return 0;
}

/* dir: what has a `device` below it. 1: EFA, 0: not, -1: sysfs does not say. */
static int uct_efa_probe_is_efa_dir(const char *dir)
{
    char path[PATH_MAX], buffer[128];
    unsigned vendor;

    if (snprintf(path, sizeof(path), "%s/device/vendor", dir) >=
        (int)sizeof(path)) {
        return -1;
    }

    if (uct_efa_probe_read_file(path, buffer, sizeof(buffer)) == 0) {
        return strtoul(buffer, NULL, 16) == UCT_EFA_VENDOR_ID;
    }

    snprintf(path, sizeof(path), "%s/device/modalias", dir);
    if ((uct_efa_probe_read_file(path, buffer, sizeof(buffer)) == 0) &&
        (sscanf(buffer, "pci:v%8x", &vendor) == 1)) {
        return vendor == UCT_EFA_VENDOR_ID;
    }

    return -1;
}

/* Opens the device for a moment. Returns an errno, 0 if it can be used;
 * *is_efa_p is then what the device itself says. */
static int uct_efa_probe_try_open(struct ibv_device *ibv_device, int *is_efa_p)
{
    struct efadv_device_attr efa_attr;
    struct ibv_context *ctx;

    errno = 0;
    ctx   = ibv_open_device(ibv_device);
    if (ctx == NULL) {
        return (errno != 0) ? errno : EIO;
    }

    *is_efa_p = (efadv_query_device(ctx, &efa_attr, sizeof(efa_attr)) == 0);
    ibv_close_device(ctx);
    return 0;
}

/* stat() needs no descriptor */
int uct_efa_probe_check_files(void)
{
    int fds[UCT_EFA_FILES], err = 0;
    unsigned i;

    if (access(UCT_EFA_CDEV_DIR, F_OK) != 0) {
        return 0;
    }

    for (i = 0; (i < UCT_EFA_FILES) && (err == 0); ++i) {
        fds[i] = open("/", O_PATH | O_CLOEXEC);
        err    = (fds[i] < 0) ? errno : 0;
    }
    while (i-- > 0) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }

    if ((err != EMFILE) && (err != ENFILE)) {
        return 0;
    }

    uct_efa_probe_warn(
            "EFA devices cannot be used: %s; raise the limit of open files "
            "(`ulimit -n`)",
            strerror(err));
    return 1;
}

static void uct_efa_probe_warn_open(const char *name, const char *node, int err)
{
    switch (err) {
    case EACCES:
    case EPERM:
        uct_efa_probe_warn(
                "the EFA device %s cannot be used: no permission "
                "for " UCT_EFA_CDEV_DIR
                "/%s; make it readable and writable for this "
                "user (udev rule of the EFA installer, or `chmod 666`), and in "
                "a container allow the device with `--device=" UCT_EFA_CDEV_DIR
                "/%s`",
                name, node, node);
        break;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        uct_efa_probe_warn(
                "the EFA device %s cannot be used: " UCT_EFA_CDEV_DIR "/%s is "
                "missing; load the module ib_uverbs, and in a container add "
                "`--device=" UCT_EFA_CDEV_DIR "/%s`",
                name, node, node);
        break;
    case EOPNOTSUPP:
        uct_efa_probe_warn(
                "the EFA device %s cannot be used: libibverbs and its efa "
                "provider are too old for it (%s); update rdma-core",
                name, strerror(err));
        break;
    case EMFILE:
    case ENFILE:
        uct_efa_probe_warn(
                "the EFA device %s cannot be used: %s; raise the limit of open "
                "files (`ulimit -n`)",
                name, strerror(err));
        break;
    default:
        uct_efa_probe_warn(
                "the EFA device %s cannot be used: opening it failed: %s; look "
                "at the kernel log (dmesg) for messages of the efa driver",
                name, strerror(err));
        break;
    }
}

uct_efa_probe_t uct_efa_probe_device(struct ibv_device *ibv_device)
{
    const char *name = ibv_get_device_name(ibv_device);
    char node_path[PATH_MAX];
    int is_efa, err;

    is_efa = uct_efa_probe_is_efa_dir(ibv_device->ibdev_path);
    if (is_efa == 0) {
        return UCT_EFA_PROBE_NO;
    }

    snprintf(node_path, sizeof(node_path), UCT_EFA_CDEV_DIR "/%s",
             ibv_device->dev_name);
    if ((is_efa == 1) && (access(node_path, R_OK | W_OK) == 0)) {
        return UCT_EFA_PROBE_YES;
    }

    /* Rights are what open() says, access() is only the cheap way to a yes */
    err = uct_efa_probe_try_open(ibv_device, &is_efa);
    if (err == 0) {
        return is_efa ? UCT_EFA_PROBE_YES : UCT_EFA_PROBE_NO;
    }

    if (is_efa != 1) {
        return UCT_EFA_PROBE_NO;
    }

    /* libibverbs looks for another node of the same device when it may not
     * open the first, and tells how that went */
    if ((access(node_path, F_OK) == 0) &&
        (access(node_path, R_OK | W_OK) != 0)) {
        err = errno;
    }

    uct_efa_probe_warn_open(name, ibv_device->dev_name, err);
    return UCT_EFA_PROBE_UNUSABLE;
}

static int uct_efa_probe_is_listed(struct ibv_device **list, int num,
                                   const char *node)
{
    int i;

    for (i = 0; i < num; ++i) {
        if (strcmp(list[i]->dev_name, node) == 0) {
            return 1;
        }
    }

    return 0;
}

void uct_efa_probe_unlisted(struct ibv_device **list, int num)
{
    const char *sysfs = getenv("SYSFS_PATH"); /* as libibverbs looks for it */
    char path[PATH_MAX], node_path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/class/infiniband_verbs",
             (sysfs == NULL) ? "/sys" : sysfs);
    dir = opendir(path);
    if (dir == NULL) {
        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        if ((strncmp(entry->d_name, "uverbs", strlen("uverbs")) != 0) ||
            uct_efa_probe_is_listed(list, num, entry->d_name)) {
            continue;
        }

        if ((snprintf(path, sizeof(path), "%s/class/infiniband_verbs/%s",
                      (sysfs == NULL) ? "/sys" : sysfs,
                      entry->d_name) >= (int)sizeof(path)) ||
            (uct_efa_probe_is_efa_dir(path) != 1)) {
            continue;
        }

        snprintf(node_path, sizeof(node_path), UCT_EFA_CDEV_DIR "/%s",
                 entry->d_name);
        if (access(node_path, F_OK) != 0) {
            uct_efa_probe_warn_open(entry->d_name, entry->d_name, errno);
        } else if (!uct_efa_probe_check_files()) {
            uct_efa_probe_warn(
                    "the EFA device %s cannot be used: libibverbs has no "
                    "provider for it; install the package with libefa "
                    "(Debian: ibverbs-providers), and if it is there, update "
                    "it: the device is younger than its list of devices",
                    entry->d_name);
        }
    }

    closedir(dir);
}
