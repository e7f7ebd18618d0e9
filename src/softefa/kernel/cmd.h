/*
 * The commands, by object. Handlers run under the file's lock, with the
 * required attributes there; they return 0 or a positive errno. Which of them
 * come by ioctl is in method.c, which as an older write command in write.c.
 */
#ifndef SOFTEFA_CMD_H
#define SOFTEFA_CMD_H

#include "kernel/attr.h"

int softefa_cmd_device_get_context(softefa_cmd_t *cmd);
int softefa_cmd_device_query(softefa_cmd_t *cmd);
int softefa_cmd_device_query_ex(softefa_cmd_t *cmd);
int softefa_cmd_device_query_port(softefa_cmd_t *cmd);
int softefa_cmd_device_query_port_speed(softefa_cmd_t *cmd);
int softefa_cmd_device_query_gid_entry(softefa_cmd_t *cmd);
int softefa_cmd_device_query_gid_table(softefa_cmd_t *cmd);
int softefa_cmd_device_async_event_alloc(softefa_cmd_t *cmd);

int softefa_cmd_pd_alloc(softefa_cmd_t *cmd);
int softefa_cmd_pd_destroy(softefa_cmd_t *cmd);

int softefa_cmd_ah_create(softefa_cmd_t *cmd);
int softefa_cmd_ah_destroy(softefa_cmd_t *cmd);

int softefa_cmd_mr_reg(softefa_cmd_t *cmd);
int softefa_cmd_mr_reg_dmabuf(softefa_cmd_t *cmd);
int softefa_cmd_mr_query(softefa_cmd_t *cmd);
int softefa_cmd_mr_destroy(softefa_cmd_t *cmd);

int softefa_cmd_cq_channel_create(softefa_cmd_t *cmd);
int softefa_cmd_cq_create(softefa_cmd_t *cmd);
int softefa_cmd_cq_destroy(softefa_cmd_t *cmd);

int softefa_cmd_qp_create(softefa_cmd_t *cmd);
int softefa_cmd_qp_modify(softefa_cmd_t *cmd);
int softefa_cmd_qp_query(softefa_cmd_t *cmd);
int softefa_cmd_qp_destroy(softefa_cmd_t *cmd);

#endif
