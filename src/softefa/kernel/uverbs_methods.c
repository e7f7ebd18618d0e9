/*
 * The ioctl methods of EFA's uverbs objects, and the table of what each one
 * takes. Handlers run under the file's lock, with the required attributes
 * there; they return 0 or a positive errno.
 */
#define _GNU_SOURCE
#include "kernel/uverbs.h"
#include "kernel/checks.h"
#include "kernel/dmabuf.h"
#include "abi/efa_abi.h"
#include "preload/hooks.h"
#include "nic/port.h"

#include <errno.h>
#include <string.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

static int check_port(uint64_t port)
{
    return (port == 1) ? 0 : EINVAL;
}

/* ---- device ---- */

static int get_context(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile = softefa_dev_profile(cmd->file->dev);
    softefa_abi_ucontext_resp_t resp = {};
    uint32_t num_comp_vectors        = profile->comp_vectors;
    uint64_t core_support            = SOFTEFA_ABI_CORE_OPTIONAL_ACCESS;
    softefa_abi_ucontext_t given;
    int ret;

    if (cmd->file->has_context) {
        return EINVAL;
    }

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_UHW_IN, &given, 0,
                               sizeof(given));
    if (ret != 0) {
        return EINVAL;
    }

    /* A libefa that does not know a limit would break it. */
    if (((profile->max_tx_batch != 0) &&
         !(given.knows & SOFTEFA_ABI_KNOWS_TX_BATCH)) ||
        ((profile->min_sq_wr != 0) &&
         !(given.knows & SOFTEFA_ABI_KNOWS_MIN_SQ_WR))) {
        return EOPNOTSUPP;
    }

    resp.cmds_supp_udata_mask = SOFTEFA_ABI_UDATA_QUERY_DEVICE |
                                SOFTEFA_ABI_UDATA_CREATE_AH;
    resp.sub_cqs_per_cq       = profile->sub_cqs;
    resp.inline_buf_size      = profile->inline_size;
    resp.inline_buf_size_ex   = profile->inline_size_ex;
    resp.max_llq_size         = profile->max_llq_size;
    resp.max_tx_batch         = profile->max_tx_batch;
    resp.min_sq_wr            = profile->min_sq_wr;

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_GET_CONTEXT_NUM_COMP_VECTORS,
                          &num_comp_vectors, sizeof(num_comp_vectors));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_GET_CONTEXT_CORE_SUPPORT,
                          &core_support, sizeof(core_support));
    cmd->file->has_context = 1;
    return 0;
}

static int query_port(softefa_cmd_t *cmd)
{
    softefa_abi_port_ex_t resp = {};
    int ret                    = check_port(
            softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_PORT_PORT_NUM));

    if (ret != 0) {
        return ret;
    }

    softefa_port_query(softefa_dev_profile(cmd->file->dev), &resp.legacy_resp);
    resp.active_speed_ex = resp.legacy_resp.active_speed;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_PORT_RESP, &resp,
                          sizeof(resp));
    return 0;
}

static int query_port_speed(softefa_cmd_t *cmd)
{
    /* unit: 100 Mb/s */
    uint64_t speed = 10ull * softefa_dev_profile(cmd->file->dev)->link_gbps;
    int ret        = check_port(
            softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_PORT_SPEED_PORT_NUM));

    if (ret != 0) {
        return ret;
    }

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_PORT_SPEED_RESP, &speed,
                          sizeof(speed));
    return 0;
}

static void fill_gid_entry(const softefa_cmd_t *cmd,
                           softefa_abi_gid_entry_t *entry)
{
    memset(entry, 0, sizeof(*entry));
    softefa_dev_gid(cmd->file->dev, (uint8_t*)entry->gid);
    entry->port_num = 1;
    entry->gid_type = SOFTEFA_ABI_GID_TYPE_IB;
}

static int query_gid_entry(softefa_cmd_t *cmd)
{
    softefa_abi_gid_entry_t entry;

    if (check_port(softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_GID_ENTRY_PORT)) ||
        (softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_GID_ENTRY_GID_INDEX) != 0) ||
        (softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_GID_ENTRY_FLAGS) != 0)) {
        return EINVAL;
    }

    fill_gid_entry(cmd, &entry);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, &entry,
                          sizeof(entry));
    return 0;
}

