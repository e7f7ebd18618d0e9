/* A message that is to be sent now. */
#ifndef SOFTEFA_MESSAGE_H
#define SOFTEFA_MESSAGE_H

#include "nic/object.h"

/* Performs it. A softefa_status_t, AGAIN if the receiver has no descriptor (SRD
 * only). */
int softefa_message_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

#endif
