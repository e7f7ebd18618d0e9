/*
 * Programs that cannot have the transport, however LD_PRELOAD is set:
 *
 *   setuid, setgid to others, file capabilities   secure-execution mode of
 *                                                 ld.so(8): it takes only
 *                                                 libraries of the system's
 *   interpreter .../ld-musl-*                     libraries for glibc do not
 *                                                 load there, and musl ends a
 *                                                 program for that (127)
 *
 * Statically linked ones and scripts are EFARUN_PROGRAM_ANY: what they start
 * may be served.
 */
#include "tools/efarun_program.h"

#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EFARUN_PROGRAM_CLASS ((sizeof(void*) == 8) ? ELFCLASS64 : ELFCLASS32)

/* Of one that the PATH does not have, false */
static bool efarun_program_find(const char *command, char path[PATH_MAX])
{
    const char *dir = getenv("PATH");
    const char *end;

    if (strchr(command, '/') != NULL) {
        return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX;
    }

    /* execvp()'s own default */
    for (dir = (dir == NULL) ? "/bin:/usr/bin" : dir;; dir = end + 1) {
        end = strchrnul(dir, ':');
        if ((snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - dir), dir,
                      (end == dir) ? "" : "/", command) < PATH_MAX) &&
            (access(path, X_OK) == 0)) {
            return true;
        }
        if (*end == '\0') {
            return false;
        }
    }
}

/* As the kernel decides on AT_SECURE, where it lets the file have its way */
static bool efarun_program_is_privileged(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return false;
    }

    return ((st.st_mode & S_ISUID) && (st.st_uid != getuid())) ||
           ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
            (st.st_gid != getgid())) ||
           ((getuid() != 0) &&
            (getxattr(path, "security.capability", NULL, 0) > 0));
}

/* Its interpreter (PT_INTERP), "" if it has none or is no program of this
 * machine's kind */
static void efarun_program_interpreter(int fd, char interpreter[PATH_MAX])
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    ssize_t length;
    unsigned i;

    interpreter[0] = '\0';
    if ((pread(fd, &header, sizeof(header), 0) != sizeof(header)) ||
        (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) ||
        (header.e_ident[EI_CLASS] != EFARUN_PROGRAM_CLASS) ||
        (header.e_phentsize != sizeof(segment))) {
        return;
    }

    for (i = 0; i < header.e_phnum; ++i) {
        if (pread(fd, &segment, sizeof(segment),
                  header.e_phoff + (i * sizeof(segment))) != sizeof(segment)) {
            return;
        }
        if (segment.p_type == PT_INTERP) {
            length = pread(fd, interpreter, PATH_MAX - 1, segment.p_offset);
            interpreter[(length < 0) ? 0 : length] = '\0';
            return;
        }
    }
}

static bool efarun_program_is_musl(const char *path)
{
    char interpreter[PATH_MAX];
    const char *name;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }

    efarun_program_interpreter(fd, interpreter);
    close(fd);
    name = strrchr(interpreter, '/');
    return (name != NULL) && (strncmp(name, "/ld-musl", 8) == 0);
}

efarun_program_t efarun_program(const char *command)
{
    char path[PATH_MAX];

    if (!efarun_program_find(command, path)) {
        return EFARUN_PROGRAM_ANY;
    }
    if (efarun_program_is_musl(path)) {
        return EFARUN_PROGRAM_MUSL;
    }
    return efarun_program_is_privileged(path) ? EFARUN_PROGRAM_PRIVILEGED :
                                                EFARUN_PROGRAM_ANY;
}
