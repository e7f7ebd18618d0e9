/*
 * What efarun can tell of a program before it runs: whether the dynamic linker
 * will give it the transport.
 */
#ifndef EFARUN_PROGRAM_H
#define EFARUN_PROGRAM_H

typedef enum {
    EFARUN_PROGRAM_ANY,        /* nothing speaks against it, or not found */
    EFARUN_PROGRAM_PRIVILEGED, /* LD_PRELOAD is ignored there             */
    EFARUN_PROGRAM_MUSL        /* libraries for glibc end it              */
} efarun_program_t;

/* command: found as execvp() finds it */
efarun_program_t efarun_program(const char *command);

#endif
