/*
 * One line on stderr for what a user must know: cause and what to do next.
 * A single write(2), so that lines of several ranks do not mix, and a bare
 * one, as the function is a cancellation point and the caller may hold locks.
 * Nothing is printed in normal operation.
 */
#ifndef SOFTEFA_LOG_H
#define SOFTEFA_LOG_H

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define softefa_error(_fmt, ...)                                              \
    do {                                                                      \
        char _line[512];                                                      \
        int _len = snprintf(_line, sizeof(_line), "softefa: " _fmt "\n",      \
                            ##__VA_ARGS__);                                   \
        if (_len >= (int)sizeof(_line)) {                                     \
            _len            = sizeof(_line) - 1;                              \
            _line[_len - 1] = '\n';                                           \
        }                                                                     \
        if (syscall(SYS_write, (long)STDERR_FILENO, _line, (long)_len) < 0) { \
            /* nowhere to say it */                                           \
        }                                                                     \
    } while (0)

#endif
