/*
 * How srdtool's parts are to print: what the options before the object said.
 */
#ifndef SRDTOOL_OUTPUT_H
#define SRDTOOL_OUTPUT_H

#include <stdbool.h>

typedef struct {
    bool json;      /* -j: one JSON value on stdout instead of text */
    bool pretty;    /* -p: that, with line breaks                   */
    bool details;   /* -d: more of everything                       */
} srdtool_output_t;

#endif
