/*
 * The loader's side of libuct_efasrd.so (module.h).
 */
#ifndef LOADER_MODULE_H
#define LOADER_MODULE_H

#define LOADER_MODULE "efasrd"

/* Finds the module; has it a transport for this libuct, a path? Prints why
 * not. */
int loader_module_fits(const char *libuct);

/* After loader_module_fits(). 0: that failed, and why was said. */
int loader_module_open(const char *libuct);

#endif
