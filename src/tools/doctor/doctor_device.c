/*
 * srdtool doctor: the NIC: sysfs, permission, provider, capabilities.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/doctor/doctor.h"
#include "tools/host/hw_counters.h"
#include "uct/ib/efa/loader/efa_pci.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a PCI device of EFA's is there, with or without its driver. */
static bool device_on_pci(void)
{
    bool found = false;
    char path[PATH_MAX], line[32];
    glob_t paths;
    size_t i;

    if (glob("/sys/bus/pci/devices/*/vendor", 0, NULL, &paths) != 0) {
        return false;
    }

    for (i = 0; !found && (i < paths.gl_pathc); ++i) {
        if (!doctor_file_line(paths.gl_pathv[i], line, sizeof(line)) ||
            (strtoul(line, NULL, 16) != 0x1d0f)) {
            continue;
        }
        snprintf(path, sizeof(path), "%.*sdevice",
                 (int)(strlen(paths.gl_pathv[i]) - strlen("vendor")),
                 paths.gl_pathv[i]);
        found = doctor_file_line(path, line, sizeof(line)) &&
                ((strtoul(line, NULL, 16) & ~0xful) == 0xefa0);
    }

    globfree(&paths);
    return found;
}

static void device_missing(doctor_t *doctor)
{
    if (doctor->device != NULL) {
        report_add(
                &doctor->report, REPORT_FAIL, "device",
                (doctor->num_devices > 0) ?
                        "name one of those in /sys/class/infiniband, or none" :
                        "ls /sys/class/infiniband",
                "%s is no EFA device of this machine (%u %s)", doctor->device,
                doctor->num_devices, (doctor->num_devices == 1) ? "is" : "are");
    } else if (doctor->soft) {
        report_add(&doctor->report, REPORT_FAIL, "device",
                   "what its line on stderr says; the settings are the "
                   "SOFTEFA_* in the environment (efarun --help)",
                   "Soft-EFA is preloaded, but has no device");
    } else if (device_on_pci()) {
        report_add(&doctor->report, REPORT_FAIL, "device",
                   "modprobe efa; in a container: give it /dev/infiniband "
                   "and the host's /sys",
                   "an EFA device is on the PCI bus, but not in "
                   "/sys/class/infiniband: the driver efa does not run");
    } else {
        report_add(&doctor->report, REPORT_FAIL, "device",
                   "use an instance type with EFA and attach a network "
                   "interface of type EFA; without one: efarun --soft -- "
                   "COMMAND, here efarun --soft -- srdtool doctor",
                   "no EFA device (PCI 1d0f:efa0 to efa4) in this machine");
    }
}

/* The uverbs number of a device, or -1. */
static int device_uverbs(const char *device)
{
    char path[PATH_MAX], line[64];
    struct dirent *entry;
    int number = -1, n;
    DIR *dir;

    dir = opendir("/sys/class/infiniband_verbs");
    if (dir == NULL) {
        return -1;
    }

    while ((number < 0) && ((entry = readdir(dir)) != NULL)) {
        if (sscanf(entry->d_name, "uverbs%d", &n) != 1) {
            continue;
        }
        snprintf(path, sizeof(path), "/sys/class/infiniband_verbs/%s/ibdev",
                 entry->d_name);
        if (doctor_file_line(path, line, sizeof(line)) &&
            !strcmp(line, device)) {
            number = n;
        }
    }

    closedir(dir);
    return number;
}

/* Returns 0, or an errno with a line in the report. */
static int device_permission(doctor_t *doctor, const char *device)
{
    int number = device_uverbs(device);
    char path[64];
    int fd, error;

    if (number < 0) {
        report_add(&doctor->report, REPORT_FAIL, "permission",
                   "modprobe ib_uverbs",
                   "%s has no entry in /sys/class/infiniband_verbs", device);
        return ENOENT;
    }

    snprintf(path, sizeof(path), "/dev/infiniband/uverbs%d", number);
    fd    = open(path, O_RDWR | O_CLOEXEC);
    error = errno;
    if (fd >= 0) {
        close(fd);
        return 0;
    }

    if (error == ENOENT) {
        report_add(&doctor->report, REPORT_FAIL, "permission",
                   "modprobe ib_uverbs; in a container: give it the device "
                   "(docker run --device /dev/infiniband/..., EFA's device "
                   "plugin of Kubernetes)",
                   "%s (%s) does not exist", path, device);
    } else {
        report_add(
                &doctor->report, REPORT_FAIL, "permission",
                (error == EACCES) || (error == EPERM) ?
                        "chmod 0666 on it, as rdma-core's udev rules do; in a "
                        "container: its cgroup must allow the device" :
                        "look at the kernel log (dmesg)",
                "%s (%s) cannot be opened: %s", path, device, strerror(error));
    }
    return error;
}

