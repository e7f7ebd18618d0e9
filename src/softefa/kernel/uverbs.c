/*
 * RDMA_VERBS_IOCTL: header, attributes, dispatch.
 *
 *   softefa_abi_ioctl_t {object, method, n} + n x softefa_abi_attr_t {id, data}
 *        |
 *   softefa_method_find() --> required attributes --> handler
 *   (method.c)                     (cmd_*.c)            |
 *                                check.c, nic/nic.h <--'
 *
 * A mandatory attribute that a method does not know is refused
 * with EPROTONOSUPPORT, as is an unknown method: libibverbs then falls back.
 */
#include "kernel/uverbs.h"
#include "faults/fault.h"
#include "kernel/attr.h"
#include "kernel/method.h"
#include "nic/counters.h"

#include <errno.h>

static int check_attrs(const softefa_cmd_t *cmd, uint32_t required,
                       uint32_t optional)
{
    uint32_t found = 0;
    unsigned i;
    uint16_t id;

    for (i = 0; i < cmd->num_attrs; ++i) {
        id = cmd->attrs[i].attr_id;
        if (id >= SOFTEFA_ATTR_UHW_IN) {
            continue;
        }

        if ((id < 32) && ((required | optional) & (1u << id))) {
            if (found & (1u << id)) {
                return EINVAL;
            }
            found |= (1u << id);
        } else if (cmd->attrs[i].flags & SOFTEFA_ATTR_F_MANDATORY) {
            return EPROTONOSUPPORT;
        }
    }

    return ((found & required) == required) ? 0 : EINVAL;
}

/* What a fault plan calls this command. */
static softefa_fault_cmd_t fault_cmd(const softefa_cmd_t *cmd, uint16_t object,
                                     uint16_t method)
{
    switch (object) {
    case SOFTEFA_OBJECT_DEVICE:
        if (method != SOFTEFA_METHOD_INVOKE_WRITE) {
            return SOFTEFA_CMD_ANY;
        }
        break;
    case SOFTEFA_OBJECT_CQ:
        return (method == SOFTEFA_METHOD_CQ_CREATE) ? SOFTEFA_CMD_CREATE_CQ :
                                                      SOFTEFA_CMD_DESTROY;
    case SOFTEFA_OBJECT_QP:
        return (method == SOFTEFA_METHOD_QP_CREATE) ? SOFTEFA_CMD_CREATE_QP :
                                                      SOFTEFA_CMD_DESTROY;
    case SOFTEFA_OBJECT_MR:
        return (method == SOFTEFA_METHOD_REG_DMABUF_MR) ? SOFTEFA_CMD_REG_MR :
               (method == SOFTEFA_METHOD_MR_DESTROY)    ? SOFTEFA_CMD_DESTROY :
                                                          SOFTEFA_CMD_ANY;
    case SOFTEFA_OBJECT_AH:
    case SOFTEFA_OBJECT_PD:
        return SOFTEFA_CMD_DESTROY;
    default:
        return SOFTEFA_CMD_ANY;
    }

    switch (softefa_attr_u64(cmd, SOFTEFA_ATTR_WRITE_CMD)) {
    case SOFTEFA_WRITE_ALLOC_PD:
        return SOFTEFA_CMD_ALLOC_PD;
    case SOFTEFA_WRITE_CREATE_AH:
        return SOFTEFA_CMD_CREATE_AH;
    case SOFTEFA_WRITE_REG_MR:
        return SOFTEFA_CMD_REG_MR;
    case SOFTEFA_WRITE_MODIFY_QP:
        return SOFTEFA_CMD_MODIFY_QP;
    case SOFTEFA_WRITE_QUERY_QP:
        return SOFTEFA_CMD_QUERY_QP;
    default:
        return SOFTEFA_CMD_ANY;
    }
}

/* Counts what the driver would have sent to the device's admin queue. */
static void count_command(const softefa_cmd_t *cmd, uint16_t object,
                          uint16_t method, int ret)
{
    static const softefa_count_t failed[] = {
        [SOFTEFA_CMD_ALLOC_PD]  = SOFTEFA_COUNT_ALLOC_PD_ERR,
        [SOFTEFA_CMD_CREATE_AH] = SOFTEFA_COUNT_CREATE_AH_ERR,
        [SOFTEFA_CMD_REG_MR]    = SOFTEFA_COUNT_REG_MR_ERR,
        [SOFTEFA_CMD_CREATE_CQ] = SOFTEFA_COUNT_CREATE_CQ_ERR,
        [SOFTEFA_CMD_CREATE_QP] = SOFTEFA_COUNT_CREATE_QP_ERR,
        [SOFTEFA_CMD_MODIFY_QP] = SOFTEFA_NUM_COUNTS,
        [SOFTEFA_CMD_QUERY_QP]  = SOFTEFA_NUM_COUNTS,
        [SOFTEFA_CMD_DESTROY]   = SOFTEFA_NUM_COUNTS
    };
    softefa_fault_cmd_t name;

    if ((object == SOFTEFA_OBJECT_DEVICE) &&
        (method == SOFTEFA_METHOD_GET_CONTEXT)) {
        softefa_counters_command(cmd->file->index,
                                 SOFTEFA_COUNT_ALLOC_UCONTEXT_ERR, ret);
        return;
    }

    name = fault_cmd(cmd, object, method);
    if (name != SOFTEFA_CMD_ANY) {
        softefa_counters_command(cmd->file->index, failed[name], ret);
    }
}

int softefa_uverbs_ioctl(softefa_file_t *file, int fd, void *arg)
{
    softefa_abi_ioctl_t *hdr = arg;
    const softefa_method_t *method;
    softefa_cmd_t cmd;
    int ret;

    if (hdr == NULL) {
        return EFAULT;
    }

    if ((hdr->length !=
         sizeof(*hdr) + hdr->num_attrs * sizeof(hdr->attrs[0])) ||
        hdr->reserved1 || hdr->reserved2) {
        return EPROTONOSUPPORT;
    }

    if (hdr->driver_id != SOFTEFA_DRIVER_EFA) {
        return EINVAL;
    }

    cmd.file      = file;
    cmd.fd        = fd;
    cmd.attrs     = hdr->attrs;
    cmd.num_attrs = hdr->num_attrs;
    method        = softefa_method_find(hdr->object_id, hdr->method_id);
    if (method == NULL) {
        return EPROTONOSUPPORT;
    }

    ret = check_attrs(&cmd, method->required, method->optional);
    if (ret != 0) {
        return ret;
    }

    pthread_mutex_lock(&file->lock);
    if ((file->dev == NULL) || softefa_dev_is_dead(file->dev)) {
        ret = EIO;
    } else if (!file->has_context && !method->before_context) {
        ret = EINVAL;
    } else {
        /* What comes before the context are libibverbs' probes */
        ret = file->has_context ?
                      softefa_fault_command(file->index,
                                            fault_cmd(&cmd, hdr->object_id,
                                                      hdr->method_id)) :
                      0;
        ret = (ret != 0) ? ret : method->handler(&cmd);
        if (softefa_dev_is_valid(file->dev)) {
            count_command(&cmd, hdr->object_id, hdr->method_id, ret);
        }
    }
    pthread_mutex_unlock(&file->lock);
    return ret;
}
