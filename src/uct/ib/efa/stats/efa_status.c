/*
 * The table of efa_status.h as data, found by the device's code.
 */
#include "stats/efa_status.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#define UCT_EFA_STATUS_ENTRY(_code, _name, _message, _control, _rma, _status, \
                             _text, _advice) \
    [_code] = {#_name, \
               {UCT_EFA_STATUS_ACTION_##_message, \
                UCT_EFA_STATUS_ACTION_##_control, \
                UCT_EFA_STATUS_ACTION_##_rma}, _status, _text, _advice},

static const uct_efa_status_desc_t uct_efa_status_table[UCT_EFA_STATUS_LAST] = {
    UCT_EFA_STATUS_TABLE(UCT_EFA_STATUS_ENTRY)
};

/* Newer firmware may know more than this file */
static const uct_efa_status_desc_t uct_efa_status_unknown = {
    "UNKNOWN",
    {UCT_EFA_STATUS_ACTION_FAIL_PEER, UCT_EFA_STATUS_ACTION_FAIL_PEER,
     UCT_EFA_STATUS_ACTION_FAIL_PEER}, UCS_ERR_IO_ERROR,
    "a status that this library does not know",
    "look it up in efa_io_defs.h of a recent rdma-core, and update this "
    "library"
};

/* The code is a byte of the completion entry */
static_assert(UCT_EFA_STATUS_LAST <= 256, "codes are bytes");

const uct_efa_status_desc_t *uct_efa_status_desc(unsigned vendor_err)
{
    if ((vendor_err >= UCT_EFA_STATUS_LAST) ||
        (uct_efa_status_table[vendor_err].name == NULL)) {
        return &uct_efa_status_unknown;
    }

    return &uct_efa_status_table[vendor_err];
}

const char *uct_efa_status_name(unsigned vendor_err,
                                char buffer[UCT_EFA_STATUS_NAME_MAX])
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);

    if (desc == &uct_efa_status_unknown) {
        snprintf(buffer, UCT_EFA_STATUS_NAME_MAX, "%u", vendor_err);
    } else {
        snprintf(buffer, UCT_EFA_STATUS_NAME_MAX, "%s", desc->name);
    }

    return buffer;
}
