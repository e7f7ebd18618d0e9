/* Commands of protection domains, address handles, UARs, event queues. */
#include "pci/admin.h"
#include "pci/event.h"

#include <errno.h>

int softefa_pci_cmd_alloc_pd(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp)
{
    (void)cmd;
    return softefa_pd_alloc(pci->dev, &resp->number);
}

int softefa_pci_cmd_dealloc_pd(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp)
{
    (void)resp;
    return softefa_pd_free(pci->dev, cmd->object.number);
}

int softefa_pci_cmd_create_ah(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    return softefa_ah_create(pci->dev, cmd->create_ah.pd, cmd->create_ah.gid,
                             &resp->number);
}

int softefa_pci_cmd_destroy_ah(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp)
{
    (void)resp;
    return softefa_ah_destroy(pci->dev, cmd->destroy_ah.pd, cmd->destroy_ah.ah);
}

bool softefa_pci_uar_exists(const softefa_pci_t *pci, uint32_t uar)
{
    return (uar < SOFTEFA_PCI_MAX_UARS) &&
           ((pci->uar_used[uar / 64] >> (uar % 64)) & 1);
}

int softefa_pci_cmd_alloc_uar(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    uint32_t uar;

    (void)cmd;
    for (uar = 0; uar < SOFTEFA_PCI_MAX_UARS; ++uar) {
        if (!softefa_pci_uar_exists(pci, uar)) {
            pci->uar_used[uar / 64] |= 1ull << (uar % 64);
            resp->number = uar;
            return 0;
        }
    }

    return ENOMEM;
}

/* A QP or CQ keeps its own doorbells, so none is in use by another. */
int softefa_pci_cmd_dealloc_uar(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp)
{
    uint32_t uar = cmd->object.number;

    (void)resp;
    if (!softefa_pci_uar_exists(pci, uar)) {
        return EINVAL;
    }

    pci->uar_used[uar / 64] &= ~(1ull << (uar % 64));
    return 0;
}

int softefa_pci_cmd_create_eq(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    return softefa_pci_eq_create(pci, &cmd->create_eq, &resp->number);
}

/* CQs that name it are polled only from now on. */
int softefa_pci_cmd_destroy_eq(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp)
{
    (void)resp;
    return softefa_pci_eq_destroy(pci, cmd->object.number);
}
