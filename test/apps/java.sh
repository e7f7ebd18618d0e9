#!/usr/bin/env bash
# JUCX, UCX's Java binding: the Maven project test/java, two JVMs and more, over
# srd and over tcp. What fails with both is not srd's. Bytes are counted on srd.
#
# Maven fetches JUCX, JUnit and its own plugins; skipped where it or a JDK is
# missing, and where its registry does not answer.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"
# shellcheck source=test/apps/jucx.sh
. "$(dirname "$0")/jucx.sh"

# maven NAME GOAL [COMMAND...]: over what UCX_TLS says, below that command; output
# in TMPDIR/NAME.log, results below TMPDIR/NAME
maven()
{
    (
        # functions cannot be run by a command
        export -f jucx_maven
        export jucx
        limited "${@:3}" bash -c 'jucx_maven "$@"' - \
            -Dbuild.dir="$TMPDIR/$1" "$2" > "$TMPDIR/$1.log" 2>&1 < /dev/null
    )
}

# results NAME: a line for each test, good or bad and its name
results()
{
    # <testcase name="N" classname="ucxefa.CTest" .../> or with its failure inside
    cat "$TMPDIR/$1"/surefire-reports/TEST-*.xml 2> /dev/null | awk '
        function field(name) {
            match($0, " " name "=\"[^\"]*\"")
            return substr($0, RSTART + length(name) + 3,
                          RLENGTH - length(name) - 4)
        }
        function line() {
            if (test != "")
                print (bad ? "bad" : "good"), test
            test = ""
        }
        /<testcase / {
            line()
            test = field("classname") ": " field("name")
            sub(/^ucxefa\./, "", test)
            sub(/Test:/, ":", test)
            bad = 0
        }
        /<(failure|error|skipped)/ { bad = 1 }
        END { line() }' | sort
}

if jucx_missing; then
    skip "JUCX" "no $jucx_why"
    finish
fi
jucx_find
if ! maven build test-compile; then
    if grep -qE 'Could not (transfer|resolve|find)|Non-resolvable|Unknown host' \
        "$TMPDIR/build.log"; then
        skip "JUCX" "Maven does not get it: $(grep -m 1 ERROR \
            "$TMPDIR/build.log" | cut -c 1-200)"
    else
        not_ok "JUCX" "$(grep -m 3 ERROR "$TMPDIR/build.log" | cut -c 1-300)"
    fi
    finish
fi

# The JVM of the tests and those that it starts
export JUCX_PAYLOAD=$TMPDIR/payload
counters_reset
cp -r "$TMPDIR/build" "$TMPDIR/srd"
cp -r "$TMPDIR/build" "$TMPDIR/tcp"
UCX_TLS=tcp,self maven tcp test
rm -f "$JUCX_PAYLOAD"
UCX_TLS=srd,self maven srd test "$EFARUN" --soft --quiet

results tcp > "$TMPDIR/tcp.results"
results srd > "$TMPDIR/srd.results"
while read -r verdict name; do
    if [ "$verdict" = good ]; then
        ok "JUCX $jucx, $name"
    elif grep -qxF "good $name" "$TMPDIR/tcp.results"; then
        not_ok "JUCX $jucx, $name" "fails over srd, not over tcp"
        cat "$TMPDIR/srd.log"
    else
        skip "JUCX $jucx, $name" "fails over tcp, too"
    fi
done < "$TMPDIR/srd.results"

# A JVM that ended leaves tests without a result
missing=$(cut -d ' ' -f 2- "$TMPDIR"/tcp.results | sort |
    comm -23 - <(cut -d ' ' -f 2- "$TMPDIR/srd.results" | sort) | tr '\n' ' ')
if [ -n "$missing" ] || [ ! -s "$TMPDIR/srd.results" ]; then
    not_ok "JUCX: all tests ran" "${missing:-none did}: $(tail -n 3 \
        "$TMPDIR/srd.log" | cut -c 1-300)"
fi
echo "    over srd: $(grep -c ^good "$TMPDIR/srd.results") of" \
    "$(wc -l < "$TMPDIR/srd.results") passed, over tcp:" \
    "$(grep -c ^good "$TMPDIR/tcp.results") of $(wc -l < "$TMPDIR/tcp.results")"

# RDMA read: what went by rendezvous. UCX has gets by RDMA only on a device that
# has RDMA write, too.
payload=$(awk '{ sum += $1 } END { printf "%d", sum }' "$JUCX_PAYLOAD")
read_bytes=$(counted rdma_read_bytes)
moved=$(($(counted tx_bytes) + read_bytes + $(counted rdma_write_bytes)))
if [ "$payload" -gt 100000000 ] && [ "$moved" -ge "$payload" ] &&
       [ "$read_bytes" -gt 100000000 ]; then
    ok "JUCX: $payload bytes, all on srd, $read_bytes by RDMA read"
else
    not_ok "JUCX: bytes on srd" \
        "$moved of $payload, $read_bytes by RDMA read"
fi

finish
