/* See obj.h. */
#include "kernel/obj.h"
#include "kernel/file.h"
#include "kernel/upcall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

softefa_obj_t *softefa_obj_create(softefa_file_t *file, softefa_obj_type_t type,
                                  softefa_obj_t *use0, softefa_obj_t *use1,
                                  softefa_obj_t *use2)
{
    softefa_obj_t *obj = calloc(1, sizeof(*obj));
    softefa_obj_t **objs;
    uint32_t handle, i;

    if (obj == NULL) {
        return NULL;
    }

    for (handle = file->free_hint; handle < file->num_objs; ++handle) {
        if (file->objs[handle] == NULL) {
            break;
        }
    }

    if (handle == file->num_objs) {
        objs = realloc(file->objs, (2 * handle + 16) * sizeof(*objs));
        if (objs == NULL) {
            free(obj);
            return NULL;
        }
        file->objs     = objs;
        file->num_objs = 2 * handle + 16;
        memset(&objs[handle], 0, (handle + 16) * sizeof(*objs));
    }

    file->objs[handle] = obj;
    file->free_hint    = handle + 1;
    obj->type          = type;
    obj->handle        = handle;
    obj->uses[0]       = use0;
    obj->uses[1]       = use1;
    obj->uses[2]       = use2;
    for (i = 0; i < 3; ++i) {
        if (obj->uses[i] != NULL) {
            obj->uses[i]->users++;
        }
    }
    return obj;
}

softefa_obj_t *softefa_obj_find(softefa_file_t *file, softefa_obj_type_t type,
                                uint32_t handle)
{
    softefa_obj_t *obj = (handle < file->num_objs) ? file->objs[handle] : NULL;

    return ((obj != NULL) && (obj->type == type)) ? obj : NULL;
}

void softefa_obj_free(softefa_file_t *file, softefa_obj_t *obj)
{
    softefa_obj_t *used;
    int i;

    if (obj->handle < file->free_hint) {
        file->free_hint = obj->handle;
    }
    file->objs[obj->handle] = NULL;

    for (i = 0; i < 3; ++i) {
        used = obj->uses[i];
        if (used == NULL) {
            continue;
        }

        used->users--;
        if ((used->type == SOFTEFA_OBJ_CHANNEL) && (used->users == 0) &&
            used->u.channel.fd_closed) {
            softefa_obj_destroy(file, used, NULL);
        }
    }
    free(obj);
}

int softefa_obj_destroy(softefa_file_t *file, softefa_obj_t *obj,
                        uint32_t *events)
{
    uint32_t num_events = 0;
    int ret             = 0;

    if (obj->users != 0) {
        return EBUSY;
    }

    switch (obj->type) {
    case SOFTEFA_OBJ_PD:
        ret = softefa_pd_free(file->dev, obj->u.pd.pdn);
        break;
    case SOFTEFA_OBJ_AH:
        ret = softefa_ah_destroy(file->dev, obj->u.ah.pdn, obj->u.ah.ahn);
        break;
    case SOFTEFA_OBJ_MR:
        ret = softefa_mr_dereg(obj->u.mr.mr);
        if ((ret == 0) && (obj->u.mr.dmabuf.map != NULL)) {
            softefa_dmabuf_unmap(&obj->u.mr.dmabuf);
        }
        break;
    case SOFTEFA_OBJ_CHANNEL:
        ret = softefa_channel_destroy(obj->u.channel.channel);
        break;
    case SOFTEFA_OBJ_CQ:
        ret = softefa_cq_destroy(obj->u.cq.cq, &num_events);
        break;
    case SOFTEFA_OBJ_QP:
        num_events = softefa_async_qp_events(obj->u.qp.qp);
        ret        = softefa_qp_destroy(obj->u.qp.qp);
        break;
    default:
        break;
    }

    if (ret != 0) {
        return ret;
    }
    if ((obj->type == SOFTEFA_OBJ_CQ) || (obj->type == SOFTEFA_OBJ_QP)) {
        softefa_hooks_remove(file->dev, obj->user_handle);
    }
    if (events != NULL) {
        *events = num_events;
    }
    softefa_obj_free(file, obj);
    return 0;
}

void softefa_obj_channel_closed(softefa_file_t *file, softefa_obj_t *obj)
{
    pthread_mutex_lock(&file->lock);
    if (file->dev == NULL) {
        free(obj); /* left over by softefa_file_close() */
    } else {
        obj->u.channel.fd_closed = 1;
        if (obj->users == 0) {
            softefa_obj_destroy(file, obj, NULL);
        }
    }
    pthread_mutex_unlock(&file->lock);
}
