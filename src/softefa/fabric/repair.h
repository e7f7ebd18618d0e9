/* After the admin lock's owner died in the middle of what it protects. */
#ifndef SOFTEFA_REPAIR_H
#define SOFTEFA_REPAIR_H

/* Makes maps, counts and references anew from the entries, of all devices. */
void softefa_repair(void);

#endif
