/*
 * Where the libraries of this project lie, and for which versions of UCX the
 * transport is installed: libefasrd-VERSION.so, one for each
 * (src/uct/ib/efa/loader/module.c).
 */
#ifndef EFA_MODULE_H
#define EFA_MODULE_H

#include <limits.h>
#include <stdbool.h>

enum {
    EFA_MODULE_VERSIONS_MAX = 256
};

/* Looks for a library: in a build tree, in build_dir relative to self_dir,
 * which is that of this program; in an installation that may have been moved;
 * in installed_dir, where configure said. */
bool efa_module_find(const char *self_dir, const char *build_dir,
                     const char *installed_dir, const char *file,
                     char path[PATH_MAX]);

/* "1.13, 1.22", from where the loader looks for them. 0: there is none. */
int efa_module_versions(const char *self_dir,
                        char text[EFA_MODULE_VERSIONS_MAX]);

/* Is version, "1.13", in such a text? */
int efa_module_versions_has(const char *text, const char *version);

#endif
