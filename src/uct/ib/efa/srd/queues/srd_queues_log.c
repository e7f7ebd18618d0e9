/*
 * What to say when the device refuses a queue.
 */
#include "srd/queues/srd_queues.h"

#include <errno.h>

void uct_srd_queues_log_error(const uct_efa_md_t *md, const char *what,
                              unsigned num_send, unsigned num_recv,
                              const char *limit_name, int limit)
{
    int err          = errno;
    char advice[256] = "";

    if (err == ENOMEM) {
        snprintf(advice, sizeof(advice),
                 "; the device has %d for all processes of the host (%s of "
                 "ibv_devinfo -v): run fewer processes or workers on it; or "
                 "memory is short: lower UCX_SRD_TX_QUEUE_LEN and "
                 "UCX_SRD_RX_QUEUE_LEN",
                 limit, limit_name);
    } else if (err == EOPNOTSUPP) {
        snprintf(advice, sizeof(advice), "; the device has no SRD");
    }

    ucs_error("srd: cannot create a %s (%u + %u entries) on %s: %s%s", what,
              num_send, num_recv, uct_efa_md_device_name(md), strerror(err),
              advice);
    errno = err;
}
