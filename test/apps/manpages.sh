#!/usr/bin/env bash
# The man pages have every option and variable that the programs have today,
# none that they have not, and no warning of the formatter.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# As it is read: without escapes and quotes
text()
{
    sed -E -e 's/\\f[A-Z]//g' -e 's/\\-/-/g' -e 's/"//g' "$TOP/man/$1"
}

# has_all PAGE WHAT: the words on stdin are in the page
has_all()
{
    local word missing='' number=0

    text "$1" > "$TMPDIR/page"
    while read -r word; do
        number=$((number + 1))
        grep -qwF -e "$word" "$TMPDIR/page" || missing="$missing $word"
    done
    if [ $number = 0 ]; then
        not_ok "$1: $2" "the program has none"
    elif [ -n "$missing" ]; then
        not_ok "$1: $2" "man/$1 lacks$missing"
    else
        ok "$1: $2 ($number)"
    fi
}

# has_no_more PAGE PATTERN: what matches in its tagged paragraphs is among the
# words on stdin
has_no_more()
{
    local extra

    extra=$(comm -13 <(sort -u) \
        <(text "$1" | grep -A 1 '^\.TP' | grep -oE -e "$2" | sort -u) |
        tr '\n' ' ')
    if [ -n "$extra" ]; then
        not_ok "$1: nothing that is gone" "there is no $extra"
    else
        ok "$1: nothing that is gone"
    fi
}

# same_list NAME FILE FILE: the same lines in both
same_list()
{
    local differ

    differ=$(diff <(sort -u "$2") <(sort -u "$3") | grep '^[<>]')
    if [ ! -s "$2" ]; then
        not_ok "$1" "the program has none"
    elif [ -n "$differ" ]; then
        not_ok "$1" "the program (<) and man/ (>): $differ"
    else
        ok "$1 ($(wc -l < "$2"))"
    fi
}

# defaults PAGE PATTERN: "NAME DEFAULT" of tags as: .BR NAME ", " NAME " [DEFAULT]"
defaults()
{
    text "$1" | grep -A 1 '^\.TP' |
        sed -nE 's/^\.BR ([A-Z_, ]+) \[([^] ]+)\]$/\1 \2/p' |
        while read -r line; do
            for word in ${line% *}; do
                echo "${word%,} ${line##* }"
            done
        done | grep -E "^$2 "
}

"$EFARUN" --help > "$TMPDIR/efarun"
options()
{
    grep -oE -e '(^| )-(-[a-z][a-z-]+|[a-zA-Z]\b)' "$1" | tr -d ' ' | sort -u
}
sed '/^With Open MPI/,/^$/d' "$TMPDIR/efarun" > "$TMPDIR/efarun.own"
has_all efarun.1 "options" < <(options "$TMPDIR/efarun.own")
has_no_more efarun.1 '--[a-z][a-z-]+' < <(options "$TMPDIR/efarun.own")

"$BUILD/src/softefa/softefa-pci" --help | sed '/^Fabric, profile/,$d' |
    grep -v qemu | grep -E '^(Usage|  --)' > "$TMPDIR/softefa-pci"
has_all softefa-pci.1 "options" < <(options "$TMPDIR/softefa-pci")
has_no_more softefa-pci.1 '--[a-z][a-z-]+' \
    < <(options "$TMPDIR/softefa-pci"; echo --help)

grep -oE '^  SOFTEFA_[A-Z_]+' "$TMPDIR/efarun" | tr -d ' ' > "$TMPDIR/softefa"
has_all softefa.7 "variables" < "$TMPDIR/softefa"
has_no_more softefa.7 'SOFTEFA_[A-Z_]+' < "$TMPDIR/softefa"
has_all softefa.7 "profiles" \
    < <(grep -oE '^  efa[0-9]+' "$TMPDIR/efarun" | tr -d ' ')
# name, and its range
sed '1,/^Limits:/d' "$TMPDIR/efarun" | awk '{ print $1 "\t" $2 " to " $4 }' \
    > "$TMPDIR/limits"
text softefa.7 | sed -nE '/^\.SH LIMITS/,/^\.SH FAULTS/s/^([a-z_]+\t[0-9]+ to [0-9]+)( .*)?$/\1/p' \
    > "$TMPDIR/limits.man"
same_list "softefa.7: limits" "$TMPDIR/limits" "$TMPDIR/limits.man"
# what help says in brackets, and numbers in ranges
sed -nE 's/^  (SOFTEFA_[A-Z_]+) .* \[([a-z0-9]+)\]$/\1 \2/p' "$TMPDIR/efarun" |
    grep -v SOFTEFA_MTU > "$TMPDIR/defaults"
defaults softefa.7 'SOFTEFA_[A-Z_]+' > "$TMPDIR/defaults.man"
same_list "softefa.7: defaults" "$TMPDIR/defaults" \
    <(grep -v SOFTEFA_MTU "$TMPDIR/defaults.man")

