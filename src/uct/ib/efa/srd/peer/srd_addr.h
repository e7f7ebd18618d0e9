/*
 * Addresses as text.
 */
#ifndef UCT_SRD_ADDR_H
#define UCT_SRD_ADDR_H

#include "srd/def/srd_def.h"

/* "fe80::1/5": 64 bytes of buffer suffice */
const char *uct_srd_addr_str(const void *gid, uint32_t qpn, char *buf,
                             size_t max);

/* The same without the QPN */
const char *uct_srd_addr_gid_str(const void *gid, char *buf, size_t max);

#endif
