/*
 * The commands that libibverbs still sends in their write() form, wrapped in
 * the INVOKE_WRITE method:
 *
 *   WRITE_CMD   number, with bit 31 for an extended command
 *   CORE_IN     uverbs_abi.h: softefa_abi_<command>_t  CORE_OUT   ..._resp_t
 *   UHW_IN      driver's part (EFA takes none)         UHW_OUT    efa_abi.h
 */
#include "kernel/write.h"
#include "base/util.h"
#include "kernel/cmd.h"

#include <errno.h>
#include <stddef.h>

#define EX(_cmd) (SOFTEFA_WRITE_EXTENDED | SOFTEFA_WRITE_##_cmd)

static const struct {
    uint32_t command;
    size_t   min_in;
    size_t   min_out;
    int      (*handler)(softefa_cmd_t *cmd);
} command_table[] = {
    {SOFTEFA_WRITE_QUERY_DEVICE, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_device_t), softefa_cmd_device_query},
    {EX(QUERY_DEVICE), sizeof(softefa_abi_ex_query_device_t),
     offsetof(softefa_abi_device_ex_t, not_efa), softefa_cmd_device_query_ex},
    {SOFTEFA_WRITE_ALLOC_PD, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_alloc_pd_resp_t), softefa_cmd_pd_alloc},
    {SOFTEFA_WRITE_CREATE_AH, sizeof(softefa_abi_create_ah_t),
     sizeof(softefa_abi_create_ah_resp_t), softefa_cmd_ah_create},
    {SOFTEFA_WRITE_REG_MR, sizeof(softefa_abi_reg_mr_t),
     sizeof(softefa_abi_reg_mr_resp_t), softefa_cmd_mr_reg},
    {SOFTEFA_WRITE_CREATE_COMP_CHANNEL, sizeof(softefa_abi_cmd_t),
     sizeof(softefa_abi_create_comp_channel_resp_t),
     softefa_cmd_cq_channel_create},
    {SOFTEFA_WRITE_QUERY_QP, sizeof(softefa_abi_query_qp_t),
     sizeof(softefa_abi_query_qp_resp_t), softefa_cmd_qp_query},
    {SOFTEFA_WRITE_MODIFY_QP, sizeof(softefa_abi_modify_qp_t), 0,
     softefa_cmd_qp_modify},
};

int softefa_write_invoke(softefa_cmd_t *cmd)
{
    uint32_t command = softefa_attr_find(cmd, SOFTEFA_ATTR_WRITE_CMD)->data;
    const softefa_abi_attr_t *out;
    size_t i, in_length;

    for (i = 0; i < SOFTEFA_ARRAY_SIZE(command_table); ++i) {
        if (command_table[i].command == command) {
            break;
        }
    }

    if (i == SOFTEFA_ARRAY_SIZE(command_table)) {
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
