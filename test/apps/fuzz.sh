#!/usr/bin/env bash
# Hostile neighbours: what somebody has planted in place of Soft-EFA's directory.
# Hostile peers: the inputs of test/fuzz/corpus, on both data paths; hostile
# windows: those of test/fuzz/corpus-stats; hostile guests of softefa-pci: those
# of test/fuzz/corpus-pci; then FUZZ_SECONDS of fuzzing each, if that is set
# (test/fuzz/README.md).
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# refused NAME WORDS: Soft-EFA does not use what is there, and says so
fabric=$SOFTEFA_FABRIC-planted
planted=/dev/shm/softefa.$(id -u).$fabric
refused()
{
    limited "$EFARUN" --soft --quiet --fabric "$fabric" ibv_devinfo \
        > "$TMPDIR/planted.out" 2>&1 < /dev/null
    if ! grep -q "$2" "$TMPDIR/planted.out"; then
        not_ok "$1" "no '$2': $(head -n 3 "$TMPDIR/planted.out")"
    elif [ -n "$(ls -A "$TMPDIR/target")" ]; then
        not_ok "$1" "it was used: $(ls -A "$TMPDIR/target")"
    else
        ok "$1"
    fi
    rm -rf "$planted"
}

mkdir -m 700 "$TMPDIR/target"
ln -s "$TMPDIR/target" "$planted"
refused "a link is not followed" "cannot open $planted"
mkdir -m 755 "$planted"
refused "a directory that others may read" "does not belong to this user alone"
echo > "$planted"
refused "a file" "cannot open $planted"
if [ "$(id -u)" = 0 ]; then
    mkdir -m 700 "$planted"
    chown 1 "$planted"
    refused "a directory of somebody else" "does not belong to this user alone"
fi

# A search finds what it finds, when it finds it: not in a run that must tell
# whether a change is good. FUZZ_SECONDS=600 test/run.sh --build DIR fuzz
seconds=${FUZZ_SECONDS:-0}
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$TOP/test/lsan.supp:print_suppressions=0

if ! check build make -C "$BUILD/test/fuzz" -j2 fuzz_srd fuzz_stats \
    fuzz_pci; then
    finish
fi

# In a directory of its own, where what fails is left
found=$BUILD/test-logs/fuzz-found
mkdir -p "$found"
cd "$found" || exit 1

# fuzz PROGRAM CORPUS MAX_LEN [WAY]
fuzz()
{
    local program=$BUILD/test/fuzz/$1 corpus=$TOP/test/fuzz/$2
    local new=$TMPDIR/new-$1${4:+-$4} name=$1${4:+ $4}

    mkdir -p "$new"
    if nm "$program" | grep LLVMFuzzerRunDriver > /dev/null; then
        check "$name corpus" limited "$program" -runs=0 "$corpus"
        [ "$seconds" = 0 ] ||
            check "$name fuzzing" timeout $((seconds + hang_limit)) "$program" \
                -max_len="$3" -max_total_time="$seconds" -rss_limit_mb=3000 \
                "$new" "$corpus"
    else
        check "$name corpus" limited "$program" "$corpus"
        [ "$seconds" = 0 ] ||
            check "$name fuzzing" timeout $((seconds + hang_limit)) "$program" \
                --mutate "$seconds" "$corpus"
    fi
}
fuzz fuzz_srd corpus 600
FUZZ_DIRECT=y fuzz fuzz_srd corpus 600 direct
fuzz fuzz_stats corpus-stats 4096
fuzz fuzz_pci corpus-pci 1000
rmdir "$found" 2> /dev/null || echo "    inputs that fail: $found"

finish