srdtool=$BUILD/src/tools/srdtool
"$srdtool" --help > "$TMPDIR/srdtool"
{
    cat "$TMPDIR/srdtool"
    "$srdtool" doctor --help | grep -v efarun
    "$srdtool" doctor echo --help
    "$srdtool" selftest --help
} > "$TMPDIR/srdtool.all"
has_all srdtool.1 "options" < <(options "$TMPDIR/srdtool.all")
has_no_more srdtool.1 '--[a-z][a-z-]+' < <(options "$TMPDIR/srdtool.all")
sed '1,/^Objects:/d; /^$/,$d' "$TMPDIR/srdtool" | awk '{ print $1 }' \
    > "$TMPDIR/objects"
has_all srdtool.1 "objects" < "$TMPDIR/objects"
# usage:, and lines that continue it: objects, commands, what can be shown
while read -r object; do
    "$srdtool" "$object" help < /dev/null 2> /dev/null
done < <(grep -vE 'doctor|selftest' "$TMPDIR/objects") > "$TMPDIR/usage"
has_all srdtool.1 "commands" \
    < <(sed -n 's/^.*srdtool //p' "$TMPDIR/usage" | grep -oE '[a-z]+' | sort -u)
has_all srdtool.1 "why" \
    < <("$srdtool" res help | sed -nE 's/^  ([a-z-]+)  .*/\1/p')
has_all srdtool.1 "events" \
    < <(sed -n '/define EFA_STATS_EVENTS_LIST/,/^$/p' \
            "$TOP/src/uct/ib/efa/stats/efa_stats_counters.h" |
        sed -nE 's/^ *X\([A-Z_]+, *"([a-z-]+)".*/\1/p')

# Only where both are asked for does UCX list them all
"$EFARUN" --soft --quiet -- ucx_info -caf 2> /dev/null |
    grep -oE '^UCX_(SRD|EFA)_[A-Z_]+' | sort -u > "$TMPDIR/variables"
has_all ucx-efa.7 "variables" < "$TMPDIR/variables"
# These come and go with UCX's versions
printf 'UCX_%s\n' SRD_{T,R}X_{MAX_CHUNK_SIZE,GROW_FACTOR} \
    SRD_MAX_{SHORT,BCOPY,NUM_EPS} \
    EFA_RCACHE_{MEM_PRIO,ADDR_ALIGN,MAX_UNRELEASED} >> "$TMPDIR/variables"
has_no_more ucx-efa.7 'UCX_(SRD|EFA)_[A-Z_]+' < "$TMPDIR/variables"

# Defaults and ranges, as UCX shows them; times as people write them
"$EFARUN" --soft --quiet -- ucx_info -caf 2> /dev/null |
    sed -nE -e '/^# syntax: +/{s///; h}' \
        -e '/^UCX_(SRD|EFA)_[A-Z_]+=/{s/=/ /; s/ 0\.00us$/ 0us/; s/000000\.00us$/s/; s/000\.00us$/ms/; G; s/\n/ /; p}' |
    sort -u > "$TMPDIR/shown"
defaults ucx-efa.7 'UCX_(SRD|EFA)_[A-Z_]+' > "$TMPDIR/defaults.man"
# log levels are words in capitals, for UCX
awk '{ print $1 " " tolower($2) }' "$TMPDIR/shown" > "$TMPDIR/defaults"
# These depend on the version, or the version has them not
for name in EFA_RCACHE EFA_RCACHE_MAX_UNRELEASED EFA_RCACHE_ADDR_ALIGN \
        SRD_{T,R}X_{MAX_CHUNK_SIZE,GROW_FACTOR}; do
    sed -i "/^UCX_$name /d" "$TMPDIR/defaults" "$TMPDIR/defaults.man"
done
same_list "ucx-efa.7: defaults" "$TMPDIR/defaults" "$TMPDIR/defaults.man"

missing=
number=0
while read -r name _ syntax; do
    range=$(grep -oE '[0-9]+ to [0-9]+|from [0-9]+' <<< "$syntax")
    # times have one range, which is said once
    case $syntax in ''|time:*) continue ;; esac
    [ -n "$range" ] || continue
    number=$((number + 1))
    # the paragraphs that have it in their tag
    text ucx-efa.7 | tr '\n' ' ' | sed 's/\.TP/\n/g' |
        grep -E "^ \.BR? [A-Z_, ]*\b$name\b" | grep -qF -e "$range" ||
        missing="$missing $name: $range;"
done < "$TMPDIR/shown"
if [ $number -lt 10 ] || [ -n "$missing" ]; then
    not_ok "ucx-efa.7: ranges" "man/ucx-efa.7 lacks$missing ($number ranges)"
else
    ok "ucx-efa.7: ranges ($number)"
fi

need man man-db
for page in "$TOP"/man/*.[1-8]; do
    # troff says what is wrong, and ends with 0
    if LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z \
            "$page" > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null &&
            [ -s "$TMPDIR/out" ] && [ ! -s "$TMPDIR/err" ]; then
        ok "${page##*/}: no warning"
    else
        not_ok "${page##*/}: no warning" "$(head -n 3 "$TMPDIR/err")"
    fi
done

finish
