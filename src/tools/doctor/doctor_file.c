/*
 * Files of one line, as in /proc and /sys.
 */
#include "tools/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

bool doctor_file_line(const char *path, char *line, size_t max)
{
    FILE *file = fopen(path, "re");
    bool done;

    if (file == NULL) {
        return false;
    }

    done = fgets(line, max, file) != NULL;
    if (done) {
        line[strcspn(line, "\n")] = '\0';
    }
    fclose(file);
    return done;
}
