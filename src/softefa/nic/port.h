/*
 * The one port of a device: always active. Width and speed follow from the
 * profile's link speed, in the driver's own steps.
 */
#ifndef SOFTEFA_PORT_H
#define SOFTEFA_PORT_H

#include "abi/uverbs_abi.h"
#include "config/options.h"

void softefa_port_query(const softefa_profile_t *profile,
                        softefa_abi_port_t *resp);

/* As in sysfs: "100 Gb/sec (4X EDR)". Constant. */
const char *softefa_port_rate(const softefa_profile_t *profile);

#endif
