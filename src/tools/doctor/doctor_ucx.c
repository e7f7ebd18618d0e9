/*
 * srdtool doctor: UCX, our module, and the loader that brings them together.
 *
 *   doctor  -- dlopen(libucp), ucp_get_version()      is it the one built for?
 *     '---- fork, exec itself: LD_PRELOAD=libucx_efa_loader.so
 *             '-- dlopen(libuct), uct_query_components()   is `efasrd` there,
 *                                                          how many devices?
 *
 * The second is what every program does, so what hinders it hinders all; what
 * the loader prints is the reason.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/doctor/doctor.h"
#include "tools/host/efa_module.h"
#include "uct/ib/efa/loader/objects.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <uct/api/uct.h>
#include <unistd.h>

enum {
    UCX_PROBE_TIMEOUT_MS = 30000,
    UCX_PROBE_MAX        = 4096      /* bytes of what it says */
};

#define UCX_PROBE_FOUND "component efasrd:"
#define UCX_PROBE_OWN   "UCX's own srd"

void doctor_ucx_version(doctor_t *doctor)
{
    void (*get_version)(unsigned *major, unsigned *minor, unsigned *release);
    unsigned major = 0, minor = 0, release = 0;
    char path[PATH_MAX] = "libucp.so.0";
    char versions[EFA_MODULE_VERSIONS_MAX], version[32];
    Dl_info info;
    void *ucp;

    ucp                    = dlopen("libucp.so.0", RTLD_LAZY | RTLD_LOCAL);
    *(void **)&get_version = (ucp == NULL) ? NULL :
                                             dlsym(ucp, "ucp_get_version");
    if (get_version == NULL) {
        report_add(&doctor->report, REPORT_FAIL, "ucx",
                   "install UCX (Debian: libucx0)", "%s", dlerror());
        return;
    }

    get_version(&major, &minor, &release);
    if ((dladdr(*(void **)&get_version, &info) == 0) ||
        (realpath(info.dli_fname, path) == NULL)) {
        strcpy(path, "libucp.so.0");
    }

    report_fact_int(&doctor->report, "major", major);
    report_fact_int(&doctor->report, "minor", minor);
    report_fact_string(&doctor->report, "path", path);
    snprintf(version, sizeof(version), "%u.%u", major, minor);
    if (!efa_module_versions(doctor->self_dir, versions)) {
        report_add(&doctor->report, REPORT_FAIL, "ucx",
                   "install ucx-efa completely (make install)",
                   "%s is %u.%u.%u, and there is no libefasrd-%s.so", path,
                   major, minor, release, version);
    } else if (efa_module_versions_has(versions, version)) {
        report_add(&doctor->report, REPORT_OK, "ucx", NULL, "%u.%u.%u, %s",
                   major, minor, release, path);
    } else {
        report_add(&doctor->report, REPORT_FAIL, "ucx",
                   "build ucx-efa with this UCX, or let LD_LIBRARY_PATH name "
                   "the one that it was built with",
                   "%s is %u.%u.%u; this ucx-efa was built for %s", path, major,
                   minor, release, versions);
    }
}

int doctor_ucx_probe(void)
{
    ucs_status_t (*query)(uct_component_h * *components, unsigned *count);
    ucs_status_t (*attributes)(uct_component_h component,
                               uct_component_attr_t * attr);
    uct_component_h *components;
    uct_component_attr_t attr;
    unsigned count, i;
    Dl_info info;
    void *uct;

    uct                   = dlopen("libuct.so.0", RTLD_LAZY | RTLD_LOCAL);
    *(void **)&query      = (uct == NULL) ? NULL :
                                            dlsym(uct, "uct_query_components");
    *(void **)&attributes = (uct == NULL) ? NULL :
                                            dlsym(uct, "uct_component_query");
    if ((query == NULL) || (attributes == NULL)) {
        fprintf(stderr, "%s\n", dlerror());
        return EXIT_FAILURE;
    }

    if (query(&components, &count) != UCS_OK) {
        fprintf(stderr, "uct_query_components failed\n");
        return EXIT_FAILURE;
    }

    for (i = 0; i < count; ++i) {
        attr.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME |
                          UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
        if ((attributes(components[i], &attr) == UCS_OK) &&
            !strcmp(attr.name, "efasrd")) {
            printf(UCX_PROBE_FOUND " %u\n", attr.md_resource_count);
            if ((dladdr(*(void **)&query, &info) != 0) &&
                ucx_efa_has_own_srd(info.dli_fname)) {
                printf(UCX_PROBE_OWN "\n");
            }
            return EXIT_SUCCESS;
        }
    }

    fprintf(stderr, "UCX has no component efasrd\n");
    return EXIT_FAILURE;
}

