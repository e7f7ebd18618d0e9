#!/usr/bin/env bash
# docs/uct-contract.md: each row names a test that there is, and each member,
# operation and flag of this UCX's headers has a row.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

document=$TOP/docs/uct-contract.md
source=$(sed -n 's/^UCX_SRC = //p' "$BUILD/Makefile")

if ! command -v python3 > /dev/null; then
    skip contract "no python3"
elif [ ! -f "$source/src/uct/api/uct.h" ]; then
    not_ok contract "no UCX source in '$source'"
else
    mkdir "$TMPDIR/lists"
    for program in test_uct test_unit test_ucp; do
        "$BUILD/test/gtest/$program" --gtest_list_tests \
            > "$TMPDIR/lists/$program" 2> /dev/null ||
            not_ok "$program" "it does not list its tests"
    done
    while IFS= read -r line; do
        case $line in
        'ok '*)     ok "${line#ok }" ;;
        'not ok '*) not_ok "${line#not ok }" "docs/uct-contract.md" ;;
        *)          not_ok contract.py "$line" ;;
        esac
    done < <(python3 "$TOP/test/apps/contract.py" "$document" \
        "$TOP/test/suites" "$source" "$TMPDIR/lists" 2>&1)
fi
finish
