/*
 * srdtool: see srdtool_run.c.
 */
#include "tools/srdtool_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const srdtool_t defaults;
    int status;

    status = srdtool_run(&defaults, argc, argv, false);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == SRDTOOL_SHOWN) {
        fprintf(stderr, "srdtool: cannot write what there is: %s\n",
                strerror(errno));
        return SRDTOOL_NOTHING;
    }
    return status;
}
