/* The older write commands, wrapped in the INVOKE_WRITE method. */
#ifndef SOFTEFA_WRITE_H
#define SOFTEFA_WRITE_H

#include "kernel/attr.h"

int softefa_write_invoke(softefa_cmd_t *cmd);

#endif