static int query_gid_table(softefa_cmd_t *cmd)
{
    uint64_t entry_size =
            softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_GID_TABLE_ENTRY_SIZE);
    const softefa_abi_attr_t *entries =
            softefa_attr_find(cmd, SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_ENTRIES);
    uint64_t num_entries = 1;
    softefa_abi_gid_entry_t entry;

    if ((softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_GID_TABLE_FLAGS) != 0) ||
        (entry_size == 0) || (entries->len < entry_size)) {
        return EINVAL;
    }

    fill_gid_entry(cmd, &entry);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_ENTRIES,
                          &entry, sizeof(entry));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES,
                          &num_entries, sizeof(num_entries));
    return 0;
}

static int async_event_alloc(softefa_cmd_t *cmd)
{
    int fd, ret;

    if (cmd->file->has_async) {
        return EINVAL;
    }

    ret = softefa_async_open(cmd->file->dev, &fd);
    if (ret != 0) {
        return ret;
    }

    cmd->file->has_async = 1;
    softefa_attr_set(cmd, SOFTEFA_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE, fd);
    return 0;
}

/* ---- completion queues ---- */

static int cq_channel(softefa_cmd_t *cmd, softefa_obj_t **channel)
{
    const softefa_abi_attr_t *attr =
            softefa_attr_find(cmd, SOFTEFA_ATTR_CREATE_CQ_COMP_CHANNEL);
    softefa_file_t *file;

    *channel = NULL;
    if (attr == NULL) {
        return 0;
    }

    file = softefa_fd_get(attr->data_s64, channel);
    if (file == NULL) {
        return EBADF;
    }

    softefa_file_put(file); /* never the last one: cmd holds its own */
    return ((file == cmd->file) && (*channel != NULL)) ? 0 : EBADF;
}

static int cq_create(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile  = softefa_dev_profile(cmd->file->dev);
    softefa_abi_create_cq_resp_t resp = {};
    softefa_cq_attr_t attr            = {};
    uint32_t cqe                      =
            softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_CQ_CQE);
    softefa_abi_create_cq_t req;
    softefa_obj_t *channel, *obj;
    softefa_cq_map_t map;
    uint32_t ring_cqe;
    int ret;

    if (softefa_attr_copy_in(cmd, SOFTEFA_ATTR_UHW_IN, &req,
                             offsetof(softefa_abi_create_cq_t, flags),
                             sizeof(req))) {
        return EINVAL;
    }

    ret = cq_channel(cmd, &channel);
    if (ret != 0) {
        return ret;
    }

    ret = softefa_check_create_cq(
            profile, cqe,
            softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_CQ_COMP_VECTOR),
            softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_CQ_FLAGS),
            channel != NULL, &req);
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_CQ, channel, NULL, NULL);
    if (obj == NULL) {
        return ENOMEM;
    }

    obj->user_handle = softefa_attr_u64(cmd,
                                        SOFTEFA_ATTR_CREATE_CQ_USER_HANDLE);

    /* libefa asks for a power of two and uses what it asked for */
    for (ring_cqe = 1; ring_cqe < cqe; ring_cqe *= 2) {
    }
    attr.depth       = ring_cqe;
    attr.entry_size  = req.cq_entry_size;
    attr.num_sub_cqs = req.num_sub_cqs;
    attr.with_sgid   = !!(req.flags & SOFTEFA_ABI_CQ_WITH_SGID);
    attr.channel     = (channel == NULL) ? NULL : channel->u.channel.channel;
    attr.cookie      = obj->user_handle;
    ret = softefa_cq_create(cmd->file->dev, &attr, &obj->u.cq.cq, &map);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    ret = softefa_hooks_add_cq(&cmd->file->hooks, cmd->fd, cmd->file->dev,
                               obj->user_handle, obj->u.cq.cq);
    if (ret != 0) {
        softefa_obj_destroy(cmd->file, obj, NULL);
        return ret;
    }

    resp.q_mmap_key  = map.ring_key;
    resp.q_mmap_size = map.ring_size;
    resp.cq_idx      = map.cqn;
    if (channel != NULL) {
        resp.comp_mask   = SOFTEFA_ABI_CQ_HAS_DB;
        resp.db_mmap_key = map.db_key;
    }

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CREATE_CQ_RESP_CQE, &ring_cqe,
                          sizeof(ring_cqe));
    softefa_attr_set(cmd, SOFTEFA_ATTR_CREATE_CQ_HANDLE, obj->handle);
    return 0;
}

