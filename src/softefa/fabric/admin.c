/* See admin.h. */
#include "fabric/admin.h"
#include "fabric/fabric.h"
#include "fabric/lock.h"
#include "fabric/repair.h"
#include "faults/fault_point.h"

#include <errno.h>

static int admin_locked(int ret)
{
    if (ret == EOWNERDEAD) {
        softefa_repair();
        ret = 0;
    }
    if (ret == 0) {
        softefa_fault_point(SOFTEFA_POINT_LOCKED_ADMIN);
    }

    return ret;
}

int softefa_admin_lock(void)
{
    return admin_locked(softefa_lock_command(&softefa_fabric.shm->admin,
                                             "the device's tables"));
}

int softefa_admin_lock_soon(void)
{
    return admin_locked(softefa_lock(&softefa_fabric.shm->admin));
}

void softefa_admin_unlock(void)
{
    softefa_unlock(&softefa_fabric.shm->admin);
}
