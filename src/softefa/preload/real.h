/*
 * What the interposers share. They may be called before any constructor, by the
 * loader's other libraries; each finds its successor when it is first used.
 */
#ifndef SOFTEFA_REAL_H
#define SOFTEFA_REAL_H

#include <dlfcn.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

/* The next definition of a function, found once; racing threads find the
 * same one. */
#define REAL(_name)                                                           \
    ({                                                                        \
        static __typeof__(&_name) _real;                                      \
        __typeof__(&_name) _func = __atomic_load_n(&_real, __ATOMIC_RELAXED); \
        if (_func == NULL) {                                                  \
            _func = (__typeof__(&_name))dlsym(RTLD_NEXT, #_name);             \
            __atomic_store_n(&_real, _func, __ATOMIC_RELAXED);                \
        }                                                                     \
        _func;                                                                \
    })

#endif
