/* Commands of the device: its context, port, GID, events, limits. */
#include "abi/efa_abi.h"
#include "kernel/check.h"
#include "kernel/cmd.h"
#include "nic/port.h"

#include <errno.h>
#include <string.h>

enum {
    PCI_VENDOR_AMAZON = 0x1d0f
};

static int check_port(uint64_t port)
{
    return (port == 1) ? 0 : EINVAL;
}

int softefa_cmd_device_get_context(softefa_cmd_t *cmd)
{
    const softefa_profile_t *profile = softefa_dev_profile(cmd->file->dev);
    softefa_abi_ucontext_resp_t resp = {};
    uint32_t num_comp_vectors        = softefa_check_comp_vectors(profile);
    uint64_t core_support            = SOFTEFA_ABI_CORE_OPTIONAL_ACCESS;
    softefa_abi_ucontext_t given     = {};
    const void *data;
    size_t length;

    if (cmd->file->has_context) {
        return EINVAL;
    }

    /* The one command where more than the driver knows is no error: what it
     * answers says what it knows. */
    data = softefa_attr_in(cmd, SOFTEFA_ATTR_UHW_IN, &length);
    if (data != NULL) {
        memcpy(&given, data, (length < sizeof(given)) ? length : sizeof(given));
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
    resp.sub_cqs_per_cq     = profile->sub_cqs;
    resp.inline_buf_size    = profile->inline_size;
    resp.inline_buf_size_ex = profile->inline_size_ex;
    resp.max_llq_size       = profile->max_llq_size;
    resp.max_tx_batch       = profile->max_tx_batch;
    resp.min_sq_wr          = profile->min_sq_wr;

    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_GET_CONTEXT_NUM_COMP_VECTORS,
                          &num_comp_vectors, sizeof(num_comp_vectors));
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_GET_CONTEXT_CORE_SUPPORT,
                          &core_support, sizeof(core_support));
    cmd->file->has_context = 1;
    return 0;
}

int softefa_cmd_device_query_port(softefa_cmd_t *cmd)
{
    uint64_t port = softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_PORT_PORT_NUM);
    softefa_abi_port_ex_t resp = {};
    int ret;

    ret = check_port(port);
    if (ret != 0) {
        return ret;
    }

    softefa_port_query(softefa_dev_profile(cmd->file->dev), &resp.legacy_resp);
    resp.active_speed_ex = resp.legacy_resp.active_speed;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_PORT_RESP, &resp,
                          sizeof(resp));
    return 0;
}

int softefa_cmd_device_query_port_speed(softefa_cmd_t *cmd)
{
    uint64_t port, speed;
    int ret;

    port = softefa_attr_u64(cmd, SOFTEFA_ATTR_QUERY_PORT_SPEED_PORT_NUM);
    ret  = check_port(port);
    if (ret != 0) {
        return ret;
    }

    /* unit: 100 Mb/s */
    speed = 10ull * softefa_dev_profile(cmd->file->dev)->link_gbps;
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_QUERY_PORT_SPEED_RESP, &speed,
                          sizeof(speed));
    return 0;
}

static void fill_gid_entry(const softefa_cmd_t *cmd,
                           softefa_abi_gid_entry_t *entry)
{
    memset(entry, 0, sizeof(*entry));
    softefa_dev_gid(cmd->file->dev, (uint8_t *)entry->gid);
    entry->port_num = 1;
    entry->gid_type = SOFTEFA_ABI_GID_TYPE_IB;
}

int softefa_cmd_device_query_gid_entry(softefa_cmd_t *cmd)
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

int softefa_cmd_device_query_gid_table(softefa_cmd_t *cmd)
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

int softefa_cmd_device_async_event_alloc(softefa_cmd_t *cmd)
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
                                   profile->max_sq_wr :
                                   profile->max_rq_wr;
    resp->max_sge        = (profile->max_sq_sge < profile->max_rq_sge) ?
                                   profile->max_sq_sge :
                                   profile->max_rq_sge;
    resp->max_sge_rd     = profile->max_rdma_sge;
    resp->max_cq         = profile->max_cq;
    resp->max_cqe        = profile->max_cqe;
    resp->max_mr         = profile->max_mr;
    resp->max_pd         = profile->max_pd;
    resp->max_ah         = profile->max_ah;
    resp->max_pkeys      = 1;
    resp->phys_port_cnt  = 1;
}

int softefa_cmd_device_query(softefa_cmd_t *cmd)
{
    softefa_abi_device_t resp;

    fill_device(cmd->file->dev, &resp);
    softefa_attr_copy_out(cmd, SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
    return 0;
}

int softefa_cmd_device_query_ex(softefa_cmd_t *cmd)
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

    if ((req.comp_mask != 0) || (req.reserved != 0)) {
        return EINVAL;
    }

    ret = softefa_attr_check_no_uhw(cmd);
    if (ret != 0) {
        return ret;
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
