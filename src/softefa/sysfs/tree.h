/* The tree of the device's files; see tree.c. */
#ifndef SOFTEFA_TREE_H
#define SOFTEFA_TREE_H

#include <limits.h>
#include <stdbool.h>

/* Puts the path of a file of the tree into buf, dir and rest joined; the tree
 * is made if need be, and the file is brought up to date. Returns 0 or an
 * errno; why there can be no tree is logged once. */
int softefa_tree_file(const char *dir, const char *rest, char buf[PATH_MAX]);

/* Where the tree is, without symbolic links. False: nowhere. */
bool softefa_tree_root(char root[PATH_MAX]);

#endif