static int cq_destroy(softefa_cmd_t *cmd)
{
    softefa_abi_destroy_cq_resp_t resp = {};
    softefa_obj_t *obj =
            softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_CQ_HANDLE,
                             SOFTEFA_OBJ_CQ);
    uint32_t acked;
    int ret;

    if (obj == NULL) {
        return ENOENT;
    }

    acked = softefa_hooks_events_acked(obj->user_handle);
    ret   = softefa_obj_destroy(cmd->file, obj, &resp.comp_events_reported);
    if (resp.comp_events_reported == SOFTEFA_EVENTS_UNKNOWN) {
        resp.comp_events_reported = acked; /* waits for none */
    }
    if (ret == 0) {
        softefa_attr_copy_out(cmd, SOFTEFA_ATTR_DESTROY_CQ_RESP, &resp,
                              sizeof(resp));
    }
    return ret;
}

/* ---- queue pairs ---- */

static int qp_create(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile  = softefa_dev_profile(cmd->file->dev);
    softefa_abi_create_qp_resp_t resp = {};
    softefa_qp_attr_t attr            = {};
    uint32_t type  = softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_QP_TYPE);
    uint32_t flags = softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_QP_FLAGS);
    softefa_abi_create_qp_t req;
    softefa_abi_qp_cap_t cap;
    softefa_obj_t *pd, *send_cq, *recv_cq, *obj;
    softefa_qp_map_t map;
    uint32_t qpn;
    int ret;

    pd      = softefa_attr_obj(cmd, SOFTEFA_ATTR_CREATE_QP_PD_HANDLE,
                               SOFTEFA_OBJ_PD);
    send_cq = softefa_attr_obj(cmd, SOFTEFA_ATTR_CREATE_QP_SEND_CQ_HANDLE,
                               SOFTEFA_OBJ_CQ);
    recv_cq = softefa_attr_obj(cmd, SOFTEFA_ATTR_CREATE_QP_RECV_CQ_HANDLE,
                               SOFTEFA_OBJ_CQ);
    if ((pd == NULL) || (send_cq == NULL) || (recv_cq == NULL)) {
        return ENOENT;
    }

    if (softefa_attr_copy_in(cmd, SOFTEFA_ATTR_UHW_IN, &req,
                             offsetof(softefa_abi_create_qp_t, flags),
                             sizeof(req)) ||
        softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CREATE_QP_CAP, &cap, sizeof(cap),
                             sizeof(cap))) {
        return EINVAL;
    }

    ret = softefa_check_create_qp(profile, type, flags, &cap, &req);
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_QP, pd, send_cq, recv_cq);
    if (obj == NULL) {
        return ENOMEM;
    }

    obj->user_handle     =
            softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_QP_USER_HANDLE);
    obj->u.qp.cap        = cap;
    obj->u.qp.sq_sig_all = !!(flags & SOFTEFA_ABI_QP_CREATE_SQ_SIG_ALL);
    obj->u.qp.type       = (type == SOFTEFA_ABI_QPT_UD) ? SOFTEFA_QP_UD :
                                                          SOFTEFA_QP_SRD;

    attr.type                   = obj->u.qp.type;
    attr.pdn                    = pd->u.pd.pdn;
    attr.send_cq                = send_cq->u.cq.cq;
    attr.recv_cq                = recv_cq->u.cq.cq;
    attr.sq_ring_size           = req.sq_ring_size;
    attr.rq_ring_size           = req.rq_ring_size;
    attr.sq_entry_size          = softefa_sq_entry_size(profile, &cap, &req);
    attr.max_send_wr            = cap.max_send_wr;
    attr.max_recv_wr            = cap.max_recv_wr;
    attr.max_send_sge           = cap.max_send_sge;
    attr.max_recv_sge           = cap.max_recv_sge;
    attr.max_inline             = cap.max_inline_data;
    attr.cookie                 = obj->user_handle;
    attr.unsolicited_write_recv = !!(req.flags &
                                     SOFTEFA_ABI_QP_UNSOLICITED_WRITE_RECV);
    ret = softefa_qp_create(cmd->file->dev, &attr, &obj->u.qp.qp, &map);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    ret = softefa_hooks_add_qp(&cmd->file->hooks, cmd->fd, cmd->file->dev,
                               obj->user_handle, obj->u.qp.qp);
    if (ret != 0) {
        softefa_obj_destroy(cmd->file, obj, NULL);
        return ret;
    }

    softefa_hooks_update_cq(send_cq->user_handle);
    softefa_hooks_update_cq(recv_cq->user_handle);

    /* doorbells and LLQ start at the page that the key names */
    resp.llq_desc_mmap_key = map.sq_key;
    resp.sq_db_mmap_key    = map.sq_db_key;
    resp.rq_mmap_key       = map.rq_key;
    resp.rq_mmap_size      = map.rq_size;
    resp.rq_db_mmap_key    = map.rq_db_key;
    resp.send_sub_cq_idx   = map.send_sub_cq;
    resp.recv_sub_cq_idx   = map.recv_sub_cq;
    qpn                    = map.qpn;

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CREATE_QP_RESP_CAP, &cap,
                          sizeof(cap));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CREATE_QP_RESP_QP_NUM, &qpn,
                          sizeof(qpn));
    softefa_attr_set(cmd, SOFTEFA_ATTR_CREATE_QP_HANDLE, obj->handle);
    return 0;
}

