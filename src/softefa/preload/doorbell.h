/*
 * Doorbells that a program rings itself: it asks libefa for the queues of a QP
 * (efadv_query_qp_wqs(), rdma-core 59 and later), writes entries and stores the
 * doorbell, and no function of libefa is called that could be hooked.
 */
#ifndef SOFTEFA_DOORBELL_H
#define SOFTEFA_DOORBELL_H

#include "nic/nic.h"

struct ibv_qp;

/* The QP is being destroyed: its doorbell rings no more. */
void softefa_doorbell_remove(const softefa_qp_t *qp);

#endif
