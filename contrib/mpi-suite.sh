#!/usr/bin/env bash
# Runs MPICH's own test suite over srd, on Soft-EFA, and each test over TCP in the
# same run: with MPICH or Open MPI. Prints what differs.
#
#   contrib/mpi-suite.sh --build BUILD [OPTIONS]
#
#   --build DIR      build tree with its test programs (make check-programs)
#   --mpi MPI        mpich (default) or openmpi
#   --parts "P ..."  directories of the suite (default: all of MPI's C functions)
#   --tests FILE     in place of the suite's lists: lines of their form, with the
#                    directory: "pt2pt/sendself 2 arg=-seed=1"
#   --suite-src DIR  MPICH's source tree (default: Debian's source package of the
#                    installed mpich)
#   --device "O..."  more options for efarun, such as "--reorder --profile=efa4"
#   --jobs N         tests at a time (1)
#   --limit SECONDS  what a test may take at most (three times the limit of its list,
#                    which mostly is 180)
#   --without "P..." programs that are left out
#   --max-ranks N    tests with more are skipped (40)
#   --again N        a test that differs is repeated N times over both (3)
#   --output DIR     for results and the output of what failed (default: in BUILD)
#   --prepare        fetch and configure only
#
# The suite is built in ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/mpi-suite-*, where it
# stays. A test passed if it says "No Errors" and nothing else, or what its list
# wants (resultTest). Messages are those that srd counted.
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
mpi=mpich
parts="attr coll comm datatype errhan group info init pt2pt rma spawn threads topo"
tests=
suite=
device=
at_once=1
most=
without=
max_ranks=40
again=3
output=
prepare=n
while [ $# -gt 0 ]; do
    case $1 in
    --build)     build=${2:?--build needs a value}; shift ;;
    --mpi)       mpi=${2:?--mpi needs a value}; shift ;;
    --parts)     parts=${2:?--parts needs a value}; shift ;;
    --tests)     tests=$(realpath -e "${2:?--tests needs a value}") || exit 2
                 shift ;;
    --suite-src) suite=${2:?--suite-src needs a value}; shift ;;
    --device)    device=${2:?--device needs a value}; shift ;;
    --jobs)      at_once=${2:?--jobs needs a value}; shift ;;
    --limit)     most=${2:?--limit needs a value}; shift ;;
    --without)   without=${2:?--without needs a value}; shift ;;
    --max-ranks) max_ranks=${2:?--max-ranks needs a value}; shift ;;
    --again)     again=${2:?--again needs a value}; shift ;;
    --output)    output=${2:?--output needs a value}; shift ;;
    --prepare)   prepare=y ;;
    -h|--help)   sed -n '2,30s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$1' (try --help)" ;;
    esac
    shift
done
case $mpi in mpich|openmpi) ;; *) die "--mpi is mpich or openmpi" ;; esac
command -v "mpicc.$mpi" > /dev/null ||
    no_suite "no mpicc.$mpi (Debian: lib$mpi-dev)"

# ---- The suite: fetched, configured, and built as far as it is needed

# suite_cached VERSION: sets suite to that of the cache, or to another version's
suite_cached()
{
    for suite in "$cache/mpich-$1" "$cache"/mpich-[0-9]*; do
        [ ! -e "$suite/.complete" ] || return 0
    done
    return 1
}

# suite_fetch: sets suite, MPICH's source tree, to that of the cache
suite_fetch()
{
    local installed

    # dpkg-query replaces the ${...}, not the shell
    # shellcheck disable=SC2016
    installed=$(dpkg-query -W -f '${db:Status-Status} ${source:Version}\n' \
        libmpich12 2> /dev/null | sed -n 's/^installed //p') || true
    suite_cached "$installed" && return
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
        wanted=${installed:-$(apt_newest mpich)}
        [ -n "$wanted" ] || die "no archive lists the source of mpich"
        apt_download mpich "$wanted" ||
            die "cannot fetch the source package mpich $wanted. $apt_why"
        apt_unpack mpich
        touch "$work/tree/.complete"
        rm -rf "$cache/mpich-$wanted"
        mv "$work/tree" "$cache/mpich-$wanted"
    ) > "$cache/mpi-suite.log" 2>&1 ||
        no_suite "$(tail -n 1 "$cache/mpi-suite.log")"
    suite_cached "$installed"
}

