/* Commands of queue pairs. */
#include "abi/efa_abi.h"
#include "kernel/check.h"
#include "kernel/cmd.h"
#include "kernel/upcall.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stddef.h>

static void qp_respond(const softefa_cmd_t *cmd, const softefa_obj_t *obj,
                       const softefa_qp_map_t *map)
{
    softefa_abi_create_qp_resp_t resp = {};
    uint32_t qpn                      = map->qpn;

    /* doorbells and LLQ start at the page that the key names */
    resp.llq_desc_mmap_key = map->sq_key;
    resp.sq_db_mmap_key    = map->sq_db_key;
    resp.rq_mmap_key       = map->rq_key;
    resp.rq_mmap_size      = map->rq_size;
    resp.rq_db_mmap_key    = map->rq_db_key;
    resp.send_sub_cq_idx   = map->send_sub_cq;
    resp.recv_sub_cq_idx   = map->recv_sub_cq;

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CREATE_QP_RESP_CAP, &obj->u.qp.cap,
                          sizeof(obj->u.qp.cap));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CREATE_QP_RESP_QP_NUM, &qpn,
                          sizeof(qpn));
    softefa_attr_set(cmd, SOFTEFA_ATTR_CREATE_QP_HANDLE, obj->handle);
}

int softefa_cmd_qp_create(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile = softefa_dev_profile(cmd->file->dev);
    softefa_qp_attr_t attr           = {};
    uint32_t type  = softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_QP_TYPE);
    uint32_t flags = softefa_attr_u64(cmd, SOFTEFA_ATTR_CREATE_QP_FLAGS);
    softefa_abi_create_qp_t req;
    softefa_abi_qp_cap_t cap;
    softefa_obj_t *pd, *send_cq, *recv_cq, *obj;
    softefa_qp_map_t map;
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

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CREATE_QP_CAP, &cap,
                               sizeof(cap), sizeof(cap));
    if (ret == 0) {
        ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_UHW_IN, &req,
                                   offsetof(softefa_abi_create_qp_t, flags),
                                   sizeof(req));
    }
    if (ret != 0) {
        return ret;
    }

    ret = softefa_check_create_qp(profile, type, flags, &cap, &req);
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_QP, pd, send_cq, recv_cq);
    if (obj == NULL) {
        return ENOMEM;
    }

    obj->user_handle = softefa_attr_u64(cmd,
                                        SOFTEFA_ATTR_CREATE_QP_USER_HANDLE);
    obj->u.qp.cap    = cap;
    obj->u.qp.type   = (type == SOFTEFA_ABI_QPT_UD) ? SOFTEFA_QP_UD :
                                                      SOFTEFA_QP_SRD;

    attr.type          = obj->u.qp.type;
    attr.pdn           = pd->u.pd.pdn;
    attr.send_cq       = send_cq->u.cq.cq;
    attr.recv_cq       = recv_cq->u.cq.cq;
    attr.sq_ring_size  = req.sq_ring_size;
    attr.rq_ring_size  = req.rq_ring_size;
    attr.sq_entry_size = softefa_check_sq_entry_size(profile, &cap, &req);
    attr.max_inline    = cap.max_inline_data;
    attr.cookie        = obj->user_handle;
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

    qp_respond(cmd, obj, &map);
    return 0;
}

int softefa_cmd_qp_destroy(softefa_cmd_t *cmd)
{
    softefa_abi_destroy_qp_resp_t resp = {};
    softefa_obj_t *obj = softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_QP_HANDLE,
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

int softefa_cmd_qp_query(softefa_cmd_t *cmd)
{
    softefa_abi_query_qp_resp_t resp = {};
    softefa_abi_query_qp_t req;
    softefa_qp_mod_t mod;
    softefa_obj_t *obj;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CORE_IN, &req, sizeof(req),
                               sizeof(req));
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_find(cmd->file, SOFTEFA_OBJ_QP, req.qp_handle);
    if (obj == NULL) {
        return EINVAL;
    }

    ret = softefa_check_query_qp(req.attr_mask);
    if (ret != 0) {
        return ret;
    }

    softefa_qp_query(obj->u.qp.qp, &mod);
    resp.qp_state        = mod.state;
    resp.qkey            = mod.qkey;
    resp.sq_psn          = mod.sq_psn;
    resp.rnr_retry       = mod.rnr_retry;
    resp.port_num        = 1;
    resp.max_send_wr     = obj->u.qp.cap.max_send_wr;
    resp.max_recv_wr     = obj->u.qp.cap.max_recv_wr;
    resp.max_send_sge    = obj->u.qp.cap.max_send_sge;
    resp.max_recv_sge    = obj->u.qp.cap.max_recv_sge;
    resp.max_inline_data = obj->u.qp.cap.max_inline_data;
    /* the driver does not fill in cur_qp_state, nor how sends are signaled,
     * and IB_SIGNAL_ALL_WR is 0 */
    resp.sq_sig_all      = 1;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

int softefa_cmd_qp_modify(softefa_cmd_t *cmd)
{
    softefa_qp_mod_t mod = {.state     = -1,
                            .qkey      = -1,
                            .sq_psn    = -1,
                            .rnr_retry = -1};
    softefa_qp_mod_t now;
    softefa_abi_modify_qp_t req;
    softefa_obj_t *obj;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CORE_IN, &req, sizeof(req),
                               sizeof(req));
    if (ret != 0) {
        return ret;
    }

    ret = softefa_attr_check_no_uhw(cmd);
    if (ret != 0) {
        return ret;
    }

    obj = softefa_obj_find(cmd->file, SOFTEFA_OBJ_QP, req.qp_handle);
    if (obj == NULL) {
        return EINVAL;
    }

    softefa_qp_query(obj->u.qp.qp, &now);
    ret = softefa_check_modify_qp(obj->u.qp.type, now.state, &req);
    if (ret != 0) {
        return ret;
    }

    if (req.attr_mask & IBV_QP_STATE) {
        mod.state = req.qp_state;
    }
    if (req.attr_mask & IBV_QP_QKEY) {
        mod.qkey = req.qkey;
    }
    if (req.attr_mask & IBV_QP_SQ_PSN) {
        mod.sq_psn = req.sq_psn;
    }
    if (req.attr_mask & IBV_QP_RNR_RETRY) {
        mod.rnr_retry = req.rnr_retry;
    }

    softefa_hooks_update_qp(obj->user_handle);
    return softefa_qp_modify(obj->u.qp.qp, &mod);
}
