/* Commands of completion queues and completion channels. */
#include "abi/efa_abi.h"
#include "kernel/check.h"
#include "kernel/cmd.h"
#include "kernel/upcall.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

int softefa_cmd_cq_channel_create(softefa_cmd_t *cmd)
{
    softefa_abi_create_comp_channel_resp_t resp = {};
    softefa_obj_t *obj;
    int ret, fd;

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_CHANNEL, NULL, NULL, NULL);
    if (obj == NULL) {
        return ENOMEM;
    }

    ret = softefa_channel_create(cmd->file->dev, &obj->u.channel.channel, &fd);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    ret = softefa_fd_add(fd, cmd->file, obj);
    if (ret != 0) {
        softefa_obj_destroy(cmd->file, obj, NULL);
        close(fd);
        return ret;
    }

    resp.fd = fd;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

static int cq_channel(softefa_cmd_t *cmd, softefa_obj_t **channel)
{
    const softefa_abi_attr_t
            *attr = softefa_attr_find(cmd, SOFTEFA_ATTR_CREATE_CQ_COMP_CHANNEL);
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

int softefa_cmd_cq_create(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile  = softefa_dev_profile(cmd->file->dev);
    softefa_abi_create_cq_resp_t resp = {};
    softefa_cq_attr_t attr            = {};
    uint32_t cqe = softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_CQ_CQE);
    softefa_abi_create_cq_t req;
    softefa_obj_t *channel, *obj;
    softefa_cq_map_t map;
    uint32_t ring_cqe;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_UHW_IN, &req,
                               offsetof(softefa_abi_create_cq_t, flags),
                               sizeof(req));
    if (ret != 0) {
        return ret;
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

int softefa_cmd_cq_destroy(softefa_cmd_t *cmd)
{
    softefa_abi_destroy_cq_resp_t resp = {};
    softefa_obj_t *obj = softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_CQ_HANDLE,
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
