/*
 * What a device can do, asked once when it is opened.
 */
#ifndef UCT_EFA_DEVICE_H
#define UCT_EFA_DEVICE_H

#include "base/def/efa_def.h"

/* Fills dev from ctx. Logs what is missing and how to get it. */
ucs_status_t uct_efa_device_query(struct ibv_context *ctx,
                                  uct_efa_device_t *dev);

/* Bytes per second of active_speed and active_width of struct ibv_port_attr
 * (enum codes of the InfiniBand specification); 0 for codes not known.
 * Source: docs/device-facts.md, "Port speed". */
double
uct_efa_device_port_bandwidth(uint8_t active_speed, uint8_t active_width);

/* One way, seconds, for the generation named by the PCI device id.
 * Source: docs/device-facts.md, "Latency". */
double uct_efa_device_latency(uint32_t vendor_part_id);

#endif
