/*
 * The output format of srdtool's parts: options that stand before the object.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>

typedef struct {
    bool json;      /* -j: one JSON value on stdout instead of text */
    bool pretty;    /* -p: that, with line breaks                   */
    bool details;   /* -d: more of everything                       */
} srdtool_output_t;

/* -j, -p, -d, which stand before and behind an object. False: another one. */
static inline bool srdtool_output_option(srdtool_output_t *out, int option)
{
    switch (option) {
    case 'j':
        out->json = true;
        return true;
    case 'p':
        out->pretty = true;
        return true;
    case 'd':
        out->details = true;
        return true;
    default:
        return false;
    }
}

#endif
