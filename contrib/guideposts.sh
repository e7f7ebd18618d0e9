#!/usr/bin/env bash
# Fails when a document or a comment names what is not there: a file, a function
# or type, an option, a test, a suite.
#
#   contrib/guideposts.sh [--top DIR]
#
#   --top  checks this source tree
#
# Read are the documents (*.md but the changelog, man/, test/suites) and the
# comments of sources and scripts. What counts as a name:
#
#   file      a word that ends like a source file, with "*" and "{a,b}" as in a
#             shell; it may leave out the folders before it
#   function  a word that begins with uct_srd_, uct_efa_, efa_window_, softefa_,
#             srdtool_ or doctor_, ends with "*" or not: an identifier of the code
#   option    UCX_SRD_..., UCX_EFA_..., SOFTEFA_..., EFARUN_...: of a man page,
#             which the suite manpages compares with the programs
#   test      SUITE.CASE with a SUITE of test/gtest, "*" as in a shell; in
#             documents only
#   suite     what follows SUITES= or "the suite"
#   argument  --ARGUMENT behind a script of contrib/, efarun or srdtool, in documents
#
# What others' projects have is in contrib/guideposts.foreign, one word a line.
# Each finding is a line "FILE:LINE: word: why". The status is 0 without any.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
while [ $# -gt 0 ]; do
    case $1 in
    --top)     top=$(cd "${2:?--top needs a value}" && pwd); shift ;;
    -h|--help) sed -n '2,26s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "guideposts.sh: unknown argument '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done
here=$(cd "$(dirname "$0")" && pwd)
cd "$top"

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-guideposts.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Of the source tree: no build trees, nothing that autogen.sh made
find . \( -name .git -o -name autom4te.cache -o -type d -name 'build*' \
        -o -name 'corpus*' -o -path ./config/aux -o -path './config/m4/l*' \
        -o -path ./aclocal.m4 -o -name Makefile.in -o -name '*~' \) -prune \
     -o -type f -print | sed 's|^\./||' | sort > "$work/files"

# grep, for which nothing is an answer, too
some()
{
    grep "$@" || [ $? = 1 ]
}

matching()
{
    some -E "$1" "$work/files"
}

# C and C++: the code and the comments apart. A string that looks like a comment
# is taken for one, which no string of ours does.
# shellcheck disable=SC2016 # awk's
matching '\.(c|h|cc)$' | xargs -r -d '\n' awk -v comments="$work/comments" '
    FNR == 1 { inside = 0 }
    {
        line = $0
        code = text = ""
        while (line != "") {
            if (inside) {
                at = index(line, "*/")
                text = text " " (at ? substr(line, 1, at - 1) : line)
                line = at ? substr(line, at + 2) : ""
                inside = !at
            } else {
                at = match(line, /\/[*\/]/)
                if (at && substr(line, at, 2) == "//") {
                    code = code substr(line, 1, at - 1)
                    text = text " " substr(line, at + 2)
                    line = ""
                } else {
                    code = code (at ? substr(line, 1, at - 1) : line) " "
                    line = at ? substr(line, at + 2) : ""
                    inside = at
                }
            }
        }
        if (text != "") {
            print FILENAME ":" FNR ":" text > comments
        }
        print code
    }' > "$work/code"

# shellcheck disable=SC2016 # awk's
{
    cat "$work/comments"
    matching '\.md$|^man/|^test/suites$' | some -v '^CHANGELOG' | xargs -r -d '\n' grep -nH '' |
        sed 's/\\-/-/g; s/\\f[A-Z]//g'
    matching '\.(sh|am|m4|awk)$|/run$' |
        xargs -r -d '\n' awk '/^[ \t]*(#|dnl)/ && !/^#!/ {
            print FILENAME ":" FNR ":" $0
        }'
} > "$work/text"

{ cat "$work/code"; matching '\.(m4|am|ac)$' | xargs -r -d '\n' cat; } |
    some -oE '[A-Za-z_][A-Za-z0-9_]*' | sort -u > "$work/identifiers"
matching '^man/' | xargs -r -d '\n' sed 's/\\-/-/g; s/\\f[A-Z]//g' |
    some -oE '[A-Z][A-Z0-9_]*_[A-Z0-9_]+' | sort -u > "$work/options"
awk '!/^#/ && NF { print $1 }' test/suites > "$work/suites"
matching '^test/gtest/.*\.cc$' | xargs -r -d '\n' cat | tr -d '\n' |
    some -oE 'TEST(_[FP])?\([a-zA-Z0-9_]+, *[a-zA-Z0-9_]+\)' |
    sed -E 's/.*\(([^,]*), *(.*)\)/\1.\2/' | sort -u > "$work/tests"

# "PROGRAM --ARGUMENT"
{
    matching '^contrib/.*\.sh$' | xargs -r -d '\n' grep -oHE -e '--[a-z][a-z-]*' |
        sed 's/:/ /'
    for page in efarun srdtool; do
        matching "^man/$page\\.1\$" |
            xargs -r -d '\n' sed 's/\\-/-/g; s/\\f[A-Z]//g' |
            some -oE -e '--[a-z][a-z-]*' | sed "s/^/$page /"
    done
} | sort -u > "$work/arguments"

awk -v dir="$work" -v foreign_file="$here/guideposts.foreign" \
    -f "$here/guideposts.awk" "$work/text"
