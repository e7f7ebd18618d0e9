#!/usr/bin/env bash
# One command from a clone to a verdict: installs what is missing, builds with
# gcc and clang without a warning, runs all tests.
#
#   contrib/check.sh [--only PART[,PART...]] [SUITE...]
#
#   PART   gcc       build-gcc/: build with gcc, all suites
#          clang     build-clang/: build with clang, unit and loader suites
#          asan      build-asan/: AddressSanitizer and UBSan
#          valgrind  build-gcc/: the suites that test/suites marks
#          dist      make distcheck: tar file, VPATH, DESTDIR, uninstall
#   SUITE  of test/suites, by name or the beginning of one (test/README.md)
#
# Progress is printed as it goes. The last line is
# "N passed, N failed[, N skipped]"; the status is 0 if nothing failed.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

parts=gcc,clang,asan,valgrind,dist
suites=()
while [ $# -gt 0 ]; do
    case $1 in
    --only)    parts=${2:?--only needs a value}; shift ;;
    -h|--help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "check.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    *)  suites+=("$1") ;;
    esac
    shift
done

passed=0
failed=0
skipped=0
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

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

# build DIR ARGUMENTS...: the product and the tests' programs
# shellcheck disable=SC2317 # called by stage
build()
{
    local dir=$1
    shift

    build_tree "$dir" --enable-werror "$@" || return
    step "the tests' programs in ${dir##*/}"
    quietly "$dir/make-check.log" make -C "$dir" -j"$jobs" check-programs
}

# run DIR VARIANT SUITE...
run()
{
    local dir=$1 variant=$2
    shift 2

    step "tests in ${dir##*/}, variant $variant"
    "$top/test/run.sh" --build "$dir" --variant "$variant" \
        --counts "$counts" "$@" || [ $? = 1 ] || failed=$((failed + 1))
}

is_part()
{
    case ,$parts, in *,"$1",*) return 0 ;; esac
    return 1
}

# shellcheck disable=SC2317 # called by stage
dist()
{
    step "make distcheck in ${gcc##*/}"
    quietly "$gcc/distcheck.log" make -C "$gcc" -j"$jobs" distcheck \
        SUITES="unit loader" \
        DISTCHECK_CONFIGURE_FLAGS="CFLAGS=-O1 CXXFLAGS=-O0"
}

start=$SECONDS
# In this shell, for what it finds out
if ! setup_packages check; then
    echo "not ok set-up"
    failed=1
    finish
fi

# Tests are built without optimisation where that is not the question: it is
# what takes the time.
gcc=$top/build-gcc
if is_part gcc || is_part valgrind || is_part dist; then
    stage "build with gcc, no warnings" build "$gcc" CC=gcc CXX=g++ \
        CXXFLAGS="-O1 -g" || finish
fi
if is_part gcc; then
    run "$gcc" plain ${suites[@]+"${suites[@]}"}
fi
if is_part clang &&
       stage "build with clang, no warnings" build "$top/build-clang" \
           CC=clang CXX=clang++ CXXFLAGS=-O0; then
    run "$top/build-clang" plain unit loader
fi
# The product is instrumented, the C++ of the tests is not
sanitize=-fsanitize=address,undefined
if is_part asan &&
       stage "build with AddressSanitizer and UBSan" build "$top/build-asan" \
           CC=gcc CXX=g++ CFLAGS="-O1 -g -fno-omit-frame-pointer $sanitize" \
           CXXFLAGS="-O1 -g" LDFLAGS=$sanitize; then
    run "$top/build-asan" asan ${suites[@]+"${suites[@]}"}
fi
if is_part valgrind; then
    run "$gcc" valgrind ${suites[@]+"${suites[@]}"}
fi
if is_part dist; then
    stage "make distcheck" dist
fi

step "$(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s"
finish
