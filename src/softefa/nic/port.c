/* See port.h. Source of the steps: Linux, drivers/infiniband/hw/efa. */
#include "nic/port.h"

#include <infiniband/verbs.h>
#include <string.h>

enum {
    WIDTH_1X       = 1,
    WIDTH_4X       = 2,
    WIDTH_8X       = 4,
    WIDTH_12X      = 8,
    SPEED_SDR      = 1,
    SPEED_DDR      = 2,
    SPEED_FDR10    = 8,
    SPEED_EDR      = 32,
    SPEED_HDR      = 64,
    PHYS_LINK_UP   = 5
};

typedef struct {
    uint32_t   min_gbps;
    uint8_t    width;
    uint8_t    speed;
    const char *rate;
} port_step_t;

/* Fastest first; the last one takes all. */
static const port_step_t step_table[] = {
    {400, WIDTH_8X, SPEED_HDR, "400 Gb/sec (8X HDR)"},
    {200, WIDTH_4X, SPEED_HDR, "200 Gb/sec (4X HDR)"},
    {120, WIDTH_12X, SPEED_FDR10, "120 Gb/sec (12X FDR10)"},
    {100, WIDTH_4X, SPEED_EDR, "100 Gb/sec (4X EDR)"},
    {60, WIDTH_12X, SPEED_DDR, "60 Gb/sec (12X DDR)"},
    {50, WIDTH_1X, SPEED_HDR, "50 Gb/sec (1X HDR)"},
    {40, WIDTH_4X, SPEED_FDR10, "40 Gb/sec (4X FDR10)"},
    {30, WIDTH_12X, SPEED_SDR, "30 Gb/sec (12X SDR)"},
    {0, WIDTH_1X, SPEED_EDR, "25 Gb/sec (1X EDR)"},
};

static const port_step_t *port_step(const softefa_profile_t *profile)
{
    const port_step_t *step = step_table;

    while (profile->link_gbps < step->min_gbps) {
        ++step;
    }
    return step;
}

/* The MTU enumeration ends at 4096, however much a SEND may carry. */
static uint8_t port_mtu(uint32_t bytes)
{
    return (bytes >= 4096) ? IBV_MTU_4096 :
           (bytes >= 2048) ? IBV_MTU_2048 :
           (bytes >= 1024) ? IBV_MTU_1024 :
           (bytes >= 512)  ? IBV_MTU_512 :
                             IBV_MTU_256;
}

void softefa_port_query(const softefa_profile_t *profile,
                        softefa_abi_port_t *resp)
{
    const port_step_t *step = port_step(profile);

    memset(resp, 0, sizeof(*resp));
    resp->max_msg_sz   = profile->max_msg_size;
    resp->gid_tbl_len  = 1;
    resp->pkey_tbl_len = 1;
    resp->state        = IBV_PORT_ACTIVE;
    resp->max_mtu      = port_mtu(profile->max_msg_size);
    resp->active_mtu   = resp->max_mtu;
    resp->lmc          = 1;
    resp->max_vl_num   = 1;
    resp->active_width = step->width;
    resp->active_speed = step->speed;
    resp->phys_state   = PHYS_LINK_UP;
    resp->link_layer   = IBV_LINK_LAYER_UNSPECIFIED;
}

const char *softefa_port_rate(const softefa_profile_t *profile)
{
    return port_step(profile)->rate;
}
