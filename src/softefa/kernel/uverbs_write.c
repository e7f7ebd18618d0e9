/*
 * The commands that libibverbs still sends in their write() form, wrapped in
 * the INVOKE_WRITE method:
 *
 *   WRITE_CMD   number, with bit 31 for an extended command
 *   CORE_IN     uverbs_abi.h: softefa_abi_<command>_t  CORE_OUT   ..._resp_t
 *   UHW_IN      driver's part (EFA takes none)         UHW_OUT    efa_abi.h
 */
#define _GNU_SOURCE
#include "kernel/uverbs.h"
#include "kernel/checks.h"
#include "abi/efa_abi.h"
#include "preload/hooks.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

enum {
    PCI_VENDOR_AMAZON = 0x1d0f
};

/* EFA has no driver part in the input of these commands: it must be zero. */
static int check_no_uhw_in(const softefa_cmd_t *cmd)
{
    size_t length, i;
    const uint8_t *data = softefa_attr_in(cmd, SOFTEFA_ATTR_UHW_IN, &length);

    for (i = 0; i < length; ++i) {
        if (data[i] != 0) {
            return EINVAL;
        }
    }
    return 0;
}

/* ---- device ---- */

static void fill_device(softefa_dev_t *dev, softefa_abi_device_t *resp)
{
    const softefa_profile_t *profile = softefa_dev_profile(dev);
    uint8_t gid[16];

    softefa_dev_gid(dev, gid);
    memset(resp, 0, sizeof(*resp));
    memcpy(&resp->node_guid, gid + 8, sizeof(resp->node_guid));
    resp->max_mr_size    = profile->max_mr_size;
    resp->page_size_cap  = 0xfffff000u;
    resp->vendor_id      = PCI_VENDOR_AMAZON;
    resp->vendor_part_id = profile->pci_device;
    resp->hw_ver         = profile->pci_device;
    resp->max_qp         = profile->max_qp;
    resp->max_qp_wr      = (profile->max_sq_wr < profile->max_rq_wr) ?
                           profile->max_sq_wr : profile->max_rq_wr;
    resp->max_sge        = (profile->max_sq_sge < profile->max_rq_sge) ?
                           profile->max_sq_sge : profile->max_rq_sge;
    resp->max_sge_rd     = profile->max_rdma_sge;
    resp->max_cq         = profile->max_cq;
    resp->max_cqe        = profile->max_cqe;
    resp->max_mr         = profile->max_mr;
    resp->max_pd         = profile->max_pd;
    resp->max_ah         = profile->max_ah;
    resp->max_pkeys      = 1;
    resp->phys_port_cnt  = 1;
}

static int query_device(softefa_cmd_t *cmd)
{
    softefa_abi_device_t resp;

    fill_device(cmd->file->dev, &resp);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

static int ex_query_device(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile = softefa_dev_profile(cmd->file->dev);
    softefa_abi_efa_device_t efa     = {};
    softefa_abi_device_ex_t resp     = {};
    softefa_abi_ex_query_device_t req;
    const softefa_abi_attr_t *out;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CORE_IN, &req, sizeof(req),
                               sizeof(req));
    if (ret != 0) {
        return ret;
    }

    if ((req.comp_mask != 0) || (req.reserved != 0) || check_no_uhw_in(cmd)) {
        return EINVAL;
    }

    fill_device(cmd->file->dev, &resp.base);
    out                  = softefa_attr_find(cmd, SOFTEFA_ATTR_CORE_OUT);
    resp.response_length = (out->len < sizeof(resp)) ? out->len : sizeof(resp);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));

    efa.max_sq_wr     = profile->max_sq_wr;
    efa.max_rq_wr     = profile->max_rq_wr;
    efa.max_sq_sge    = profile->max_sq_sge;
    efa.max_rq_sge    = profile->max_rq_sge;
    efa.max_rdma_size = profile->max_rdma_size;
    efa.device_caps   = profile->caps;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &efa, sizeof(efa));
    return 0;
}

/* ---- protection domains, address handles, memory ---- */

static int alloc_pd(softefa_cmd_t *cmd)
{
    softefa_abi_efa_pd_t efa         = {};
    softefa_abi_alloc_pd_resp_t resp = {};
    softefa_obj_t *obj;
    int ret;

    if (check_no_uhw_in(cmd)) {
        return EINVAL;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_PD, NULL, NULL, NULL);
    if (obj == NULL) {
        return ENOMEM;
    }

    ret = softefa_pd_alloc(cmd->file->dev, &obj->u.pd.pdn);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    efa.pdn        = obj->u.pd.pdn;
    resp.pd_handle = obj->handle;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &efa, sizeof(efa));
    return 0;
}

static int create_ah(softefa_cmd_t *cmd)
{
    softefa_abi_efa_ah_t efa          = {};
    softefa_abi_create_ah_resp_t resp = {};
    softefa_abi_create_ah_t req;
    softefa_obj_t *pd, *obj;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CORE_IN, &req, sizeof(req),
                               sizeof(req));
    if (ret != 0) {
        return ret;
    }

    if (softefa_check_create_ah(&req.attr) || check_no_uhw_in(cmd)) {
        return EINVAL;
    }

    pd = softefa_obj_find(cmd->file, SOFTEFA_OBJ_PD, req.pd_handle);
    if (pd == NULL) {
        return EINVAL;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_AH, pd, NULL, NULL);
    if (obj == NULL) {
        return ENOMEM;
    }

    obj->u.ah.pdn = pd->u.pd.pdn;
    ret           = softefa_ah_create(cmd->file->dev, pd->u.pd.pdn,
                                      req.attr.grh.dgid, &obj->u.ah.ahn);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    efa.efa_address_handle = obj->u.ah.ahn;
    resp.ah_handle         = obj->handle;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &efa, sizeof(efa));
    return 0;
}

