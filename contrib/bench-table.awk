# The tables that bench.sh prints (after bench-median.awk). Given: reps; ucx,
# libfabric, second: versions.

# side_by_side("lat", "us"): a row for each size, a column for each series, and
# its ratio to raw verbs
function side_by_side(what, title,    n, i, s, k, list, label, used, cell, base,
                      head, rule, m, text) {
    n = split("verbs reader uct ucp libfabric tcp shm ours upstream", list, " ")
    label["verbs"] = "raw verbs"
    label["reader"] = "that copies"
    label["uct"] = "srd, UCT"
    label["ucp"] = "srd, UCP"
    label["libfabric"] = "libfabric " libfabric
    label["tcp"] = "UCX tcp"
    label["shm"] = "UCX posix"
    label["ours"] = "srd, " second
    label["upstream"] = "own srd, " second
    for (i = 1; i <= n; i++)
        for (k = 1; k <= sizes; k++)
            if (series(list[i], what, size[k]) >= 0)
                used[i] = 1
    head = sprintf("| %-10s |", title)
    rule = "|------------|"
    for (i = 1; i <= n; i++)
        if (used[i]) {
            head = head sprintf(" %-15s |", label[list[i]])
            rule = rule "-----------------|"
        }
    for (k = 1; k <= sizes; k++) {
        cell = ""
        m = 0
        base = series("verbs", what, size[k])
        for (i = 1; i <= n; i++) {
            if (!used[i])
                continue
            s = series(list[i], what, size[k])
            m += s >= 0
            text = s < 0 ? "" : sprintf("%.2f", s)
            if (s >= 0 && base > 0)
                text = text sprintf(" (%.2f)",
                                    ratio(measured(list[i], what, size[k]),
                                          measured("verbs", what, size[k])))
            cell = cell sprintf(" %15s |", text)
        }
        if (m < 3)             # measured for one ratio, below
            continue
        if (head != "") {
            print head
            print rule
            head = ""
        }
        printf "| %-10s |%s\n", human(size[k]), cell
    }
    if (head == "")
        print ""
}

# The key of a series: above the largest message raw verbs have RDMA read
function measured(name, what, bytes) {
    if (!count[name "_" what "," bytes] && bytes > 8928) {
        if (name == "verbs")
            return "verbs_read_" what "," bytes
        if (name == "uct")
            return "uct_get_" what "," bytes
    }
    return name "_" what "," bytes
}

function series(name, what, bytes) {
    return median(measured(name, what, bytes))
}

# What UCP chose, and what each protocol takes: us of a message, or of a byte
function thresholds(what,    k, i, n, list, best, v, cell, any) {
    n = split("default bcopy zcopy rndv", list, " ")
    for (k = 1; k <= sizes; k++) {
        if (median("default_" what "," size[k]) < 0)
            continue
        if (!any++) {
            printf "| %-12s | %10s | %10s | %10s | %10s | %14s |\n",
                   what == "lat" ? "latency, us" : "MB/s", "default",
                   "by copies", "zero copy", "rendezvous", "default / best"
            print "|--------------|------------|------------|------------|" \
                  "------------|----------------|"
        }
        best = -1
        cell = ""
        for (i = 1; i <= n; i++) {
            v = median(list[i] "_" what "," size[k])
            cell = cell sprintf(" %10s |", v < 0 ? "" : sprintf("%.2f", v))
            if (v > 0 && (best < 0 || (what == "lat" ? v < best : v > best)))
                best = v
        }
        printf "| %-12s |%s %14.2f |\n", human(size[k]), cell,
               median("default_" what "," size[k]) / best
    }
    if (any)
        print ""
}

function row(text, number, bar, met) {
    printf "| %-55s | %6.2f | %-8s | %-3s |\n", text, number, bar, met
}

function bar(text, number, op, limit) {
    if (number >= 0)
        row(text, number, op " " limit,
            (op == "<=" ? number <= limit : number >= limit) ? "yes" : "NO")
}

function shown(text, number) {
    if (number >= 0)
        row(text, number, "", "")
}

