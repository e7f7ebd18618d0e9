/*
 * srdtool doctor: what is set that would keep srd from being chosen, with the
 * line that changes it (docs/running.md).
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/doctor/doctor.h"
#include "uct/ib/efa/loader/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a list separated by commas has a word, or one that begins with it */
static bool list_has(const char *list, const char *word, bool prefix)
{
    size_t length;

    for (; *list != '\0'; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        if ((prefix ? (length >= strlen(word)) : (length == strlen(word))) &&
            !strncmp(list, word, strlen(word))) {
            return true;
        }
    }
    return false;
}

/* UCX_TLS and such: everything, a list, or ^ and what is not. */
static bool list_allows(const char *list, const char *word, bool prefix)
{
    if ((list == NULL) || (*list == '\0')) {
        return true;
    }
    if (*list == '^') {
        return !list_has(list + 1, word, prefix) &&
               !list_has(list + 1, "all", false);
    }
    return list_has(list, word, prefix) || list_has(list, "all", false);
}

/* From UCX 1.20 on "ib" means srd, too. */
static bool selection_has_srd(const char *tls)
{
    bool ib_is_srd = (UCX_EFA_UCX_MAJOR > 1) || (UCX_EFA_UCX_MINOR >= 20);

    if ((tls != NULL) && (*tls == '^')) {
        return list_allows(tls, "srd", false) &&
               (!ib_is_srd || list_allows(tls, "ib", false));
    }
    return list_allows(tls, "srd", false) ||
           (ib_is_srd && list_allows(tls, "ib", false));
}

void doctor_mpi_selection(doctor_t *doctor)
{
    const char *tls     = getenv("UCX_TLS");
    const char *net     = getenv("UCX_NET_DEVICES");
    const char *modules = getenv("UCX_MODULES");
    bool net_fits       = false;
    char next[192];
    unsigned i;

    if (!selection_has_srd(tls)) {
        snprintf(next, sizeof(next),
                 (*tls == '^') ? "unset UCX_TLS" : "export UCX_TLS=%.128s,srd",
                 tls);
        report_add(&doctor->report, REPORT_FAIL, "selection", next,
                   "UCX_TLS=%s leaves srd out", tls);
        return;
    }

    for (i = 0; i < doctor->num_devices; ++i) {
        net_fits = net_fits || list_allows(net, doctor->devices[i], true);
    }
    if ((net != NULL) && (doctor->num_devices > 0) && !net_fits) {
        snprintf(next, sizeof(next), "export UCX_NET_DEVICES=%s:1",
                 doctor->device);
        report_add(&doctor->report, REPORT_FAIL, "selection", next,
                   "UCX_NET_DEVICES=%s names no EFA device", net);
        return;
    }

    if ((modules != NULL) && !ucx_efa_modules_allow(modules, "efasrd")) {
        report_add(&doctor->report, REPORT_FAIL, "selection",
                   "unset UCX_MODULES", "UCX_MODULES=%s leaves efasrd out",
                   modules);
        return;
    }

    report_add(&doctor->report, REPORT_OK, "selection", NULL,
               "UCX_TLS=%s UCX_NET_DEVICES=%s", (tls != NULL) ? tls : "(unset)",
               (net != NULL) ? net : "(unset)");
}

/* "name = value" of a file of Open MPI's; the last one counts. */
static void openmpi_file(const char *path, const char *name, char *value,
                         size_t max)
{
    char line[512], key[128], text[256];
    FILE *file;

    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }

    while (fgets(line, sizeof(line), file) != NULL) {
        if ((sscanf(line, " %127[^#= \t\n] = %255s", key, text) == 2) &&
            !strcmp(key, name)) {
            snprintf(value, max, "%s", text);
        }
    }
    fclose(file);
}

