/* The ioctl methods of EFA's uverbs objects: what each one takes. */
#ifndef SOFTEFA_METHOD_H
#define SOFTEFA_METHOD_H

#include "kernel/attr.h"

/* One method (method.c). Attributes of the core are bit masks; the
 * driver's own (UHW and above) are always allowed. */
typedef struct {
    uint16_t object;
    uint16_t method;
    uint32_t required;
    uint32_t optional;
    int      before_context;     /* allowed before GET_CONTEXT */
    int      (*handler)(softefa_cmd_t *cmd);
} softefa_method_t;

/* NULL: there is no such method. */
const softefa_method_t *softefa_method_find(uint16_t object, uint16_t method);

#endif
