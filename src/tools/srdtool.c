/*
 * srdtool: looks into programs that run on the srd transport.
 *
 *   srdtool stat    the counters of interfaces and peers, from the windows of
 *                   this user's processes, or from one window
 *
 * It only reads files; it does not touch, slow down or stop a process.
 */
#include "srdtool_doctor.h"
#include "window_reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef EFA_WINDOW_LIBRARY_VERSION
#  define EFA_WINDOW_LIBRARY_VERSION "0.1"
#endif

enum {
    EXIT_USAGE = 2
};

typedef struct {
    bool     json;
    bool     search;   /* files were looked for, not named                   */
    bool     all;      /* print counters that are 0, too                     */
    unsigned printed;  /* windows                                            */
    unsigned failed;   /* files that could not be read                       */
} stat_t;

static void print_usage(FILE *out)
{
    fprintf(out,
            "usage: srdtool stat [--pid N | --file F] [-a] [-j]\n"
            "       srdtool --version | --help\n"
            "\n"
            "Shows what the interfaces and peers of programs that run on the\n"
            "srd transport have counted since they were made.\n"
            "\n"
            "  -p, --pid N    only the process N (default: all of this user)\n"
            "  -f, --file F   the window F, also of a dead process; it stays\n"
            "                 behind if that ran with UCX_EFA_WINDOW=keep\n"
            "  -a, --all      also counters that are zero\n"
            "  -j, --json     as JSON\n"
            "\n"
            "Windows lie in $XDG_RUNTIME_DIR or /dev/shm, ucx-efa.<pid>.<n>.\n"
            "Exit status: 0 something was shown, 1 there was nothing or a\n"
            "file could not be read, 2 wrong usage.\n");
}

static const char *gid_string(const uint8_t *gid, char *buffer, size_t max)
{
    return inet_ntop(AF_INET6, gid, buffer, (socklen_t)max);
}

/* -------------------------------------------------------------------- text */

static void print_peers(const window_t *window, uint32_t iface_index)
{
    static const unsigned column_width = 10;
    bool title                         = true;
    char gid[INET6_ADDRSTRLEN], remote[64];
    window_entry_t peer;
    size_t pos = 0;
    unsigned i;

    while (window_next(window, EFA_WINDOW_PEER, &pos, &peer)) {
        if (peer.index != iface_index) {
            continue;
        }

        if (title) {
            printf("    %-38s %-8s", "peer", "state");
            for (i = 0; i < EFA_WINDOW_PEER_NUM; ++i) {
                printf(" %*s", column_width, window_peer_counter_name(i));
            }
            printf("\n");
            title = false;
        }

        if (peer.overflow) {
            snprintf(remote, sizeof(remote), "(all others)");
        } else {
            snprintf(remote, sizeof(remote), "%s/%" PRIu32,
                     gid_string(peer.gid, gid, sizeof(gid)), peer.qpn);
        }
        printf("    %-38s %-8s", remote, peer.overflow ? "-" : peer.state);
        for (i = 0; i < peer.num_counters; ++i) {
            printf(" %*" PRIu64, column_width, peer.counters[i]);
        }
        printf("\n");
    }
}

static void print_text(const window_t *window, bool all)
{
    time_t since = (time_t)(window->header.create_time / 1000000000u);
    char since_str[32], gid[INET6_ADDRSTRLEN];
    window_entry_t iface;
    struct tm tm;
    size_t pos = 0;
    unsigned i;

    if (localtime_r(&since, &tm) == NULL ||
        strftime(since_str, sizeof(since_str), "%F %T", &tm) == 0) {
        snprintf(since_str, sizeof(since_str), "?");
    }

    printf("pid %" PRIu32 "  %s  %s  since %s  UCX %u.%u\n", window->header.pid,
           window->header.command, window->alive ? "running" : "gone",
           since_str, window->header.ucx_version >> 16,
           window->header.ucx_version & 0xffff);

    while (window_next(window, EFA_WINDOW_IFACE, &pos, &iface)) {
        printf("  interface %" PRIu32 "  %s  %s/%" PRIu32 "\n", iface.index,
               iface.name, gid_string(iface.gid, gid, sizeof(gid)), iface.qpn);
        for (i = 0; i < iface.num_counters; ++i) {
            if (all || iface.counters[i] != 0) {
                printf("    %-12s %14" PRIu64 "  %s\n",
                       window_iface_counter_name(i), iface.counters[i],
                       window_iface_counter_text(i));
            }
        }
        print_peers(window, iface.index);
    }

    if (window->header.hidden != 0) {
        printf("  %" PRIu32 " interfaces or peers found no room here\n",
               window->header.hidden);
    }
}

/* -------------------------------------------------------------------- JSON */

static void json_string(const char *string)
{
    putchar('"');
    for (; *string != '\0'; ++string) {
        if (*string == '"' || *string == '\\') {
            putchar('\\');
            putchar(*string);
        } else if ((unsigned char)*string < ' ') {
            printf("\\u%04x", (unsigned char)*string);
        } else {
            putchar(*string);
        }
    }
    putchar('"');
}

static void json_counters(const window_entry_t *entry,
                          const char *(*name)(unsigned index))
{
    unsigned i;

    printf("{");
    for (i = 0; i < entry->num_counters; ++i) {
        printf("%s\"%s\": %" PRIu64, (i == 0) ? "" : ", ", name(i),
               entry->counters[i]);
    }
    printf("}");
}