/* What mpirun will find for an MCA parameter: environment, home, system. */
static const char *openmpi_parameter(const char *name, char *value, size_t max)
{
    const char *home = getenv("HOME");
    char path[PATH_MAX];
    const char *env;

    value[0] = '\0';
    openmpi_file("/etc/openmpi/openmpi-mca-params.conf", name, value, max);
    if (home != NULL) {
        snprintf(path, sizeof(path), "%s/.openmpi/mca-params.conf", home);
        openmpi_file(path, name, value, max);
    }
    snprintf(path, sizeof(path), "OMPI_MCA_%s", name);
    env = getenv(path);
    if (env != NULL) {
        snprintf(value, max, "%s", env);
    }
    return value;
}

static bool host_has_program(const char *name)
{
    static const char *const dirs[] = {
        "/usr/bin", "/usr/local/bin", "/opt/amazon/openmpi/bin",
        "/usr/lib64/openmpi/bin"
    };
    char path[PATH_MAX];
    size_t i;

    for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); ++i) {
        snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

void doctor_mpi_openmpi(doctor_t *doctor)
{
    static const char next[] =
            "mpirun --mca pml ucx --mca opal_common_ucx_tls any efarun ./app, "
            "or export OMPI_MCA_pml=ucx OMPI_MCA_opal_common_ucx_tls=any";
    char pml[256], tls[256];

    (void)openmpi_parameter("pml", pml, sizeof(pml));
    (void)openmpi_parameter("opal_common_ucx_tls", tls, sizeof(tls));
    if ((pml[0] == '\0') && (tls[0] == '\0') &&
        !host_has_program("ompi_info")) {
        report_add(&doctor->report, REPORT_SKIP, "openmpi", NULL,
                   "not installed");
        return;
    }

    report_fact_string(&doctor->report, "pml", pml);
    report_fact_string(&doctor->report, "opal_common_ucx_tls", tls);
    if (!list_allows(pml, "ucx", false)) {
        report_add(&doctor->report, REPORT_WARN, "openmpi", next,
                   "pml = %s: messages do not go by UCX unless mpirun says "
                   "otherwise",
                   pml);
    } else if ((tls[0] == '\0') || !list_allows(tls, "any", false)) {
        report_add(&doctor->report, REPORT_WARN, "openmpi", next,
                   "opal_common_ucx_tls = %s: UCX is refused on EFA unless "
                   "mpirun says otherwise",
                   (tls[0] == '\0') ? "(unset)" : tls);
    } else {
        report_add(&doctor->report, REPORT_OK, "openmpi", NULL,
                   "pml = %s, opal_common_ucx_tls = %s",
                   (pml[0] == '\0') ? "(unset)" : pml, tls);
    }
}

void doctor_mpi_mpich(doctor_t *doctor)
{
    const char *netmod = getenv("MPIR_CVAR_CH4_NETMOD");
    const char *intel  = getenv("I_MPI_FABRICS");

    if ((netmod != NULL) && strcmp(netmod, "ucx")) {
        report_add(&doctor->report, REPORT_FAIL, "mpich",
                   "unset MPIR_CVAR_CH4_NETMOD",
                   "MPIR_CVAR_CH4_NETMOD=%s: MPICH does not go by UCX", netmod);
    } else if ((intel != NULL) || (getenv("I_MPI_OFI_PROVIDER") != NULL)) {
        report_add(&doctor->report, REPORT_WARN, "mpich",
                   "use MPICH or Open MPI for srd",
                   "I_MPI_* is set: Intel MPI goes by libfabric, not by UCX");
    } else if (host_has_program("mpichversion")) {
        report_add(&doctor->report, REPORT_OK, "mpich", NULL,
                   "nothing is set against UCX (Debian's is built on it)%s",
                   (getenv("MPIR_CVAR_NOLOCAL") != NULL) ?
                           "; MPIR_CVAR_NOLOCAL: no shared memory" :
                           "");
    } else {
        report_add(&doctor->report, REPORT_SKIP, "mpich", NULL,
                   "not installed");
    }
}
