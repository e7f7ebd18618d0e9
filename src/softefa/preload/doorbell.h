/* Doorbells that a program stores itself, and that trap. See doorbell.c. */
#ifndef SOFTEFA_DOORBELL_H
#define SOFTEFA_DOORBELL_H

#include <stdint.h>

/* The word that the program is to store to in place of `real`, the doorbell of
 * `object`; each store reaches `real`, and then `stored` is called, by the
 * thread that stored. The same object has the same word. NULL: none is left,
 * or no memory; logged. */
uint32_t *softefa_doorbell_add(void *object, uint32_t *real,
                               void (*stored)(void *object, uint32_t value));

/* The object is being destroyed: its doorbell rings no more. An object that has
 * none is ignored. */
void softefa_doorbell_remove(const void *object);

#endif
