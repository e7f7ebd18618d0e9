/*
 * The one port of a device: always active. Width and speed follow from the
 * profile's link speed, in the driver's own steps.
 */
#ifndef SOFTEFA_PORT_H
#define SOFTEFA_PORT_H

#include "options.h"

#include <rdma/ib_user_verbs.h>

void softefa_port_query(const softefa_profile_t *profile,
                        struct ib_uverbs_query_port_resp *resp);

/* As in sysfs: "100 Gb/sec (4X EDR)". Constant. */
const char *softefa_port_rate(const softefa_profile_t *profile);

#endif
