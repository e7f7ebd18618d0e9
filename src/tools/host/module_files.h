/*
 * For which versions of UCX the transport is installed: libefasrd-VERSION.so,
 * one for each (src/uct/ib/efa/loader/module.c).
 */
#ifndef EFA_MODULE_FILES_H
#define EFA_MODULE_FILES_H

enum {
    EFA_MODULE_VERSIONS_MAX = 256
};

/* "1.13, 1.22", from where the loader looks for them; self_dir is that of this
 * program. 0: there is none. */
int efa_module_versions(const char *self_dir,
                        char text[EFA_MODULE_VERSIONS_MAX]);

/* Is version, "1.13", in such a text? */
int efa_module_versions_has(const char *text, const char *version);

#endif
