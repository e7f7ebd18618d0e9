/*
 * The component: finds the EFA devices that this process can use.
 *
 *   sysfs: a verbs device of Amazon's vendor id?
 *     no  -> not ours, not a word
 *     yes -> in libibverbs' list?
 *              no  -> node missing, or provider missing: one warning
 *              yes -> can be opened?
 *                       no  -> one warning with the reason
 *                       yes -> a memory domain resource
 *
 * A host without EFA hears nothing, whatever else is broken on it. Warnings
 * come once in a process, however often UCX asks.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"

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
#define uct_efa_component_warn(_fmt, ...) \
    { \
        static int warned = 0; \
        \
        if (!__atomic_exchange_n(&warned, 1, __ATOMIC_RELAXED)) { \
            ucs_warn(_fmt, ##__VA_ARGS__); \
        } \
    }

/* First line of the file at `path`; 0 if it could be read. */
static int uct_efa_component_read_file(const char *path, char *buffer,
                                       size_t max)
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
static int uct_efa_component_is_efa_dir(const char *dir)
{
    char path[PATH_MAX], buffer[128];
    unsigned vendor;

    if (snprintf(path, sizeof(path), "%s/device/vendor", dir) >=
        (int)sizeof(path)) {
        return -1;
    }

    if (uct_efa_component_read_file(path, buffer, sizeof(buffer)) == 0) {
        return strtoul(buffer, NULL, 16) == UCT_EFA_VENDOR_ID;
    }

    snprintf(path, sizeof(path), "%s/device/modalias", dir);
    if ((uct_efa_component_read_file(path, buffer, sizeof(buffer)) == 0) &&
        (sscanf(buffer, "pci:v%8x", &vendor) == 1)) {
        return vendor == UCT_EFA_VENDOR_ID;
    }

    return -1;
}

/* Opens the device for a moment. Returns an errno, 0 if it can be used;
 * *is_efa_p is then what the device itself says. */
static int
uct_efa_component_try_open(struct ibv_device *ibv_device, int *is_efa_p)
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

/* libibverbs leaves devices out, without a word, if it cannot open their files:
 * says so if this may be the reason. stat() needs no descriptor. */
static int uct_efa_component_is_out_of_files(void)
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

    uct_efa_component_warn(
            "EFA devices cannot be used: %s; raise the limit of open files "
            "(`ulimit -n`)",
            strerror(err));
    return 1;
}

static void uct_efa_component_warn_open(const char *name, const char *node,
                                        int err)
{
    switch (err) {
    case EACCES:
    case EPERM:
        uct_efa_component_warn(
                "the EFA device %s cannot be used: no permission for "
                UCT_EFA_CDEV_DIR "/%s; make it readable and writable for this "
                "user (udev rule of the EFA installer, or `chmod 666`), and in "
                "a container allow the device with `--device="
                UCT_EFA_CDEV_DIR "/%s`",
                name, node, node);
        break;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        uct_efa_component_warn(
                "the EFA device %s cannot be used: " UCT_EFA_CDEV_DIR "/%s is "
                "missing; load the module ib_uverbs, and in a container add "
                "`--device=" UCT_EFA_CDEV_DIR "/%s`",
                name, node, node);
        break;
    case EOPNOTSUPP:
        uct_efa_component_warn(
                "the EFA device %s cannot be used: libibverbs and its efa "
                "provider are too old for it (%s); update rdma-core",
                name, strerror(err));
        break;
    case EMFILE:
    case ENFILE:
        uct_efa_component_warn(
                "the EFA device %s cannot be used: %s; raise the limit of open "
                "files (`ulimit -n`)",
                name, strerror(err));
        break;
    default:
        uct_efa_component_warn(
                "the EFA device %s cannot be used: opening it failed: %s; look "
                "at the kernel log (dmesg) for messages of the efa driver",
                name, strerror(err));
        break;
    }
}

static uct_efa_probe_t uct_efa_component_probe(struct ibv_device *ibv_device)
{
    const char *name = ibv_get_device_name(ibv_device);
    char node_path[PATH_MAX];
    int is_efa, err;

    is_efa = uct_efa_component_is_efa_dir(ibv_device->ibdev_path);
    if (is_efa == 0) {
        return UCT_EFA_PROBE_NO;
    }

    snprintf(node_path, sizeof(node_path), UCT_EFA_CDEV_DIR "/%s",
             ibv_device->dev_name);
    if ((is_efa == 1) && (access(node_path, R_OK | W_OK) == 0)) {
        return UCT_EFA_PROBE_YES;
    }

    /* Rights are what open() says, access() is only the cheap way to a yes */
    err = uct_efa_component_try_open(ibv_device, &is_efa);
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

    uct_efa_component_warn_open(name, ibv_device->dev_name, err);
    return UCT_EFA_PROBE_UNUSABLE;
}

static int
uct_efa_component_is_listed(struct ibv_device **list, int num, const char *node)
{
    int i;

    for (i = 0; i < num; ++i) {
        if (strcmp(list[i]->dev_name, node) == 0) {
            return 1;
        }
    }

    return 0;
}

