#!/usr/bin/env bash
# Open MPI's OpenSHMEM examples, from Debian's source package, over srd beside TCP;
# with SHMEM_SUITE=DIR the suite in that directory: contrib/shmem-suite.sh, which
# knows some. Skipped where the source package cannot be had.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

status=0
"$TOP/contrib/shmem-suite.sh" --build "$BUILD" --output "$TMPDIR/suite" \
    ${SHMEM_SUITE:+--suite-src "$SHMEM_SUITE"} > "$TMPDIR/out" 2>&1 ||
    status=$?
if [ $status = 3 ]; then
    skip "OpenSHMEM's suite" "$(tail -n 1 "$TMPDIR/out")"
    finish
fi

# one file a test: name, over srd, why, messages, over tcp, why
count=0
for file in "$TMPDIR"/suite/results/*; do
    [ -e "$file" ] || break
    IFS=$'\037' read -r name srd why messages tcp tcp_why < "$file"
    count=$((count + 1))
    if [ "$srd" = skipped ]; then
        skip "$name" "cannot be built with this OpenSHMEM"
    elif [ "$srd" != passed ] && [ "$tcp" = passed ]; then
        not_ok "$name" "$why"
    elif [ "$srd" != passed ]; then
        skip "$name" "fails over tcp, too: ${tcp_why%$'\037'}"
    elif [ "$messages" = 0 ]; then
        not_ok "$name" "sent nothing over srd"
    else
        ok "$name"
    fi
done
[ $count -ge 5 ] ||
    not_ok "OpenSHMEM's suite" "$count tests: $(tail -n 1 "$TMPDIR/out")"
finish
