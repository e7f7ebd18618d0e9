#!/usr/bin/env bash
# Compares what the transport shares with UCX in two versions of UCX's sources:
# structures, tables of functions, enumerations, prototypes, macros, headers.
#
#   contrib/abi-watch.sh [--build DIR] [--from UCX_TREE] UCX_TREE
#
#   --build DIR   where ucx-efa was built (default: build, or the current
#                 directory). Its libefasrd says which types the transport
#                 shares, and its UCX how UCX is configured
#   --from TREE   the version to compare with (default: that of the build)
#   UCX_TREE      sources of another version: a clone, a tarball
#
# Both are compiled with the same configuration, so that only the sources
# differ. Each type that differs is named with its size and the members that
# came (+), went (-) or moved (~), each with offset and size in bytes. Status: 0
# if nothing differs, 1 if something does, 2 if the comparison was not possible.
# Needs gcc and gdb.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/ucx-tree.sh
. "$top/contrib/ucx-tree.sh"
ours=$top/src/uct/ib/efa

die()
{
    echo "abi-watch.sh: $*" >&2
    exit 2
}

build=
from=
tree=
while [ $# -gt 0 ]; do
    case $1 in
    --build)   build=${2:?--build needs a directory}; shift ;;
    --from)    from=${2:?--from needs a directory}; shift ;;
    -h|--help) sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*)        die "unknown option '$1' (try --help)" ;;
    *)         [ -z "$tree" ] || die "one UCX_TREE at a time (try --help)"
               tree=$1 ;;
    esac
    shift
done
[ -n "$tree" ] || die "which UCX_TREE? (try --help)"
for tool in gcc gdb; do
    command -v $tool > /dev/null || die "no $tool: install it first"
done

if [ -z "$build" ]; then
    build=.
    [ -f "$build/ucx-config/config.h" ] || build=$top/build
fi
module=$(find "$build/src/uct/ib/efa/.libs" -name 'libefasrd-*.so' \
    2> /dev/null | head -n 1) || true
if [ -z "$module" ] || [ ! -f "$build/ucx-config/config.h" ]; then
    die "$build has no libefasrd: build ucx-efa first, or give --build DIR"
fi
built_with=$(sed -n 's/^UCX_SRC = //p' "$build/Makefile")
: "${from:=$built_with}"

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-abi.XXXXXX")
trap 'rm -rf "$work"' EXIT

# What the transport names of UCX: headers, macros, functions
named()
{
    find "$ours/base" "$ours/srd" "$ours/stats" -name '*.[ch]' -exec \
        sed -n 's/^# *include <\(uc[mst]\/[a-z0-9_/]*\.[a-z]*\)>.*/\1/p' {} + |
        sort -u > "$work/headers"
    find "$ours/base" "$ours/srd" "$ours/stats" -name '*.[ch]' -exec \
        grep -ohE '\<UC[MST]_[A-Z0-9_]+\>' {} + | sort -u > "$work/macros"
    sed -n 's/^#pragma weak //p' "$ours/base/ucx/ucx_symbols.h" |
        sort -u > "$work/functions"
}

# types_of FILE TREE: "struct NAME", "enum NAME", "NAME" of a typedef, each one
# that a header of UCX below TREE declares
types_of()
{
    gdb -nx -batch -ex 'info types' "$1" 2> /dev/null | awk -v tree="$2/" '
        /^File /                  { use = index($2, tree) == 1; next }
        !use || !/^[0-9]+:/       { next }
                                  { sub(/^[0-9]+:[ \t]*/, ""); sub(/;$/, "") }
        /^typedef .*\(\*\)/       { match($0, /[A-Za-z0-9_]+$/)
                                    print substr($0, RSTART); next }
        /^typedef (struct|union|enum) {...}/ { print $NF; next }
        /^(struct|union|enum) /   { print $1, $2 }' | sort -u
}