# Of an operation of so many bytes (8), by parts
function instructions(name, parts, bytes,    n, i, part, sum, x) {
    bytes = bytes == "" ? 8 : bytes
    n = split(parts, part, " ")
    for (i = 1; i <= n; i++) {
        x = median(name ":" part[i] "," bytes)
        sum += x > 0 ? x : 0
    }
    return sum + 0
}

function instruction_table(    n, i, k, part, p, cell, sum, x, seen, any) {
    n = split("transport ucx libefa device libc", part, " ")
    for (k = 1; k <= keys; k++) {
        if (unit[order[k]] != "instr")
            continue
        split(order[k], p, /[:,]/)
        if (seen[p[1]]++)
            continue
        if (!any++) {
            printf "| %-24s | %5s | %9s | %5s | %6s | %6s | %5s | %6s |\n",
                   "instructions, both sides", "bytes", "transport", "ucx",
                   "libefa", "device", "libc", "all"
            print "|--------------------------|-------|-----------|-------|" \
                  "--------|--------|-------|--------|"
        }
        sum = 0
        for (i = 1; i <= n; i++) {
            x[i] = median(p[1] ":" part[i] "," p[3])
            sum += x[i]
        }
        printf "| %-24s | %5d | %9.0f | %5.0f | %6.0f | %6.0f | %5.0f | %6.0f |\n",
               p[1], p[3], x[1], x[2], x[3], x[4], x[5], sum
    }
    if (any)
        print ""
}

function others(    k, p, any, shown_above) {
    shown_above = "^(verbs|reader|uct|ucp|libfabric|tcp|shm|ours|upstream" \
                  "|default|bcopy|zcopy|rndv)" \
                  "_(lat|bw)$"
    for (k = 1; k <= keys; k++) {
        split(order[k], p, ",")
        if (unit[order[k]] == "instr" || p[1] ~ shown_above ||
                (p[1] ~ /^(verbs_read|uct_get)_/ && p[2] > 8928))
            continue
        if (!any++) {
            printf "| %-24s | %8s | %-7s | %10s |\n", "measure", "bytes",
                   "unit", "median"
            print "|--------------------------|----------|---------|" \
                  "------------|"
        }
        printf "| %-24s | %8s | %-7s | %10.2f |\n", p[1], p[2],
               unit[order[k]], median(order[k])
    }
    if (any)
        print ""
}

