/*
 * See loader_except.h.
 */
#define _GNU_SOURCE
#include "loader_except.h"
#include "objects.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define LOADER_VENDOR_EFA 0x1d0f
#define LOADER_VERBS_DIR  "/sys/class/infiniband_verbs"

typedef enum {
    LOADER_VERBS_NONE,  /* no verbs device                     */
    LOADER_VERBS_EFA,   /* EFA devices only, Soft-EFA included */
    LOADER_VERBS_MIXED  /* another device too                  */
} loader_verbs_t;

static unsigned long loader_read_hex(const char *device, const char *attribute)
{
    char path[PATH_MAX];
    unsigned value = 0;
    FILE *file;

    snprintf(path, sizeof(path), LOADER_VERBS_DIR "/%s/device/%s", device,
             attribute);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%x", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    return value;
}

/* Soft-EFA has no PCI files, but a modalias as every PCI device. */
static int loader_is_efa(const char *device)
{
    char path[PATH_MAX];
    unsigned vendor = 0;
    FILE *file;

    vendor = loader_read_hex(device, "vendor");
    if (vendor == 0) {
        snprintf(path, sizeof(path), LOADER_VERBS_DIR "/%s/device/modalias",
                 device);
        file = fopen(path, "re");
        if (file != NULL) {
            if (fscanf(file, "pci:v%8x", &vendor) != 1) {
                vendor = 0;
            }
            fclose(file);
        }
    }
    return vendor == LOADER_VENDOR_EFA;
}

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
        if (!loader_is_efa(entry->d_name)) {
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
