/*
 * What UCP asks of an interface by functions that UCX does not install the
 * headers of (uct_v2.h).
 */
#ifndef TEST_UCT_CONTRACT_PROBE_H
#define TEST_UCT_CONTRACT_PROBE_H

#include <uct/api/uct.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    double              pre, post, recv; /* seconds                          */
    uct_ppn_bandwidth_t bandwidth, path; /* path: that of an older UCX: same */
    ucs_linear_func_t   latency;
    size_t              max_inflight_eps;
    uint64_t            flags;           /* none in an older UCX             */
} contract_perf_t;

/* How many operations there are to ask about */
unsigned     contract_perf_num_ops(void);
ucs_status_t contract_perf(uct_iface_h iface, unsigned op,
                           contract_perf_t *perf);
/* Of everything is asked for nothing: 0 if not a byte changed. */
int          contract_perf_touches(uct_iface_h iface);

/* Another device than the CPU controls the interface */
int          contract_has_ctl_device(const uct_iface_attr_t *attr);

#ifdef __cplusplus
}
#endif

#endif