/* Of the device that was asked for, or of all up to the first that cannot. */
static void device_permissions(doctor_t *doctor, bool all)
{
    unsigned i;

    for (i = 0; i < doctor->num_devices; ++i) {
        if ((all || !strcmp(doctor->devices[i], doctor->device)) &&
            (device_permission(doctor, doctor->devices[i]) != 0)) {
            return;
        }
    }

    report_add(&doctor->report, REPORT_OK, "permission", NULL,
               "%s can be opened",
               all ? "every /dev/infiniband/uverbs of them" :
                     "its /dev/infiniband/uverbs");
}

void doctor_device_find(doctor_t *doctor)
{
    char list[EFA_SYSFS_MAX * (EFA_SYSFS_NAME + 1)] = "";
    bool found                                      = false;
    unsigned i, id;
    bool all;

    doctor->num_devices = efa_sysfs_list(doctor->devices);
    for (i = 0; i < doctor->num_devices; ++i) {
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
                 (i == 0) ? "" : " ", doctor->devices[i]);
        if ((doctor->device == NULL) ||
            !strcmp(doctor->device, doctor->devices[i])) {
            found = true;
        }
    }

    if (!found) {
        device_missing(doctor);
        return;
    }

    all = (doctor->device == NULL);
    if (all) {
        doctor->device = doctor->devices[0];
    }
    id = ucx_efa_pci_number(EFA_SYSFS_DIR, doctor->device, "device");
    report_fact_string(&doctor->report, "devices", list);
    report_fact_int(&doctor->report, "pci_id", id);
    report_add(&doctor->report, REPORT_OK, "device", NULL,
               "%u EFA%s: %s (PCI 1d0f:%04x)%s", doctor->num_devices,
               (doctor->num_devices == 1) ? "" : "s", list, id,
               doctor->soft ? ", Soft-EFA" : "");
    device_permissions(doctor, all);
}

/* "44.0" of ".../libibverbs.so.1.14.44.0", where the library lies. */
static void provider_version(void *library, char *dir, size_t max,
                             char *version, size_t version_max)
{
    char path[PATH_MAX], *name;
    struct link_map *map;
    unsigned a, b, c;
    int skip = 0;

    snprintf(version, version_max, "of unknown version");
    dir[0] = '\0';
    if ((dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) ||
        (realpath(map->l_name, path) == NULL)) {
        return;
    }

    name  = strrchr(path, '/');
    *name = '\0';
    snprintf(dir, max, "%s", path);
    if (sscanf(name + 1, "libibverbs.so.%u.%u.%n%u", &a, &b, &skip, &c) == 3) {
        snprintf(version, version_max, "%s", name + 1 + skip);
    }
}

