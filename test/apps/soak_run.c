/*
 * The conductor: starts the processes, kills, resets and starts them anew, and
 * sees to it that the soak itself ends.
 *
 *   process dies   by us, or by itself in the middle of something when we say
 *                  so: start it anew when the others have left its
 *                  connections; it has another incarnation then
 *                  else: aborted
 *   process does not loop, or says that something hangs: back traces, end
 *
 * One thing at a time: neither a kill nor a reset within PAUSE after
 * the last one, and never while a killed process is not back. Two sides that
 * are reset at once cannot be told from two that died.
 */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE 2500000ull               /* us between two incidents            */

typedef struct {
    pid_t    pid;
    uint64_t loops, moved;             /* when the loop was last seen to move */
} child_t;

static child_t child[SOAK_PROCS];
static uint64_t random_state;
static volatile sig_atomic_t interrupted;

static void run_on_signal(int signum)
{
    interrupted = signum;
}

/* Starts a program with its output appended to a file. Returns its pid. */
static pid_t run_start(const char *dir, const char *log, char *const *argv,
                       const char *device)
{
    char path[4096];
    pid_t parent = getpid(), pid;
    int fd;

    fflush(stdout);
    pid = fork();
    if (pid != 0) {
        return pid;
    }

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(126);
    }
    snprintf(path, sizeof(path), "%s/%s", dir, log);
    fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    if (device != NULL) {
        setenv("UCX_NET_DEVICES", device, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
    execvp(argv[0], argv);
    _exit(127);
}

/* Waits at most that long. Returns the status, -1 if it had to be killed. */
static int run_wait(pid_t pid, unsigned seconds)
{
    uint64_t end = soak_now() + seconds * 1000000ull;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (soak_now() > end) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        usleep(5000);
    }
    return status;
}

static void run_worker(const soak_plan_t *plan, unsigned i)
{
    char number[16], log[32], device[32];
    char *argv[] = {(char *)plan->self, "--worker", number, "--dir",
                    (char *)plan->dir,  NULL};

    snprintf(number, sizeof(number), "%u", i);
    snprintf(log, sizeof(log), "process-%u.log", i);
    snprintf(device, sizeof(device), "efa_%u:1", i);
    ++soak->proc[i].inc;
    child[i].pid   = run_start(plan->dir, log, argv, device);
    child[i].moved = soak_now();
}

/* For whoever reads the logs */
static void run_event(const soak_plan_t *plan, const char *what, unsigned i)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/events.log", plan->dir);
    file = fopen(path, "ae");
    if (file != NULL) {
        fprintf(file, "%.3f %s %u\n", soak_now() / 1e6, what, i);
        fclose(file);
    }
}

static void run_kill(const soak_plan_t *plan, unsigned i)
{
    run_event(plan, "kill", i);
    soak->proc[i].killed = soak->proc[i].inc;
    kill(child[i].pid, SIGKILL);
}

/* Back traces of all, cores of those that hang, before they are ended. */
static void run_dump(const soak_plan_t *plan)
{
    char pid[16], log[32], core[4200], text[1200];
    char *argv[] = {"gdb",    "-p",  pid,
                    "-batch", "-ex", "thread apply all backtrace 40",
                    "-ex",    core,  NULL};
    unsigned i, j, k;

    for (i = 0; i < SOAK_PROCS; ++i) {
        if (child[i].pid > 0) {
            snprintf(pid, sizeof(pid), "%d", child[i].pid);
            snprintf(log, sizeof(log), "backtrace-%u.log", i);
            snprintf(core, sizeof(core), "generate-core-file %s/core-%u",
                     plan->dir, i);
            argv[6] = (soak->proc[i].count[SOAK_HUNG] != 0) ? "-ex" : NULL;
            run_wait(run_start(plan->dir, log, argv, NULL), 60);
        }
        for (j = i + 1; j < SOAK_PROCS; ++j) {
            for (k = 0; k < SOAK_LINKS; ++k) {
                printf("%s\n", soak_link_string(i, j, k, text, sizeof(text)));
            }
        }
    }
}