static int reg_mr(softefa_cmd_t *cmd)
{
    softefa_abi_reg_mr_resp_t resp = {};
    softefa_abi_reg_mr_t req;
    softefa_obj_t *pd, *obj;
    uint32_t access;
    int ret;

    ret = softefa_attr_copy_in(cmd, SOFTEFA_ATTR_CORE_IN, &req, sizeof(req),
                               sizeof(req));
    if (ret != 0) {
        return ret;
    }

    ret = check_no_uhw_in(cmd);
    if (ret == 0) {
        ret = softefa_check_reg_mr(softefa_dev_profile(cmd->file->dev), &req,
                                   &access);
    }
    if (ret != 0) {
        return ret;
    }

    pd = softefa_obj_find(cmd->file, SOFTEFA_OBJ_PD, req.pd_handle);
    if (pd == NULL) {
        return EINVAL;
    }

    obj = softefa_obj_create(cmd->file, SOFTEFA_OBJ_MR, pd, NULL, NULL);
    if (obj == NULL) {
        return ENOMEM;
    }

    ret = softefa_mr_reg(cmd->file->dev, pd->u.pd.pdn, req.start, req.length,
                         req.hca_va, access, &obj->u.mr.mr, &resp.lkey,
                         &resp.rkey);
    if (ret != 0) {
        softefa_obj_free(cmd->file, obj);
        return ret;
    }

    resp.mr_handle = obj->handle;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

/* ---- completion channels ---- */

static int create_comp_channel(softefa_cmd_t *cmd)
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

/* ---- queue pairs ---- */

static int query_qp(softefa_cmd_t *cmd)
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
    resp.cur_qp_state    = mod.state;
    resp.qkey            = mod.qkey;
    resp.sq_psn          = mod.sq_psn;
    resp.rnr_retry       = mod.rnr_retry;
    resp.port_num        = 1;
    resp.max_send_wr     = obj->u.qp.cap.max_send_wr;
    resp.max_recv_wr     = obj->u.qp.cap.max_recv_wr;
    resp.max_send_sge    = obj->u.qp.cap.max_send_sge;
    resp.max_recv_sge    = obj->u.qp.cap.max_recv_sge;
    resp.max_inline_data = obj->u.qp.cap.max_inline_data;
    resp.sq_sig_all      = obj->u.qp.sq_sig_all;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

static int modify_qp(softefa_cmd_t *cmd)
{
    softefa_qp_mod_t mod = {.state = -1, .qkey = -1, .sq_psn = -1,
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

    if (check_no_uhw_in(cmd)) {
        return EINVAL;
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

/* ---- dispatch ---- */

#define EX(_cmd) (SOFTEFA_WRITE_EXTENDED | SOFTEFA_WRITE_##_cmd)

static const struct {
    uint32_t command;
    size_t   min_in;
    size_t   min_out;
    int      (*handler)(softefa_cmd_t *cmd);
} command_table[] = {
    {SOFTEFA_WRITE_QUERY_DEVICE, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_device_t), query_device},
    {EX(QUERY_DEVICE), sizeof(softefa_abi_ex_query_device_t),
     offsetof(softefa_abi_device_ex_t, not_efa), ex_query_device},
    {SOFTEFA_WRITE_ALLOC_PD, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_alloc_pd_resp_t), alloc_pd},
    {SOFTEFA_WRITE_CREATE_AH, sizeof(softefa_abi_create_ah_t),
     sizeof(softefa_abi_create_ah_resp_t), create_ah},
    {SOFTEFA_WRITE_REG_MR, sizeof(softefa_abi_reg_mr_t),
     sizeof(softefa_abi_reg_mr_resp_t), reg_mr},
    {SOFTEFA_WRITE_CREATE_COMP_CHANNEL, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_create_comp_channel_resp_t), create_comp_channel},
    {SOFTEFA_WRITE_QUERY_QP, sizeof(softefa_abi_query_qp_t),
     sizeof(softefa_abi_query_qp_resp_t), query_qp},
    {SOFTEFA_WRITE_MODIFY_QP, sizeof(softefa_abi_modify_qp_t), 0, modify_qp},
};

int softefa_uverbs_invoke_write(softefa_cmd_t *cmd)
{
    uint32_t command = softefa_attr_find(cmd, SOFTEFA_ATTR_WRITE_CMD)->data;
    const softefa_abi_attr_t *out;
    size_t i, in_length;

    for (i = 0; i < ARRAY_SIZE(command_table); ++i) {
        if (command_table[i].command == command) {
            break;
        }
    }

    if (i == ARRAY_SIZE(command_table)) {
        return EOPNOTSUPP;
    }

    /* libibverbs probes for INVOKE_WRITE with an empty command: ENOSPC */
    (void)softefa_attr_in(cmd, SOFTEFA_ATTR_CORE_IN, &in_length);
    out = softefa_attr_find(cmd, SOFTEFA_ATTR_CORE_OUT);
    if ((in_length < command_table[i].min_in) ||
        ((out == NULL) ? 0 : out->len) < command_table[i].min_out) {
        return ENOSPC;
    }

    return cmd->file->has_context ? command_table[i].handler(cmd) : EINVAL;
}
