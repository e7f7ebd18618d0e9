/* Joining the fabric and leaving it. */
#ifndef SOFTEFA_MEMBERSHIP_H
#define SOFTEFA_MEMBERSHIP_H

#include <stdbool.h>

/* Joins if this process has not yet. Logs and returns ENODEV, EACCES, ENOMEM...
 * if that cannot be. */
int softefa_membership_join(void);

/* Leaving, when the process ends. Begin: handles that were opened before are
 * invalid from now on; false: nothing to leave. End, after true: `quiet`: no
 * thread is in the model any more, what this process had is freed. If not,
 * it stays as if the process had been killed. The memory stays mapped: other
 * libraries' destructors may still poll a CQ, other threads ring a doorbell. */
bool softefa_membership_leave_begin(void);
void softefa_membership_leave_end(bool quiet);

/* The fabric's directory, joined on first use; NULL: logged why not. */
const char *softefa_membership_dir(void);

/* Whether this process, a member, is the only one and has no device open. */
bool softefa_membership_alone(void);

#endif
