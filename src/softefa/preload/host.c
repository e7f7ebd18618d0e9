/*
 * The host interface of a process under libsoftefa.so (nic/host.h); its copies:
 * copy/process_vm.c.
 */
#include "nic/host.h"
#include "preload/process.h"
#include "preload/progress_thread.h"

void softefa_host_dev_opened(void)
{
    softefa_process_opened();
}

void softefa_host_wake(void)
{
    softefa_progress_thread_wake();
}
