#!/usr/bin/env bash
# Formats the functions of all C and C++ files as .clang-format says.
#
#   contrib/format.sh [--check] [FILE...]
#   contrib/format.sh --which
#
#   --check  changes nothing, shows what would change, up to 200 lines of it, and
#            the lines of src that are longer than 80 columns, whatever they are;
#            status 1 if there is anything
#   --which  prints the program that it would run
#
# It takes clang-format 14, that of Debian 12, and no other: each version formats
# in its own way. Debian 13 and later do not have it:
#
#   apt-get install clang-format-14          Debian 12
#   pipx install clang-format==14.0.6        elsewhere
#
# Without it the status is 3. Structures, tables and macros are not touched: their
# columns, with "*" at the name's and comments at the right, are UCX's, which
# clang-format cannot keep. A function begins in the line after an empty one, a
# comment or a directive, and lies between "{" and "}" in the first column.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
check=n
which=n
files=()
while [ $# -gt 0 ]; do
    case $1 in
    --check)   check=y ;;
    --which)   which=y ;;
    -h|--help) sed -n '2,22s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "format.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    *)  files+=("$1") ;;
    esac
    shift
done

tool=
for name in clang-format-14 clang-format; do
    case $("$name" --version 2> /dev/null) in
    *' version 14.'*) tool=$name; break ;;
    esac
done
if [ -z "$tool" ]; then
    echo "format.sh: clang-format 14 is not installed: apt-get install" \
         "clang-format-14 (Debian 12), or pipx install clang-format==14.0.6" >&2
    exit 3
fi

if [ $which = y ]; then
    command -v "$tool"
    exit 0
fi

if [ ${#files[@]} = 0 ]; then
    mapfile -t files < <(find "$top/src" "$top/test" -name '*.[ch]' -o \
                             -name '*.cc' | sort)
fi

# The lines of the functions of FILE, without their tables, as options of
# clang-format
ranges()
{
    awk '
        function range(last)
        {
            if (first && first <= last) {
                print "--lines=" first ":" last
            }
            first = 0
        }
        {
            sub(/[ \t]+$/, "")
        }
        table {
            match($0, /^ */)
            if (RLENGTH == table - 1 && /^ *}[^{]*$/) {
                table = 0
                first = NR + 1
            }
            next
        }
        inside && /(=|^ *(static |const )*(struct|union|enum)[a-z_ ]*) \{$/ {
            range(NR - 1)
            match($0, /^ */)
            table = RLENGTH + 1
            next
        }
        inside && /^}/ {
            range(NR)
            inside = 0
        }
        inside {
            next
        }
        $0 == "{" {
            first = first ? first : NR
            inside = 1
            next
        }
        /^$|\*\/$|^#|^}|;$|^\/\/|^namespace|^extern/ {
            first = 0
            next
        }
        !first {
            first = NR
        }' "$1"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-format.XXXXXX")
trap 'rm -rf "$work"' EXIT

# formatted FILE: to stdout. What is done to one line may do something to the
# next: until nothing changes.
formatted()
{
    local file=$work/${1##*/} options

    cp "$1" "$file"
    while true; do
        mapfile -t options < <(ranges "$file")
        [ ${#options[@]} -gt 0 ] || break
        cp "$file" "$work/before"
        "$tool" -i --style="file:$top/.clang-format" "${options[@]}" "$file"
        ! cmp -s "$file" "$work/before" || break
    done
    cat "$file"
}

changed=0
: > "$work/long"
for file in "${files[@]}"; do
    if [ $check = y ] && [[ $(realpath "$file") = "$top"/src/* ]]; then
        awk -v name="${file#"$top"/}" \
            'length > 80 {print name ":" FNR ": " length " columns"}' \
            "$file" >> "$work/long"
    fi
    formatted "$file" > "$work/out"
    if cmp -s "$file" "$work/out"; then
        continue
    fi
    changed=$((changed + 1))
    if [ $check = y ]; then
        diff -u --label "${file#"$top"/}" --label formatted "$file" \
            "$work/out" >> "$work/diff" || true
    else
        cat "$work/out" > "$file"
    fi
done

cat "$work/long"
if [ $check = n ]; then
    echo "format.sh: ${#files[@]} files, $changed changed"
elif [ $changed != 0 ]; then
    head -n 200 "$work/diff"
    echo "format.sh: ${#files[@]} files, $changed would change: run" \
         "contrib/format.sh"
    exit 1
else
    echo "format.sh: ${#files[@]} files"
    [ ! -s "$work/long" ] || exit 1
fi