static int qp_destroy(softefa_cmd_t *cmd)
{
    softefa_abi_destroy_qp_resp_t resp = {};
    softefa_obj_t *obj =
            softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_QP_HANDLE,
                             SOFTEFA_OBJ_QP);
    int ret;

    if (obj == NULL) {
        return ENOENT;
    }

    ret = softefa_obj_destroy(cmd->file, obj, &resp.events_reported);
    if (ret == 0) {
        softefa_attr_copy_out(cmd, SOFTEFA_ATTR_DESTROY_QP_RESP, &resp,
                              sizeof(resp));
    }
    return ret;
}

/* ---- the rest ---- */

static int obj_destroy(softefa_cmd_t *cmd, uint16_t id,
                       softefa_obj_type_t type)
{
    softefa_obj_t *obj = softefa_attr_obj(cmd, id, type);

    return (obj == NULL) ? ENOENT : softefa_obj_destroy(cmd->file, obj, NULL);
}

static int pd_destroy(softefa_cmd_t *cmd)
{
    return obj_destroy(cmd, SOFTEFA_ATTR_DESTROY_PD_HANDLE, SOFTEFA_OBJ_PD);
}

static int ah_destroy(softefa_cmd_t *cmd)
{
    return obj_destroy(cmd, SOFTEFA_ATTR_DESTROY_AH_HANDLE, SOFTEFA_OBJ_AH);
}

static int mr_destroy(softefa_cmd_t *cmd)
{
    return obj_destroy(cmd, SOFTEFA_ATTR_DESTROY_MR_HANDLE, SOFTEFA_OBJ_MR);
}

/* Which PCIe interconnects an MR uses: a software device knows none. */
static int mr_query(softefa_cmd_t *cmd)
{
    uint16_t none = 0;

    if (softefa_attr_obj(cmd, SOFTEFA_ATTR_MR_QUERY_HANDLE,
                         SOFTEFA_OBJ_MR) == NULL) {
        return ENOENT;
    }

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_VALIDITY, &none,
                          sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RECV, &none,
                          sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RDMA_READ, &none,
                          sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RDMA_RECV, &none,
                          sizeof(none));
    return 0;
}

