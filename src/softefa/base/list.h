/* A doubly linked list: the links are part of the elements. */
#ifndef SOFTEFA_LIST_H
#define SOFTEFA_LIST_H

#include <stddef.h>

typedef struct softefa_link softefa_link_t;

struct softefa_link {
    softefa_link_t *prev, *next;
};

static inline void softefa_list_init(softefa_link_t *head)
{
    head->prev = head->next = head;
}

/* At the end */
static inline void softefa_list_add(softefa_link_t *head, softefa_link_t *link)
{
    link->prev       = head->prev;
    link->next       = head;
    head->prev->next = link;
    head->prev       = link;
}

static inline void softefa_list_del(softefa_link_t *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

#define softefa_container_of(_ptr, _type, _member)                            \
    ((_type*)((char*)(_ptr) - offsetof(_type, _member)))

#endif
