/*
 * Starts UCX as a thread of a program would while others read the environment:
 * their getenv() goes through the array that was there before, so it must be as it
 * was. The array is one of setenv(), with something behind it: setenv() would have
 * to move it, and to free what others read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uct/api/uct.h>

extern char **environ;

int main(void)
{
    char **before, **copy, *behind;
    uct_component_h *components;
    unsigned num_components;
    size_t count;

    setenv("ENVIRON_UCT", "1", 1);
    before = environ;
    for (count = 0; before[count] != NULL; ++count) {
    }
    ++count;

    behind = malloc(count * sizeof(*before));
    copy   = malloc(count * sizeof(*before));
    if ((behind == NULL) || (copy == NULL)) {
        return 1;
    }

    memcpy(copy, before, count * sizeof(*before));
    if (uct_query_components(&components, &num_components) != UCS_OK) {
        return 1;
    }

    uct_release_component_list(components);
    printf("environment: %s; RDMAV_ALLOW_DISASSOC_DESTROY=%s\n",
           memcmp(copy, before, count * sizeof(*before)) ? "changed" :
                                                           "untouched",
           getenv("RDMAV_ALLOW_DISASSOC_DESTROY"));
    free(copy);
    free(behind);
    return 0;
}
