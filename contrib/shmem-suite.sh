#!/usr/bin/env bash
# Runs public OpenSHMEM test suites over srd, on Soft-EFA, and each program over TCP
# in the same run, with Open MPI's OpenSHMEM. Prints what differs.
#
#   contrib/shmem-suite.sh --build BUILD [OPTIONS]
#
#   --build DIR      build tree
#   --suite-src DIR  a suite, as its source tree; once for each. Known are, of
#                    https://github.com/openshmem-org, tests-sos (v1.4.5 is of
#                    Open MPI's OpenSHMEM 1.4), tests-uh (its feature tests in C),
#                    openshmem-examples and tests-mellanox; and the examples of
#                    Open MPI (default: those of Debian's source package)
#   --pes N          number of PEs (2)
#   --jobs N         programs at a time (1)
#   --limit SECONDS  what a program may take (300)
#   --again N        a program that differs is repeated N times over both (3)
#   --output DIR     for programs, results, and the output of what failed
#                    (default: in BUILD)
#   --prepare        fetch only
#
# A program passed if its status is 0, or any after shmem_global_exit(), and no
# line says that something failed. Messages are those that srd counted.
#
# Status 0: nothing that passed over TCP failed over srd. 3: there is no suite,
# and the last line says why.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

die()
{
    echo "shmem-suite.sh: $*" >&2
    exit 2
}

# no_suite WHY...: nothing to run, nothing failed
no_suite()
{
    echo "shmem-suite.sh: $*" >&2
    exit 3
}

cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa
build=
suites=()
pes=2
at_once=1
limit=300
again=3
output=
prepare=n
while [ $# -gt 0 ]; do
    case $1 in
    --build)     build=${2:?--build needs a value}; shift ;;
    --suite-src) suites+=("$(realpath -e "${2:?--suite-src needs a value}")") ||
                     exit 2
                 shift ;;
    --pes)       pes=${2:?--pes needs a value}; shift ;;
    --jobs)      at_once=${2:?--jobs needs a value}; shift ;;
    --limit)     limit=${2:?--limit needs a value}; shift ;;
    --again)     again=${2:?--again needs a value}; shift ;;
    --output)    output=${2:?--output needs a value}; shift ;;
    --prepare)   prepare=y ;;
    -h|--help)   sed -n '2,28s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$1' (try --help)" ;;
    esac
    shift
done
command -v oshcc > /dev/null || no_suite "no oshcc (Debian: libopenmpi-dev)"
command -v oshrun > /dev/null || no_suite "no oshrun (Debian: openmpi-bin)"

# ---- The suites

# examples_fetch: sets suites to Open MPI's examples, of the installed version,
# in the cache
examples_fetch()
{
    local installed

    # dpkg-query replaces the ${...}, not the shell
    # shellcheck disable=SC2016
    installed=$(dpkg-query -W -f '${db:Status-Status} ${source:Version}\n' \
        openmpi-bin 2> /dev/null | sed -n 's/^installed //p') || true
    [ -n "$installed" ] || no_suite "Open MPI is not Debian's: name a suite" \
        "(--suite-src)"
    suites=("$cache/openmpi-examples-$installed")
    [ ! -d "${suites[0]}" ] || return 0
    step "Open MPI's examples, of its source package"
    mkdir -p "$cache"
    (
        # shellcheck source=contrib/apt-source.sh
        . "$top/contrib/apt-source.sh"
        die()
        {
            echo "$*" >&2
            exit 3
        }
        apt_begin
        apt_system
        apt_update
        apt_download openmpi "$installed" ||
            die "cannot fetch the source package openmpi $installed. $apt_why"
        apt_unpack openmpi
        mv "$work/tree/examples" "${suites[0]}"
    ) > "$cache/shmem-suite.log" 2>&1 ||
        no_suite "$(tail -n 1 "$cache/shmem-suite.log")"
}

# suite_sources DIR: the C files of its programs
suite_sources()
{
    if [ -d "$1/test/unit" ]; then
        find "$1/test/unit" "$1/test/spec-example" "$1/test/apps" -name '*.c'
    elif [ -d "$1/feature_tests/C" ]; then
        find "$1/feature_tests/C" -name '*.c'
    elif [ -d "$1/c" ]; then
        find "$1/c" -maxdepth 1 -name '*.c'
    else
        find "$1" -maxdepth 1 -name '*oshmem*.c'
    fi | LC_ALL=C sort
}