static bool run_reset(const soak_plan_t *plan, unsigned i)
{
    static const char *const verbs[] = {"fatal", "return"};
    char spec[64];
    char *argv[] = {(char *)plan->efarun, "--quiet", "--inject", spec, NULL};
    bool good    = true;
    unsigned v;

    /* Connections that are there live on. New ones would be made with an
     * address that is not valid any more. */
    soak->proc[i].moving = 1;
    usleep(300000);
    for (v = 0; (v < 2) && good; ++v) {
        snprintf(spec, sizeof(spec), "%s dev=%u", verbs[v], i);
        if (run_wait(run_start(plan->dir, "inject.log", argv, NULL), 20) != 0) {
            printf("soak: efarun --inject '%s' failed, see %s/inject.log\n",
                   spec, plan->dir);
            good = false;
        } else if (v == 0) {
            usleep(20000 + soak_random(&random_state) % 700000);
        }
        soak->proc[i].reset_at = soak_now();
        run_event(plan, v ? "back" : "reset", i);
    }
    usleep(1000000);
    soak->proc[i].moving = 0;
    return good;
}

/* Have the others left all connections with it? */
static bool run_is_left(unsigned i)
{
    unsigned j, k;

    for (j = 0; j < SOAK_PROCS; ++j) {
        for (k = 0; (j != i) && (k < SOAK_LINKS); ++k) {
            if (word_state(soak_pair(i, j)->link[k].word) != LINK_IDLE) {
                return false;
            }
        }
    }
    return true;
}

/* Returns false when something is so wrong that the soak ends. */
static bool run_look(const soak_plan_t *plan)
{
    uint64_t now = soak_now();
    unsigned i;
    int status;

    for (i = 0; i < SOAK_PROCS; ++i) {
        if (child[i].pid == 0) {
            continue;
        }
        if (soak->proc[i].loops != child[i].loops) {
            child[i].loops = soak->proc[i].loops;
            child[i].moved = now;
        } else if (now - child[i].moved > soak->limit * 1000000ull) {
            soak_note("process %u: hung: no loop for %u s", i, soak->limit);
            ++soak->proc[i].count[SOAK_HUNG];
        }
        if (waitpid(child[i].pid, &status, WNOHANG) <= 0) {
            continue;
        }
        child[i].pid = 0;
        if (soak->proc[i].killed == soak->proc[i].inc) {
            continue;
        }
        if ((soak->phase == PHASE_QUIT) && (status == 0)) {
            continue;
        }
        if (WIFSIGNALED(status) &&
            ((WTERMSIG(status) == SIGTERM) || (WTERMSIG(status) == SIGINT))) {
            interrupted = WTERMSIG(status);
            continue;
        }
        soak_note("process %u: aborted: %s %d, see %s/process-%u.log", i,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                  plan->dir, i);
        ++soak->proc[i].count[SOAK_ABORTED];
    }
    if (soak_total(SOAK_HUNG) != 0) {
        run_dump(plan);
        return false;
    }
    return (soak_total(SOAK_ABORTED) == 0) && !interrupted;
}

static bool run_all_ready(void)
{
    unsigned i;

    for (i = 0; i < SOAK_PROCS; ++i) {
        if (!soak_is_ready(i)) {
            return false;
        }
    }
    return true;
}

/* Memory of those that are older than the warm-up. Returns 1 if it grew. */
static int run_memory(const soak_plan_t *plan)
{
    uint64_t warm, last;
    int grown = 0;
    unsigned i;

    for (i = 0; i < SOAK_PROCS; ++i) {
        warm = soak->proc[i].rss_warm;
        last = soak->proc[i].rss_now;
        if (warm == 0) {
            continue;
        }
        printf("  process %u: %lu KiB after %u s, %lu KiB at the end%s\n", i,
               (unsigned long)warm, soak->warm, (unsigned long)last,
               (last > warm + plan->rss_bound) ? ": has grown too much" : "");
        grown |= (last > warm + plan->rss_bound);
    }
    return grown;
}

static uint64_t run_interval(unsigned seconds)
{
    return 1000000ull * seconds / 2 +
           soak_random(&random_state) % (1000000ull * seconds + 1);
}

