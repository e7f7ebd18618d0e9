/* What of the fabric's sparse file exists. */
#ifndef SOFTEFA_MEMORY_H
#define SOFTEFA_MEMORY_H

#include <stdint.h>

/* Makes the memory of [offset, offset + size) of the file exist. ENOMEM:
 * logged, /dev/shm is full. */
int softefa_memory_back(uint64_t offset, uint64_t size);

/* Maps its pages into this process, if the kernel can: who uses them under a
 * shared lock then makes no page fault there. They exist. */
void softefa_memory_populate(uint64_t offset, uint64_t size);

/* Gives it back; reads as zeros afterwards. */
void softefa_memory_unback(uint64_t offset, uint64_t size);

#endif