static int mr_reg_dmabuf(softefa_cmd_t *cmd)
{
    uint64_t offset = softefa_attr_u64(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_OFFSET);
    uint64_t length = softefa_attr_u64(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_LENGTH);
    uint64_t iova   = softefa_attr_u64(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_IOVA);
    uint32_t access = softefa_attr_u64(cmd,
                                       SOFTEFA_ATTR_REG_DMABUF_MR_ACCESS_FLAGS);
    int fd          = (int)softefa_attr_u64(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_FD);
    softefa_obj_t *pd, *obj;
    softefa_dmabuf_t dmabuf;
    uint32_t lkey, rkey;
    int ret;

    pd = softefa_attr_obj(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_PD_HANDLE,
                          SOFTEFA_OBJ_PD);
    if (pd == NULL) {
        return ENOENT;
    }

    ret = softefa_check_reg_dmabuf(softefa_dev_profile(cmd->file->dev), offset,
                                   length, iova, &access);
    if (ret == 0) {
        ret = softefa_dmabuf_map(fd, offset, length,
                                 !!(access & IBV_ACCESS_LOCAL_WRITE), &dmabuf);
    }
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_MR, pd, NULL, NULL);
    if (obj == NULL) {
        ret = ENOMEM;
        goto err_unmap;
    }

    ret = softefa_mr_reg(cmd->file->dev, pd->u.pd.pdn, dmabuf.addr, length,
                         iova, access, &obj->u.mr.mr, &lkey, &rkey);
    if (ret != 0) {
        goto err_free;
    }

    softefa_mr_keep_map(obj->u.mr.mr, dmabuf.map, dmabuf.map_length);
    softefa_attr_set(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_HANDLE, obj->handle);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_RESP_LKEY, &lkey,
                          sizeof(lkey));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_REG_DMABUF_MR_RESP_RKEY, &rkey,
                          sizeof(rkey));
    return 0;

err_free:
    softefa_obj_free(cmd->file, obj);
err_unmap:
    softefa_dmabuf_unmap(&dmabuf);
    return ret;
}

/* ---- the table ---- */

#define BIT(_id) (1u << (_id))

