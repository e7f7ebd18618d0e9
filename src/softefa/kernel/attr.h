/*
 * Attributes of a command: inputs of up to 8 bytes are in `data`, longer ones
 * behind the pointer in it; outputs are behind the pointer; handles and
 * descriptors are in `data`.
 */
#ifndef SOFTEFA_ATTR_H
#define SOFTEFA_ATTR_H

#include "kernel/file.h"

/* One command that is being carried out. */
typedef struct {
    softefa_file_t     *file;
    int                fd;
    softefa_abi_attr_t *attrs;
    unsigned           num_attrs;
} softefa_cmd_t;

softefa_abi_attr_t *softefa_attr_find(const softefa_cmd_t *cmd, uint16_t id);
/* Address of an input, inlined or not. NULL: absent. */
const void *softefa_attr_in(const softefa_cmd_t *cmd, uint16_t id,
                            size_t *length);
/* Copies min(size, given) bytes and zeroes the rest of dst. EINVAL when fewer
 * than min_size were given; EOPNOTSUPP when what is beyond size is not zero. */
int softefa_attr_copy_in(const softefa_cmd_t *cmd, uint16_t id, void *dst,
                         size_t min_size, size_t size);
/* Copies min(size, room) bytes and zeroes the rest of the room. */
void softefa_attr_copy_out(const softefa_cmd_t *cmd, uint16_t id,
                           const void *src, size_t size);
void softefa_attr_set(const softefa_cmd_t *cmd, uint16_t id, uint64_t value);

/* A number of up to 8 bytes; 0 if absent. */
uint64_t softefa_attr_u64(const softefa_cmd_t *cmd, uint16_t id);
/* The object whose handle is the attribute; NULL: absent or not of the type. */
softefa_obj_t *softefa_attr_obj(const softefa_cmd_t *cmd, uint16_t id,
                                softefa_obj_type_t type);

/* EFA has no driver part in the input of most commands: EOPNOTSUPP if it is not
 * zero. */
int softefa_attr_check_no_uhw(const softefa_cmd_t *cmd);

#endif
