/* See fake_verbs.h. The signatures are libibverbs' own. */
#include "fake_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Inline functions and macros of verbs.h that stand before the symbols */
#undef ibv_get_device_list
#undef ibv_query_port
#undef ibv_reg_mr

fake_verbs_t fake_verbs;

static fake_device_t *fake_of(const struct ibv_device *device)
{
    int i;

    for (i = 0; i < FAKE_MAX_DEVICES; ++i) {
        if (strcmp(fake_verbs.devices[i].name, device->name) == 0) {
            return &fake_verbs.devices[i];
        }
    }

    abort();
}

/* Of /dev/infiniband there is what the test says, whatever this machine has */
int access(const char *path, int mode)
{
    static const char dir[] = "/dev/infiniband/";

    if (strncmp(path, dir, strlen(dir)) != 0) {
        return faccessat(AT_FDCWD, path, mode, 0);
    }
    if (strcmp(path + strlen(dir), fake_verbs.node) != 0) {
        errno = ENOENT;
        return -1;
    }
    if ((mode != F_OK) && (fake_verbs.node_errno != 0)) {
        errno = fake_verbs.node_errno;
        return -1;
    }
    return 0;
}

struct ibv_device **ibv_get_device_list(int *num_devices)
{
    struct ibv_device **list, *device;
    int count = 0;

    if (fake_verbs.list_errno != 0) {
        errno = fake_verbs.list_errno;
        return NULL;
    }

    list = calloc(FAKE_MAX_DEVICES + 1, sizeof(*list));
    while ((count < FAKE_MAX_DEVICES) &&
           (fake_verbs.devices[count].name[0] != '\0')) {
        device = calloc(1, sizeof(*device));
        strcpy(device->name, fake_verbs.devices[count].name);
        strcpy(device->dev_name, fake_verbs.devices[count].node);
        strcpy(device->ibdev_path, fake_verbs.devices[count].sysfs);
        list[count++] = device;
    }

    if (num_devices != NULL) {
        *num_devices = count;
    }
    ++fake_verbs.num_lists;
    return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
    int i;

    for (i = 0; list[i] != NULL; ++i) {
        free(list[i]);
    }
    free(list);
    --fake_verbs.num_lists;
}

const char *ibv_get_device_name(struct ibv_device *device)
{
    return device->name;
}

/* A context outlives the list its device came from */
struct ibv_context *ibv_open_device(struct ibv_device *device)
{
    fake_device_t *fake = fake_of(device);
    struct ibv_context *ctx;

    ++fake_verbs.opens;
    if (fake->open_errno != 0) {
        errno = fake->open_errno;
        return NULL;
    }

    ctx          = calloc(1, sizeof(*ctx));
    ctx->device  = malloc(sizeof(*device));
    *ctx->device = *device;
    ++fake_verbs.num_contexts;
    return ctx;
}

int ibv_close_device(struct ibv_context *ctx)
{
    free(ctx->device);
    free(ctx);
    --fake_verbs.num_contexts;
    return 0;
}

/* Devices are reset, nothing else happens to them */
int ibv_get_async_event(struct ibv_context *ctx, struct ibv_async_event *event)
{
    (void)ctx;
    if (fake_verbs.num_fatal == 0) {
        errno = EAGAIN;
        return -1;
    }

    --fake_verbs.num_fatal;
    memset(event, 0, sizeof(*event));
    event->event_type = IBV_EVENT_DEVICE_FATAL;
    return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
    (void)event;
}

int ibv_query_device(struct ibv_context *ctx, struct ibv_device_attr *attr)
{
    *attr = fake_of(ctx->device)->attr;
    return 0;
}

int efadv_query_device(struct ibv_context *ctx, struct efadv_device_attr *attr,
                       uint32_t inlen)
{
    if (!fake_of(ctx->device)->is_efa || (inlen < sizeof(*attr))) {
        return EOPNOTSUPP;
    }

    *attr = fake_of(ctx->device)->efa;
    return 0;
}

int ibv_query_port(struct ibv_context *ctx, uint8_t port_num,
                   struct _compat_ibv_port_attr *attr)
{
    if (port_num != 1) {
        return EINVAL;
    } else if (fake_verbs.query_errno != 0) {
        return fake_verbs.query_errno;
    }

    memcpy(attr, &fake_of(ctx->device)->port, sizeof(struct ibv_port_attr));
    return 0;
}

int ibv_query_gid(struct ibv_context *ctx, uint8_t port_num, int index,
                  union ibv_gid *gid)
{
    (void)ctx;
    if ((port_num != 1) || (index != 0)) {
        errno = EINVAL;
        return -1;
    }

    memset(gid, 0x5a, sizeof(*gid));
    return 0;
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *ctx)
{
    struct ibv_pd *pd;

    if (fake_verbs.pd_errno != 0) {
        errno = fake_verbs.pd_errno;
        return NULL;
    }

    pd          = calloc(1, sizeof(*pd));
    pd->context = ctx;
    ++fake_verbs.num_pds;
    return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
    free(pd);
    --fake_verbs.num_pds;
    return 0;
}

static struct ibv_mr *fake_mr(struct ibv_pd *pd, void *address, size_t length,
                              int access, int dmabuf_fd, uint64_t offset)
{
    struct ibv_mr *mr;

    mr                       = calloc(1, sizeof(*mr));
    mr->context              = pd->context;
    mr->pd                   = pd;
    mr->addr                 = address;
    mr->length               = length;
    mr->lkey                 = 0x1234;
    mr->rkey                 = 0xfedcba98;
    fake_verbs.reg_access    = access;
    fake_verbs.reg_address   = address;
    fake_verbs.reg_length    = length;
    fake_verbs.reg_dmabuf_fd = dmabuf_fd;
    fake_verbs.reg_offset    = offset;
    ++fake_verbs.num_regs;
    ++fake_verbs.num_mrs;
    return mr;
}

static int fake_is_read_only(const char *address, size_t length)
{
    const size_t page     = 4096;
    const char *read_only = fake_verbs.read_only_page;

    return fake_verbs.reg_read_only ||
           ((read_only != NULL) && (address < (read_only + page)) &&
            (read_only < (address + length)));
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *address, size_t length,
                                uint64_t iova, unsigned access)
{
    (void)iova;
    if (fake_verbs.reg_errno != 0) {
        errno = fake_verbs.reg_errno;
        return NULL;
    }
    if ((fake_verbs.reg_max != 0) && (length > fake_verbs.reg_max)) {
        errno = ENOMEM;
        return NULL;
    }
    if ((access & IBV_ACCESS_LOCAL_WRITE) &&
        fake_is_read_only(address, length)) {
        errno = EFAULT;
        return NULL;
    }

    return fake_mr(pd, address, length, (int)access, -1, 0);
}

struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset,
                                 size_t length, uint64_t iova, int fd,
                                 int access)
{
    if (fake_verbs.dmabuf_errno != 0) {
        errno = fake_verbs.dmabuf_errno;
        return NULL;
    }
    if (fcntl(fd, F_GETFD) < 0) {
        errno = EBADF;
        return NULL;
    }

    return fake_mr(pd, (void *)(uintptr_t)iova, length, access, fd, offset);
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t length,
                          int access)
{
    return ibv_reg_mr_iova2(pd, address, length, (uintptr_t)address,
                            (unsigned)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
    free(mr);
    --fake_verbs.num_mrs;
    return 0;
}
