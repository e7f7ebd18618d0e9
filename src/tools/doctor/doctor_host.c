/*
 * srdtool doctor: limits, memory and directories of the machine.
 */
#include "tools/doctor/doctor.h"
#include "tools/reader/stats_reader.h"
#include "stats/efa_stats_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* What one interface registers: 1024 receive and 512 send buffers of 8928
 * bytes (UCX_SRD_RX_QUEUE_LEN, UCX_SRD_TX_QUEUE_LEN). The application's own
 * large messages come on top. */
#define HOST_MEMLOCK_NEED (16ull << 20)
#define HOST_MEMLOCK_FAIR (1ull << 30)
#define HOST_SHM_FAIR     (64ull << 20)
#define HOST_CAP_IPC_LOCK 14

/* The value behind "name:" in /proc/self/status. */
static bool host_status(const char *name, char *value, size_t max)
{
    size_t length = strlen(name);
    bool found    = false;
    char line[256];
    FILE *file;

    file = fopen("/proc/self/status", "re");
    if (file == NULL) {
        return false;
    }

    while (!found && (fgets(line, sizeof(line), file) != NULL)) {
        if (!strncmp(line, name, length) && (line[length] == ':')) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(value, max, "%s",
                     line + length + 1 + strspn(line + length + 1, " \t"));
            found = true;
        }
    }

    fclose(file);
    return found;
}

void doctor_host_memlock(doctor_t *doctor)
{
    static const char next[] =
            "ulimit -l unlimited; for all: '* - memlock unlimited' in "
            "/etc/security/limits.conf, LimitMEMLOCK=infinity in a systemd "
            "unit, docker run --ulimit memlock=-1";
    report_verdict_t verdict;
    struct rlimit limit;
    char caps[64];

    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (host_status("CapEff", caps, sizeof(caps)) &&
        ((strtoull(caps, NULL, 16) >> HOST_CAP_IPC_LOCK) & 1) &&
        (limit.rlim_cur != RLIM_INFINITY)) {
        report_add(&doctor->report, REPORT_OK, "memlock", NULL,
                   "%" PRIu64 " KiB, which this process may exceed "
                   "(CAP_IPC_LOCK)",
                   (uint64_t)limit.rlim_cur >> 10);
        return;
    }

    if (limit.rlim_cur == RLIM_INFINITY) {
        report_add(&doctor->report, REPORT_OK, "memlock", NULL, "unlimited");
        return;
    }

    report_fact_int(&doctor->report, "bytes", limit.rlim_cur);
    report_fact_int(&doctor->report, "needed", HOST_MEMLOCK_NEED);
    verdict = ((limit.rlim_cur >= HOST_MEMLOCK_NEED) || doctor->soft) ?
                      REPORT_WARN :
                      REPORT_FAIL;
    if (limit.rlim_cur >= HOST_MEMLOCK_FAIR) {
        verdict = REPORT_OK;
    }
    report_add(&doctor->report, verdict, "memlock",
               (verdict == REPORT_OK) ? NULL : next,
               "%" PRIu64 " KiB may be locked; an interface needs %" PRIu64
               " KiB, large messages need more%s",
               (uint64_t)limit.rlim_cur >> 10,
               (uint64_t)HOST_MEMLOCK_NEED >> 10,
               doctor->soft ? " (Soft-EFA locks none, a NIC would)" : "");
}

void doctor_host_hugepages(doctor_t *doctor)
{
    char line[64], text[256] = "";
    unsigned long pages, kib, total = 0;
    glob_t paths;
    size_t i;

    if (glob("/sys/kernel/mm/hugepages/hugepages-*kB/free_hugepages", 0, NULL,
             &paths) == 0) {
        for (i = 0; i < paths.gl_pathc; ++i) {
            if (!doctor_file_line(paths.gl_pathv[i], line, sizeof(line)) ||
                (sscanf(strstr(paths.gl_pathv[i], "hugepages-"),
                        "hugepages-%lu", &kib) != 1)) {
                continue;
            }
            pages = strtoul(line, NULL, 10);
            total += pages;
            if (pages > 0) {
                snprintf(text + strlen(text), sizeof(text) - strlen(text),
                         "%lu free of %lu KiB; ", pages, kib);
            }
        }
        globfree(&paths);
    }

    if (!doctor_file_line("/sys/kernel/mm/transparent_hugepage/enabled", line,
                          sizeof(line))) {
        strcpy(line, "unknown");
    }
    if ((total > 0) && (getenv("RDMAV_FORK_SAFE") != NULL) &&
        (getenv("RDMAV_HUGEPAGES_SAFE") == NULL)) {
        report_add(&doctor->report, REPORT_WARN, "hugepages",
                   "export RDMAV_HUGEPAGES_SAFE=1",
                   "RDMAV_FORK_SAFE is set: registering huge pages breaks "
                   "without RDMAV_HUGEPAGES_SAFE");
        return;
    }

    report_fact_int(&doctor->report, "free", total);
    report_add(&doctor->report, REPORT_OK, "hugepages", NULL,
               "%stransparent ones: %s%s", text, line,
               (total == 0) ? "; none reserved, none needed" : "");
}

