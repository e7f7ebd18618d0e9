/*
 * See verbs_ep.h.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/host/efa_sysfs.h"
#include "tools/verbs/verbs_ep.h"
#include "uct/ib/efa/loader/efa_pci.h"
#include "stats/efa_status.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

/* Of efadv_device_attr.device_caps; rdma-core 44 has no name for the last. */
enum {
    EP_CAP_RDMA_READ  = 1 << 0,
    EP_CAP_RDMA_WRITE = 1 << 3
};

#ifdef HAVE_EFADV_RDMA_WRITE
static_assert((int)EP_CAP_RDMA_WRITE == (int)EFADV_DEVICE_ATTR_CAPS_RDMA_WRITE,
              "RDMA write as in efadv.h");
#endif

uint64_t verbs_ep_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec * 1000000000ull) + now.tv_nsec;
}

/* Says what failed and why; returns the errno. */
static int ep_fail(verbs_ep_t *ep, const char *what, int error)
{
    error = (error == 0) ? EIO : error;
    snprintf(ep->failed, sizeof(ep->failed), "%s: %s", what, strerror(error));
    return error;
}

int verbs_ep_open(verbs_ep_t *ep, const verbs_dl_t *dl, const char *device)
{
    struct ibv_device **list;
    int ret = ENODEV;
    const char *name;
    int i, num;

    memset(ep, 0, sizeof(*ep));
    ep->dl = dl;
    list   = dl->get_device_list(&num);
    if (list == NULL) {
        return ep_fail(ep, "ibv_get_device_list", errno);
    }

    for (i = 0; (i < num) && (ep->context == NULL); ++i) {
        name = dl->get_device_name(list[i]);
        if ((device != NULL) ? !strcmp(name, device) :
                               ucx_efa_pci_is_efa(EFA_SYSFS_DIR, name)) {
            errno       = 0;
            ep->context = dl->open_device(list[i]);
            ret         = (ep->context != NULL) ? 0 : errno;
            if (ret != 0) {
                ret = ep_fail(ep, "ibv_open_device", ret);
                break;
            }
        }
    }

    dl->free_device_list(list);
    if (ep->context == NULL) {
        return (ep->failed[0] != '\0') ?
                       ret :
                       ep_fail(ep, "libibverbs lists no such device", ENODEV);
    }

    ret = dl->efa_query_device(ep->context, &ep->attr, sizeof(ep->attr));
    if (ret != 0) {
        ret = ep_fail(ep, "efadv_query_device (is it an EFA device?)", ret);
        goto err_close;
    }

    if (dl->query_gid(ep->context, 1, 0, &ep->gid) != 0) {
        ret = ep_fail(ep, "ibv_query_gid", errno);
        goto err_close;
    }

    ep->has_read  = !!(ep->attr.device_caps & EP_CAP_RDMA_READ);
    ep->has_write = !!(ep->attr.device_caps & EP_CAP_RDMA_WRITE);
    return 0;

err_close:
    verbs_ep_close(ep);
    return ret;
}

void verbs_ep_close(verbs_ep_t *ep)
{
    if (ep->context != NULL) {
        ep->dl->close_device(ep->context);
        ep->context = NULL;
    }
}

static int ep_create_qp(verbs_ep_t *ep)
{
    struct ibv_qp_init_attr_ex attr = {
        .send_cq   = ep->cq,
        .recv_cq   = ep->cq,
        .cap       = {.max_send_wr  = VERBS_EP_DEPTH,
                      .max_recv_wr  = VERBS_EP_DEPTH,
                      .max_send_sge = 1,
                      .max_recv_sge = 1},
        .qp_type   = IBV_QPT_DRIVER,
        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
        .pd        = ep->pd,
        .send_ops_flags = IBV_QP_EX_WITH_SEND
    };
    struct efadv_qp_init_attr efa_attr = {
        .driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD
    };

    if (ep->has_read) {
        attr.send_ops_flags |= IBV_QP_EX_WITH_RDMA_READ;
    }
    if (ep->has_write) {
        attr.send_ops_flags |= IBV_QP_EX_WITH_RDMA_WRITE;
    }

    ep->qp = ep->dl->efa_create_qp_ex(ep->context, &attr, &efa_attr,
                                      sizeof(efa_attr));
    return (ep->qp == NULL) ? ep_fail(ep, "efadv_create_qp_ex", errno) : 0;
}

static int ep_activate(verbs_ep_t *ep)
{
    static const struct {
        enum ibv_qp_state state;
        int               mask;
    } steps[] = {
        {IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY},
        {IBV_QPS_RTR, 0},
        {IBV_QPS_RTS, IBV_QP_SQ_PSN}
    };
    struct ibv_qp_attr attr = {.port_num = 1, .qkey = ep->qkey};
    size_t i;
    int ret;

    for (i = 0; i < ARRAY_SIZE(steps); ++i) {
        attr.qp_state = steps[i].state;
        ret = ep->dl->modify_qp(ep->qp, &attr, IBV_QP_STATE | steps[i].mask);
        if (ret != 0) {
            return ep_fail(ep, "ibv_modify_qp", ret);
        }
    }
    return 0;
}

static int ep_create_cq(verbs_ep_t *ep)
{
    /* An old device has no events: then without */
    ep->channel = ep->dl->create_comp_channel(ep->context);
    if (ep->channel != NULL) {
        ep->cq = ep->dl->create_cq(ep->context, 2 * VERBS_EP_DEPTH, NULL,
                                   ep->channel, 0);
        if ((ep->cq == NULL) && (errno == EOPNOTSUPP)) {
            ep->dl->destroy_comp_channel(ep->channel);
            ep->channel = NULL;
        }
    }
    if (ep->channel == NULL) {
        ep->cq = ep->dl->create_cq(ep->context, 2 * VERBS_EP_DEPTH, NULL, NULL,
                                   0);
    }
    return (ep->cq == NULL) ? ep_fail(ep, "ibv_create_cq", errno) : 0;
}

