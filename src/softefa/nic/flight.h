/* Messages that could not be finished at once. All under qp->lock. */
#ifndef SOFTEFA_FLIGHT_H
#define SOFTEFA_FLIGHT_H

#include "nic/object.h"

/* Keep a message (with a status: its completion) for the reorder option; keep
 * it until the receiver has a request. False: it cannot be kept. Keep its
 * completion until the CQ can be written. */
bool softefa_flight_hold(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status);
bool softefa_flight_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
void softefa_flight_done(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status);

/* Keep a message until `until` (ns), then send it, or complete it with a status
 * other than OK. False: it cannot be kept. */
bool softefa_flight_delay(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          int status, uint64_t until);

/* Let go of what the reorder option holds: of what is too many, or of some as
 * the application polls. Try what waits; end all that waits. */
void softefa_flight_reordered(softefa_qp_t *qp, bool poll);
void softefa_flight_retry(softefa_qp_t *qp);
void softefa_flight_flush(softefa_qp_t *qp, bool complete);

#endif
