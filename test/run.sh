#!/usr/bin/env bash
# Runs the suites of test/suites and adds up.
#
#   test/run.sh [--build DIR] [--variant plain|asan|tsan|valgrind] [--programs DIR]
#               [--jobs N] [--beside SUITE] [--counts FILE] [--suites FILE]
#               [--efarun FILE] [--list] [SUITE...]
#
# A SUITE is a name of test/suites or the beginning of some. The output of each
# goes to DIR/test-logs/ and is shown if it fails. The last line is
# "N passed, N failed[, N skipped]"; --counts adds these numbers to FILE.
#
# --jobs  GoogleTest programs run N at a time (default: one a processor, four at
#         most), each in a fabric of its own. Scripts run alone: they time
#         nothing, but processes that poll for each other need a processor each.
# --beside  begins this suite first and runs the others beside it; it has what they
#         leave of the processors
# --suites  in place of test/suites
# --efarun  of an installation, in place of that of the build tree
# --programs  build tree of the test programs that DIR has not: those that get
#         the product at run time, so that a second build needs none of them
#
# A suite that shows nothing new for TEST_STALL seconds (1200; more on a machine
# with much to do, progress.sh) is ended, and every suite after TEST_TIMEOUT
# seconds (21600). Both only end what hangs.
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=test/progress.sh
. "$top/test/progress.sh"
suites=$top/test/suites
build=$PWD
variant=plain
programs=
jobs=
beside=
counts=
efarun=
list=n
wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --build)   build=$(cd "$2" && pwd) || exit 2; shift ;;
    --variant) variant=$2; shift ;;
    --programs) programs=$(cd "$2" && pwd) || exit 2; shift ;;
    --jobs)    jobs=$2; shift ;;
    --beside)  beside=$2; shift ;;
    --counts)  counts=$2; shift ;;
    --suites)  suites=$2; shift ;;
    --efarun)  efarun=$2; shift ;;
    --list)    list=y ;;
    -h|--help) sed -n '2,25s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "run.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    *)  wanted+=("$1") ;;
    esac
    shift
done

case $variant in
plain|asan) scale=100 ;;
tsan)       scale=10 ;;
valgrind)   scale=2 ;;
*) echo "run.sh: no variant '$variant'" >&2; exit 2 ;;
esac

export TOP=$top BUILD=$build VARIANT=$variant
export EFARUN=${efarun:-$build/src/tools/efarun} APPS=$build/test/apps
export TEST_SCALE=${TEST_SCALE:-$scale}
if [ ! -x "$EFARUN" ]; then
    echo "run.sh: $EFARUN is missing: build first (make check-programs)" >&2
    exit 2
fi

if [ -z "$jobs" ]; then
    jobs=$(nproc 2> /dev/null || echo 1)
    [ "$jobs" -lt 4 ] || jobs=4
fi

stall=${TEST_STALL:-1200}
limit=${TEST_TIMEOUT:-21600}

logs=$build/test-logs
mkdir -p "$logs"
work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Interrupted: suites end theirs, and timeout(1) passes the signal on
trap 'trap "" INT TERM; kill "${!running[@]}" 2> /dev/null; wait; exit 130' \
    INT TERM