int verbs_ep_create(verbs_ep_t *ep, const verbs_dl_t *dl)
{
    int access = IBV_ACCESS_LOCAL_WRITE;
    int ret;

    ep->dl = dl;
    access |= ep->has_read ? IBV_ACCESS_REMOTE_READ : 0;
    access |= ep->has_write ? IBV_ACCESS_REMOTE_WRITE : 0;
    if (posix_memalign((void **)&ep->buffer, 65536, VERBS_EP_BUFFER) != 0) {
        return ep_fail(ep, "memory", ENOMEM);
    }

    memset(ep->buffer, 0, VERBS_EP_BUFFER);
    if (getrandom(&ep->qkey, sizeof(ep->qkey), 0) != sizeof(ep->qkey)) {
        ep->qkey = verbs_ep_now();
    }
    ep->qkey &= INT32_MAX; /* the upper half is for the kernel's */
    ep->remote_qkey = ep->qkey;
    ep->pd          = dl->alloc_pd(ep->context);
    if (ep->pd == NULL) {
        ret = ep_fail(ep, "ibv_alloc_pd", errno);
        goto err;
    }

    ep->mr = dl->reg_mr(ep->pd, ep->buffer, VERBS_EP_BUFFER, access);
    if (ep->mr == NULL) {
        ret = ep_fail(ep, "ibv_reg_mr", errno);
        goto err;
    }

    ret = ep_create_cq(ep);
    ret = (ret != 0) ? ret : ep_create_qp(ep);
    ret = (ret != 0) ? ret : ep_activate(ep);
    if (ret != 0) {
        goto err;
    }
    return 0;

err:
    verbs_ep_destroy(ep);
    return ret;
}

int verbs_ep_destroy(verbs_ep_t *ep)
{
    int ret = 0;

#define DESTROY(_object, _func) \
    if (ep->_object != NULL) { \
        int _ret    = ep->dl->_func(ep->_object); \
        ret         = (ret == 0) ? _ret : ret; \
        ep->_object = NULL; \
    }

    DESTROY(qp, destroy_qp)
    DESTROY(cq, destroy_cq)
    DESTROY(channel, destroy_comp_channel)
    DESTROY(mr, dereg_mr)
    DESTROY(pd, dealloc_pd)
    free(ep->buffer);
    ep->buffer = NULL;
    return ret;
}

struct ibv_ah *verbs_ep_ah(verbs_ep_t *ep, const union ibv_gid *gid)
{
    struct ibv_ah_attr attr = {
        .is_global = 1, .port_num = 1, .grh = {.dgid = *gid}
    };
    struct ibv_ah *ah;

    ah = ep->dl->create_ah(ep->pd, &attr);
    if (ah == NULL) {
        ep_fail(ep, "ibv_create_ah", errno);
    }
    return ah;
}

int verbs_ep_post_recv(verbs_ep_t *ep, uint32_t place, uint32_t length)
{
    struct ibv_sge sge = {
        .addr   = (uintptr_t)ep->buffer + place,
        .length = length,
        .lkey   = ep->mr->lkey
    };
    struct ibv_recv_wr wr = {.wr_id = place, .sg_list = &sge, .num_sge = 1};
    struct ibv_recv_wr *bad;

    return ibv_post_recv(ep->qp, &wr, &bad);
}

int verbs_ep_post(verbs_ep_t *ep, verbs_ep_op_t op, struct ibv_ah *ah,
                  uint32_t qpn, uint32_t place, uint32_t length,
                  uint64_t remote_addr, uint32_t rkey)
{
    struct ibv_qp_ex *qp = ep->dl->qp_to_qp_ex(ep->qp);

    ibv_wr_start(qp);
    qp->wr_id    = place;
    qp->wr_flags = IBV_SEND_SIGNALED;
    switch (op) {
    case VERBS_EP_SEND:
        ibv_wr_send(qp);
        break;
    case VERBS_EP_READ:
        ibv_wr_rdma_read(qp, rkey, remote_addr);
        break;
    case VERBS_EP_WRITE:
        ibv_wr_rdma_write(qp, rkey, remote_addr);
        break;
    }
    ibv_wr_set_sge(qp, ep->mr->lkey, (uintptr_t)ep->buffer + place, length);
    ibv_wr_set_ud_addr(qp, ah, qpn, ep->remote_qkey);
    return ibv_wr_complete(qp);
}

int verbs_ep_wait(verbs_ep_t *ep, struct ibv_wc *wc, int timeout_ms)
{
    uint64_t end = verbs_ep_now() + (timeout_ms * 1000000ull);
    uint64_t spin_end;
    bool last;
    int ret;

    /* The first millisecond without a pause, so that times are the device's */
    spin_end = verbs_ep_now() + 1000000;
    do {
        last = verbs_ep_now() >= end;
        ret  = ibv_poll_cq(ep->cq, 1, wc);
        if (ret != 0) {
            return (ret < 0) ? EIO : 0;
        }
        if (verbs_ep_now() > spin_end) {
            poll(NULL, 0, 1);
        }
    } while (!last);

    return ETIMEDOUT;
}

const char *verbs_ep_status(const struct ibv_wc *wc, char *buffer, size_t max)
{
    char name[UCT_EFA_STATUS_NAME_MAX];

    snprintf(buffer, max, "status %s, %s",
             uct_efa_status_name(wc->vendor_err, name),
             uct_efa_status_desc(wc->vendor_err)->text);
    return buffer;
}
