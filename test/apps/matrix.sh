#!/usr/bin/env bash
# contrib/matrix.sh, as far as nothing has to be built: its options and rows, and
# that a row which lacks something is skipped, with the reason, and never passed.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# Nothing of this machine's caches
export XDG_CACHE_HOME=$TMPDIR/cache
clone=$TMPDIR/ucx

# matrix STATUS NAME PATTERN ARGUMENTS...: it ends so, and says this
matrix()
{
    local wanted=$1 name=$2 pattern=$3 status=0
    shift 3

    limited "$TOP/contrib/matrix.sh" "$@" > "$TMPDIR/out" 2>&1 < /dev/null ||
        status=$?
    if [ $status != "$wanted" ]; then
        not_ok "$name" "status $status: $(tail -n 1 "$TMPDIR/out")"
    elif ! grep -qE -e "$pattern" "$TMPDIR/out"; then
        not_ok "$name" "does not say '$pattern': $(cat "$TMPDIR/out")"
    else
        ok "$name"
    fi
}

# listed NAME ROWS ARGUMENTS...: the rows that would be run
listed()
{
    local name=$1 rows=$2 is
    shift 2

    is=$("$TOP/contrib/matrix.sh" --list "$@" 2>&1 | xargs)
    if [ "$is" = "$rows" ]; then
        ok "$name"
    else
        not_ok "$name" "$is"
    fi
}

# toy_release MINOR TAG: of a clone that only tells versions
toy_release()
{
    printf '%s\n' 'define([ucx_ver_major], 1) # Major' \
        "define([ucx_ver_minor], $1) # Minor" \
        'define([ucx_ver_patch], 0)' > "$clone/configure.ac"
    git -C "$clone" add configure.ac
    git -C "$clone" -c user.name=test -c user.email=test@localhost \
        commit -q -m "$1"
    [ -z "$2" ] || git -C "$clone" tag "$2"
}

matrix 0 "--help" '--ucx-src VERSION=DIR' --help
matrix 2 "an unknown option" "unknown option '--rwos'" --rwos 1.14
matrix 2 "an unknown row" "no row 'bullseye'" --rows bullseye
matrix 2 "a version that is too old" "no row '1.12'" --rows 1.12
matrix 2 "--ucx-src without a version" 'needs VERSION=DIR' --ucx-src /tmp
matrix 2 "--ucx-src of nothing" 'no such directory' \
    --ucx-src "1.14=$TMPDIR/none"
matrix 2 "--ucx-git of nothing" 'no clone of git' --ucx-git "$TMPDIR/none"
matrix 2 "--build-only of a root" 'not for sid' --build-only --rows sid

known="1.14 1.15 1.16 1.17 1.18 1.19 1.20 1.21 1.22"
listed "all rows" "bookworm trixie sid $known"
mkdir -p "$TMPDIR/tree"
listed "a version that is given" "bookworm trixie sid $known 1.23" \
    --ucx-src "1.23.0=$TMPDIR/tree"
if command -v git > /dev/null; then
    git init -q "$clone"
    toy_release 13 v1.13.1
    toy_release 24 v1.24.0-rc1
    listed "versions of a clone, and its head" "1.13 $known 1.24" \
        --build-only --ucx-git "$clone"
    toy_release 25 ""
    listed "no row for a release that is not out" "1.13 $known 1.25" \
        --build-only --ucx-git "$clone"
else
    skip "versions of a clone" "no git"
fi

# What is missing: nothing passed, so the status is 1
matrix 1 "without sources" '1.14: no sources of UCX 1.14: give --ucx-src 1.14=' \
    --rows 1.14 --counts "$TMPDIR/counts"
if grep -q '^0 0 1 no sources' "$TMPDIR/counts"; then
    ok "--counts tells that it was skipped, and why"
else
    not_ok "--counts tells that it was skipped, and why" \
        "$(cat "$TMPDIR/counts")"
fi
mkdir -p "$TMPDIR/bin"
printf '#!/bin/sh\necho "no index answers"\nexit 1\n' > "$TMPDIR/bin/python3"
chmod +x "$TMPDIR/bin/python3"
PATH=$TMPDIR/bin:$PATH matrix 1 "without a wheel" \
    '1.14: pip gets no libucx-cu12 1.14 \(no index answers\)' \
    --rows 1.14 --ucx-src "1.14=$TMPDIR/tree"
matrix 1 "without a network" 'trixie: (no root: .|this is a root itself)' \
    --rows trixie --mirror http://127.0.0.1:1/debian
matrix 1 "all of these" '^0 passed, 0 failed, 2 skipped$' --rows 1.14,trixie \
    --mirror http://127.0.0.1:1/debian

finish
