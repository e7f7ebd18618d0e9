#!/usr/bin/env bash
# One command from a clone to a verdict: installs what is missing, builds with
# gcc and clang without a warning, runs all tests.
#
#   contrib/check.sh [--only PART[,PART...]] [SUITE...]
#
#   PART   scripts   shellcheck
#          format    .clang-format, where clang-format 14 is to be had
#          layers    includes and calls between folders (contrib/layers.sh)
#          docs      files, functions, options, tests that documents and comments
#                    name (contrib/guideposts.sh)
#          gcc       build-gcc/: all suites
#          compare   build-gcc/: instructions of an operation, compared with those
#                    of an earlier commit (contrib/bench.sh --compare)
#          valgrind  build-gcc/: the suites that test/suites marks for it
#          asan      build-asan/: AddressSanitizer and UBSan
#          tsan      build-tsan/: ThreadSanitizer
#          dist      make distcheck, with clang: tar file, VPATH build without a
#                    warning, unit and loader suites, DESTDIR, uninstall
#          matrix    the other Debians of contrib/matrix.sh, in roots: as root, with
#                    debootstrap, namespaces and the network, else skipped
#   SUITE  of test/suites, by name or the beginning of one (test/README.md)
#
# Without --only all parts run. Each is one or more jobs, and each job ends with a
# line "ok JOB" or "not ok JOB"; a table of all jobs, with their results, counts
# and times, comes last but one. The last line is
# "N passed, N failed[, N skipped]"; the status is 0 if nothing failed. Needs
# some ten minutes on two processors, packages included: while suites run, what
# they leave of the processors makes the other builds, make distcheck last.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

# clock SECONDS: as minutes and seconds
clock()
{
    printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# With the time at which it begins, of a job and of a step of one
begins()
{
    echo "== $(clock "$SECONDS") $*"
}

step()
{
    echo "-- $(clock "$SECONDS") $*"
}

all=scripts,format,layers,docs,gcc,compare,valgrind,asan,tsan,dist,matrix
parts=$all
suites=()
while [ $# -gt 0 ]; do
    case $1 in
    --only)    parts=${2:?--only needs a value}; shift ;;
    -h|--help) sed -n '2,29s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "check.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    *)  suites+=("$1") ;;
    esac
    shift
done

for part in ${parts//,/ }; do
    case ,$all, in
    *,"$part",*) ;;
    *) echo "check.sh: --only knows no '$part', but $all" >&2; exit 2 ;;
    esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-check.XXXXXX")
counts=$work/counts
declare -A begun=()                     # name: process, also of its group

cleanup()
{
    local group

    for group in ${begun[@]+"${begun[@]}"}; do
        kill -- "-$group" 2> /dev/null
    done
    wait
    rm -rf "$work"
}

trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# job_done JOB SECONDS PASSED FAILED SKIPPED [WHY]: its line, and its row of the
# table. Of a job that did not run the counts are 0.
job_done()
{
    local job=$1 time=$2 p=$3 f=$4 s=$5 why=${6:-} word=ok

    if [ "$f" != 0 ]; then
        word='not ok'
    elif [ "$p" = 0 ]; then
        word=skip
    fi
    echo "$word $job${why:+: $why} ($p passed, $f failed, $s skipped," \
         "$(clock "$time"))"
    echo "$job|$word|$p|$f|$s|$(clock "$time")|$why" >> "$work/table"
}

# The table, then the sums; the script's status
finish()
{
    echo
    awk -F '|' '
        BEGIN {
            line = "%-16s  %-6s  %6s  %6s  %7s  %6s  %s\n"
            printf line, "job", "result", "passed", "failed", "skipped", "time", ""
        }
        {
            printf line, $1, $2, $3, $4, $5, $6, $7
            p += $3; f += $4; s += $5
        }
        END {
            printf "\n%d passed, %d failed%s\n", p, f, s ? ", " s " skipped" : ""
            exit !(p && !f)
        }' "$work/table" | sed 's/ *$//'
    exit "${PIPESTATUS[0]}"
}

# job JOB COMMAND...: a job that is one test; its status
job()
{
    local job=$1 begin=$SECONDS
    shift

    begins "$job"
    if "$@"; then
        job_done "$job" $((SECONDS - begin)) 1 0 0
    else
        job_done "$job" $((SECONDS - begin)) 0 1 0
        return 1
    fi
}

