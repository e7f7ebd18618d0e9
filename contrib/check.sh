#!/usr/bin/env bash
# One command from a clone to a verdict: installs what is missing, builds with
# gcc and clang without a warning, runs all tests.
#
#   contrib/check.sh [--only PART[,PART...]] [SUITE...]
#
#   PART   gcc       build-gcc/: all suites
#          asan      build-asan/: AddressSanitizer and UBSan
#          tsan      build-tsan/: ThreadSanitizer
#          valgrind  build-gcc/: the suites that test/suites marks for it
#          scripts   shellcheck, where it is installed
#          dist      make distcheck, with clang: tar file, VPATH build without a
#                    warning, unit and loader suites, DESTDIR, uninstall
#   SUITE  of test/suites, by name or the beginning of one (test/README.md)
#
# Progress is printed as it goes. The last line is
# "N passed, N failed[, N skipped]"; the status is 0 if nothing failed. Needs
# some ten minutes on two processors, packages included: while suites run, what
# they leave of the processors makes the other builds, make distcheck last.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

# With the time at which it begins
step()
{
    printf -- '-- %d:%02d %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

parts=scripts,gcc,asan,tsan,valgrind,dist
suites=()
while [ $# -gt 0 ]; do
    case $1 in
    --only)    parts=${2:?--only needs a value}; shift ;;
    -h|--help) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "check.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    *)  suites+=("$1") ;;
    esac
    shift
done

passed=0
failed=0
skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-check.XXXXXX")
counts=$work/counts
touch "$counts"
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

finish()
{
    local p f s

    while read -r p f s; do
        passed=$((passed + p))
        failed=$((failed + f))
        skipped=$((skipped + s))
    done < "$counts"
    echo
    line="$passed passed, $failed failed"
    [ $skipped = 0 ] || line="$line, $skipped skipped"
    echo "$line"
    [ $failed = 0 ] && [ $passed != 0 ]
    exit
}

# stage NAME COMMAND...: a test of its own; nothing that follows runs without it
stage()
{
    local name=$1
    shift

    if "$@"; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "not ok $name"
        failed=$((failed + 1))
        return 1
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
            begin "$part" beside "$last" "build_$part"
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
        test_engine test_unit
}

# build_tsan: the product alone
build_tsan()
{
    build_tree "$tsan" --enable-werror CC=gcc CXX=g++ \
        CFLAGS="-O1 -g -fsanitize=thread" CXXFLAGS=-O1 \
        LDFLAGS=-fsanitize=thread
}

# run DIR VARIANT: the suites that were asked for, of this variant
run()
{
    local run=("$top/test/run.sh" --build "$1" --variant "$2")

    # Beside the others, with what these leave it
    [ "$2" != plain ] || run+=(--beside soak)

    # A name that exists in no variant is an error in the plain one
    if [ "$2" != plain ] &&
           [ -z "$("${run[@]}" --list ${suites[@]+"${suites[@]}"})" ]; then
        return
    fi

    step "tests in ${1##*/}, variant $2"
    begin suites "${run[@]}" --programs "$gcc" --counts "$counts" \
        ${suites[@]+"${suites[@]}"}
    await suites || [ $? = 1 ] || failed=$((failed + 1))
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

# In this shell, for what it finds out
if ! setup_packages check; then
    echo "not ok set-up"
    failed=1
    finish
fi

check_scripts()
{
    find "$top/contrib" "$top/test" "$top/autogen.sh" "$top/.ci/run" -type f \
        \( -name '*.sh' -o -name run \) -print0 |
        xargs -0 shellcheck
}
if is_part scripts; then
    if command -v shellcheck > /dev/null; then
        stage "shellcheck" check_scripts
    else
        echo "skip shellcheck: not installed (Debian package shellcheck)"
        skipped=$((skipped + 1))
    fi
fi

export SOAK_SECONDS=${SOAK_SECONDS:-180}
gcc=$top/build-gcc
asan=$top/build-asan
tsan=$top/build-tsan
begin gcc build_gcc
stage "build with gcc, no warnings" await gcc || finish

beside_suites asan tsan
if is_part gcc; then
    run "$gcc" plain
fi
# Not earlier: MPI's ranks wait with all of a processor, and then share it
beside_suites dist
if is_part valgrind; then
    run "$gcc" valgrind
fi
if is_part asan && stage "build with AddressSanitizer and UBSan" await asan
then
    run "$asan" asan
fi
if is_part tsan && stage "build with ThreadSanitizer" await tsan; then
    run "$tsan" tsan
fi
if is_part dist; then
    stage "make distcheck, with clang, no warnings" await dist
fi

step "done"
finish
