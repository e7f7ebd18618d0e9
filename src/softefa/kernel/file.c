/* See file.h. */
#include "kernel/file.h"
#include "fabric/fabric.h"
#include "faults/fault.h"
#include "kernel/upcall.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int softefa_file_open(unsigned index, softefa_file_t **file_p)
{
    softefa_file_t *file = calloc(1, sizeof(*file));
    int ret;

    if (file == NULL) {
        return ENOMEM;
    }

    ret = softefa_fault_command(index, SOFTEFA_CMD_OPEN);
    if (ret == 0) {
        ret = softefa_dev_open(index, &file->dev);
    }
    if (ret != 0) {
        free(file);
        return ret;
    }

    pthread_mutex_init(&file->lock, NULL);
    file->refcount = 1;
    file->pid      = getpid();
    file->index    = index;
    *file_p        = file;
    return 0;
}

void softefa_file_put(softefa_file_t *file)
{
    /* What a forked child inherited. It must not touch the parent's device,
     * and locks below may have been held by threads that it has not. */
    static softefa_file_t *kept;

    if (__atomic_sub_fetch(&file->refcount, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }

    if (file->inherited) {
        file->next = __atomic_exchange_n(&kept, file, __ATOMIC_ACQ_REL);
        return;
    }

    if (file->dev != NULL) {
        softefa_file_close(file);
    }
    free(file->objs);
    free(file);
}

/* A channel whose descriptor outlives the file is freed with the former. */
static void file_close_channel(softefa_file_t *file, softefa_obj_t *obj)
{
    softefa_channel_destroy(obj->u.channel.channel);
    file->objs[obj->handle] = NULL;
    if (obj->u.channel.fd_closed) {
        free(obj);
    }
}

void softefa_file_close(softefa_file_t *file)
{
    softefa_obj_type_t type;
    softefa_obj_t *obj;
    uint32_t i;

    pthread_mutex_lock(&file->lock);
    softefa_dev_close_begin(file->dev);
    for (type = 0; type < SOFTEFA_OBJ_LAST; ++type) {
        for (i = 0; i < file->num_objs; ++i) {
            obj = softefa_obj_find(file, type, i);
            if (obj == NULL) {
                continue;
            }

            if (type == SOFTEFA_OBJ_CHANNEL) {
                file_close_channel(file, obj);
            } else {
                softefa_obj_destroy(file, obj, NULL);
            }
        }
    }

    softefa_hooks_destroy(file->hooks);
    file->hooks = NULL;
    softefa_dev_close(file->dev);
    file->dev = NULL;
    pthread_mutex_unlock(&file->lock);
}

int softefa_file_mmap_fd(const softefa_file_t *file)
{
    return softefa_dev_is_valid(file->dev) ? softefa_fabric.mem_fd : -1;
}
