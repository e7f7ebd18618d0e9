/* See build.h. */
#define _GNU_SOURCE
#include "sysfs/build.h"
#include "base/util.h"
#include "fabric/fabric.h"
#include "nic/counters.h"
#include "nic/device.h"
#include "nic/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* Newest id that rdma-core 44 knows. Where the kernel names the driver by
     * netlink, libibverbs does not look at ids at all; here it has nothing
     * else. All other files and queries give the true id. */
    MODALIAS_MAX = 0xefa2
};

static int build_path(softefa_build_t *builder, const char *format,
                      va_list args, char path[PATH_MAX])
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

__attribute__((format(printf, 2, 3))) void
softefa_build_dir(softefa_build_t *builder, const char *format, ...)
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
__attribute__((format(printf, 3, 4))) static void
build_file(softefa_build_t *builder, const char *text, const char *format, ...)
{
    char path[PATH_MAX], line[256];
    va_list args;
    int fd, length;

    va_start(args, format);
    if (build_path(builder, format, args, path) == 0) {
        length = snprintf(line, sizeof(line), "%s%s", text,
                          (text[0] == '\0') ? "" : "\n");
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600);
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

__attribute__((format(printf, 3, 4))) static void
build_link(softefa_build_t *builder, const char *target, const char *format,
           ...)
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

__attribute__((format(printf, 1, 2))) static const char *
build_text(const char *format, ...)
{
    static __thread char buf[160];
    va_list args;

    va_start(args, format);
    vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    return buf;
}

static const char *build_words(const uint8_t *bytes, int num_words)
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
static void build_counters(softefa_build_t *builder, softefa_counters_t which,
                           const char *ib, const char *port)
{
    const char *name;
    unsigned i;

    softefa_build_dir(builder, "%s%s/hw_counters", ib, port);
    build_file(builder, "10", "%s%s/hw_counters/lifespan", ib, port);
    for (i = 0; (name = softefa_counters_name(which, i)) != NULL; ++i) {
        build_file(builder, "0", "%s%s/hw_counters/%s", ib, port, name);
    }
}

void softefa_build_device(softefa_build_t *builder,
                          const softefa_profile_t *profile, unsigned i)
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
                                profile->pci_device :
                                MODALIAS_MAX;
    char pci[64], ib[96], slot[32];
    uint8_t gid[16];
    size_t f;

    snprintf(slot, sizeof(slot), "0000:00:%02x.0", SOFTEFA_PCI_FIRST_SLOT - i);
    snprintf(pci, sizeof(pci), "devices/pci0000:00/%s", slot);
    snprintf(ib, sizeof(ib), "%s/infiniband/efa_%u", pci, i);
    softefa_fabric_gid(i, gid);

    softefa_build_dir(builder, "%s", pci);
    build_file(builder, "0x1d0f", "%s/vendor", pci);
    build_file(builder, build_text("0x%04x", profile->pci_device), "%s/device",
               pci);
    build_file(builder, "0x1d0f", "%s/subsystem_vendor", pci);
    build_file(builder, build_text("0x%04x", profile->pci_device),
               "%s/subsystem_device", pci);
    build_file(builder, "0x020000", "%s/class", pci);
    build_file(builder, "0x00", "%s/revision", pci);
    build_file(builder,
               build_text("pci:v00001D0Fd%08Xsv00001D0Fsd%08Xbc02sc00i00",
                          modalias, profile->pci_device),
               "%s/modalias", pci);
    build_file(builder, "0", "%s/numa_node", pci);
    build_file(builder,
               (profile->link_gbps > 200) ? "32.0 GT/s PCIe" : "16.0 GT/s PCIe",
               "%s/current_link_speed", pci);
    build_file(builder, "16", "%s/current_link_width", pci);
    build_link(builder, "../../../bus/pci", "%s/subsystem", pci);
    build_link(builder, "../../../bus/pci/drivers/efa", "%s/driver", pci);

    softefa_build_dir(builder, "%s/infiniband_verbs/uverbs%u", pci, i);
    build_file(builder, build_text("efa_%u", i),
               "%s/infiniband_verbs/uverbs%u/ibdev", pci, i);
    build_file(builder, "1", "%s/infiniband_verbs/uverbs%u/abi_version", pci,
               i);
    build_file(builder,
               build_text("%u:%u", SOFTEFA_UVERBS_MAJOR,
                          SOFTEFA_UVERBS_MINOR + i),
               "%s/infiniband_verbs/uverbs%u/dev", pci, i);
    build_link(builder, build_text("../../../%s", slot),
               "%s/infiniband_verbs/uverbs%u/device", pci, i);

    softefa_build_dir(builder, "%s/ports/1/pkeys", ib);
    softefa_build_dir(builder, "%s/ports/1/gids", ib);
    softefa_build_dir(builder, "%s/ports/1/gid_attrs/types", ib);
    build_file(builder, "7: unspecified", "%s/node_type", ib);
    build_file(builder, build_words(gid + 8, 4), "%s/node_guid", ib);
    build_file(builder, "0000:0000:0000:0000", "%s/sys_image_guid", ib);
    build_file(builder, "", "%s/node_desc", ib);
    build_link(builder, build_text("../../../%s", slot), "%s/device", ib);
    build_file(builder, build_words(gid, 8), "%s/ports/1/gids/0", ib);
    build_file(builder, softefa_port_rate(profile), "%s/ports/1/rate", ib);
    for (f = 0; f < SOFTEFA_ARRAY_SIZE(port_files); ++f) {
        build_file(builder, port_files[f].value, "%s/ports/1/%s", ib,
                   port_files[f].name);
    }

    build_counters(builder, SOFTEFA_COUNTERS_DEVICE, ib, "");
    build_counters(builder, SOFTEFA_COUNTERS_PORT, ib, "/ports/1");

    build_link(builder, build_text("../../../%s", pci), "bus/pci/devices/%s",
               slot);
    build_file(builder, "", "cdev/uverbs%u", i);
}

/* The list `name`, in the directory `dir`: links to the devices that live. */
void softefa_build_list(softefa_build_t *builder,
                        const softefa_options_t *options, const char *name,
                        const char *dir)
{
    bool verbs = !strcmp(name, SOFTEFA_LIST_VERBS);
    unsigned i;

    softefa_build_dir(builder, "class/%s", dir);
    if (verbs) {
        build_file(builder, "6", "class/%s/abi_version", dir);
    }

    /* tmpfs lists the newest first, libibverbs turns that around twice */
    for (i = options->devices; i-- > 0;) {
        if (softefa_device_alive(i)) {
            build_link(builder,
                       build_text("../../devices/pci0000:00/0000:00:%02x.0/"
                                  "%s/%s%u",
                                  SOFTEFA_PCI_FIRST_SLOT - i, name,
                                  verbs ? "uverbs" : "efa_", i),
                       "class/%s/%s%u", dir, verbs ? "uverbs" : "efa_", i);
        }
    }
}
