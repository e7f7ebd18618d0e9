/* Functions of the verbs libraries, also of those that were loaded with
 * RTLD_LOCAL, out of dlsym()'s sight. */
#ifndef SOFTEFA_SYMBOL_H
#define SOFTEFA_SYMBOL_H

/* Of a library whose file name begins so ("libefa"); what this library itself
 * has under that name does not count. NULL: not loaded, or without it */
void *softefa_symbol_next(const char *library, const char *name);

#endif
