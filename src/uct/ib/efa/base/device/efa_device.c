/*
 * What the device can do: asked once, when the memory domain opens.
 *
 *   ibv_query_device     vendor, generation (vendor_part_id), limits
 *   efadv_query_device   inline size, SGEs, capabilities
 *   ibv_query_port       max_msg_sz, speed
 *   ibv_query_gid        our address
 *   sysfs                PCI address and the CPUs near it
 *
 * Device facts used here are in docs/device-facts.md.
 */
#include "base/ucx/ucx_compat.h"
#include "base/device/efa_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Capability bits that came after rdma-core 44, the oldest one supported:
 * RDMA write with v46. The numbers are ABI. */
#define UCT_EFA_CAP_RDMA_WRITE (1u << 3)

#ifdef HAVE_EFADV_RDMA_WRITE
static_assert(UCT_EFA_CAP_RDMA_WRITE == EFADV_DEVICE_ATTR_CAPS_RDMA_WRITE,
              "RDMA write as in efadv.h");
#endif

enum {
    UCT_EFA_PART_0 = 0xefa0,
    UCT_EFA_PART_1 = 0xefa1,
    UCT_EFA_PART_2 = 0xefa2,
    UCT_EFA_PART_3 = 0xefa3
};

#define UCT_EFA_GBPS(_gbps) ((_gbps) * 1e9 / 8)

double uct_efa_device_port_bandwidth(uint8_t active_speed, uint8_t active_width)
{
    double lane_gbps;
    unsigned lanes;

    /* Nominal rates: the kernel's encoding of a link speed multiplies to the
     * speed it was made from (4X EDR is 100, 8X HDR 400 Gb/s). */
    switch (active_speed) {
    case 1: /* SDR */
        lane_gbps = 2.5;
        break;
    case 2: /* DDR */
        lane_gbps = 5;
        break;
    case 4: /* QDR */
    case 8: /* FDR10 */
        lane_gbps = 10;
        break;
    case 16: /* FDR */
        lane_gbps = 14;
        break;
    case 32: /* EDR */
        lane_gbps = 25;
        break;
    case 64: /* HDR */
        lane_gbps = 50;
        break;
    case 128: /* NDR */
        lane_gbps = 100;
        break;
    default:
        return 0;
    }

    switch (active_width) {
    case 1:
        lanes = 1;
        break;
    case 2:
        lanes = 4;
        break;
    case 4:
        lanes = 8;
        break;
    case 8:
        lanes = 12;
        break;
    case 16:
        lanes = 2;
        break;
    default:
        return 0;
    }

    return UCT_EFA_GBPS(lane_gbps * lanes);
}

double uct_efa_device_latency(uint32_t vendor_part_id)
{
    switch (vendor_part_id) {
    case UCT_EFA_PART_0:
        return 18e-6;
    case UCT_EFA_PART_1:
        return 15e-6;
    default: /* 0xefa2 and what comes after it */
        return 12e-6;
    }
}

/* Kernels before 6.13 say 100 Gb/s for every device: correct the generations
 * that are known to be faster. */
static double uct_efa_device_bandwidth(uint32_t vendor_part_id,
                                       double port_bandwidth)
{
    const double old_kernel = UCT_EFA_GBPS(100);

    if (port_bandwidth == 0) {
        port_bandwidth = old_kernel;
    }

    if (port_bandwidth == old_kernel) {
        switch (vendor_part_id) {
        case UCT_EFA_PART_2:
            return UCT_EFA_GBPS(200);
        case UCT_EFA_PART_3:
            return UCT_EFA_GBPS(400);
        default:
            break;
        }
    }

    return port_bandwidth;
}

/* First line of <sysfs>/class/infiniband/<dev>/device/<name>; -1: none. */
static int uct_efa_device_read_sysfs(const struct ibv_device *ibv_device,
                                     const char *name, char *buffer, size_t max)
{
    char path[PATH_MAX];
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "%s/device/%s", ibv_device->ibdev_path, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }

    length = read(fd, buffer, max - 1);
    close(fd);
    if (length < 0) {
        return -1;
    }

    buffer[length]                = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
    return 0;
}

/* The PCI function behind the verbs device, as UCS knows it. */
static ucs_sys_device_t
uct_efa_device_sys_dev(const struct ibv_device *ibv_device)
{
    ucs_sys_device_t sys_dev;
    unsigned domain, bus, slot, function;
    char path[PATH_MAX], target[PATH_MAX];
    const char *bdf;
    ssize_t length;

    snprintf(path, sizeof(path), "%s/device", ibv_device->ibdev_path);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0) {
        return UCS_SYS_DEVICE_ID_UNKNOWN;
    }

    target[length] = '\0';
    bdf            = strrchr(target, '/');
    bdf            = (bdf == NULL) ? target : (bdf + 1);
    if ((sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4) ||
        (ucs_topo_find_device_by_bdf_name(bdf, &sys_dev) != UCS_OK)) {
        return UCS_SYS_DEVICE_ID_UNKNOWN;
    }

    return sys_dev;
}