# suite_configure: sets place, the directory in which the suite is built
suite_configure()
{
    local options=(--disable-dependency-tracking --disable-cxx
        --enable-fortran=no --enable-threads=multiple --disable-dtpools
        --disable-perftest --disable-romio --disable-part CC=gcc CFLAGS=-O1
        "MPICC=mpicc.$mpi" "MPICXX=mpicxx.$mpi" "MPIEXEC=mpirun.$mpi")
    local library key

    # Of Open MPI those tests that MPI's standard has. Two functions of the first
    # one, which it has not any more, have others of the same form.
    [ "$mpi" = mpich ] ||
        options+=(--enable-strictmpi "CPPFLAGS=-DOMPI_OMIT_MPI1_COMPAT_DECLS=1 \
-DMPI_Type_hvector=MPI_Type_create_hvector \
-DMPI_Type_hindexed=MPI_Type_create_hindexed")
    library=$("mpicc.$mpi" -show 2> /dev/null
        dpkg-query -W "lib$mpi-dev" 2> /dev/null)
    key=$(echo "$suite $library ${options[*]}" | cksum | cut -d ' ' -f 1)
    place=$cache/mpi-suite-$mpi-$key
    [ ! -e "$place/.complete" ] || return 0
    step "configure in ${place##*/}"
    rm -rf "$place"
    mkdir -p "$place"
    (cd "$place" && quietly "$place/configure.log" \
        "$suite/test/mpi/configure" --quiet "${options[@]}") || return
    quietly "$place/make.log" make -C "$place/util" -j"$jobs" &&
        touch "$place/.complete"
}

# suite_make PART/PROGRAM...: what is not there yet. Tests of functions that this
# MPI does not have cannot be built.
suite_make()
{
    local part

    while IFS= read -r part; do
        step "make in $part"
        # shellcheck disable=SC2046 # words
        make -C "$place/$part" -k -j"$jobs" \
            $(printf '%s\n' "$@" | sed -n "s,^$part/\([^/]*\)$,\1,p" | sort -u) \
            < /dev/null >> "$place/make.log" 2>&1
    done < <(printf '%s\n' "$@" | sed 's,/[^/]*$,,' | sort -u)
}

# ---- The lists. A line is PROGRAM [RANKS [KEY=VALUE...]], or a directory.

# suite_list FILE PREFIX: its tests, one a line, with the fields of run_test,
# separated by the character of the same name
suite_list()
{
    awk -v prefix="$2" -v mpi="$mpi" '
        BEGIN { OFS = "\037" }
        { sub(/#.*/, "") }
        NF == 0 || /^[ \t]*!/ { next }
        {
            args = env = launch = test = limit = mem = skip = ""
            for (i = 3; i <= NF; ++i) {
                key = value = $i
                sub(/=.*/, "", key)
                sub(/^[^=]*=/, "", value)
                if (key == "arg") args = args " " value
                else if (key == "env") env = env " " value
                else if (key == "mpiexecarg") launch = launch " " value
                else if (key == "resultTest") test = value
                else if (key == "timeLimit") limit = value
                else if (key == "mem") mem = value
                else if (key == "xfail" && mpi == "mpich")
                    skip = "expected to fail: " value
                else if (key == "strict" && tolower(value) == "false" &&
                         mpi != "mpich")
                    skip = "not in the standard of this MPI"
            }
            if ($1 == "timeout") skip = "tests the time limit of the launcher"
            print prefix $1, (NF > 1 ? $2 : 2), args, env, launch, test, limit,
                  mem, skip
        }' "$1"
}

# suite_part PART: of its list, and those of directories in it
suite_part()
{
    local list line name

    list=$place/$1/testlist
    [ -s "$list" ] || list=$suite/test/mpi/$1/testlist
    [ -s "$list" ] || return 0
    while IFS= read -r line; do
        name=${line%%$'\037'*}
        if [ -d "$place/$name" ]; then
            suite_part "$name"
        else
            echo "$line"
        fi
    done < <(suite_list "$list" "$1/")
}

# ---- A test

# judge STATUS OUTPUT RESULT_TEST: sets outcome, and why if it has not passed
judge()
{
    local other

    outcome=failed
    why=
    other=$(grep -m 1 -vE '^ *(No [Ee]rrors|Test Passed)? *$' "$2")
    case $1 in
    124|137) outcome=hung; why="not done in $limit s"; return ;;
    esac
    case $3 in
    TestStatus|TestErrFatal)
        [ "$1" = 0 ] || outcome=passed
        why="ended with status $1"
        return ;;
    esac
    if [ -n "$other" ]; then
        why="status $1: $(cut -c 1-200 <<< "$other")"
    elif ! grep -qE '^ *No [Ee]rrors *$' "$2"; then
        why="status $1, and no 'No Errors'"
    elif [ "$1" != 0 ] && [ "$3" != TestStatusNoErrors ]; then
        why="status $1"
    else
        outcome=passed
    fi
}