# verifier_build DIR: tests-mellanox, one program, to $output/verifier. Its own
# build stops at warnings of newer compilers.
verifier_build()
{
    [ -x "$output/verifier/oshmem_test" ] && return
    rm -rf "$output/verifier"
    cp -r "$1/verifier" "$output/verifier"
    (cd "$output/verifier" && ./autogen.sh &&
         ./configure --quiet CC=oshcc CFLAGS='-O1 -w -fcommon' &&
         make -j"$jobs") > "$output/verifier.log" 2>&1 < /dev/null
}

# suite_tests DIR: a line "NAME|PROGRAM ARGUMENTS" for each of its tests; no
# program if it cannot be built with this OpenSHMEM, which has fewer functions
# than some suites
suite_tests()
{
    local name=${1##*/} file program task

    if [ -d "$1/verifier" ]; then
        if verifier_build "$1"; then
            # a line "SUITE (xx) WHAT", or "CASE (tcN) WHAT", cut to columns
            "$output/verifier/oshmem_test" exec --info=case 2>&1 |
                awk '/^ +[a-z]+ +\([a-z]+\)/ { suite = $1 }
                     match($0, /\(tc[0-9]+/) {
                         print suite ":" substr($0, RSTART + 1, RLENGTH - 1)
                     }' |
                while read -r task; do
                    echo "$name/$task|$output/verifier/oshmem_test exec --task=$task"
                done
        else
            echo "$name|"
        fi
        return
    fi
    while IFS= read -r file; do
        grep -q 'main *(' "$file" || continue
        program=$output/programs/$name/${file##*/}
        program=${program%.c}
        mkdir -p "${program%/*}"
        if [ ! -x "$program" ]; then
            oshcc -O1 -w -DENABLE_DEPRECATED_TESTS -I"$1/test/include" \
                -o "$program" "$file" -lm -lpthread > "$program.log" 2>&1 ||
                program=
        fi
        file=${file#"$1"/}
        echo "$name/${file%.c}|$program"
    done < <(suite_sources "$1")
}

# ---- A test

# run_over srd|tcp: the command of run_test; sets outcome, why, seconds, messages
run_over()
{
    local status=0 start=${EPOCHREALTIME/./} out=$slot/$1.out other

    if [ "$1" = tcp ]; then
        UCX_TLS=tcp,self timeout -k 20 "$limit" oshrun "${oshmem[@]}" -np "$pes" \
            env -u UCX_EFA_STATS "${command[@]}"
    else
        counters_reset
        UCX_TLS=srd,self timeout -k 20 "$limit" oshrun "${oshmem[@]}" -np "$pes" \
            "${efarun[@]}" "${command[@]}"
    fi > "$out" 2>&1 < /dev/null || status=$?
    seconds=$(((${EPOCHREALTIME/./} - start) / 1000))
    messages=0
    [ "$1" = tcp ] ||
        messages=$(counted tx_msgs rdma_read_ops rdma_write_ops)

    other=$(grep -E '[Ff]ailed|FAIL|UCX +(ERROR|FATAL)|stack smashing' "$out" |
        grep -m 1 -v 'Failed: 0$')
    outcome=failed
    case $status in
    124|137) outcome=hung; why="not done in $limit s" ;;
    0) why=$other; [ -n "$other" ] || outcome=passed ;;
    *) why="status $status: ${other:-$(grep -m 1 -E 'ignal|rror' "$out")}"
       case $name in *global_exit*) outcome=passed; why= ;; esac ;;
    esac
    why=${why:0:200}
    [ $outcome = passed ] || cp "$out" "$output/${name//\//_}.$1"
}

