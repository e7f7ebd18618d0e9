/*
 * Places where a plan may kill the process: one line in the code they are in.
 * Without such a rule a load and a branch.
 */
#ifndef SOFTEFA_FAULT_POINT_H
#define SOFTEFA_FAULT_POINT_H

#include "config/fault_plan.h"

extern unsigned softefa_fault_points;    /* bit per softefa_point_t */

void softefa_fault_hit(softefa_point_t point);

static inline void softefa_fault_point(softefa_point_t point)
{
    if (__builtin_expect(softefa_fault_points & (1u << point), 0)) {
        softefa_fault_hit(point);
    }
}

#endif
