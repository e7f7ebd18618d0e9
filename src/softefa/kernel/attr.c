/* See attr.h. */
#include "kernel/attr.h"

#include <errno.h>
#include <string.h>

softefa_abi_attr_t *softefa_attr_find(const softefa_cmd_t *cmd, uint16_t id)
{
    unsigned i;

    for (i = 0; i < cmd->num_attrs; ++i) {
        if (cmd->attrs[i].attr_id == id) {
            return &cmd->attrs[i];
        }
    }

    return NULL;
}

const void *softefa_attr_in(const softefa_cmd_t *cmd, uint16_t id,
                            size_t *length)
{
    const softefa_abi_attr_t *attr = softefa_attr_find(cmd, id);

    if (attr == NULL) {
        *length = 0;
        return NULL;
    }

    *length = attr->len;
    return (attr->len <= sizeof(attr->data)) ?
                   (const void *)&attr->data :
                   (const void *)(uintptr_t)attr->data;
}

int softefa_attr_copy_in(const softefa_cmd_t *cmd, uint16_t id, void *dst,
                         size_t min_size, size_t size)
{
    size_t length, i;
    const uint8_t *src = softefa_attr_in(cmd, id, &length);

    memset(dst, 0, size);
    if (length < min_size) {
        return EINVAL;
    }

    for (i = size; i < length; ++i) {
        if (src[i] != 0) {
            return EOPNOTSUPP;
        }
    }

    if (src != NULL) {
        memcpy(dst, src, (length < size) ? length : size);
    }
    return 0;
}

void softefa_attr_copy_out(const softefa_cmd_t *cmd, uint16_t id,
                           const void *src, size_t size)
{
    softefa_abi_attr_t *attr = softefa_attr_find(cmd, id);
    uint8_t *dst;

    if ((attr == NULL) || (attr->len == 0)) {
        return;
    }

    dst = (uint8_t *)(uintptr_t)attr->data;
    if (size > attr->len) {
        size = attr->len;
    }
    memcpy(dst, src, size);
    memset(dst + size, 0, attr->len - size);
    attr->flags |= SOFTEFA_ATTR_F_VALID_OUTPUT;
}

void softefa_attr_set(const softefa_cmd_t *cmd, uint16_t id, uint64_t value)
{
    softefa_abi_attr_t *attr = softefa_attr_find(cmd, id);

    if (attr != NULL) {
        attr->data = value;
    }
}

uint64_t softefa_attr_u64(const softefa_cmd_t *cmd, uint16_t id)
{
    const softefa_abi_attr_t *attr = softefa_attr_find(cmd, id);

    return (attr == NULL) ? 0 : attr->data;
}

softefa_obj_t *softefa_attr_obj(const softefa_cmd_t *cmd, uint16_t id,
                                softefa_obj_type_t type)
{
    const softefa_abi_attr_t *attr = softefa_attr_find(cmd, id);

    return ((attr == NULL) || (attr->data > UINT32_MAX)) ?
                   NULL :
                   softefa_obj_find(cmd->file, type, attr->data);
}

int softefa_attr_check_no_uhw(const softefa_cmd_t *cmd)
{
    size_t length, i;
    const uint8_t *data = softefa_attr_in(cmd, SOFTEFA_ATTR_UHW_IN, &length);

    for (i = 0; i < length; ++i) {
        if (data[i] != 0) {
            return EOPNOTSUPP;
        }
    }
    return 0;
}
