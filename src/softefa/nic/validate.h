/* What the device finds wrong in a send queue entry: a softefa_status_t. */
#ifndef SOFTEFA_VALIDATE_H
#define SOFTEFA_VALIDATE_H

#include "nic/object.h"

int softefa_validate(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
int softefa_validate_ah(const softefa_qp_t *qp, uint16_t ahn);

#endif
