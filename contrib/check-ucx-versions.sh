#!/bin/bash
#
# Compile the transport against the private headers of several UCX versions.
#
#   contrib/check-ucx-versions.sh UCX_GIT [TAG...]
#
# UCX_GIT is a clone of https://github.com/openucx/ucx with its tags; without
# TAG every release from 1.13 on that the clone has, and its HEAD, is taken.
# config.h is made from the installed `ucx_info -b`, so this checks names,
# types and tables, not the layout of somebody else's binary. CC is respected;
# only the syntax is checked, nothing is linked.
set -u

usage() {
    sed -n '3,11s/^# \{0,1\}//p' "$0"
}

if [ $# -lt 1 ] || [ "$1" = "--help" ]; then
    usage
    exit 2
fi

repo=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/ucx-tree.sh
. "$top/contrib/ucx-tree.sh"
cc=${CC:-gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-versions.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

if [ $# -gt 0 ]; then
    tags=("$@")
else
    # The last release of every minor version
    mapfile -t tags < <(git -C "$repo" tag |
        sed -n 's/^v1\.\(1[3-9]\|[2-9][0-9]\)\.\([0-9]*\)$/\1 \2/p' |
        sort -n -k1,1 -k2,2 |
        awk '{last[$1] = $2} END {for (m in last) print m, last[m]}' |
        sort -n | awk '{print "v1." $1 "." $2}')
    tags+=(HEAD)
fi

if ! command -v ucx_info >/dev/null; then
    echo "ucx_info not found: install ucx-utils" >&2
    exit 1
fi
ucx_info -b | grep '^#define' >"$work/config.base" || exit 1

mapfile -t sources < <(find "$top/src/uct/ib/efa/base" \
    "$top/src/uct/ib/efa/srd" "$top/src/uct/ib/efa/stats" -name '*.c' 2>/dev/null | sort)

failed=0
for tag in "${tags[@]}"; do
    tree=$work/$tag
    mkdir -p "$tree"
    if ! git -C "$repo" archive "$tag" src configure.ac |
        tar -x -C "$tree" || ! ucx_tree_version_header "$tree" \
            > "$tree/src/uct/api/version.h"; then
        echo "$tag: no such version in $repo" >&2
        failed=$((failed + 1))
        continue
    fi
    cp "$work/config.base" "$tree/config.h"
    bad=0
    for source in "${sources[@]}"; do
        "$cc" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror \
            -fsyntax-only -DHAVE_CONFIG_H \
            -I"$tree" -I"$(dirname "$source")" \
            -I"$top/src/uct/ib/efa" \
            -I"$top/src" -isystem "$tree/src" "$source" >"$work/log" 2>&1 || {
            bad=$((bad + 1))
            echo "$tag: ${source#"$top"/}" >&2
            grep -E 'error|warning' "$work/log" | head -n 5 >&2
        }
    done
    echo "$tag: $((${#sources[@]} - bad)) of ${#sources[@]} files compile"
    [ "$bad" = 0 ] || failed=$((failed + 1))
    rm -rf "$tree"
done

[ "$failed" = 0 ]
