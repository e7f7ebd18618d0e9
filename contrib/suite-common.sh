# shellcheck shell=bash
# Sourced by mpi-suite.sh and shmem-suite.sh: tests of a public suite, each over
# srd and over tcp in the same run, and what came out. Who sources it has
#
#   output    directory: results/NUMBER, and the output of what failed
#   at_once   tests at a time
#   again     a test that differs is repeated so often over both
#   run_over  function: runs a test over srd or tcp ($1); sets outcome (passed,
#             failed, hung), why, seconds (ms), messages and bytes, on srd
#
# A result is a line "LABEL, over srd, why, messages, bytes, over tcp, why", each
# ended by \037.
#
# shellcheck disable=SC2154 # output, at_once, again

die()
{
    echo "${0##*/}: $*" >&2
    exit 2
}

# no_suite WHY...: nothing to run, nothing failed
no_suite()
{
    echo "${0##*/}: $*" >&2
    exit 3
}

# suite_begin NAME: of build, what --build says, and output, NAME in the build
# tree if --output said nothing; emptied. Directories for temporary files end with
# the script. Has what starts MPI's programs (jobs.sh).
suite_begin()
{
    [ -n "$build" ] || die "--build DIR is missing"
    build=$(realpath -e "$build") || exit 2
    output=${output:-$build/test-logs/$1}
    mkdir -p "$output"
    output=$(realpath "$output")
    rm -rf "${output:?}"/*
    mkdir "$output/results"
    TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
    trap 'kill $(jobs -p) 2> /dev/null; wait; rm -rf "$TMPDIR"' EXIT
    trap 'exit 130' INT TERM
    export TMPDIR BUILD=$build
    # shellcheck source=test/apps/jobs.sh
    . "$top/test/apps/jobs.sh"
}

# suite_skip NUMBER LABEL REASON
suite_skip()
{
    printf 'skipped  skipped  %s: %s\n' "$2" "$3"
    printf '%s\037' "$2" skipped "$3" 0 0 skipped "" > "$output/results/$1"
}

# suite_compare NUMBER LABEL: the test of run_over, to the file results/NUMBER
suite_compare()
{
    local srd srd_why srd_seconds srd_bytes srd_messages tcp tcp_why count
    local srd_good=0 tcp_good=0 times=1 outcome why seconds messages bytes

    run_over srd
    srd=$outcome srd_why=$why srd_seconds=$seconds
    srd_messages=$messages srd_bytes=$bytes
    run_over tcp
    tcp=$outcome tcp_why=$why
    [ "$srd" != passed ] || srd_good=1
    [ "$tcp" != passed ] || tcp_good=1
    if [ $srd_good != $tcp_good ]; then
        for ((count = 0; count < again; ++count)); do
            run_over srd
            [ "$outcome" != passed ] || srd_good=$((srd_good + 1))
            run_over tcp
            [ "$outcome" != passed ] || tcp_good=$((tcp_good + 1))
        done
        times=$((again + 1))
        srd_why="${srd_why:-passed}; of $times: $srd_good over srd, $tcp_good over tcp"
    fi
    printf '%-8s %-8s %s  (%d.%02d s, tcp %d.%02d s; %d messages, %d bytes)\n' \
        "$srd" "$tcp" "$2" $((srd_seconds / 1000)) \
        $((srd_seconds % 1000 / 10)) $((seconds / 1000)) $((seconds % 1000 / 10)) \
        "$srd_messages" "$srd_bytes"
    printf '%s\037' "$2" "$srd" "$srd_why" "$srd_messages" "$srd_bytes" \
        "$tcp" "$tcp_why" > "$output/results/$1"
}

# suite_run COMMAND LINE...: COMMAND NUMBER LINE for each, at_once at a time, with
# a directory (slot) and a fabric of its own
suite_run()
{
    local command=$1 slots=() index number lines=("${@:2}")

    step "${#lines[@]} tests: over srd, over tcp"
    for ((number = 0; number < at_once; ++number)); do
        slots[number]=
    done
    for number in "${!lines[@]}"; do
        # the first slot that is free
        while :; do
            for index in "${!slots[@]}"; do
                kill -0 "${slots[index]:-none}" 2> /dev/null || break 2
            done
            wait -n
        done
        (
            trap - EXIT
            slot=$TMPDIR/$index
            mkdir -p "$slot/segments"
            chmod 700 "$slot/segments"
            export SOFTEFA_FABRIC=suite-$$-$index XDG_RUNTIME_DIR=$slot/segments
            "$command" "$(printf '%05d' "$number")" "${lines[number]}"
        ) &
        slots[index]=$!
    done
    wait
}

# suite_report TITLE [first]: all results; fails if something is worse over srd. A
# part is the directory of a label, or the first one of it. A label's second word
# says how many processes it has: one sends nothing.
suite_report()
{
    printf '%s\n' "$1"
    find "$output/results" -type f | sort | while IFS= read -r file; do
        cat "$file"
        echo
    done | awk -F '\037' -v first="${2:-}" '
        function add(part, transport, outcome) {
            ++count[part, transport, outcome == "hung" ? "failed" : outcome]
            ++count["all", transport, outcome == "hung" ? "failed" : outcome]
        }
        function row(part) {
            printf "%-20s %7d %7d  %7d %7d  %8d\n", part, count[part, "srd",
                "passed"], count[part, "srd", "failed"], count[part, "tcp",
                "passed"], count[part, "tcp", "failed"], count[part, "srd",
                "skipped"]
        }
        {
            part = $1
            sub(first ? "/.*" : "/[^/]*$", "", part)
            sub(/ .*/, "", part)
            if (!(part in seen)) order[++parts] = part
            seen[part] = 1
            add(part, "srd", $2)
            add(part, "tcp", $6)
            messages += $4
            bytes += $5
            if ($2 == "skipped")
                skip = skip "  " $1 ": " $3 "\n"
            else if ($2 != "passed" && $6 == "passed")
                worse = worse "  " $1 ": " $3 "\n"
            else if ($2 == "passed" && $6 != "passed")
                better = better "  " $1 ": tcp: " $7 "; " $3 "\n"
            else if ($2 != "passed")
                both = both "  " $1 ": " $3 "\n"
            ranks = $1
            sub(/^[^ ]* /, "", ranks)
            if ($2 == "passed" && ranks + 0 > 1 && $4 == 0)
                silent = silent "  " $1 "\n"
        }
        END {
            print "                      over srd         over tcp"
            print "part                  passed  failed   passed  failed   skipped"
            for (i = 1; i <= parts; ++i) row(order[i])
            row("all")
            printf "srd sent %.0f messages, %.0f bytes\n", messages, bytes
            if (skip != "") print "skipped:\n" skip
            if (silent != "") print "passed, and sent nothing over srd:\n" silent
            if (both != "") print "failed over both:\n" both
            if (better != "") print "failed over tcp only:\n" better
            if (worse != "") print "failed over srd only:\n" worse
            else print "nothing that passed over tcp failed over srd"
            exit worse != ""
        }'
}
