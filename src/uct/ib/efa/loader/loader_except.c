/*
 * See loader_except.h.
 */
#define _GNU_SOURCE
#include "loader_except.h"
#include "efa_pci.h"
#include "objects.h"

#include <dirent.h>
#include <stdlib.h>
#include <strings.h>

#define LOADER_VERBS_DIR "/sys/class/infiniband_verbs"

typedef enum {
    LOADER_VERBS_NONE,  /* no verbs device                     */
    LOADER_VERBS_EFA,   /* EFA devices only, Soft-EFA included */
    LOADER_VERBS_MIXED  /* another device too                  */
} loader_verbs_t;

static loader_verbs_t loader_verbs_devices(void)
{
    loader_verbs_t verbs = LOADER_VERBS_NONE;
    struct dirent *entry;
    DIR *dir;

    dir = opendir(LOADER_VERBS_DIR);
    if (dir == NULL) {
        return verbs;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "uverbs", strlen("uverbs"))) {
            continue;
        }
        if (!ucx_efa_pci_is_efa(LOADER_VERBS_DIR, entry->d_name)) {
            verbs = LOADER_VERBS_MIXED;
            break;
        }
        verbs = LOADER_VERBS_EFA;
    }

    closedir(dir);
    return verbs;
}

/* As UCX reads a boolean. The module documents the option (ucx_info -f). */
static int loader_option_is_set(const char *variable)
{
    const char *value = getenv(variable);

    return (value != NULL) &&
           (!strcasecmp(value, "y") || !strcasecmp(value, "yes") ||
            !strcasecmp(value, "on") || !strcmp(value, "1"));
}

/* Copies the items of a list, each behind a comma, but name. */
static void loader_list_copy(const char *list, const char *name, char *copy)
{
    size_t length;

    for (*copy = '\0';; list += length) {
        list += strspn(list, ",");
        length = strcspn(list, ",");
        if (length == 0) {
            return;
        }
        if ((length != strlen(name)) || strncmp(list, name, length)) {
            strcat(copy, ",");
            strncat(copy, list, length);
        }
    }
}

void loader_except(char modules[LOADER_MODULES_MAX], const char *name)
{
    char copy[LOADER_MODULES_MAX + 2];

    if (ucx_efa_modules_is_list(modules) && (*modules != '^')) {
        loader_list_copy(modules, name, copy);
        /* an empty list would be that of all; no module is called - */
        strcpy(modules, (*copy == '\0') ? "-" : copy + 1);
        return;
    }

    loader_list_copy(ucx_efa_modules_is_list(modules) ? modules + 1 : "", name,
                     copy);
    if (strlen(copy) + strlen(name) + 2 <= LOADER_MODULES_MAX) {
        strcat(copy, ",");
        strcat(copy, name);
        strcpy(modules, copy);
        *modules = '^';
    }
}

void loader_except_ib(char modules[LOADER_MODULES_MAX])
{
    if (!loader_option_is_set("UCX_EFA_KEEP_IB") &&
        (loader_verbs_devices() == LOADER_VERBS_EFA)) {
        loader_except(modules, "ib");
        loader_except(modules, "rdmacm"); /* links with it */
    }
}