is_wanted()
{
    local name

    [ ${#wanted[@]} -gt 0 ] || return 0
    for name in "${wanted[@]}"; do
        case $1 in "$name"|"$name"-*) return 0 ;; esac
    done
    return 1
}

# The sanitizer's runtime must be the first library, also of programs that are
# not built with it (ucx_info, mpirun, python).
sanitizer_runtime()
{
    local lib libs=

    for lib in "$@"; do
        lib=$(readlink -f "$("${CC:-gcc}" -print-file-name="$lib")")
        libs=$libs${libs:+:}$lib
    done
    echo "$libs"
}

# Sets argv, what timeout(1) starts for a suite
suite_command()
{
    local options=$1 program=$2 words=() settings=() options_only=() word
    shift 2

    case $program in
    /*)
        argv=("$program" "$@")
        return
        ;;
    *.sh)
        argv=("$top/test/apps/$program" "$@")
        return
        ;;
    esac

    if [ -n "$programs" ] && [ ! -x "$build/test/gtest/$program" ]; then
        argv=("$programs/test/gtest/$program" "$@")
    else
        argv=("$build/test/gtest/$program" "$@")
    fi
    if [ "$variant" = valgrind ]; then
        # Leaks: those the tests provoke in the product count. Registers: of a store
        # that traps, the handler reads them (doorbell.c)
        argv=(valgrind --quiet --error-exitcode=99 --trace-children=yes
              --vex-iropt-register-updates=allregs-at-mem-access
              --leak-check=full --show-leak-kinds=definite
              --errors-for-leak-kinds=definite
              --suppressions="$top/test/valgrind.supp"
              "${argv[@]}")
    fi
    if [ "$options" != - ]; then
        IFS=, read -r -a words <<< "$options"
        for word in "${words[@]}"; do
            case $word in
            [A-Z]*=*) settings+=("$word") ;;
            *)        options_only+=("$word") ;;
            esac
        done
        argv=(env ${settings[@]+"${settings[@]}"} "$EFARUN" --quiet
              "${options_only[@]}" -- "${argv[@]}")
    fi
    if [ "$variant" = asan ]; then
        # The preloads are for what is tested, not for timeout itself
        argv=(env "LD_PRELOAD=$(sanitizer_runtime libasan.so libubsan.so)"
              ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
              LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$top/test/lsan.supp:print_suppressions=0}"
              UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
              "${argv[@]}")
    elif [ "$variant" = tsan ]; then
        # UCX's memory hooks overwrite the functions that TSan stands for
        argv=(env "LD_PRELOAD=$(sanitizer_runtime libtsan.so)"
              TSAN_OPTIONS="${TSAN_OPTIONS:-die_after_fork=0}"
              UCX_MEM_EVENTS=n "${argv[@]}")
    fi
}

# run_suite NAME OPTIONS PROGRAM ARGUMENTS...: in a process of its own. Prints
# what is to be seen of it, ends with the line "=PASSED FAILED SKIPPED".
run_suite()
{
    local name=$1 log=$logs/$1-$variant.log lower=()
    local argv=() status=0 start=$SECONDS p f s job watch leaks why=
    shift

    # a name that is in no other's name; it may have 31 letters
    SOFTEFA_FABRIC=$(printf 'test-%d-%03d' $$ "$started")
    TMPDIR=$work/$name
    # segments of this suite alone, and nowhere else
    XDG_RUNTIME_DIR=$TMPDIR/run
    export SOFTEFA_FABRIC TMPDIR XDG_RUNTIME_DIR
    mkdir -p "$TMPDIR"
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    suite_command "$@"
    [ "$name" != "$beside" ] || lower=(nice -n 5)
    ${lower[@]+"${lower[@]}"} timeout -k 10 "$limit" "${argv[@]}" > "$log" 2>&1 < /dev/null &
    job=$!
    progress_watch $job "$stall" "$log" "$TMPDIR" &
    watch=$!
    # shellcheck disable=SC2064 # these
    trap "kill $watch $job 2> /dev/null; wait; exit 130" INT TERM
    {
        wait $job || status=$?
        kill $watch
        wait $watch
        [ $? != 1 ] || why="no progress for $stall s"
    } 2> /dev/null
    leaks=$(grep -r -a -h 'WARN.*not given back when' "$log" "$TMPDIR")
    # the second: what processes that were killed have left
    rm -rf "$TMPDIR" "/dev/shm/softefa.$(id -u).$SOFTEFA_FABRIC"*

    # GoogleTest writes a failed test twice: count where it ran
    p=$(grep -c -a -E '^(ok |\[       OK \] )' "$log")
    f=$(grep -c -a -E '^(not ok |\[  FAILED  \] .* \([0-9]+ ms\)$)' "$log")
    s=$(grep -c -a -E '^(skip |\[  SKIPPED \] .* \([0-9]+ ms\)$)' "$log")
    if [ -n "$why" ]; then
        :
    elif [ $status = 124 ] || [ $status = 137 ]; then
        why="not finished after $limit s"
    elif [ $status -gt 128 ]; then
        why="ended by signal $((status - 128))"
    elif [ $status != 0 ] && [ "$f" = 0 ]; then
        why="ended with status $status"
    elif [ $((p + f + s)) = 0 ]; then
        why="ran no test"
    elif [ -n "$leaks" ]; then
        why="closed something in use: ${leaks%%$'\n'*}"
    fi
    [ -z "$why" ] || f=$((f + 1))

    printf '%-28s %4d ok, %d failed, %d skipped  %4d s%s\n' "$name" "$p" "$f" \
        "$s" $((SECONDS - start)) "${why:+  $why}"
    grep -a -E '^skip ' "$log" | sed 's/^/    /'
    if [ "$f" != 0 ]; then
        grep -a -E -B 12 '^(not ok |\[  FAILED  \] .* \([0-9]+ ms\)$)' "$log" |
            tail -n 60 | sed 's/^/    /'
        [ -z "$why" ] || tail -n 25 "$log" | sed 's/^/    /'
        echo "    log: $log"
    fi
    echo "=$p $f $s"
}

passed=0
failed=0
skipped=0
declare -A running=()                   # process: file with what it prints
besides=()                              # the process of --beside

# Until fewer than N suites run, that of --beside not counted, or with "all" none;
# prints what the others have said
wait_suites()
{
    local limit=$1 pid p f s

    while [ ${#running[@]} -gt 0 ]; do
        if [ "$limit" != all ] &&
               [ $((${#running[@]} - ${#besides[@]})) -lt "$limit" ]; then
            return
        fi
        # of these: bash 5.3 counts process substitutions, too
        wait -n -p pid "${!running[@]}"
        # a process that ended without its last line was killed
        read -r p f s < <(sed -n 's/^=//p' "${running[$pid]}" | grep . ||
                          echo "0 1 0")
        grep -v '^=' "${running[$pid]}" || echo "a suite was killed"
        passed=$((passed + p))
        failed=$((failed + f))
        skipped=$((skipped + s))
        unset "running[$pid]"
        [ "$pid" != "${besides[*]}" ] || besides=()
    done
}

started=0

# start NAME OPTIONS COMMAND...
start()
{
    started=$((started + 1))
    run_suite "$@" > "$work/$started" &
    running[$!]=$work/$started
}

# suites FUNCTION: calls it with name, options and command of each that is wanted
suites()
{
    local name variants options command

    while read -r name variants options command; do
        case $name in ''|'#'*) continue ;; esac
        case ,$variants, in *,"$variant",*) ;; *) continue ;; esac
        # shellcheck disable=SC2086 # the command's words
        ! is_wanted "$name" || "$1" "$name" "$options" $command
    done < "$suites"
}

start_beside()
{
    if [ "$1" = "$beside" ]; then
        start "$@"
        besides=($!)
    fi
}

start_other()
{
    case $1:$3 in
    "$beside":*) ;;
    *.sh)
        wait_suites 1
        start "$@"
        wait_suites 1
        ;;
    *)
        wait_suites "$jobs"
        start "$@"
        ;;
    esac
}

if [ "$list" = y ]; then
    suites echo | cut -d ' ' -f 1
    exit 0
fi
suites start_beside
suites start_other
wait_suites all

if [ $((passed + failed + skipped)) = 0 ]; then
    echo "run.sh: no such suite: ${wanted[*]:-}" >&2
    exit 2
fi
# "passed failed skipped", for whoever adds several runs up
[ -z "$counts" ] || echo "$passed $failed $skipped" >> "$counts"
line="$passed passed, $failed failed"
[ $skipped = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ $failed = 0 ]
