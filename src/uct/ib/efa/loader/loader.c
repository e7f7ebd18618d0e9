#include "ucx_efa_config.h"
typedef int ucx_efa_loader_empty_t;
