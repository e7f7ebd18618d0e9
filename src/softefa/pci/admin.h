/*
 * The admin queue: commands of the driver, one completion for each.
 *
 *   AQ_PROD_DB --> take entries up to it --> command table --> cmd_*.c
 *                                                                 |
 *              interrupt (unless masked) <-- ACQ entry <-- errno -'
 *
 *   errno of the model       status                driver
 *   ENOMEM                   NO_RESOURCE           ENOMEM
 *   EOPNOTSUPP               UNSUPPORTED           EOPNOTSUPP
 *   EBUSY                    BUSY                  EINVAL
 *   EINVAL, EFAULT           ILLEGAL_PARAMETER     EINVAL
 *   EIO, ETIME, others       UNKNOWN_ERROR         EINVAL
 */
#ifndef SOFTEFA_PCI_ADMIN_H
#define SOFTEFA_PCI_ADMIN_H

#include "pci/function.h"

/* AQ_CAPS was written: the queue begins. */
void softefa_pci_admin_start(softefa_pci_t *pci);
void softefa_pci_admin_doorbell(softefa_pci_t *pci, uint32_t producer);

/* Frees all objects of the driver. */
void softefa_pci_admin_reset(softefa_pci_t *pci);

/* Regions that use this memory lose it: their keys are no one's any more, until
 * the driver deregisters them. */
void softefa_pci_admin_unmap(softefa_pci_t *pci,
                             const softefa_pci_region_t *region);

/* Handlers: 0 or an errno; the response's head is not theirs. */
typedef int (*softefa_pci_cmd_t)(softefa_pci_t *pci,
                                 const softefa_admin_cmd_t *cmd,
                                 softefa_admin_resp_t *resp);

int softefa_pci_cmd_create_qp(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_modify_qp(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_query_qp(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp);
int softefa_pci_cmd_destroy_qp(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp);
int softefa_pci_cmd_create_cq(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_destroy_cq(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp);
int softefa_pci_cmd_reg_mr(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                           softefa_admin_resp_t *resp);
int softefa_pci_cmd_dereg_mr(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp);
int softefa_pci_cmd_create_ah(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_destroy_ah(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp);
int softefa_pci_cmd_alloc_pd(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp);
int softefa_pci_cmd_dealloc_pd(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp);
int softefa_pci_cmd_alloc_uar(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_dealloc_uar(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp);
int softefa_pci_cmd_create_eq(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);
int softefa_pci_cmd_destroy_eq(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp);
int softefa_pci_cmd_get_feature(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp);
int softefa_pci_cmd_set_feature(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp);
int softefa_pci_cmd_get_stats(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp);

/* Whether the driver has this UAR */
bool softefa_pci_uar_exists(const softefa_pci_t *pci, uint32_t uar);

/* A region whose memory goes away; one that the driver has no more. */
void softefa_pci_mr_lose(softefa_pci_mr_t *mr);
void softefa_pci_mr_free(softefa_pci_t *pci, softefa_pci_mr_t *mr);

#endif
