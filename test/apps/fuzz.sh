#!/usr/bin/env bash
# Hostile peers: the inputs of test/fuzz/corpus, then some seconds of fuzzing
# with a fixed seed (test/fuzz/README.md).
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

seconds=$(scaled 15)
program=$BUILD/test/fuzz/fuzz_srd
corpus=$TOP/test/fuzz/corpus

export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$TOP/test/lsan.supp:print_suppressions=0

if ! check build make -C "$BUILD/test/fuzz" -j2 fuzz_srd; then
    finish
fi

# In a directory of its own, where what fails is left
found=$BUILD/test-logs/fuzz-found
mkdir -p "$found" "$TMPDIR/new"
cd "$found" || exit 1

if nm "$program" | grep LLVMFuzzerRunDriver > /dev/null; then
    check corpus timeout 300 "$program" -runs=0 "$corpus"
    check fuzzing timeout 300 "$program" -seed=1 -max_len=600 \
        -max_total_time="$seconds" -rss_limit_mb=3000 "$TMPDIR/new" "$corpus"
else
    check corpus timeout 300 "$program" "$corpus"
    check fuzzing timeout 300 "$program" --mutate "$seconds" "$corpus"
fi
rmdir "$found" 2> /dev/null || echo "    inputs that fail: $found"

finish