# skip JOB WHY: counts as a test that was skipped
skip()
{
    job_done "$1" 0 0 0 1 "$2"
}

# job_tool JOB TOOL PACKAGE COMMAND...: a job that needs a tool
job_tool()
{
    local job=$1 tool=$2 package=$3
    shift 3

    if command -v "$tool" > /dev/null; then
        job "$job" "$@"
    else
        skip "$job" "$tool is not installed (Debian package $package)"
    fi
}

# begin NAME COMMAND...: in the background, as a process group. What it prints
# is seen, errors when it is awaited.
begin()
{
    local name=$1
    shift

    set -m
    "$@" 2> "$work/$name" < /dev/null &
    begun[$name]=$!
    set +m
}

# await NAME: its errors, and its status
await()
{
    local name=$1 status=0

    wait "${begun[$name]}" || status=$?
    unset "begun[$name]"
    cat "$work/$name" >&2
    return $status
}

# job_begun JOB NAME: a job that is what was begun under this name; the time is
# that of the work, not of the wait for it
job_begun()
{
    local job=$1 name=$2 sums=(1 0 0)

    await "$name" || sums=(0 1 0)
    job_done "$job" "$(cat "$work/$name.time" 2> /dev/null || echo 0)" \
        "${sums[@]}"
    [ "${sums[1]}" = 0 ]
}

# timed NAME COMMAND...: for job_begun
timed()
{
    local name=$1 begin=$SECONDS status=0
    shift

    "$@" || status=$?
    echo $((SECONDS - begin)) > "$work/$name.time"
    return "$status"
}

# beside PROCESS COMMAND...: when the process has ended, if there is one, with
# what others leave of the processors, also the soak (10, test/run.sh)
beside()
{
    local process=$1
    shift

    renice -n 15 -p "$BASHPID" > /dev/null
    [ -z "$process" ] || tail --pid="$process" -f /dev/null
    "$@"
}

# beside_suites PART...: built one after the other, beside the suites
beside_suites()
{
    local part last=

    for part in "$@"; do
        if is_part "$part"; then
            begin "$part" beside "$last" timed "$part" "build_$part"
            last=${begun[$part]}
        fi
    done
}

# build_gcc: the product and the tests' programs (whose debug information would
# take a third of the time)
build_gcc()
{
    build_tree "$gcc" --enable-werror CC=gcc CXX=g++ CXXFLAGS=-O1 || return
    step "the tests' programs in ${gcc##*/}"
    quietly "$gcc/make-check.log" make -C "$gcc" -j"$jobs" check-programs
}

# build_asan: the product, instrumented, and what contains parts of it. The
# other tests' programs, which are not instrumented, are those of build-gcc.
build_asan()
{
    local sanitize=-fsanitize=address,undefined

    build_tree "$asan" --enable-werror CC=gcc CXX=g++ \
        CFLAGS="-O1 -g -fno-omit-frame-pointer $sanitize" \
        CXXFLAGS=-O1 LDFLAGS="$sanitize" || return
    step "the tests' programs in ${asan##*/}"
    quietly "$asan/make-check.log" make -C "$asan/test/gtest" -j"$jobs" \
        test_engine test_host test_pci test_unit
}

# build_tsan: the product alone
build_tsan()
{
    build_tree "$tsan" --enable-werror CC=gcc CXX=g++ \
        CFLAGS="-O1 -g -fsanitize=thread" CXXFLAGS=-O1 \
        LDFLAGS=-fsanitize=thread
}

# run JOB DIR VARIANT: the suites that were asked for, of this variant
run()
{
    local job=$1 dir=$2 variant=$3 begin=$SECONDS status=0 why=
    local run=("$top/test/run.sh" --build "$dir" --variant "$variant")
    local sums=(0 0 0)

    # Beside the others, with what these leave it
    [ "$variant" != plain ] || run+=(--beside soak)

    # A name that exists in no variant is an error in the plain one
    if [ "$variant" != plain ] &&
           [ -z "$("${run[@]}" --list ${suites[@]+"${suites[@]}"})" ]; then
        return
    fi

    begins "$job"
    rm -f "$counts"
    begin suites "${run[@]}" --programs "$gcc" --counts "$counts" \
        ${suites[@]+"${suites[@]}"}
    await suites || status=$?
    [ ! -r "$counts" ] || read -r -a sums < "$counts"
    # not by a test that failed
    if [ "$status" -gt 1 ]; then
        sums[1]=$((sums[1] + 1))
        why="run.sh ended with status $status"
    fi
    job_done "$job" $((SECONDS - begin)) "${sums[@]}" "$why"
}

