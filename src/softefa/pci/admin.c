/* See admin.h. */
#include "pci/admin.h"
#include "base/log.h"
#include "base/util.h"
#include "faults/fault.h"
#include "nic/counters.h"
#include "pci/event.h"
#include "pci/irq.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 1024,
    NO_FAULT  = -1
};

/* What each command is to a fault plan, and what counts it if it failed */
#define COMMAND(_name, _handler, _fault, _failed)                             \
    [SOFTEFA_ADMIN_##_name] = {#_name, softefa_pci_cmd_##_handler, _fault,    \
                               _failed}

static const struct {
    const char        *name;
    softefa_pci_cmd_t handler;
    int               fault;         /* softefa_fault_cmd_t, or NO_FAULT */
    softefa_count_t   failed;
} command_table[] = {
    COMMAND(CREATE_QP, create_qp, SOFTEFA_CMD_CREATE_QP,
            SOFTEFA_COUNT_CREATE_QP_ERR),
    COMMAND(MODIFY_QP, modify_qp, SOFTEFA_CMD_MODIFY_QP, SOFTEFA_NUM_COUNTS),
    COMMAND(QUERY_QP, query_qp, SOFTEFA_CMD_QUERY_QP, SOFTEFA_NUM_COUNTS),
    COMMAND(DESTROY_QP, destroy_qp, SOFTEFA_CMD_DESTROY, SOFTEFA_NUM_COUNTS),
    COMMAND(CREATE_AH, create_ah, SOFTEFA_CMD_CREATE_AH,
            SOFTEFA_COUNT_CREATE_AH_ERR),
    COMMAND(DESTROY_AH, destroy_ah, SOFTEFA_CMD_DESTROY, SOFTEFA_NUM_COUNTS),
    COMMAND(REG_MR, reg_mr, SOFTEFA_CMD_REG_MR, SOFTEFA_COUNT_REG_MR_ERR),
    COMMAND(DEREG_MR, dereg_mr, SOFTEFA_CMD_DESTROY, SOFTEFA_NUM_COUNTS),
    COMMAND(CREATE_CQ, create_cq, SOFTEFA_CMD_CREATE_CQ,
            SOFTEFA_COUNT_CREATE_CQ_ERR),
    COMMAND(DESTROY_CQ, destroy_cq, SOFTEFA_CMD_DESTROY, SOFTEFA_NUM_COUNTS),
    COMMAND(GET_FEATURE, get_feature, NO_FAULT, SOFTEFA_NUM_COUNTS),
    COMMAND(SET_FEATURE, set_feature, NO_FAULT, SOFTEFA_NUM_COUNTS),
    COMMAND(GET_STATS, get_stats, NO_FAULT, SOFTEFA_NUM_COUNTS),
    COMMAND(ALLOC_PD, alloc_pd, SOFTEFA_CMD_ALLOC_PD,
            SOFTEFA_COUNT_ALLOC_PD_ERR),
    COMMAND(DEALLOC_PD, dealloc_pd, SOFTEFA_CMD_DESTROY, SOFTEFA_NUM_COUNTS),
    COMMAND(ALLOC_UAR, alloc_uar, SOFTEFA_CMD_OPEN,
            SOFTEFA_COUNT_ALLOC_UCONTEXT_ERR),
    COMMAND(DEALLOC_UAR, dealloc_uar, NO_FAULT, SOFTEFA_NUM_COUNTS),
    COMMAND(CREATE_EQ, create_eq, NO_FAULT, SOFTEFA_NUM_COUNTS),
    COMMAND(DESTROY_EQ, destroy_eq, NO_FAULT, SOFTEFA_NUM_COUNTS)
};

static_assert(SOFTEFA_ARRAY_SIZE(command_table) == SOFTEFA_ADMIN_LAST + 1,
              "a handler for each command");

static softefa_admin_status_t admin_status(int error)
{
    switch (error) {
    case 0:
        return SOFTEFA_ADMIN_OK;
    case ENOMEM:
        return SOFTEFA_ADMIN_NO_RESOURCE;
    case EOPNOTSUPP:
        return SOFTEFA_ADMIN_UNSUPPORTED;
    case EBUSY:
        return SOFTEFA_ADMIN_BUSY;
    case EINVAL:
    case EFAULT:
        return SOFTEFA_ADMIN_ILLEGAL_PARAMETER;
    default:
        return SOFTEFA_ADMIN_UNKNOWN_ERROR;
    }
}

void softefa_pci_admin_start(softefa_pci_t *pci)
{
    uint32_t depth = pci->aq_caps & 0xffff;

    pci->aq_head = 0;
    pci->aq_prod = 0;
    if ((pci->aq_caps != 0) &&
        (!softefa_is_pow2(depth) || (depth > MAX_DEPTH) ||
         (pci->aq_base % 8 != 0) ||
         ((pci->aq_caps >> 16) != SOFTEFA_ADMIN_ENTRY_SIZE))) {
        softefa_error("the driver's admin queue cannot be: address %#llx, "
                      "capabilities %#x",
                      (unsigned long long)pci->aq_base, pci->aq_caps);
        pci->aq_caps = 0;
    }
}