/* local_cpus is a list of 32-bit hexadecimal words, the highest CPUs first:
 * "0000ffff,ffffffff". Unknown: every CPU is as near as the others. */
static void uct_efa_device_local_cpus(const struct ibv_device *ibv_device,
                                      ucs_cpu_set_t *cpus)
{
    const unsigned word_bits = 32;
    int found                = 0;
    unsigned long word;
    unsigned base, bit;
    char buffer[4096], *comma, *token;

    UCS_CPU_ZERO(cpus);
    if (uct_efa_device_read_sysfs(ibv_device, "local_cpus", buffer,
                                  sizeof(buffer)) == 0) {
        for (base = 0; buffer[0] != '\0'; base += word_bits) {
            comma = strrchr(buffer, ',');
            token = (comma == NULL) ? buffer : (comma + 1);
            word  = strtoul(token, NULL, 16);
            for (bit = 0; bit < word_bits; ++bit) {
                if (word & (1ul << bit)) {
                    UCS_CPU_SET(base + bit, cpus);
                    found = 1;
                }
            }
            *((comma == NULL) ? buffer : comma) = '\0';
        }
    }

    if (!found) {
        memset(cpus, 0xff, sizeof(*cpus));
    }
}

static ucs_status_t uct_efa_device_query_port(struct ibv_context *ctx,
                                              uct_efa_device_t *dev)
{
    const char *name = ibv_get_device_name(ctx->device);
    int ret;

    ret = ibv_query_port(ctx, UCT_EFA_PORT_NUM, &dev->port);
    if (ret != 0) {
        ucs_error("cannot query port %d of %s: %s", UCT_EFA_PORT_NUM, name,
                  strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    if (dev->port.state != IBV_PORT_ACTIVE) {
        ucs_error("port %d of %s is not active (%s): look at the kernel log "
                  "(dmesg) for messages of the efa driver",
                  UCT_EFA_PORT_NUM, name, ibv_port_state_str(dev->port.state));
        return UCS_ERR_NO_DEVICE;
    }

    ret = ibv_query_gid(ctx, UCT_EFA_PORT_NUM, UCT_EFA_GID_INDEX, &dev->gid);
    if (ret != 0) {
        ucs_error("cannot query the address (GID %d) of %s: %s",
                  UCT_EFA_GID_INDEX, name, strerror(errno));
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}

ucs_status_t uct_efa_device_query(struct ibv_context *ctx,
                                  uct_efa_device_t *dev)
{
    const char *name = ibv_get_device_name(ctx->device);
    ucs_status_t status;
    int ret;

    memset(dev, 0, sizeof(*dev));

    ret = ibv_query_device(ctx, &dev->attr);
    if (ret != 0) {
        ucs_error("cannot query %s: %s", name, strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    ret = efadv_query_device(ctx, &dev->efa, sizeof(dev->efa));
    if (ret != 0) {
        ucs_error("%s does not answer as an EFA device: %s; the efa kernel "
                  "driver and the provider of rdma-core must be 5.2 and v26 "
                  "or later",
                  name, strerror(ret));
        return UCS_ERR_UNSUPPORTED;
    }

    status = uct_efa_device_query_port(ctx, dev);
    if (status != UCS_OK) {
        return status;
    }

    dev->max_msg_sz     = dev->port.max_msg_sz;
    dev->max_inline     = dev->efa.inline_buf_size;
    dev->has_rdma_read  = !!(dev->efa.device_caps &
                            EFADV_DEVICE_ATTR_CAPS_RDMA_READ);
    dev->has_rnr_retry  = !!(dev->efa.device_caps &
                            EFADV_DEVICE_ATTR_CAPS_RNR_RETRY);
    dev->has_sgid       = !!(dev->efa.device_caps &
                       EFADV_DEVICE_ATTR_CAPS_CQ_WITH_SGID);
    dev->has_rdma_write = !!(dev->efa.device_caps & UCT_EFA_CAP_RDMA_WRITE);
    dev->bandwidth      = uct_efa_device_bandwidth(
                 dev->attr.vendor_part_id,
                 uct_efa_device_port_bandwidth(dev->port.active_speed,
                                               dev->port.active_width));
    dev->latency = uct_efa_device_latency(dev->attr.vendor_part_id);
    dev->sys_dev = uct_efa_device_sys_dev(ctx->device);
    uct_efa_device_local_cpus(ctx->device, &dev->local_cpus);

    ucs_debug("%s: part 0x%x max_msg_sz %zu inline %u caps 0x%x "
              "speed %.0f Gb/s sys_dev %d",
              name, dev->attr.vendor_part_id, dev->max_msg_sz, dev->max_inline,
              dev->efa.device_caps, dev->bandwidth * 8e-9, dev->sys_dev);
    return UCS_OK;
}