END {
    print "UCX " ucx ", medians of " reps "; in parentheses: ratio to raw verbs," \
          " whose RDMA read stands above 8928 B"
    print ""
    thresholds("lat")
    thresholds("bw")
    side_by_side("lat", "latency, us")
    side_by_side("bw", "MB/s")
    others()
    instruction_table()

    printf "| %-55s | %6s | %-8s | %s |\n", "ratio, one run", "is", "aim", "met"
    print  "|---------------------------------------------------------|--------" \
           "|----------|-----|"
    bar("UCT am_short latency / raw verbs, 8 B",
        ratio("uct_lat,8", "verbs_lat,8"), "<=", 1.05)
    bar("UCP tag latency / raw verbs, 8 B",
        ratio("ucp_lat,8", "verbs_lat,8"), "<=", 1.2)
    bar("UCP tag latency / raw verbs, 8000 B",
        ratio("ucp_lat,8000", "verbs_lat,8000"), "<=", 1.3)
    bar("UCP tag latency / raw verbs that copy, 8000 B",
        ratio("ucp_lat,8000", "reader_lat,8000"), "<=", 1.25)
    bar("raw verbs that copy / UCP tag bandwidth, 8000 B",
        ratio("reader_bw,8000", "ucp_bw,8000"), "<=", 1.25)
    bar("libfabric rdm latency / UCP tag, 8 B",
        ratio("libfabric_lat,8", "ucp_lat,8"), ">=", 2)
    bar("libfabric rdm latency / UCP tag, 1 KB",
        ratio("libfabric_lat,1024", "ucp_lat,1024"), ">=", 2)
    bar("libfabric rdm latency / UCP tag, 64 KB",
        ratio("libfabric_lat,65536", "ucp_lat,65536"), ">=", 2)
    bar("UCT am_short rate 8 B / raw verbs rate 64 B",
        ratio("uct_rate,8", "verbs_rate,64"), ">=", 1.3)
    bar("UCT am_zcopy bandwidth / raw verbs, 8000 B",
        ratio("uct_bw,8000", "verbs_bw,8000"), ">=", 0.95)
    bar("UCT get latency / raw RDMA read, 8 B",
        ratio("uct_get_lat,8", "verbs_read_lat,8"), "<=", 1.15)
    bar("UCT get_zcopy bandwidth / raw RDMA read, 1 MB",
        ratio("uct_get_bw,1048576", "verbs_read_bw,1048576"), ">=", 0.95)
    bar("UCP tag bandwidth / raw RDMA read, 1 MB",
        ratio("ucp_bw,1048576", "verbs_read_bw,1048576"), ">=", 0.9)
    bar("UCP tag bandwidth / raw RDMA read, 4 MB",
        ratio("ucp_bw,4194304", "verbs_read_bw,4194304"), ">=", 0.9)
    bar("UCT put_zcopy bandwidth / raw RDMA write, 1 MB",
        ratio("uct_put_bw,1048576", "verbs_write_bw,1048576"), ">=", 0.95)
    bar("UCP tag bandwidth, two rails / one, 4 MB",
        ratio("rails2_bw,4194304", "rails1_bw,4194304"), ">=", 1.7)
    shown("UCX tcp latency / srd, UCP tag 8 B", ratio("tcp_lat,8", "ucp_lat,8"))
    shown("UCX posix latency / srd, UCP tag 8 B",
          ratio("shm_lat,8", "ucp_lat,8"))
    shown("srd bandwidth / UCX tcp, UCP tag 1 MB",
          ratio("ucp_bw,1048576", "tcp_bw,1048576"))
    shown("srd bandwidth / UCX posix, UCP tag 1 MB",
          ratio("ucp_bw,1048576", "shm_bw,1048576"))

    own = "UCX " second "'s own srd / ours: "
    shown(own "am_short latency 8 B",
          ratio("upstream_am_lat,8", "ours_am_lat,8"))
    shown("ours / own srd: am_short rate 8 B",
          ratio("ours_am_rate,8", "upstream_am_rate,8"))
    shown("ours / own srd: am_zcopy bandwidth 4000 B",
          ratio("ours_am_bw,4000", "upstream_am_bw,4000"))
    for (k = 1; k <= sizes; k++)
        shown(own "tag latency " human(size[k]),
              ratio("upstream_lat," size[k], "ours_lat," size[k]))
    shown(own "64 KB eager", ratio("upstream_eager_lat,65536",
                                   "ours_eager_lat,65536"))
    shown(own "64 KB rendezvous", ratio("upstream_rndv_lat,65536",
                                        "ours_rndv_lat,65536"))
    shown("ours / own srd: tag rate 8 B",
          ratio("ours_rate,8", "upstream_rate,8"))
    for (k = 1; k <= sizes; k++)
        shown("ours / own srd: tag bandwidth " human(size[k]),
              ratio("ours_bw," size[k], "upstream_bw," size[k]))

    software = "transport ucx libefa"
    all = instructions("ours_am_short", software)
    if (all > 0)
        shown(own "instructions, am_short",
              instructions("upstream_am_short", software) / all)
    all = instructions("am_short", software)
    if (all > 0) {
        bar("instructions, am_short 8 B: transport, libefa", all, "<=", 640)
        bar("the same / with UCX_EFA_STATS=n",
            all / instructions("no_stats_am_short", software), "<=", 1.02)
    }
    all = instructions("direct_am_short", software)
    if (all > 0)
        bar("instructions, am_short 8 B, direct data path", all, "<=", 330)
    all = instructions("am_short", "device libc")
    if (all > 0)
        bar("instructions, am_short 8 B: device, libc", all, "<=", 700)
    all = instructions("direct_poll", software " device libc", 0)
    if (all > 0)
        bar("instructions, a poll that finds nothing, direct data path", all,
            "<=", 60)
}
