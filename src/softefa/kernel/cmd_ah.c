/* Commands of address handles. */
#include "abi/efa_abi.h"
#include "kernel/check.h"
#include "kernel/cmd.h"

#include <errno.h>

int softefa_cmd_ah_create(softefa_cmd_t *cmd)
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

    ret = softefa_check_create_ah(&req.attr);
    if (ret == 0) {
        ret = softefa_attr_check_no_uhw(cmd);
    }
    if (ret != 0) {
        return ret;
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
    ret = softefa_ah_create(cmd->file->dev, pd->u.pd.pdn, req.attr.grh.dgid,
                            &obj->u.ah.ahn);
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

int softefa_cmd_ah_destroy(softefa_cmd_t *cmd)
{
    softefa_obj_t *obj = softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_AH_HANDLE,
                                          SOFTEFA_OBJ_AH);

    return (obj == NULL) ? ENOENT : softefa_obj_destroy(cmd->file, obj, NULL);
}