is_part()
{
    case ,$parts, in *,"$1",*) return 0 ;; esac
    return 1
}

# Of the tests this builds all, with the other compiler's warnings, and runs
# what tells whether the tar file has everything
build_dist()
{
    step "make distcheck in ${gcc##*/}"
    quietly "$gcc/distcheck.log" make -C "$gcc" -j"$jobs" distcheck \
        SUITES="unit loader" \
        DISTCHECK_CONFIGURE_FLAGS="--enable-werror CC=clang CXX=clang++ \
            CFLAGS=-O1 CXXFLAGS=-O0"
}

# run_row ROW: of contrib/matrix.sh
run_row()
{
    local row=$1 begin=$SECONDS status=0 p=0 f=1 s=0 why=

    begins "matrix-$row"
    rm -f "$counts"
    begin matrix "$top/contrib/matrix.sh" --rows "$row" --counts "$counts"
    await matrix || status=$?
    if [ -r "$counts" ]; then
        read -r p f s why < "$counts"
    else
        why="matrix.sh ended with status $status"
    fi
    # Why nothing was done; matrix.sh has said why some tests were skipped
    [ "$p" = 0 ] || why=
    job_done "matrix-$row" $((SECONDS - begin)) "$p" "$f" "$s" "$why"
}

# run_matrix: all Debians but this one
run_matrix()
{
    local row

    is_part matrix || return 0
    for row in bookworm trixie sid; do
        grep -qs "^PRETTY_NAME=.*[(/]${row}[\")]" /etc/os-release ||
            run_row "$row"
    done
}

# With what CI knows to be the last commit before the change, or last
compare_instructions()
{
    local begin=$SECONDS status=0

    begins compare
    BUILD_DIR=$gcc "$top/contrib/bench.sh" --compare "${COMPARE_REV:-last}" \
        2> "$work/why" || status=$?
    case $status in
    0)  job_done compare $((SECONDS - begin)) 1 0 0 ;;
    77) skip compare "$(tail -n 1 "$work/why")" ;;
    *)  cat "$work/why" >&2
        job_done compare $((SECONDS - begin)) 0 1 0 ;;
    esac
}

check_scripts()
{
    find "$top/contrib" "$top/test" "$top/autogen.sh" "$top/.ci/run" -type f \
        \( -name '*.sh' -o -name run \) -print0 |
        xargs -0 shellcheck
}

# In this shell, for what it finds out
job set-up setup_packages check || finish

if is_part scripts; then
    job_tool shellcheck shellcheck shellcheck check_scripts
fi

if is_part format; then
    if "$top/contrib/format.sh" --which > /dev/null 2>&1; then
        job format "$top/contrib/format.sh" --check
    else
        skip format "clang-format 14 is not installed: Debian 12 has it"
    fi
fi
if is_part layers; then
    job layers "$top/contrib/layers.sh"
fi
if is_part docs; then
    job guideposts "$top/contrib/guideposts.sh"
fi

# The rest needs a build here
case ,$parts, in
*,layers,*|*,gcc,*|*,compare,*|*,valgrind,*|*,asan,*|*,tsan,*|*,dist,*) ;;
*)  run_matrix
    finish ;;
esac

export SOAK_SECONDS=${SOAK_SECONDS:-180}
export VM=${VM:-y}                      # guests, test/apps/vm.sh
gcc=$top/build-gcc
asan=$top/build-asan
tsan=$top/build-tsan
begin gcc timed gcc build_gcc
job_begun build-gcc gcc || finish

if is_part layers; then
    job calls "$top/contrib/layers.sh" --objects "$gcc"
fi

if is_part compare; then
    compare_instructions
fi
beside_suites asan tsan
if is_part gcc; then
    run tests "$gcc" plain
fi
# Not earlier: MPI's ranks wait with all of a processor, and then share it
beside_suites dist
if is_part valgrind; then
    run tests-valgrind "$gcc" valgrind
fi
for variant in asan tsan; do
    if is_part $variant; then
        if job_begun build-$variant $variant; then
            run tests-$variant "$top/build-$variant" $variant
        else
            job_done tests-$variant 0 0 0 0 "not built"
        fi
    fi
done
if is_part dist; then
    job_begun distcheck dist
fi
run_matrix

finish
