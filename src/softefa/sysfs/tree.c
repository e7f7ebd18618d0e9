/*
 * The tree of the device's files, in
 * <fabric>/sys/<profile>.<devices>.<host>: it stands for parts of /sys and /dev
 * (path.c). A tree is made under a temporary name and renamed when complete;
 * processes with equal options share it. Modification times must not change
 * afterwards: libibverbs tells devices apart by them.
 */
#define _GNU_SOURCE
#include "sysfs/tree.h"
#include "base/log.h"
#include "base/util.h"
#include "config/options.h"
#include "fabric/dir.h"
#include "fabric/fabric.h"
#include "fabric/membership.h"
#include "nic/device.h"
#include "sysfs/build.h"
#include "sysfs/counters_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
static char tree_root[PATH_MAX / 4]; /* empty: not made yet */
static int tree_error;               /* why it cannot be: logged once, not tried
                                        again for every path */

/* Makes the tree and moves it to `root`, unless it is there already. */
static int tree_build(const softefa_options_t *options, const char *root,
                      const char *tmp)
{
    softefa_build_t builder = {};
    unsigned i;

    if (snprintf(builder.root, sizeof(builder.root), "%s", tmp) >=
        (int)sizeof(builder.root)) {
        return ENAMETOOLONG;
    }

    softefa_build_dir(&builder, "bus/pci/devices");
    softefa_build_dir(&builder, "bus/pci/drivers/efa");
    softefa_build_dir(&builder, "cdev");
    for (i = 0; i < options->devices; ++i) {
        softefa_build_device(&builder, &options->profile, i);
    }
    softefa_build_list(&builder, options, SOFTEFA_LIST_IB, SOFTEFA_LIST_IB);
    softefa_build_list(&builder, options, SOFTEFA_LIST_VERBS,
                       SOFTEFA_LIST_VERBS);

    if ((builder.status == 0) && rename(tmp, root) && (errno != ENOTEMPTY) &&
        (errno != EEXIST)) {
        builder.status = errno;
    }

    /* what is left when it failed, or when another process was faster */
    if (access(tmp, F_OK) == 0) {
        softefa_dir_remove_tree(tmp);
    }
    return builder.status;
}

/* Locked. Makes a list anew and puts it in place of the old one at once. */
static int tree_relist(const softefa_options_t *options, const char *name)
{
    softefa_build_t builder = {};
    char path[PATH_MAX], tmp[PATH_MAX], dir[32];

    snprintf(builder.root, sizeof(builder.root), "%s", tree_root);
    snprintf(path, sizeof(path), "%s/class/%s", tree_root, name);
    snprintf(dir, sizeof(dir), ".%d", (int)getpid());
    snprintf(tmp, sizeof(tmp), "%s/class/%s", tree_root, dir);
    softefa_build_list(&builder, options, name, dir);
    if ((builder.status == 0) &&
        (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) < 0)) {
        builder.status = errno;
    }

    softefa_dir_remove_tree(tmp);
    return builder.status;
}

/* Locked. Takes a dead device from the lists, and puts it there again when it
 * has returned. Whoever looks first does so, for all. */
static void tree_list_living(const softefa_options_t *options)
{
    static const char *const lists[][2] = {
        {SOFTEFA_LIST_IB, "efa_"}, {SOFTEFA_LIST_VERBS, "uverbs"}
    };
    char path[PATH_MAX];
    bool changed;
    unsigned i;
    size_t j;
    int ret;

    for (j = 0; j < SOFTEFA_ARRAY_SIZE(lists); ++j) {
        for (i = 0, changed = false; i < options->devices; ++i) {
            if (softefa_fabric.shm->status[i].incarnation != 0) {
                snprintf(path, sizeof(path), "%s/class/%s/%s%u", tree_root,
                         lists[j][0], lists[j][1], i);
                changed |= ((access(path, F_OK) == 0) !=
                            softefa_device_alive(i));
            }
        }

        ret = changed ? tree_relist(options, lists[j][0]) : 0;
        if (ret != 0) {
            softefa_error("cannot list the devices anew in %s: %s", tree_root,
                          strerror(ret));
        }
    }
}

/* Locked. The tree's directory, made if need be. The fabric's directory goes
 * away with the last process in it, so what was made may be gone. */
static const char *tree_get(const softefa_options_t *options)
{
    char tmp[sizeof(tree_root) + 64];
    const char *dir;
    int length, ret;

    dir = softefa_membership_dir();
    if (dir == NULL) {
        errno = ENODEV;
        return NULL;
    }

    length = snprintf(tree_root, sizeof(tree_root), "%s/sys/%s.%u.%u", dir,
                      options->profile.name, options->devices, options->host);
    if (length >= (int)sizeof(tree_root)) {
        errno = ENAMETOOLONG;
        return NULL;
    }

    if (access(tree_root, F_OK) == 0) {
        tree_list_living(options);
        return tree_root;
    }

    snprintf(tmp, sizeof(tmp), "%s/sys/.%d.%p", dir, (int)getpid(),
             (void *)&length);
    snprintf(tree_root, sizeof(tree_root), "%s/sys", dir);
    ret = (mkdir(tree_root, 0700) && (errno != EEXIST)) ? errno : 0;
    snprintf(tree_root, sizeof(tree_root), "%s/sys/%s.%u.%u", dir,
             options->profile.name, options->devices, options->host);
    if (ret == 0) {
        ret = tree_build(options, tree_root, tmp);
    }
    if (ret != 0) {
        softefa_error("cannot make the device's files in %s: %s", tree_root,
                      strerror(ret));
        errno = ret;
        return NULL;
    }

    tree_list_living(options);
    return tree_root;
}

static void tree_fork_child(void)
{
    pthread_mutex_init(&tree_lock, NULL);
}

static void tree_fork_init(void)
{
    pthread_atfork(NULL, NULL, tree_fork_child);
}

int softefa_tree_file(const char *dir, const char *rest, char buf[PATH_MAX])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *root;
    int length;
    int ret = 0;

    pthread_once(&once, tree_fork_init);
    pthread_mutex_lock(&tree_lock);
    root = (tree_error == 0) ? tree_get(softefa_options()) : NULL;
    if (root != NULL) {
        length = snprintf(buf, PATH_MAX, "%s/%s%s", root, dir, rest);
        if (length < PATH_MAX) {
            softefa_counters_file_refresh(buf, root);
        } else {
            ret = ENAMETOOLONG;
        }
    } else {
        tree_error = (tree_error == 0) ? errno : tree_error;
        ret        = tree_error;
    }
    pthread_mutex_unlock(&tree_lock);
    return ret;
}

bool softefa_tree_root(char root[PATH_MAX])
{
    bool found;

    pthread_mutex_lock(&tree_lock);
    found = (tree_root[0] != '\0') && (realpath(tree_root, root) != NULL);
    pthread_mutex_unlock(&tree_lock);
    return found;
}
