# shellcheck shell=bash
# Sourced by every script here, before anything else. Says what is ok, counts
# it, and finds what the scripts need. See ../README.md for the lines printed.
#
# Run by hand: BUILD=<build tree> test/apps/<name>.sh

set -uo pipefail

# shellcheck source=test/apps/pair.sh
. "$(dirname "${BASH_SOURCE[0]}")/pair.sh"

TOP=${TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
BUILD=${BUILD:-$TOP/build}
EFARUN=${EFARUN:-$BUILD/src/tools/efarun}
APPS=${APPS:-$BUILD/test/apps}
VARIANT=${VARIANT:-plain}
TEST_SCALE=${TEST_SCALE:-100}
export TOP BUILD EFARUN APPS VARIANT TEST_SCALE

if [ ! -x "$EFARUN" ]; then
    echo "not ok ${0##*/}: $EFARUN is missing: build first, or set BUILD"
    exit 1
fi

common_own_tmp=
if [ -z "${TMPDIR:-}" ] || [ -z "${SOFTEFA_FABRIC:-}" ]; then
    TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-test.XXXXXX")
    common_own_tmp=$TMPDIR
    # a fabric of its own: other runs of this user do not meet this one
    SOFTEFA_FABRIC=test-$$
    export TMPDIR SOFTEFA_FABRIC
fi

common_failed=0
common_done=0

# Seconds that only end what hangs, wherever a script waits: fewer than run.sh's,
# so that the script can say what it was, more than any machine needs
hang_limit=900

# What a script that failed has left running, stopped or not
common_end_jobs()
{
    local job

    for job in $(jobs -p); do
        kill -TERM "$job" 2> /dev/null
        kill -CONT "$job" 2> /dev/null
    done
    for job in $(jobs -p); do
        timeout 10 tail --pid="$job" -f /dev/null || kill -KILL "$job"
    done
}

common_exit()
{
    pair_end
    common_end_jobs
    [ -z "$common_own_tmp" ] || rm -rf "$common_own_tmp"
    if [ $common_done = 0 ]; then
        echo "not ok ${0##*/}: ended before it was finished"
        exit 1
    fi
}
trap common_exit EXIT
trap 'exit 1' INT TERM

ok()
{
    echo "ok $1"
}

# not_ok NAME WHY: one line, the why at the end
not_ok()
{
    common_failed=$((common_failed + 1))
    echo "not ok $1: ${2//$'\n'/ }"
}

# skip NAME WHY
skip()
{
    echo "skip $1: $2"
}

# The last command of every script.
finish()
{
    common_done=1
    [ $common_failed = 0 ]
    exit
}

# check NAME COMMAND...: ok if the command succeeds; its output is shown if not
check()
{
    local name=$1 status=0
    shift

    "$@" > "$TMPDIR/check.out" 2>&1 < /dev/null || status=$?
    if [ $status = 0 ]; then
        ok "$name"
    else
        not_ok "$name" "'$1' ended with status $status"
        tail -n 30 "$TMPDIR/check.out" | sed 's/^/    /'
    fi
    return $status
}

# add_results FILE: lines in this convention that another program printed
add_results()
{
    grep -v -E '^(ok|not ok|skip) ' "$1" | sed 's/^/    /'
    grep -E '^(ok|not ok|skip) ' "$1"
    common_failed=$((common_failed + $(grep -c '^not ok ' "$1")))
}

# need COMMAND PACKAGE: the script fails without it. contrib/check.sh installs
# all packages that tests need, so none of them is quietly left out.
need()
{
    if ! command -v "$1" > /dev/null; then
        not_ok "${0##*/}" "no $1: install the Debian package $2"
        finish
    fi
}

# limited COMMAND...: ended if it hangs
limited()
{
    timeout -k 10 $hang_limit "$@"
}

# until_true COMMAND...: waits until it succeeds; fails if that never comes
until_true()
{
    local end=$((SECONDS + hang_limit))

    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# scaled COUNT: TEST_SCALE percent of it, at least 1
scaled()
{
    local count=$(($1 * TEST_SCALE / 100))

    echo $((count > 0 ? count : 1))
}

# unit BYTES: as fi_pingpong prints a size
unit()
{
    if [ "$1" -ge 1048576 ] && [ $(($1 % 1048576)) = 0 ]; then
        echo "$(($1 / 1048576))m"
    elif [ "$1" -ge 1024 ] && [ $(($1 % 1024)) = 0 ]; then
        echo "$(($1 / 1024))k"
    else
        echo "$1"
    fi
}
