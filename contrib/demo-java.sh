# shellcheck shell=bash
# Sourced by demo.sh: the row of --java, of JUCX, UCX's Java binding, with two JVMs.
# shellcheck disable=SC2154 # top, work, efarun
# shellcheck source=test/apps/jucx.sh
. "$top/test/apps/jucx.sh"
TOP=$top

# java_rows: the only one
java_rows()
{
    local name="JUCX, two JVMs" place=$work/java bytes

    if jucx_missing; then
        missing "$jucx_why"
        return
    fi
    jucx_find
    if ! jucx_maven -Dbuild.dir="$place" -DoutputDirectory="$place/jars" \
        test-compile dependency:copy-dependencies > "$work/maven" 2>&1; then
        missing "JUCX $jucx: Maven says: $(grep -m 1 ERROR "$work/maven")"
        return
    fi
    "${efarun[@]}" java -cp "$place/test-classes:$place/jars/*" ucxefa.Demo \
        > "$work/jucx" 2>&1 < /dev/null || {
        cat "$work/jucx" >&2
        fail "the JUCX program failed"
    }
    bytes=$(sed -n 's/^payload //p' "$work/jucx")
    [ -n "$bytes" ] || { cat "$work/jucx" >&2; fail "no result from JUCX"; }
    row "$name" "$(awk '$1 == 8 { printf "%.2f us", $2 }' "$work/jucx")" "$bytes"
    awk '$1 ~ /^[0-9]+$/ { printf "    %8d B %10.2f us %10.1f MB/s\n", $1, $2, $3 }' \
        "$work/jucx"
}