void doctor_host_gpu(doctor_t *doctor)
{
    static const struct {
        const char *device, *path, *name;
    } gpus[] = {
        {"/dev/nvidiactl", "/sys/module/efa_nv_peermem/version", "NVIDIA"},
        {"/dev/kfd", "/sys/module/amdgpu", "AMD"},
        {"/dev/neuron0", "/sys/module/neuron", "Neuron"}
    };
    struct utsname name;
    unsigned major = 0, minor = 0;
    bool dmabuf, peer;
    size_t i;

    for (i = 0; i < sizeof(gpus) / sizeof(gpus[0]); ++i) {
        if (access(gpus[i].device, F_OK) == 0) {
            break;
        }
    }
    if (i == sizeof(gpus) / sizeof(gpus[0])) {
        report_add(&doctor->report, REPORT_SKIP, "gpu", NULL,
                   "no GPU (/dev/nvidiactl, /dev/kfd, /dev/neuron0)");
        return;
    }

    /* ib_uverbs registers dma-bufs of EFA from Linux 5.16 on */
    dmabuf = (uname(&name) == 0) &&
             (sscanf(name.release, "%u.%u", &major, &minor) == 2) &&
             ((major > 5) || ((major == 5) && (minor >= 16)));
    peer = access(gpus[i].path, F_OK) == 0;
    if (dmabuf || peer) {
        report_add(&doctor->report, REPORT_OK, "gpu", NULL, "%s: %s%s%s",
                   gpus[i].name, dmabuf ? "dma-buf (Linux 5.16 and later)" : "",
                   (dmabuf && peer) ? ", " : "", peer ? gpus[i].path : "");
    } else {
        report_add(&doctor->report, REPORT_WARN, "gpu",
                   "Linux 5.16 with a driver that exports dma-bufs, or, for "
                   "NVIDIA: modprobe efa_nv_peermem",
                   "%s: Linux %s registers no dma-buf and there is no %s: GPU "
                   "memory is copied through the host",
                   gpus[i].name, name.release, gpus[i].path);
    }
}

void doctor_host_fork(doctor_t *doctor)
{
    unsigned major = 0, minor = 0;
    bool asked = (getenv("RDMAV_FORK_SAFE") != NULL) ||
                 (getenv("IBV_FORK_SAFE") != NULL);
    struct utsname name;

    if ((uname(&name) != 0) ||
        (sscanf(name.release, "%u.%u", &major, &minor) != 2)) {
        report_add(&doctor->report, REPORT_SKIP, "fork", NULL,
                   "the kernel's version is unknown");
    } else if ((major > 5) || ((major == 5) && (minor >= 13))) {
        report_add(&doctor->report, REPORT_OK, "fork", NULL,
                   "Linux %u.%u copies pinned pages for a child%s", major,
                   minor, asked ? "; RDMAV_FORK_SAFE is not needed" : "");
    } else {
        report_add(&doctor->report, asked ? REPORT_OK : REPORT_WARN, "fork",
                   asked ? NULL :
                           "programs that fork: export "
                           "RDMAV_FORK_SAFE=1 RDMAV_HUGEPAGES_SAFE=1",
                   "Linux %u.%u does not copy pinned pages for a child; "
                   "RDMAV_FORK_SAFE is %s",
                   major, minor, asked ? "set" : "not set");
    }
}

/* In a child: a word that a sibling reads. Returns 0 or an errno. */
static int vm_read_sibling(pid_t pid, const uint64_t *word)
{
    uint64_t copy       = 0;
    struct iovec local  = {&copy, sizeof(copy)};
    struct iovec remote = {(void *)word, sizeof(*word)};

    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != sizeof(copy)) {
        return (errno != 0) ? errno : EIO;
    }
    return (copy == *word) ? 0 : EIO;
}