static int admin_execute(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                         softefa_admin_resp_t *resp)
{
    unsigned opcode = cmd->head.opcode;
    int ret         = 0;

    if (pci->dev == NULL) {
        return EIO;
    }

    if (command_table[opcode].fault != NO_FAULT) {
        ret = softefa_fault_command(pci->index, command_table[opcode].fault);
    }
    if (ret == 0) {
        ret = command_table[opcode].handler(pci, cmd, resp);
    }
    softefa_counters_command(pci->index, command_table[opcode].failed, ret);
    return ret;
}

static void admin_hex(const void *entry, size_t size, char *text)
{
    const uint8_t *bytes = entry;
    size_t i;

    for (i = 0; i < size; ++i) {
        text += sprintf(text, "%s%02x", (i % 4 == 0) ? " " : "", bytes[i]);
    }
}

/* A command as it came, and what became of it */
static void admin_trace(const softefa_admin_cmd_t *cmd,
                        const softefa_admin_resp_t *resp, int error)
{
    char asked[3 * sizeof(*cmd)], answered[3 * sizeof(*resp)];
    const char *name = (cmd->head.opcode <= SOFTEFA_ADMIN_LAST) ?
                               command_table[cmd->head.opcode].name :
                               NULL;

    admin_hex(cmd, sizeof(*cmd), asked);
    admin_hex(resp, sizeof(*resp), answered);
    fprintf(stderr, "%s (%u): %s\n   %s\n   %s\n", name ? name : "command",
            cmd->head.opcode, error ? strerror(error) : "OK", asked, answered);
}

static void admin_command(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd)
{
    softefa_admin_resp_t resp = {};
    int error                 = EOPNOTSUPP;

    if ((cmd->head.opcode <= SOFTEFA_ADMIN_LAST) &&
        (command_table[cmd->head.opcode].handler != NULL)) {
        error = admin_execute(pci, cmd, &resp);
    }
    if (error != 0) {
        memset(&resp, 0, sizeof(resp));
    }
    resp.head.id      = cmd->head.id;
    resp.head.status  = admin_status(error);
    resp.head.sq_head = pci->aq_head;
    softefa_pci_ring_put(pci, &pci->acq, &resp, sizeof(resp), 0,
                         (uint32_t)SOFTEFA_ADMIN_PHASE << 24);
    if (pci->trace) {
        admin_trace(cmd, &resp, error);
    }
}

static_assert(offsetof(softefa_admin_resp_head_t, flags) == 3,
              "the phase bit is in the last byte of the first word");

void softefa_pci_admin_doorbell(softefa_pci_t *pci, uint32_t producer)
{
    uint32_t depth = pci->aq_caps & 0xffff;
    const uint8_t *entry;
    softefa_admin_cmd_t cmd;

    if ((depth == 0) || (pci->acq.depth == 0) ||
        ((uint16_t)(producer - pci->aq_head) > depth)) {
        softefa_error("the driver rang the admin doorbell (%u), but has %s",
                      producer,
                      (depth == 0) || (pci->acq.depth == 0) ?
                              "no admin queues" :
                              "not so many entries");
        return;
    }

    while ((uint16_t)(producer - pci->aq_head) > 0) {
        entry = softefa_pci_dma_at(&pci->dma,
                                   pci->aq_base + ((uint64_t)(pci->aq_head &
                                                              (depth - 1)) *
                                                   sizeof(cmd)),
                                   sizeof(cmd), false);
        if (entry == NULL) {
            softefa_error("the driver's admin queue at %#llx is not in memory "
                          "that the client mapped",
                          (unsigned long long)pci->aq_base);
            return;
        }

        memcpy(&cmd, entry, sizeof(cmd));
        ++pci->aq_head;
        admin_command(pci, &cmd);
    }

    if (!(pci->intr_mask & SOFTEFA_INTR_MASK_EN)) {
        softefa_pci_irq_raise(pci, pci->acq.vector);
    }
}

void softefa_pci_admin_unmap(softefa_pci_t *pci,
                             const softefa_pci_region_t *region)
{
    uint32_t i;

    for (i = 0; (pci->num_mrs > 0) && (i < pci->profile.max_mr); ++i) {
        if ((pci->mr[i].mr != NULL) &&
            softefa_pci_view_uses(&pci->mr[i].view, region)) {
            softefa_pci_mr_lose(&pci->mr[i]);
        }
    }
}

void softefa_pci_admin_reset(softefa_pci_t *pci)
{
    uint32_t events, i;

    if (pci->dev != NULL) {
        softefa_dev_close_begin(pci->dev);
    }
    for (i = 0; i < pci->qp_slots; ++i) {
        if (pci->qp[i].qp != NULL) {
            (void)softefa_qp_destroy(pci->qp[i].qp);
        }
    }
    for (i = 0; i < pci->cq_slots; ++i) {
        if (pci->cq[i].cq != NULL) {
            (void)softefa_cq_destroy(pci->cq[i].cq, &events);
        }
    }
    for (i = 0; (pci->num_mrs > 0) && (i < pci->profile.max_mr); ++i) {
        softefa_pci_mr_lose(&pci->mr[i]);
        softefa_pci_mr_free(pci, &pci->mr[i]);
    }

    memset(pci->qp, 0, pci->qp_slots * sizeof(*pci->qp));
    memset(pci->cq, 0, pci->cq_slots * sizeof(*pci->cq));
    memset(pci->cq_of, 0, pci->cq_slots * sizeof(*pci->cq_of));
    memset(pci->eq, 0, sizeof(pci->eq));
    memset(pci->uar_used, 0, sizeof(pci->uar_used));
}
