/* Commands of memory regions. */
#include "abi/efa_abi.h"
#include "kernel/check.h"
#include "kernel/cmd.h"
#include "kernel/dmabuf.h"

#include <errno.h>
#include <infiniband/verbs.h>

int softefa_cmd_mr_reg(softefa_cmd_t *cmd)
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

    ret = softefa_attr_check_no_uhw(cmd);
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

/* Which PCIe interconnects an MR uses: a software device knows none. */
int softefa_cmd_mr_query(softefa_cmd_t *cmd)
{
    uint16_t none = 0;

    if (softefa_attr_obj(cmd, SOFTEFA_ATTR_MR_QUERY_HANDLE, SOFTEFA_OBJ_MR) ==
        NULL) {
        return ENOENT;
    }

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_VALIDITY, &none,
                          sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RECV, &none, sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RDMA_READ, &none,
                          sizeof(none));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_MR_QUERY_RDMA_RECV, &none,
                          sizeof(none));
    return 0;
}

int softefa_cmd_mr_reg_dmabuf(softefa_cmd_t *cmd)
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

    obj->u.mr.dmabuf = dmabuf;
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

int softefa_cmd_mr_destroy(softefa_cmd_t *cmd)
{
    softefa_obj_t *obj = softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_MR_HANDLE,
                                          SOFTEFA_OBJ_MR);

    return (obj == NULL) ? ENOENT : softefa_obj_destroy(cmd->file, obj, NULL);
}