# compile NAME TREE: of the headers that the transport uses, in $work/NAME.*, what
# TREE has: debugging information, prototypes, macros
compile()
{
    local name=$1 tree=$2 header

    mkdir -p "$work/$name/uct/api"
    ucx_tree_version_header "$tree" > "$work/$name/uct/api/version.h"
    {
        echo '#include "config.h"'
        while read -r header; do
            if [ -f "$tree/src/$header" ] || [ -f "$work/$name/$header" ]; then
                echo "#include <$header>"
            fi
        done < "$work/headers"
    } > "$work/$name.c"
    sed -n 's/^#include <\(.*\)>/\1/p' "$work/$name.c" > "$work/$name.headers"

    gcc -std=gnu11 -w -g -O0 -fno-eliminate-unused-debug-types -DHAVE_CONFIG_H \
        -I"$build/ucx-config" -I"$work/$name" -isystem "$tree/src" \
        -aux-info "$work/$name.aux" -c -o "$work/$name.o" "$work/$name.c" \
        2> "$work/log" || {
        head -n 10 "$work/log" >&2
        die "the headers in $tree do not compile with the configuration of" \
            "$build: is it a UCX of 1.13 or newer?"
    }
    gcc -std=gnu11 -w -E -dM -DHAVE_CONFIG_H -I"$build/ucx-config" \
        -I"$work/$name" -isystem "$tree/src" "$work/$name.c" |
        awk 'FNR == NR { wanted[$1]; next }
             { split($2, name, "(") }
             name[1] in wanted { key = "macro " name[1]; sub(/^#define /, "")
                                 print key "\t(is)\t\t\t" $0 }' \
            "$work/macros" - > "$work/$name.layout"
    # /* FILE:LINE:NC */ extern TYPE NAME (TYPES);
    sed -n 's/^\/\*.*:NC \*\/ extern \(.*\);.*/\1/p' "$work/$name.aux" |
        awk 'FNR == NR { wanted[$1]; next }
             match($0, /[A-Za-z0-9_]+ \(/) {
                 name = substr($0, RSTART, RLENGTH - 2)
                 if (name in wanted && !seen[name]++)
                     print "function " name "\t(is)\t\t\t" $0
             }' "$work/functions" - >> "$work/$name.layout"
    sed 's/^\(.*\)$/header \1\t(is)\t\t\tthere/' "$work/$name.headers" \
        >> "$work/$name.layout"
}

# layouts NAME TREE: a line for each member of each type that the transport shares,
# appended to $work/NAME.layout
layouts()
{
    local name=$1 tree=$2

    # gdb ends a script at a name that it does not know. "type X" tells the lines
    # of one type from the next's.
    types_of "$work/$name.o" "$tree/src" | comm -12 "$work/shared" - |
        awk '{ print "echo type " $0 "\\n"
               print ($1 == "enum" ? "ptype " : "ptype/o ") $0 }' \
        > "$work/commands"
    gdb -nx -batch -ex 'set max-value-size unlimited' -x "$work/commands" \
        "$work/$name.o" 2>&1 | awk -f "$top/contrib/abi-layouts.awk" \
        >> "$work/$name.layout"
}

[ -r "$tree/src/uct/base/uct_iface.h" ] || die "no UCX source tree in $tree"
[ -r "$from/src/uct/base/uct_iface.h" ] || die "no UCX source tree in $from"
tree=$(cd "$tree" && pwd)
from=$(cd "$from" && pwd)

named
types_of "$module" "$built_with/src" > "$work/shared"
[ -s "$work/shared" ] ||
    die "$module has no debugging information: build with CFLAGS=-g"
compile old "$from"
compile new "$tree"
layouts old "$from"
layouts new "$tree"

echo "UCX $(ucx_tree_version "$from") and $(ucx_tree_version "$tree"):" \
    "$(grep -cE '^(struct|union) ' "$work/shared") structures," \
    "$(grep -c '^enum ' "$work/shared") enumerations," \
    "$(grep -cvE '^(struct|union|enum) ' "$work/shared") other types," \
    "$(wc -l < "$work/functions") functions," \
    "$(grep -c '^macro ' "$work/old.layout") macros," \
    "$(wc -l < "$work/headers") headers"
awk -f "$top/contrib/abi-watch.awk" "$work/old.layout" \
    "$work/new.layout"