/* In the child */
static void ucx_probe_exec(const char *loader, int out)
{
    const char *old = getenv("LD_PRELOAD");
    char *preload;

    if ((old != NULL) && (strstr(old, "libucx_efa_loader.so") == NULL) &&
        (asprintf(&preload, "%s:%s", old, loader) > 0)) {
        setenv("LD_PRELOAD", preload, 1);
    } else if (old == NULL) {
        setenv("LD_PRELOAD", loader, 1);
    }
    setenv("UCX_LOG_LEVEL", "warn", 0);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execl("/proc/self/exe", "srdtool", "doctor", "probe-ucx", NULL);
    _exit(127);
}

/* Its output, at most max bytes, and its wait status; false: it hangs. */
static bool ucx_probe(const char *loader, char *text, size_t max, int *status)
{
    struct pollfd pfd = {.events = POLLIN};
    size_t length     = 0;
    bool done         = true;
    ssize_t got       = 1;
    int pipe_fd[2];
    pid_t pid;

    text[0] = '\0';
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        return false;
    }

    pid = fork();
    if (pid == 0) {
        ucx_probe_exec(loader, pipe_fd[1]);
    }

    close(pipe_fd[1]);
    pfd.fd = pipe_fd[0];
    while ((pid > 0) && (got > 0) && (length < max - 1)) {
        done = poll(&pfd, 1, UCX_PROBE_TIMEOUT_MS) > 0;
        if (!done) {
            kill(pid, SIGKILL);
            break;
        }
        got = read(pipe_fd[0], text + length, max - 1 - length);
        length += (got > 0) ? got : 0;
    }
    text[length] = '\0';
    close(pipe_fd[0]);
    return (pid > 0) && (waitpid(pid, status, 0) == pid) && done;
}

/* The line of the loader or the transport, without what stands before it */
static const char *ucx_probe_reason(char *text)
{
    char *reason = strstr(text, "srd is not available");

    if (reason == NULL) {
        reason = text;
    }
    reason[strcspn(reason, "\n")] = '\0';
    return reason;
}

void doctor_ucx_module(doctor_t *doctor)
{
    const char *preload = getenv("LD_PRELOAD");
    char loader[PATH_MAX], text[UCX_PROBE_MAX], next[PATH_MAX + 128];
    unsigned devices;
    const char *found;
    int status = 0;

    if (!efa_module_find(doctor->self_dir, "../uct/ib/efa/loader",
                         UCX_EFA_LIB_DIR, "libucx_efa_loader.so", loader)) {
        report_add(&doctor->report, REPORT_FAIL, "module",
                   "install ucx-efa completely (make install)",
                   "libucx_efa_loader.so is neither beside this program nor "
                   "in " UCX_EFA_LIB_DIR);
        return;
    }

    if (!ucx_probe(loader, text, sizeof(text), &status)) {
        report_add(&doctor->report, REPORT_FAIL, "module",
                   "run ucx_info -d below efarun and see where it stays",
                   "a program with the loader did not list UCX's components "
                   "within %d s",
                   UCX_PROBE_TIMEOUT_MS / 1000);
        return;
    }

    found = strstr(text, UCX_PROBE_FOUND);
    if ((found == NULL) ||
        (sscanf(found, UCX_PROBE_FOUND " %u", &devices) != 1)) {
        report_add(&doctor->report, REPORT_FAIL, "module",
                   (getenv("UCX_MODULES") != NULL) ?
                           "unset UCX_MODULES, which names what UCX may load" :
                   (getenv("EFARUN_TRANSPORT") != NULL) ?
                           "unset EFARUN_TRANSPORT, which names whose srd UCX "
                           "loads" :
                           "what the reason says; ucx_info -d below efarun "
                           "shows the "
                           "same",
                   "this UCX does not load the transport: %s",
                   ucx_probe_reason(text));
        return;
    }

    report_fact_int(&doctor->report, "devices", devices);
    if (devices == 0) {
        report_add(&doctor->report,
                   (doctor->num_devices > 0) ? REPORT_FAIL : REPORT_WARN,
                   "module", "see the checks above",
                   "UCX loads the transport, which finds no device%s%s",
                   (text[0] != UCX_PROBE_FOUND[0]) ? ": " : "",
                   (text[0] != UCX_PROBE_FOUND[0]) ? ucx_probe_reason(text) :
                                                     "");
    } else {
        report_add(&doctor->report, REPORT_OK, "module", NULL,
                   "UCX loads the transport, which finds %u device%s; srd is "
                   "that of ucx-efa " PACKAGE_VERSION "%s",
                   devices, (devices == 1) ? "" : "s",
                   (strstr(found, UCX_PROBE_OWN) != NULL) ?
                           ", UCX's own is not used" :
                           "");
    }

    if ((preload != NULL) && (strstr(preload, "libucx_efa_loader.so"))) {
        report_add(&doctor->report, REPORT_OK, "loader", NULL,
                   "LD_PRELOAD names it here");
    } else {
        snprintf(next, sizeof(next), "efarun COMMAND, or LD_PRELOAD=%s COMMAND",
                 loader);
        report_add(&doctor->report, REPORT_WARN, "loader", next,
                   "LD_PRELOAD does not name it here: programs started like "
                   "this do not have srd");
    }
}