/* Two children, as two ranks: one lets the other in, as Soft-EFA does. */
static int vm_try(void)
{
    static const uint64_t word = 0x5eed5eed5eed5eedull;
    int ready[2], status, ret;
    pid_t owner, reader;
    char byte;

    if (pipe2(ready, O_CLOEXEC) != 0) {
        return errno;
    }

    owner = fork();
    if (owner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        if (write(ready[1], "", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }

    reader = (owner < 0) ? -1 : fork();
    if (reader == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit((read(ready[0], &byte, 1) == 1) ? vm_read_sibling(owner, &word) :
                                                EIO);
    }

    ret = (reader < 0) ? EAGAIN : 0;
    close(ready[1]);
    if ((reader > 0) && (waitpid(reader, &status, 0) == reader)) {
        ret = WIFEXITED(status) ? WEXITSTATUS(status) : ENOSYS;
    }
    close(ready[0]);
    if (owner > 0) {
        kill(owner, SIGKILL);
        waitpid(owner, &status, 0);
    }
    return ret;
}

void doctor_host_process_vm(doctor_t *doctor)
{
    char yama[16] = "none", seccomp[16] = "unknown";
    int ret;

    if (!doctor->soft) {
        report_add(&doctor->report, REPORT_SKIP, "process_vm", NULL,
                   "for Soft-EFA only");
        return;
    }

    (void)doctor_file_line("/proc/sys/kernel/yama/ptrace_scope", yama,
                           sizeof(yama));
    (void)host_status("Seccomp", seccomp, sizeof(seccomp));
    ret = vm_try();
    report_fact_string(&doctor->report, "ptrace_scope", yama);
    report_fact_string(&doctor->report, "seccomp", seccomp);
    report_add(&doctor->report, (ret == 0) ? REPORT_OK : REPORT_FAIL,
               "process_vm",
               (ret == 0) ? NULL :
               (atoi(yama) > 1) ?
                            "sysctl kernel.yama.ptrace_scope=1" :
                            "a container with a seccomp profile that allows "
                            "process_vm_readv: docker run --cap-add SYS_PTRACE",
               "one process %s another's memory%s%s (yama ptrace_scope %s, "
               "seccomp %s)",
               (ret == 0) ? "reads" : "cannot read", (ret == 0) ? "" : ": ",
               (ret == 0) ? "" : strerror(ret), yama, seccomp);
}

void doctor_host_stats(doctor_t *doctor)
{
    const char *setting = getenv("UCX_EFA_STATS");
    const char *dir     = efa_stats_dir();
    char path[PATH_MAX];
    struct statvfs fs;
    uint64_t avail = UINT64_MAX;
    int fd;

    if ((setting != NULL) &&
        (!strcasecmp(setting, "n") || !strcasecmp(setting, "no") ||
         !strcmp(setting, "0"))) {
        report_add(&doctor->report, REPORT_WARN, "stats", "unset UCX_EFA_STATS",
                   "UCX_EFA_STATS=%s: srdtool will see nothing of programs "
                   "started like this",
                   setting);
        return;
    }

    snprintf(path, sizeof(path), "%.2048s/ucx-efa.doctor.XXXXXX", dir);
    fd = mkstemp(path);
    if (fd < 0) {
        report_add(&doctor->report, REPORT_WARN, "stats",
                   "let XDG_RUNTIME_DIR name a directory of this user's, or "
                   "unset it",
                   "no file can be made in %s: %s; programs run, srdtool sees "
                   "nothing of them",
                   dir, strerror(errno));
        return;
    }

    close(fd);
    unlink(path);
    if (statvfs("/dev/shm", &fs) == 0) {
        avail = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
    report_fact_string(&doctor->report, "directory", dir);
    report_add(
            &doctor->report, (avail < HOST_SHM_FAIR) ? REPORT_WARN : REPORT_OK,
            "stats",
            (avail < HOST_SHM_FAIR) ? "make it larger (docker run --shm-size "
                                      "1g), or remove files" :
                                      NULL,
            "%s can be written%s", dir,
            (avail < HOST_SHM_FAIR) ?
                    "; /dev/shm has less than 64 MiB left, which MPI's shared "
                    "memory and Soft-EFA need" :
                    "");
}

typedef struct {
    const char *dir;
    unsigned   count;
} host_leftovers_t;

/* A segment of a process that is gone, in that directory */
static void host_leftover(const char *path, void *arg)
{
    host_leftovers_t *left = arg;
    size_t length          = strlen(left->dir);
    char error[256];
    stats_segment_t segment;

    if (!strncmp(path, left->dir, length) && (path[length] == '/') &&
        (stats_read(path, &segment, error, sizeof(error)) == 0)) {
        left->count += !segment.alive;
        stats_free(&segment);
    }
}

void doctor_host_leftovers(doctor_t *doctor)
{
    host_leftovers_t left = {.dir = efa_stats_dir()};

    stats_find(0, host_leftover, &left);
    report_fact_int(&doctor->report, "segments", left.count);
    if (left.count == 0) {
        report_add(&doctor->report, REPORT_OK, "leftovers", NULL, "none in %s",
                   left.dir);
    } else {
        report_add(&doctor->report, REPORT_OK, "leftovers", NULL,
                   "%u segments of processes that are gone in %s: srdtool "
                   "shows them; the next program removes those that were not "
                   "kept on purpose",
                   left.count, left.dir);
    }
}