void doctor_device_provider(doctor_t *doctor)
{
    char error[256], dir[PATH_MAX], version[64], pattern[PATH_MAX + 64];
    const char *file = NULL;
    glob_t files     = {0};
    void *library;
    size_t i;

    if (verbs_dl_open(&doctor->dl, error, sizeof(error)) != 0) {
        report_add(&doctor->report, REPORT_FAIL, "provider",
                   "install rdma-core's libibverbs and EFA provider (Debian: "
                   "ibverbs-providers)",
                   "%s", error);
        return;
    }

    doctor->has_dl = true;
    provider_version(doctor->dl.verbs, dir, sizeof(dir), version,
                     sizeof(version));

    /* The provider's file name ends with the private ABI's number, so that the
     * one of another rdma-core is not found here, or fails to load. */
    snprintf(pattern, sizeof(pattern), "%s/libibverbs/libefa-rdmav*.so", dir);
    if (glob(pattern, 0, NULL, &files) != 0) {
        report_add(&doctor->report, REPORT_FAIL, "provider",
                   "install the EFA provider of the same rdma-core (Debian: "
                   "ibverbs-providers)",
                   "libibverbs %s has no provider for EFA: no %s", version,
                   pattern);
        return;
    }

    for (i = 0; (file == NULL) && (i < files.gl_pathc); ++i) {
        library = dlopen(files.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
        file    = (library != NULL) ? files.gl_pathv[i] : NULL;
    }
    if (file == NULL) {
        report_add(&doctor->report, REPORT_FAIL, "provider",
                   "libibverbs and provider are of different rdma-core "
                   "versions: install one of them",
                   "%s", dlerror());
    } else if ((access("/etc/libibverbs.d/efa.driver", R_OK) != 0) &&
               (getenv("IBV_DRIVERS") == NULL)) {
        report_add(&doctor->report, REPORT_WARN, "provider",
                   "if libibverbs does not find the device: echo 'driver efa' "
                   "> /etc/libibverbs.d/efa.driver",
                   "rdma-core %s, %s; no /etc/libibverbs.d/efa.driver", version,
                   strrchr(file, '/') + 1);
    } else {
        report_fact_string(&doctor->report, "rdma_core", version);
        report_add(&doctor->report, REPORT_OK, "provider", NULL,
                   "rdma-core %s, %s", version, strrchr(file, '/') + 1);
    }
    globfree(&files);
}

void doctor_device_abilities(doctor_t *doctor)
{
    verbs_ep_t ep;
    int ret;

    if (!doctor->has_dl || (doctor->device == NULL) ||
        (doctor->num_devices == 0)) {
        report_add(&doctor->report, REPORT_SKIP, "abilities", NULL,
                   "no device or no provider");
        return;
    }

    ret = verbs_ep_open(&ep, &doctor->dl, doctor->device);
    if (ret != 0) {
        report_add(&doctor->report, REPORT_FAIL, "abilities",
                   (ret == ENODEV) ?
                           "the device was removed, or is being reset: look at "
                           "the "
                           "kernel log (dmesg)" :
                           "see the checks above; ibv_devinfo -v says more",
                   "%s: %s", doctor->device, ep.failed);
        return;
    }

    report_fact_int(&doctor->report, "device_caps", ep.attr.device_caps);
    report_fact_int(&doctor->report, "max_sq_wr", ep.attr.max_sq_wr);
    report_fact_int(&doctor->report, "max_rq_wr", ep.attr.max_rq_wr);
    report_fact_int(&doctor->report, "max_rdma_size", ep.attr.max_rdma_size);
    report_add(&doctor->report, ep.has_read ? REPORT_OK : REPORT_WARN,
               "abilities",
               ep.has_read ? NULL :
                             "large messages are copied: slower, nothing else",
               "RDMA read %s, RDMA write %s, %u sends and %u receives a queue",
               ep.has_read ? "yes" : "no",
               ep.has_write ? "yes" :
                              "no (older device, or rdma-core before 46)",
               ep.attr.max_sq_wr, ep.attr.max_rq_wr);
    verbs_ep_close(&ep);
}

void doctor_device_counters(doctor_t *doctor)
{
    hw_counters_t counters;
    int ret;

    if (doctor->num_devices == 0) {
        report_add(&doctor->report, REPORT_SKIP, "counters", NULL, "no device");
        return;
    }

    ret = hw_counters_read(doctor->device, 1, &counters);
    if (ret == 0) {
        report_fact_int(&doctor->report, "count", counters.count);
        report_add(&doctor->report, REPORT_OK, "counters", NULL,
                   "%u of %s can be read (srdtool stat)", counters.count,
                   doctor->device);
        hw_counters_free(&counters);
    } else {
        report_add(&doctor->report, REPORT_WARN, "counters",
                   "nothing depends on them; in a container: mount /sys",
                   "/sys/class/infiniband/%s/ports/1/hw_counters: %s",
                   doctor->device, strerror(ret));
    }
}
