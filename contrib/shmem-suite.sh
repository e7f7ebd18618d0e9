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
# shellcheck source=contrib/suite-common.sh
. "$(dirname "$0")/suite-common.sh"

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

# run_over srd|tcp: the command of run_test
run_over()
{
    local status=0 start=${EPOCHREALTIME/./} out other

    # shellcheck disable=SC2031 # of suite_run
    out=$slot/$1.out
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
    bytes=0
    if [ "$1" = srd ]; then
        messages=$(counted tx_msgs rdma_read_ops rdma_write_ops)
        bytes=$(counted tx_bytes rdma_read_bytes rdma_write_bytes)
    fi

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

# run_test NUMBER LINE, as suite_tests has it
run_test()
{
    local name=${2%%|*} command=()

    read -r -a command <<< "${2#*|}"
    if [ ${#command[@]} = 0 ]; then
        suite_skip "$1" "$name $pes" "cannot be built with this OpenSHMEM"
    else
        suite_compare "$1" "$name $pes"
    fi
}

[ ${#suites[@]} -gt 0 ] || examples_fetch
[ $prepare = n ] || exit 0
suite_begin shmem-suite
mkdir "$output/programs"
efarun=("$build/src/tools/efarun" --soft --quiet)

step "make"
mapfile -t tests < <(for suite in "${suites[@]}"; do suite_tests "$suite"; done)
[ ${#tests[@]} -gt 0 ] || die "no test in ${suites[*]}"
suite_run run_test "${tests[@]}"
suite_report "$(oshmem_info 2> /dev/null |
    sed -n 's/^ *Open SHMEM: */OpenSHMEM of Open MPI /p')" first |
    tee "$output/report"