int soak_run(soak_plan_t *plan)
{
    struct sigaction action = {.sa_handler = run_on_signal};
    uint64_t end            = soak_now() + plan->seconds * 1000000ull, now;
    uint64_t next_kill, next_reset, last = soak_now();
    unsigned i, victim = 0;
    bool good = true;
    int status;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    random_state = soak_mix(soak->seed, 0xc0d0);
    next_kill    = soak_now() + run_interval(plan->kill_every);
    next_reset   = soak_now() + run_interval(plan->reset_every);
    for (i = 0; i < SOAK_PROCS; ++i) {
        run_worker(plan, i);
    }

    while (good) {
        usleep(10000);
        good = run_look(plan);
        now  = soak_now();
        if ((victim != 0) && (child[victim].pid != 0) && (now - last > PAUSE)) {
            run_kill(plan, victim); /* there was no flush                  */
        }
        /* a killed one comes back when nobody remembers it */
        if ((victim != 0) && (child[victim].pid == 0) && good &&
            run_is_left(victim)) {
            run_worker(plan, victim);
            victim = 0;
            last   = now;
        }
        if (now >= end) {
            break;
        }
        if ((victim != 0) || (now - last < PAUSE) || !run_all_ready()) {
            continue;
        }
        if ((plan->kill_every != 0) && (now >= next_kill) &&
            ((plan->reset_every == 0) || (next_kill <= next_reset))) {
            /* process 0 sees them all come and go */
            victim = 1 + soak_random(&random_state) % (SOAK_PROCS - 1);
            /* UCP 1.13 ends with an assertion where a connection request waits
             * for room when the peer dies: let there be none */
            soak->proc[victim].doomed = soak->proc[victim].inc;
            usleep(300000);
            if (soak_random(&random_state) % 2) {
                run_kill(plan, victim);
            } else {
                run_event(plan, "kill in a flush", victim);
                soak->proc[victim].die = soak->proc[victim].inc;
            }
            ++plan->kills;
            next_kill = now + run_interval(plan->kill_every);
            last      = now;
        } else if ((plan->reset_every != 0) && (now >= next_reset) &&
                   ((plan->kill_every == 0) || (next_reset <= next_kill))) {
            good = run_reset(plan, soak_random(&random_state) % SOAK_PROCS) &&
                   good;
            ++plan->resets;
            last       = soak_now();
            next_reset = last + run_interval(plan->reset_every);
        }
    }

    /* everybody says good bye */
    status = good ? run_memory(plan) : 1;
    if (good) {
        if ((victim != 0) && (child[victim].pid != 0)) {
            run_kill(plan, victim);
        }
        soak->phase = PHASE_DRAIN;
        end         = soak_now() + soak->limit * 2000000ull;
        while ((good = run_look(plan))) {
            if (soak->phase == PHASE_DRAIN) {
                for (i = 0; (i < SOAK_PROCS) && run_is_left(i); ++i) {
                }
                if ((i == SOAK_PROCS) && (victim != 0)) {
                    if (child[victim].pid == 0) {
                        victim = 0;
                    }
                } else if (i == SOAK_PROCS) {
                    soak->phase = PHASE_QUIT;
                }
            } else {
                for (i = 0; (i < SOAK_PROCS) && (child[i].pid == 0); ++i) {
                }
                if (i == SOAK_PROCS) {
                    break;
                }
            }
            if (soak_now() > end) {
                soak_note("conductor: hung: the processes do not end");
                ++soak->proc[0].count[SOAK_HUNG];
            }
            usleep(10000);
        }
    }
    for (i = 0; i < SOAK_PROCS; ++i) {
        soak->proc[i].killed = soak->proc[i].inc;
    }
    for (i = 0; i < SOAK_PROCS; ++i) {
        if (child[i].pid > 0) {
            kill(child[i].pid, SIGKILL);
            waitpid(child[i].pid, NULL, 0);
        }
    }
    if (interrupted) {
        printf("soak: interrupted\n");
    }
    for (i = 0; (i < soak->num_notes) && (i < SOAK_NOTES); ++i) {
        printf("! %s\n", soak->note[i]);
    }
    return status | !good;
}
