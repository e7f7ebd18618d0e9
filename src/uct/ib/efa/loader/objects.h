/*
 * What loader, module and tools share: objects of this process by their name,
 * which transports are installed, what UCX_MODULES allows, lines for the user.
 * libc only.
 */
#ifndef UCX_EFA_OBJECTS_H
#define UCX_EFA_OBJECTS_H

#include <dirent.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Followed by the version of UCX that it was built for, and .so */
#define UCX_EFA_TRANSPORT "libefasrd-"

__attribute__((format(printf, 1, 2))) static inline void
ucx_efa_say(const char *format, ...)
{
    char line[2 * PATH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "ucx-efa: %s\n", line);
}

/* Cuts a path at its last slash; "." if there is none. */
static inline void ucx_efa_dirname(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL) {
        strcpy(path, ".");
    } else {
        *slash = '\0';
    }
}

/* UCX_MODULES: "all", a list of what is allowed, or ^ and what is not. */
static inline int ucx_efa_modules_is_list(const char *modules)
{
    return (*modules != '\0') && strcmp(modules, "all");
}

static inline int ucx_efa_modules_allow(const char *modules, const char *name)
{
    int is_negated = (*modules == '^');
    size_t length;

    if (!ucx_efa_modules_is_list(modules)) {
        return 1;
    }

    for (modules += is_negated;; modules += length) {
        modules += strspn(modules, ",");
        length = strcspn(modules, ",");
        if (length == 0) {
            return is_negated;
        }
        if ((length == strlen(name)) && !strncmp(modules, name, length)) {
            return !is_negated;
        }
    }
}

typedef struct {
    const char *dir;            /* NULL: any                               */
    const char *name;           /* "libucs"                                */
    char        path[PATH_MAX]; /* out                                     */
} ucx_efa_object_t;

static inline int ucx_efa_object_is(struct dl_phdr_info *info, size_t size,
                                    void *arg)
{
    ucx_efa_object_t *object = arg;
    const char *base         = strrchr(info->dlpi_name, '/');
    size_t length            = strlen(object->name);

    (void)size;
    if ((base == NULL) || strncmp(base + 1, object->name, length) ||
        ((base[1 + length] != '.') && (base[1 + length] != '-')) ||
        (strlen(info->dlpi_name) >= sizeof(object->path))) {
        return 0;
    }

    if ((object->dir != NULL) &&
        ((strlen(object->dir) != (size_t)(base - info->dlpi_name)) ||
         strncmp(object->dir, info->dlpi_name, base - info->dlpi_name))) {
        return 0;
    }

    strcpy(object->path, info->dlpi_name);
    return 1;
}

/*
 * Is an object of that name loaded, from dir unless that is NULL? Its path is
 * object->path then. A wheel gives its libraries names of its own, as in
 * libucs-14c218c5.so.0.0.0.
 */
static inline int ucx_efa_object_find(ucx_efa_object_t *object, const char *dir,
                                      const char *name)
{
    object->dir  = dir;
    object->name = name;
    return dl_iterate_phdr(ucx_efa_object_is, object);
}

/* Has this UCX a transport srd of its own? From 1.19 on, where it was built
 * with EFA. */
static inline int ucx_efa_has_own_srd(const char *libuct)
{
    static const char prefix[] = "libuct_ib_efa.so";
    char path[PATH_MAX + 8];
    struct dirent *entry;
    int found = 0;
    DIR *dir;

    snprintf(path, PATH_MAX, "%s", libuct);
    ucx_efa_dirname(path);
    strcat(path, "/ucx");
    dir = opendir(path);
    while ((dir != NULL) && !found && ((entry = readdir(dir)) != NULL)) {
        found = !strncmp(entry->d_name, prefix, strlen(prefix));
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

static inline int ucx_efa_is_transport(const struct dirent *entry)
{
    size_t prefix = strlen(UCX_EFA_TRANSPORT);
    size_t end    = strlen(entry->d_name);

    return (end > prefix + strlen(".so")) &&
           !strncmp(entry->d_name, UCX_EFA_TRANSPORT, prefix) &&
           !strcmp(entry->d_name + end - strlen(".so"), ".so");
}

/* "1.13, 1.22-assert": of UCX, for which there are transports in a directory;
 * 0: none, and text is "". */
static inline int ucx_efa_versions(const char *path, char *text, size_t max)
{
    size_t prefix = strlen(UCX_EFA_TRANSPORT);
    size_t length = 0;
    struct dirent **list;
    int count, i;

    *text = '\0';
    count = scandir(path, &list, ucx_efa_is_transport, versionsort);
    for (i = 0; i < count; ++i) {
        if (length < max) {
            length += snprintf(text + length, max - length, "%s%.*s",
                               (length == 0) ? "" : ", ",
                               (int)(strlen(list[i]->d_name) - prefix -
                                     strlen(".so")),
                               list[i]->d_name + prefix);
        }
        free(list[i]);
    }
    if (count >= 0) {
        free(list);
    }
    return length > 0;
}

#endif
