/*
 * Which EFA devices can this process use?
 *
 *   sysfs: a verbs device of Amazon's vendor id?
 *     no  -> not ours, not a word
 *     yes -> in libibverbs' list?
 *              no  -> node missing, or provider missing: one warning
 *              yes -> can be opened?
 *                       no  -> one warning with the reason
 *                       yes -> a memory domain resource
 *
 * A host without EFA hears nothing, whatever else is broken on it. Warnings
 * come once in a process, however often UCX asks.
 */
#ifndef UCT_EFA_PROBE_H
#define UCT_EFA_PROBE_H

#include "base/def/efa_def.h"

typedef enum {
    UCT_EFA_PROBE_YES,          /* an EFA device that can be used           */
    UCT_EFA_PROBE_NO,           /* something else                           */
    UCT_EFA_PROBE_UNUSABLE      /* an EFA device, but ...                   */
} uct_efa_probe_t;

/* Of libibverbs' list. Warns of what is unusable. */
uct_efa_probe_t uct_efa_probe_device(struct ibv_device *ibv_device);

/* Warns of EFA devices that the kernel has and libibverbs does not list. */
void uct_efa_probe_unlisted(struct ibv_device **list, int num);

/* libibverbs leaves devices out, without a word, if it cannot open their files:
 * warns, and returns 1, if this may be the reason. */
int uct_efa_probe_check_files(void);

#endif
