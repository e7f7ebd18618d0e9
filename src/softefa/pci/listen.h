/* The socket that a client connects to. */
#ifndef SOFTEFA_PCI_LISTEN_H
#define SOFTEFA_PCI_LISTEN_H

/* Once the path is there, clients can connect. One that nobody listens to is
 * replaced. 0 or an errno, which is logged. */
int softefa_pci_listen(const char *path, int *fd_p);

/* A client, or -1: none waits. */
int softefa_pci_accept(int fd);

#endif
