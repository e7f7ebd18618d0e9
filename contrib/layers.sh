#!/usr/bin/env bash
# Fails when an arrow between the folders of the sources runs up.
#
#   contrib/layers.sh [--objects BUILD] [--rules FILE] [--top DIR] [--list]
#
#   --objects  also reads, with nm, what the objects of a build tree call: finds
#              a call that runs up without an include, and circles of calls
#   --rules    in place of contrib/layers.rules, whose head describes the format
#   --top      checks this source tree
#   --list     prints the circles that the rules allow, with their reasons, and
#              the upcalls, with who calls them
#
# An include is looked for as the compiler does: beside the file, from the root
# of its tree, from src/, and, for what -I reaches, by its name alone. What is
# found nowhere is the system's or UCX's. Every violation is a line
# "FILE:LINE: what: the rule"; the last line says what was read. The status is 0
# if nothing runs up.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
rules=
objects=
list=0
while [ $# -gt 0 ]; do
    case $1 in
    --objects) objects=$(cd "${2:?--objects needs a value}" && pwd); shift ;;
    --rules)   rules=${2:?--rules needs a value}; shift ;;
    --top)     top=$(cd "${2:?--top needs a value}" && pwd); shift ;;
    --list)    list=1 ;;
    -h|--help) sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "layers.sh: unknown argument '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done
rules=${rules:-$top/contrib/layers.rules}
[ -r "$rules" ] || { echo "layers.sh: cannot read $rules" >&2; exit 2; }

mapfile -t trees < <(sed -n 's/^tree  *//p' "$rules")
for tree in "${trees[@]}"; do
    [ -d "$top/$tree" ] || {
        echo "layers.sh: $rules names $tree, which $top has not" >&2
        exit 2
    }
done

# Facts, a line each, fields separated by tabs:
#   file PATH | include PATH LINE QUOTE NAME | upcall NAME HEADER |
#   defines PATH SYMBOL | uses PATH SYMBOL
facts_of_sources()
{
    local tree header

    cd "$top"
    find "${trees[@]}" -name '*.[ch]' -printf 'file\t%p\n'
    find "${trees[@]}" -name '*.[ch]' -exec grep -HnE \
        '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' {} + |
        sed -E 's/^([^:]*):([0-9]*):[^"<]*(["<])([^">]*).*/include\t\1\t\2\t\3\t\4/'
    awk '$1 == "tree" { tree = $2 }
         $1 == "upcalls" { print tree "/" $2 }' "$rules" |
        while IFS= read -r header; do
            [ -r "$header" ] || {
                echo "layers.sh: $rules names $header, which is not there" >&2
                return 1
            }
            # what stands before a parenthesis, but for macros and comments
            sed -e 's|/\*.*\*/||; /\/\*/,/\*\//d; /^[[:space:]]*#/d' "$header" |
                grep -oE '[a-z_][a-z0-9_]*\(' |
                sed "s|(\$||; s|^|upcall\t|; s|\$|\t$header|"
        done
}

# The source of an object: without .libs, and without the library's prefix
source_of()
{
    local path=${1#"$objects"/} name

    path=${path/\/.libs\///}
    name=${path##*/}
    name=${name%.o}
    path=${path%/*}
    if [ -f "$top/$path/$name.c" ]; then
        source=$path/$name.c
    else
        source=$path/${name#*-}.c
    fi
    [ -f "$top/$source" ]
}

facts_of_objects()
{
    local tree object source
    declare -A taken=()

    # Of several objects of a source, the newest of a library: a library that is
    # built no more has left its own there, and those of tests may be old
    while IFS= read -r object; do
        if source_of "$object" && [ -z "${taken[$source]:-}" ]; then
            taken[$source]=$object
            printf '%s:\t%s\n' "$object" "$source"
        fi
    done < <(for tree in "${trees[@]}"; do
                 if [ -d "$objects/$tree" ]; then
                     find "$objects/$tree" -path '*/.libs/*.o' \
                         -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2-
                     find "$objects/$tree" -name '*.o' ! -path '*/.libs/*' \
                         -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2-
                 fi
             done) > "$work/sources"
    [ ${#taken[@]} -gt 0 ] || {
        echo "layers.sh: $objects has no objects of ${trees[*]}: build first" >&2
        return 1
    }
    nm -A -P "${taken[@]}" |
        awk 'NR == FNR         { source[$1] = $2; next }
             $3 ~ /^[A-TV-Z]$/ { print "defines\t" source[$1] "\t" $2 }
             $3 == "U"         { print "uses\t" source[$1] "\t" $2 }' \
            "$work/sources" -
}

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-layers.XXXXXX")
trap 'rm -rf "$work"' EXIT
facts_of_sources > "$work/facts"
[ -z "$objects" ] || facts_of_objects | sort -u >> "$work/facts"

awk -F '\t' -v rules="$rules" -v with_objects="${objects:+1}" -v list="$list" \
    -f "$(dirname "$0")/layers.awk" "$work/facts"
