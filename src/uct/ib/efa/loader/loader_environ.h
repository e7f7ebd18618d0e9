/*
 * A variable of this process, set while other threads read the environment.
 */
#ifndef LOADER_ENVIRON_H
#define LOADER_ENVIRON_H

/* Adds "NAME=VALUE", which has to stay, unless the variable is there. Nothing
 * is freed. Short of memory: it is not added. */
void loader_environ_add(char *entry);

#endif