static void json_peers(const window_t *window, uint32_t iface_index)
{
    const char *separator = "";
    char gid[INET6_ADDRSTRLEN];
    window_entry_t peer;
    size_t pos = 0;

    while (window_next(window, EFA_WINDOW_PEER, &pos, &peer)) {
        if (peer.index != iface_index) {
            continue;
        }

        printf("%s\n      {\"gid\": \"%s\", \"qpn\": %" PRIu32
               ", \"state\": \"%s\", \"epoch\": %" PRIu32
               ", \"remote_epoch\": %" PRIu32 ", \"overflow\": %s,\n"
               "       \"counters\": ",
               separator, gid_string(peer.gid, gid, sizeof(gid)), peer.qpn,
               peer.state, peer.epoch, peer.remote_epoch,
               peer.overflow ? "true" : "false");
        json_counters(&peer, window_peer_counter_name);
        printf("}");
        separator = ",";
    }
}

static void print_json(const window_t *window)
{
    const char *separator = "";
    char gid[INET6_ADDRSTRLEN];
    window_entry_t iface;
    size_t pos = 0;

    printf("{\"path\": ");
    json_string(window->path);
    printf(", \"pid\": %" PRIu32 ", \"command\": ", window->header.pid);
    json_string(window->header.command);
    printf(", \"running\": %s, \"ucx\": \"%u.%u\", \"library\": ",
           window->alive ? "true" : "false", window->header.ucx_version >> 16,
           window->header.ucx_version & 0xffff);
    json_string(window->header.library);
    printf(", \"created_ns\": %" PRIu64 ", \"hidden\": %" PRIu32
           ",\n  \"interfaces\": [",
           window->header.create_time, window->header.hidden);

    while (window_next(window, EFA_WINDOW_IFACE, &pos, &iface)) {
        printf("%s\n    {\"index\": %" PRIu32 ", \"name\": ", separator,
               iface.index);
        json_string(iface.name);
        printf(", \"gid\": \"%s\", \"qpn\": %" PRIu32 ",\n     \"counters\": ",
               gid_string(iface.gid, gid, sizeof(gid)), iface.qpn);
        json_counters(&iface, window_iface_counter_name);
        printf(",\n     \"peers\": [");
        json_peers(window, iface.index);
        printf("]}");
        separator = ",";
    }

    printf("]}");
}

/* ----------------------------------------------------------------- command */

static void stat_one(const char *path, void *arg)
{
    stat_t *stat = arg;
    char error[PATH_MAX + 128];
    window_t window;

    if (window_read(path, &window, error, sizeof(error)) != 0) {
        if (errno == ENOENT && stat->search) {
            return; /* its process ended just now */
        }
        fprintf(stderr, "srdtool: %s\n", error);
        ++stat->failed;
        return;
    }

    if (stat->json) {
        printf("%s\n", (stat->printed == 0) ? "" : ",");
        print_json(&window);
    } else {
        printf("%s", (stat->printed == 0) ? "" : "\n");
        print_text(&window, stat->all);
    }
    ++stat->printed;
    window_free(&window);
}

static int cmd_stat(int argc, char **argv)
{
    static const struct option options[] = {
        {"pid", required_argument, NULL, 'p'},
        {"file", required_argument, NULL, 'f'},
        {"all", no_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}
    };
    stat_t stat      = {0};
    const char *file = NULL;
    uint32_t pid     = 0;
    unsigned long value;
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "p:f:ajh", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            errno = 0;
            value = strtoul(optarg, &end, 10);
            if (errno != 0 || *optarg < '0' || *optarg > '9' || *end != '\0' ||
                value == 0 || value > INT32_MAX) {
                fprintf(stderr, "srdtool: --pid %s: not a process id\n",
                        optarg);
                return EXIT_USAGE;
            }
            pid = (uint32_t)value;
            break;
        case 'f':
            file = optarg;
            break;
        case 'a':
            stat.all = true;
            break;
        case 'j':
            stat.json = true;
            break;
        case 'h':
            print_usage(stdout);
            return EXIT_SUCCESS;
        default:
            print_usage(stderr);
            return EXIT_USAGE;
        }
    }

    if (optind != argc || (file != NULL && pid != 0)) {
        print_usage(stderr);
        return EXIT_USAGE;
    }

    if (stat.json) {
        printf("{\"windows\": [");
    }
    if (file != NULL) {
        stat_one(file, &stat);
    } else {
        stat.search = true;
        window_find(pid, stat_one, &stat);
    }
    if (stat.json) {
        printf("]}\n");
    }

    if (stat.printed == 0 && stat.failed == 0) {
        fprintf(stderr,
                "srdtool: no window found: no process of this user runs on the "
                "srd transport now, or UCX_EFA_WINDOW=n is set\n");
    }

    return (stat.printed > 0 && stat.failed == 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const srdtool_output_t out = {0};

    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }

    if (strcmp(argv[1], "doctor") == 0) {
        return srdtool_doctor(argc - 1, argv + 1, &out);
    }
    if (strcmp(argv[1], "selftest") == 0) {
        return srdtool_selftest(argc - 1, argv + 1, &out);
    }
    if (strcmp(argv[1], "stat") == 0) {
        return cmd_stat(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("srdtool " EFA_WINDOW_LIBRARY_VERSION
               ", window format %d\n", EFA_WINDOW_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }

    fprintf(stderr, "srdtool: unknown command %s\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}
