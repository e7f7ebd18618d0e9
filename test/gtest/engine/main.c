/* Runs each case in a process of its own and says ok or not ok. */
#define _GNU_SOURCE
#include "ring.h"

#include <string.h>
#include <sys/wait.h>

#define CASE(_name) {#_name, test_##_name}

static const struct {
    const char *name;
    void       (*run)(void);
} cases[] = {
    CASE(rdma_write),  CASE(rdma_write_imm),  CASE(rdma_write_unsolicited),
    CASE(rdma_errors), CASE(malformed),       CASE(ah_destroyed),
    CASE(flush_and_reset), CASE(events),      CASE(fork),
    CASE(kill_traffic), CASE(kill_admin),     CASE(kill_attach),
    CASE(points_send),  CASE(points_armed),   CASE(points_fifo),
    CASE(points_admin), CASE(stopped_admin),
    CASE(stopped_attach), CASE(stopped_queues), CASE(lock_excludes),
    CASE(lock_of_thread), CASE(lock_of_former), CASE(lock_of_stopped),
    CASE(lock_of_joining),
};

static int run(unsigned index)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        cases[index].run();
        exit(0);
    }

    if ((pid < 0) || (waitpid(pid, &status, 0) != pid)) {
        printf("not ok %s: no process\n", cases[index].name);
        return 1;
    }

    if (status != 0) {
        printf("not ok %s: ended with %s %d\n", cases[index].name,
               WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return 1;
    }

    printf("ok %s\n", cases[index].name);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    char value[16];
    unsigned i;

    snprintf(value, sizeof(value), "%d", RING_DEVICES);
    setenv("SOFTEFA_DEVICES", value, 1);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        if ((argc < 2) || !strcmp(argv[1], cases[i].name)) {
            failed |= run(i);
        }
    }

    return failed;
}
