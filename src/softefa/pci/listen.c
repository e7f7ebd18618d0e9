/* See listen.h. */
#define _GNU_SOURCE
#include "pci/listen.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Whether somebody listens there */
static int listen_probe(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ret;

    if (fd < 0) {
        return errno;
    }

    ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ?
                  errno :
                  EADDRINUSE;
    close(fd);
    return ((ret == ECONNREFUSED) || (ret == ENOENT)) ? 0 : ret;
}

/* Made under another name, so that whoever sees the path can connect */
static int listen_bind(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t mask;
    int ret;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path,
             (int)getpid());
    mask = umask(0177);
    ret = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? errno :
                                                                         0;
    umask(mask);
    if (ret != 0) {
        return ret;
    }

    if ((listen(fd, 4) < 0) || (rename(address.sun_path, path) < 0)) {
        ret = errno;
        unlink(address.sun_path);
    }
    return ret;
}

int softefa_pci_listen(const char *path, int *fd_p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ret;
    int fd = -1;

    /* with room for ".PID" */
    if (strlen(path) + 12 > sizeof(address.sun_path)) {
        softefa_error("the path of a socket has at most %zu characters: %s",
                      sizeof(address.sun_path) - 12, path);
        return ENAMETOOLONG;
    }

    strcpy(address.sun_path, path);
    ret = listen_probe(&address);
    if (ret == 0) {
        fd  = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ret = (fd < 0) ? errno : listen_bind(fd, path);
    }
    if (ret != 0) {
        softefa_error("cannot listen at %s: %s", path, strerror(ret));
        if (fd >= 0) {
            close(fd);
        }
        return ret;
    }

    *fd_p = fd;
    return 0;
}

int softefa_pci_accept(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
