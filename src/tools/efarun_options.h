/*
 * The command line of efarun.
 */
#ifndef EFARUN_OPTIONS_H
#define EFARUN_OPTIONS_H

#include <stdbool.h>

enum {
    EFARUN_EXIT_OWN       = 125,     /* a failure of efarun's own           */
    EFARUN_EXIT_CANNOT    = 126,     /* the command cannot be run           */
    EFARUN_EXIT_NOT_FOUND = 127,     /* there is no such command            */

    EFARUN_GO_ON          = -1       /* no exit status: run the command     */
};

typedef struct {
    bool       soft;                 /* --soft                              */
    bool       no_soft;              /* --no-soft                           */
    bool       quiet;                /* --quiet                             */
    bool       is_upstream;          /* --transport upstream                */
    const char *inject;              /* --inject, or NULL                   */
    char       **command;            /* what to run; NULL with --inject     */
} efarun_options_t;

/* Sets the variables that options stand for, SOFTEFA_* and EFARUN_TRANSPORT.
 * Returns EFARUN_GO_ON, or the exit status after it has printed what was asked
 * for or what is wrong. */
int efarun_options_parse(int argc, char **argv, efarun_options_t *options);

#endif
