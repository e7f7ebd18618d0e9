/* Commands of protection domains. */
#include "abi/efa_abi.h"
#include "kernel/cmd.h"

#include <errno.h>

int softefa_cmd_pd_alloc(softefa_cmd_t *cmd)
{
    softefa_abi_efa_pd_t efa         = {};
    softefa_abi_alloc_pd_resp_t resp = {};
    softefa_obj_t *obj;
    int ret;

    ret = softefa_attr_check_no_uhw(cmd);
    if (ret != 0) {
        return ret;
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

int softefa_cmd_pd_destroy(softefa_cmd_t *cmd)
{
    softefa_obj_t *obj = softefa_attr_obj(cmd, SOFTEFA_ATTR_DESTROY_PD_HANDLE,
                                          SOFTEFA_OBJ_PD);

    return (obj == NULL) ? ENOENT : softefa_obj_destroy(cmd->file, obj, NULL);
}