static const softefa_method_t method_table[] = {
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_INVOKE_WRITE,
     BIT(SOFTEFA_ATTR_WRITE_CMD),
     BIT(SOFTEFA_ATTR_CORE_IN) | BIT(SOFTEFA_ATTR_CORE_OUT), 1,
     softefa_uverbs_invoke_write},
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_GET_CONTEXT, 0,
     BIT(SOFTEFA_ATTR_GET_CONTEXT_NUM_COMP_VECTORS) |
     BIT(SOFTEFA_ATTR_GET_CONTEXT_CORE_SUPPORT), 1, get_context},
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_QUERY_PORT,
     BIT(SOFTEFA_ATTR_QUERY_PORT_PORT_NUM) | BIT(SOFTEFA_ATTR_QUERY_PORT_RESP),
     0, 0, query_port},
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_QUERY_PORT_SPEED,
     BIT(SOFTEFA_ATTR_QUERY_PORT_SPEED_PORT_NUM) |
     BIT(SOFTEFA_ATTR_QUERY_PORT_SPEED_RESP), 0, 0, query_port_speed},
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_QUERY_GID_TABLE,
     BIT(SOFTEFA_ATTR_QUERY_GID_TABLE_ENTRY_SIZE) |
     BIT(SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_ENTRIES) |
     BIT(SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES),
     BIT(SOFTEFA_ATTR_QUERY_GID_TABLE_FLAGS), 0, query_gid_table},
    {SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_QUERY_GID_ENTRY,
     BIT(SOFTEFA_ATTR_QUERY_GID_ENTRY_PORT) |
     BIT(SOFTEFA_ATTR_QUERY_GID_ENTRY_GID_INDEX) |
     BIT(SOFTEFA_ATTR_QUERY_GID_ENTRY_RESP_ENTRY),
     BIT(SOFTEFA_ATTR_QUERY_GID_ENTRY_FLAGS), 0, query_gid_entry},
    {SOFTEFA_OBJECT_ASYNC_EVENT, SOFTEFA_METHOD_ASYNC_EVENT_ALLOC,
     BIT(SOFTEFA_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE), 0, 1, async_event_alloc},
    {SOFTEFA_OBJECT_CQ, SOFTEFA_METHOD_CQ_CREATE,
     BIT(SOFTEFA_ATTR_CREATE_CQ_HANDLE) | BIT(SOFTEFA_ATTR_CREATE_CQ_CQE) |
     BIT(SOFTEFA_ATTR_CREATE_CQ_USER_HANDLE) |
     BIT(SOFTEFA_ATTR_CREATE_CQ_COMP_VECTOR) |
     BIT(SOFTEFA_ATTR_CREATE_CQ_RESP_CQE),
     BIT(SOFTEFA_ATTR_CREATE_CQ_COMP_CHANNEL) |
     BIT(SOFTEFA_ATTR_CREATE_CQ_FLAGS) | BIT(SOFTEFA_ATTR_CREATE_CQ_EVENT_FD),
     0, cq_create},
    {SOFTEFA_OBJECT_CQ, SOFTEFA_METHOD_CQ_DESTROY,
     BIT(SOFTEFA_ATTR_DESTROY_CQ_HANDLE) | BIT(SOFTEFA_ATTR_DESTROY_CQ_RESP), 0,
     0, cq_destroy},
    {SOFTEFA_OBJECT_QP, SOFTEFA_METHOD_QP_CREATE,
     BIT(SOFTEFA_ATTR_CREATE_QP_HANDLE) |
     BIT(SOFTEFA_ATTR_CREATE_QP_PD_HANDLE) |
     BIT(SOFTEFA_ATTR_CREATE_QP_SEND_CQ_HANDLE) |
     BIT(SOFTEFA_ATTR_CREATE_QP_RECV_CQ_HANDLE) |
     BIT(SOFTEFA_ATTR_CREATE_QP_USER_HANDLE) | BIT(SOFTEFA_ATTR_CREATE_QP_CAP) |
     BIT(SOFTEFA_ATTR_CREATE_QP_TYPE) | BIT(SOFTEFA_ATTR_CREATE_QP_RESP_CAP) |
     BIT(SOFTEFA_ATTR_CREATE_QP_RESP_QP_NUM),
     BIT(SOFTEFA_ATTR_CREATE_QP_FLAGS) | BIT(SOFTEFA_ATTR_CREATE_QP_EVENT_FD),
     0, qp_create},
    {SOFTEFA_OBJECT_QP, SOFTEFA_METHOD_QP_DESTROY,
     BIT(SOFTEFA_ATTR_DESTROY_QP_HANDLE) | BIT(SOFTEFA_ATTR_DESTROY_QP_RESP), 0,
     0, qp_destroy},
    {SOFTEFA_OBJECT_PD, SOFTEFA_METHOD_PD_DESTROY,
     BIT(SOFTEFA_ATTR_DESTROY_PD_HANDLE), 0, 0, pd_destroy},
    {SOFTEFA_OBJECT_AH, SOFTEFA_METHOD_AH_DESTROY,
     BIT(SOFTEFA_ATTR_DESTROY_AH_HANDLE), 0, 0, ah_destroy},
    {SOFTEFA_OBJECT_MR, SOFTEFA_METHOD_MR_DESTROY,
     BIT(SOFTEFA_ATTR_DESTROY_MR_HANDLE), 0, 0, mr_destroy},
    {SOFTEFA_OBJECT_MR, SOFTEFA_METHOD_REG_DMABUF_MR,
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_HANDLE) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_PD_HANDLE) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_OFFSET) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_LENGTH) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_IOVA) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_FD) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_ACCESS_FLAGS) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_RESP_LKEY) |
     BIT(SOFTEFA_ATTR_REG_DMABUF_MR_RESP_RKEY), 0, 0, mr_reg_dmabuf},
    {SOFTEFA_OBJECT_MR, SOFTEFA_METHOD_MR_QUERY, 0, 0, 0, mr_query},
};

const softefa_method_t *softefa_method_find(uint16_t object, uint16_t method)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(method_table); ++i) {
        if ((method_table[i].object == object) &&
            (method_table[i].method == method)) {
            return &method_table[i];
        }
    }

    return NULL;
}