# run_over srd|tcp: the test of run_test
run_over()
{
    local status=0 start=${EPOCHREALTIME/./} before=() after=() options=()
    local over=("UCX_TLS=$1,self")
    local waits=() out

    # shellcheck disable=SC2031 # of suite_run
    out=$slot/$1.out

    case $mpi in
    mpich)   options=("${mpich[@]}" -n "$ranks") ;;
    openmpi) options=("${openmpi[@]}" -np "$ranks") ;;
    esac
    if [ $((ranks * at_once)) -gt "$jobs" ]; then
        waits=("LD_PRELOAD=$build/test/apps/mpi_wait.so")
    fi
    if [ "$1" = tcp ]; then
        # without, MPICH hangs in MPI_Finalize()
        waits=("LD_PRELOAD=$build/test/apps/mpi_wait.so" MPI_WAIT_PROGRESS=y)
    fi
    after=(env ${waits[@]+"${waits[@]}"})
    if [ "$1" = tcp ]; then
        over=(-u UCX_EFA_STATS "${over[@]}")
    else
        counters_reset
        # children that MPI_Comm_spawn starts inherit from the launcher
        case $name in
        *spawn*) before=("${efarun[@]}") ;;
        *) after+=("${efarun[@]}") ;;
        esac
    fi
    # shellcheck disable=SC2086 # words
    (
        cd "$place/${name%/*}" || exit
        env "${over[@]}" $env timeout --foreground -k 20 "$limit" ${before[@]+"${before[@]}"} \
            "mpirun.$mpi" "${options[@]}" $launch ${after[@]+"${after[@]}"} \
            "./${name##*/}" $args
    ) > "$out" 2>&1 < /dev/null || status=$?
    seconds=$(((${EPOCHREALTIME/./} - start) / 1000))
    messages=0
    bytes=0
    if [ "$1" = srd ]; then
        messages=$(counted tx_msgs rdma_read_ops rdma_write_ops)
        bytes=$(counted tx_bytes rdma_read_bytes rdma_write_bytes)
    fi
    judge $status "$out" "$test"
    [ "$outcome" = passed ] || cp "$out" "$output/${label//[^A-Za-z0-9_.=-]/_}.$1"
}

# why_not: why the test of run_test cannot be run
why_not()
{
    local available

    available=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
    if [ -n "$skip" ]; then
        echo "$skip"
    elif [[ " $without " == *" ${name##*/} "* ]]; then
        echo "left out"
    elif [ ! -x "$place/$name" ]; then
        echo "cannot be built with this MPI"
    elif [ "$ranks" -gt "$max_ranks" ]; then
        echo "more than $max_ranks ranks"
    elif [ "$(awk -v g="${mem:-0}" 'BEGIN { print int(g * 1200) }')" -gt \
           "$available" ]; then
        echo "needs $mem GB of memory"
    fi
}

# run_test NUMBER LINE
run_test()
{
    local name ranks args env launch test limit mem skip label reason

    IFS=$'\037' read -r name ranks args env launch test limit mem skip <<< "$2"
    label="$name $ranks$args${env:+ (${env# })}"
    reason=$(why_not)
    if [ -n "$reason" ]; then
        suite_skip "$1" "$label" "$reason"
        return
    fi
    limit=$((${limit:-180} * 3))
    limit=${most:-$limit}
    suite_compare "$1" "$label"
}

mkdir -p "$cache"
[ -n "$suite" ] || suite_fetch
suite=$(realpath -e "$suite") || exit 2
[ -x "$suite/test/mpi/configure" ] || no_suite "$suite has no test/mpi/configure"
suite_configure || exit 2
[ $prepare = n ] || exit 0

suite_begin "mpi-suite-$mpi"
[ -e "$build/test/apps/mpi_wait.so" ] ||
    die "no test programs in $build: make check-programs"
# shellcheck disable=SC2206 # words
efarun=("$build/src/tools/efarun" --soft --quiet $device)
case $mpi in
mpich)   version=$(mpichversion | sed -n 's/^MPICH Version:[ \t]*//p') ;;
openmpi) version=$(mpirun.openmpi --version | sed -n '1s/.* //p') ;;
esac

if [ -n "$tests" ]; then
    mapfile -t lines < <(suite_list "$tests" "")
else
    # shellcheck disable=SC2086 # words
    mapfile -t lines < <(for part in $parts; do suite_part "$part"; done)
fi
[ ${#lines[@]} -gt 0 ] || die "no tests in ${tests:-$parts}"
suite_make "${lines[@]%%$'\037'*}"

suite_run run_test "${lines[@]}"
suite_report "$mpi $version, MPICH's suite of ${suite##*/}" |
    tee "$output/report"