# run_test NUMBER NAME COMMAND...: to the file results/NUMBER
run_test()
{
    local number=$1 name=$2 srd srd_why srd_seconds srd_messages tcp tcp_why
    local srd_good=0 tcp_good=0 outcome why seconds messages count
    local command=("${@:3}")

    if [ ${#command[@]} = 0 ]; then
        printf 'skipped  skipped  %s: cannot be built\n' "$name"
        printf '%s\037' "$name" skipped "" 0 skipped "" \
            > "$output/results/$number"
        return
    fi
    run_over srd
    srd=$outcome srd_why=$why srd_seconds=$seconds srd_messages=$messages
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
        srd_why="${srd_why:-passed}; of $((again + 1)): $srd_good over srd,"
        srd_why="$srd_why $tcp_good over tcp"
    fi
    printf '%-8s %-8s %s  (%d.%02d s, tcp %d.%02d s; %d messages)\n' "$srd" \
        "$tcp" "$name" $((srd_seconds / 1000)) $((srd_seconds % 1000 / 10)) \
        $((seconds / 1000)) $((seconds % 1000 / 10)) "$srd_messages"
    printf '%s\037' "$name" "$srd" "$srd_why" "$srd_messages" "$tcp" "$tcp_why" \
        > "$output/results/$number"
}

# ---- What came out

report()
{
    oshmem_info 2> /dev/null |
        sed -n 's/^ *Open SHMEM: */OpenSHMEM of Open MPI /p'
    find "$output/results" -type f | sort | while IFS= read -r file; do
        cat "$file"
        echo
    done | awk -F '\037' -v pes="$pes" '
        function add(suite, transport, outcome) {
            if (outcome == "hung") outcome = "failed"
            ++count[suite, transport, outcome]
            ++count["all", transport, outcome]
        }
        function row(suite) {
            printf "%-20s %7d %7d  %7d %7d  %8d\n", suite,
                count[suite, "srd", "passed"], count[suite, "srd", "failed"],
                count[suite, "tcp", "passed"], count[suite, "tcp", "failed"],
                count[suite, "srd", "skipped"]
        }
        {
            suite = $1
            sub(/\/.*/, "", suite)
            if (!(suite in seen)) order[++suites] = suite
            seen[suite] = 1
            add(suite, "srd", $2)
            add(suite, "tcp", $5)
            messages += $4
            if ($2 == "skipped") next
            if ($2 != "passed" && $5 == "passed")
                worse = worse "  " $1 ": " $3 "\n"
            else if ($2 == "passed" && $5 != "passed")
                better = better "  " $1 ": tcp: " $6 "; " $3 "\n"
            else if ($2 != "passed")
                both = both "  " $1 ": " $3 "\n"
            if ($2 == "passed" && $4 == 0)
                silent = silent "  " $1 "\n"
        }
        END {
            printf "%d PEs                over srd         over tcp\n", pes
            print "suite                 passed  failed   passed  failed   skipped"
            for (i = 1; i <= suites; ++i) row(order[i])
            row("all")
            printf "srd sent %d messages\n", messages
            if (silent != "") print "passed, and sent nothing over srd:\n" silent
            if (both != "") print "failed over both:\n" both
            if (better != "") print "failed over tcp only:\n" better
            if (worse != "") print "failed over srd only:\n" worse
            else print "nothing that passed over tcp failed over srd"
            exit worse != ""
        }'
}

[ ${#suites[@]} -gt 0 ] || examples_fetch
[ $prepare = n ] || exit 0
[ -n "$build" ] || die "--build DIR is missing"
build=$(realpath -e "$build") || exit 2
output=${output:-$build/test-logs/shmem-suite}
mkdir -p "$output"
output=$(realpath "$output")
rm -rf "${output:?}"/*
mkdir "$output/results" "$output/programs"
temporary=$(mktemp -d "${TMPDIR:-/tmp}/shmem-suite.XXXXXX")
trap 'kill $(jobs -p) 2> /dev/null; wait; rm -rf "$temporary"' EXIT
trap 'exit 130' INT TERM
export TMPDIR=$temporary BUILD=$build
# shellcheck source=test/apps/jobs.sh
. "$top/test/apps/jobs.sh"
efarun=("$build/src/tools/efarun" --soft --quiet)

step "make"
mapfile -t tests < <(for suite in "${suites[@]}"; do suite_tests "$suite"; done)
[ ${#tests[@]} -gt 0 ] || die "no test in ${suites[*]}"
step "${#tests[@]} tests: over srd, over tcp"
slots=()
for ((number = 0; number < at_once; ++number)); do
    slots[number]=
done
for number in "${!tests[@]}"; do
    # the first slot that is free
    while :; do
        for index in "${!slots[@]}"; do
            kill -0 "${slots[index]:-none}" 2> /dev/null || break 2
        done
        wait -n
    done
    (
        trap - EXIT
        slot=$temporary/$index
        mkdir -p "$slot/segments"
        chmod 700 "$slot/segments"
        export SOFTEFA_FABRIC=shmem-suite-$$-$index XDG_RUNTIME_DIR=$slot/segments
        # shellcheck disable=SC2086 # words
        run_test "$(printf '%05d' "$number")" "${tests[number]%%|*}" \
            ${tests[number]#*|}
    ) &
    slots[index]=$!
done
wait
report | tee "$output/report"