/* EFA devices that the kernel has and libibverbs does not list */
static void uct_efa_component_check_unlisted(struct ibv_device **list, int num)
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
            uct_efa_component_is_listed(list, num, entry->d_name)) {
            continue;
        }

        if ((snprintf(path, sizeof(path), "%s/class/infiniband_verbs/%s",
                      (sysfs == NULL) ? "/sys" : sysfs,
                      entry->d_name) >= (int)sizeof(path)) ||
            (uct_efa_component_is_efa_dir(path) != 1)) {
            continue;
        }

        snprintf(node_path, sizeof(node_path), UCT_EFA_CDEV_DIR "/%s",
                 entry->d_name);
        if (access(node_path, F_OK) != 0) {
            uct_efa_component_warn_open(entry->d_name, entry->d_name, errno);
        } else if (!uct_efa_component_is_out_of_files()) {
            uct_efa_component_warn(
                    "the EFA device %s cannot be used: libibverbs has no "
                    "provider for it; install the package with libefa "
                    "(Debian: ibverbs-providers), and if it is there, update "
                    "it: the device is younger than its list of devices",
                    entry->d_name);
        }
    }

    closedir(dir);
}

static ucs_status_t
uct_efa_query_md_resources(uct_component_t *component,
                           uct_md_resource_desc_t **resources_p,
                           unsigned *num_resources_p)
{
    uct_md_resource_desc_t *resources;
    struct ibv_device **list;
    unsigned count = 0;
    int i, num     = 0;

    (void)component;

    uct_efa_sole_srd(&uct_efa_component);

    list = ibv_get_device_list(&num);
    if (list == NULL) {
        uct_efa_component_is_out_of_files();
        /* No verbs in this kernel */
        return uct_md_query_empty_md_resource(resources_p, num_resources_p);
    }

    uct_efa_component_check_unlisted(list, num);

    resources = ucs_calloc(ucs_max(num, 1), sizeof(*resources),
                           "efa_md_resources");
    if (resources == NULL) {
        ucs_error("cannot allocate a list of %d devices", num);
        ibv_free_device_list(list);
        return UCS_ERR_NO_MEMORY;
    }

    for (i = 0; i < num; ++i) {
        if (uct_efa_component_probe(list[i]) == UCT_EFA_PROBE_YES) {
            ucs_snprintf_zero(resources[count].md_name,
                              sizeof(resources[count].md_name), "%s",
                              ibv_get_device_name(list[i]));
            ++count;
        }
    }

    ibv_free_device_list(list);

    if (count == 0) {
        uct_efa_component_is_out_of_files();
        ucs_free(resources);
        return uct_md_query_empty_md_resource(resources_p, num_resources_p);
    }

    *resources_p     = resources;
    *num_resources_p = count;
    return UCS_OK;
}

static ucs_status_t uct_efa_cm_open(uct_component_t *component,
                                    uct_worker_h worker,
                                    const uct_cm_config_t *config,
                                    uct_cm_h *cm_p)
{
    (void)component;
    (void)worker;
    (void)config;
    (void)cm_p;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_rkey_ptr(uct_component_t *component,
                                     uct_rkey_t rkey, void *handle,
                                     uint64_t remote_addr, void **local_addr_p)
{
    (void)component;
    (void)rkey;
    (void)handle;
    (void)remote_addr;
    (void)local_addr_p;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_rkey_release(uct_component_t *component,
                                         uct_rkey_t rkey, void *handle)
{
    (void)component;
    (void)rkey;
    (void)handle;
    return UCS_OK;
}

static void uct_efa_md_vfs_init(uct_md_h md)
{
    (void)md;
}

UCT_EFA_RKEY_UNPACK_DEFINE(uct_efa_component_rkey_unpack, uct_efa_rkey_unpack)

/* Registered together with its transport, by srd_iface.c. Not `efa`: that is a
 * module of UCX's ib. */
uct_component_t uct_efa_component = {
    .name               = "efasrd",
    .query_md_resources = uct_efa_query_md_resources,
    .md_open            = uct_efa_md_open,
    .cm_open            = uct_efa_cm_open,
    .rkey_unpack        = uct_efa_component_rkey_unpack,
    .rkey_ptr           = uct_efa_rkey_ptr,
    .rkey_release       = uct_efa_rkey_release,
    UCT_EFA_COMPONENT_RKEY_COMPARE
    .md_config          = {
        .name           = "EFA memory domain",
        .prefix         = "EFA_",
        .table          = uct_efa_md_config_table,
        .size           = sizeof(uct_efa_md_config_t)
    },
    .cm_config          = UCS_CONFIG_EMPTY_GLOBAL_LIST_ENTRY,
    .tl_list            = UCT_COMPONENT_TL_LIST_INITIALIZER(&uct_efa_component),
    .flags              = 0,
    .md_vfs_init        = uct_efa_md_vfs_init
};
