/* Soak: options, and the totals that it prints. soak.h has the picture. */
#include "soak.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucs/type/status.h>
#include <unistd.h>

enum {
    OPT_SECONDS = 256, OPT_SEED, OPT_DIR, OPT_EFARUN, OPT_OPS, OPT_KILL,
    OPT_RESET, OPT_RESETS_FAIL, OPT_LIMIT, OPT_RSS, OPT_WORKER
};

static const struct option options[] = {
    {"seconds",     required_argument, NULL, OPT_SECONDS},
    {"seed",        required_argument, NULL, OPT_SEED},
    {"dir",         required_argument, NULL, OPT_DIR},
    {"efarun",      required_argument, NULL, OPT_EFARUN},
    {"ops",         required_argument, NULL, OPT_OPS},
    {"kill-every",  required_argument, NULL, OPT_KILL},
    {"reset-every", required_argument, NULL, OPT_RESET},
    {"resets-fail", no_argument,       NULL, OPT_RESETS_FAIL},
    {"limit",       required_argument, NULL, OPT_LIMIT},
    {"rss-bound",   required_argument, NULL, OPT_RSS},
    {"worker",      required_argument, NULL, OPT_WORKER},
    {NULL,          0,                 NULL, 0}
};

static const char *const op_names[NUM_OPS] = {
    "am", "tag", "put", "get", "flush", "connect", "close"
};

/* "am=40,close=0": those that are not named stay. Returns 0 or -1. */
static int soak_parse_ops(char *text, unsigned *weight)
{
    unsigned op, value, total = 0;
    char *item, *rest = text;
    char name[16];

    while ((item = strsep(&rest, ",")) != NULL) {
        if (sscanf(item, "%15[a-z]=%u", name, &value) != 2) {
            return -1;
        }
        for (op = 0; (op < NUM_OPS) && strcmp(name, op_names[op]); ++op) {
        }
        if ((op == NUM_OPS) || (value > 100000)) {
            return -1;
        }
        weight[op] = value;
    }
    for (op = 0; op < NUM_OPS; ++op) {
        total += weight[op];
    }
    return (total > 0) ? 0 : -1;
}

static void soak_print_statuses(const char *title, size_t offset)
{
    const soak_u64_t *table;
    uint64_t total;
    char line[100];
    unsigned i, p;

    for (i = 0; i < 128; ++i) {
        for (total = 0, p = 0; p < SOAK_PROCS; ++p) {
            table = (const soak_u64_t *)((char *)&soak->proc[p] + offset);
            total += table[i];
        }
        if (total != 0) {
            snprintf(line, sizeof(line), "%s: %s", title,
                     ucs_status_string((ucs_status_t) - (int)i));
            printf("  %-40s %12lu\n", line, (unsigned long)total);
        }
    }
}

static void soak_print(unsigned kills, unsigned resets)
{
    unsigned i;

    for (i = 0; i < SOAK_NUM_COUNTS; ++i) {
        if (i == SOAK_EXCUSED) {
            printf("  %-40s %12u\n", "kills", kills);
            printf("  %-40s %12u\n", "device resets", resets);
            soak_print_statuses("expected error",
                                offsetof(soak_proc_t, excused_status));
        }
        printf("  %-40s %12lu\n", soak_count_text[i],
               (unsigned long)soak_total(i));
    }
    soak_print_statuses("unexpected error", offsetof(soak_proc_t, status));
}

int main(int argc, char **argv)
{
    unsigned weight[NUM_OPS] = {300, 200, 150, 150, 50, 40, 3};
    soak_plan_t plan         = {.self       = argv[0],
                                .seconds    = 60,
                                .kill_every = 8,
                                .rss_bound  = 16384};
    uint64_t seed            = 1;
    unsigned limit           = 60;
    bool resets_fail         = false;
    int worker               = -1;
    char path[4096];
    int c, status;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case OPT_SECONDS:
            plan.seconds = atoi(optarg);
            break;
        case OPT_SEED:
            seed = strtoull(optarg, NULL, 0);
            break;
        case OPT_DIR:
            plan.dir = optarg;
            break;
        case OPT_EFARUN:
            plan.efarun = optarg;
            break;
        case OPT_KILL:
            plan.kill_every = atoi(optarg);
            break;
        case OPT_RESET:
            plan.reset_every = atoi(optarg);
            break;
        case OPT_RESETS_FAIL:
            resets_fail = true;
            break;
        case OPT_LIMIT:
            limit = atoi(optarg);
            break;
        case OPT_RSS:
            plan.rss_bound = atoi(optarg);
            break;
        case OPT_WORKER:
            worker = atoi(optarg);
            break;
        case OPT_OPS:
            if (soak_parse_ops(optarg, weight) == 0) {
                break;
            }
            fprintf(stderr, "soak: --ops: NAME=WEIGHT,... with am, tag, put, "
                            "get, flush, connect, close\n");
            return 2;
        default:
            return 2;
        }
    }
    if ((plan.dir == NULL) || (worker >= SOAK_PROCS)) {
        fprintf(stderr, "soak: started by contrib/soak.sh\n");
        return 2;
    }

    snprintf(path, sizeof(path), "%s/log", plan.dir);
    if (((worker >= 0) ? soak_log_open(path) : soak_log_create(path)) != 0) {
        perror(path);
        return 2;
    }
    if (worker >= 0) {
        return soak_worker(worker);
    }

    soak->seed        = seed;
    soak->limit       = limit;
    soak->warm        = (plan.seconds / 4 < 30) ? plan.seconds / 4 : 30;
    soak->resets_fail = resets_fail;
    memcpy(soak->weight, weight, sizeof(weight));
    status = soak_run(&plan);
    soak_print(plan.kills, plan.resets);
    for (c = SOAK_LOST; c < SOAK_NUM_COUNTS; ++c) {
        status |= (soak_total(c) != 0);
    }
    if (soak_total(SOAK_AM) == 0) {
        printf("soak: nothing was sent\n");
        status = 1;
    }
    return status;
}
