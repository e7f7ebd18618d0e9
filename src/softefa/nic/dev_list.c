/* See dev_list.h. */
#include "nic/dev_list.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static softefa_link_t list_devs  = {&list_devs, &list_devs};

void softefa_dev_list_add(softefa_dev_t *dev)
{
    pthread_mutex_lock(&list_lock);
    softefa_list_add(&list_devs, &dev->link);
    pthread_mutex_unlock(&list_lock);
}

void softefa_dev_list_remove(softefa_dev_t *dev)
{
    pthread_mutex_lock(&list_lock);
    softefa_list_del(&dev->link);
    softefa_list_init(&dev->link);
    pthread_mutex_unlock(&list_lock);
}

/* Each link must stay good for softefa_dev_list_remove(). */
static void list_forget(void)
{
    softefa_link_t *link;

    while ((link = list_devs.next) != &list_devs) {
        softefa_list_del(link);
        softefa_list_init(link);
    }
}

bool softefa_dev_list_any(bool (*func)(softefa_dev_t *dev))
{
    bool any = false;
    softefa_link_t *link;

    pthread_mutex_lock(&list_lock);
    for (link = list_devs.next; link != &list_devs; link = link->next) {
        any |= func(softefa_container_of(link, softefa_dev_t, link));
    }
    pthread_mutex_unlock(&list_lock);
    return any;
}

bool softefa_dev_list_clear(bool (*func)(softefa_dev_t *dev))
{
    bool all = true;
    softefa_link_t *link;

    pthread_mutex_lock(&list_lock);
    for (link = list_devs.next; link != &list_devs; link = link->next) {
        all &= func(softefa_container_of(link, softefa_dev_t, link));
    }
    list_forget();
    pthread_mutex_unlock(&list_lock);
    return all;
}

void softefa_dev_list_reset(void)
{
    pthread_mutex_init(&list_lock, NULL);
    list_forget();
}
