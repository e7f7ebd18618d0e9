#!/usr/bin/env bash
# The loader: brings srd in, refuses what would crash, says one line when srd
# cannot be had and none otherwise, keeps UCX's ib off EFA devices.
# shellcheck disable=SC2016,SC2317 # for the shells below; called by name
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need ucx_info ucx-utils

lib=$BUILD/src/uct/ib/efa/loader/.libs
soft=$BUILD/src/softefa/.libs/libsoftefa.so
if [ "$VARIANT" = asan ]; then
    # the sanitizer's runtime stays the first
    first=$LD_PRELOAD:
else
    first=
fi

# info PRELOADS COMMAND...: output in out, messages in err
info()
{
    local preloads=$1
    shift

    env LD_PRELOAD="$first$preloads" "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" \
        < /dev/null
}

# expect NAME CONDITION...: ok if the condition holds
expect()
{
    local name=$1
    shift

    if "$@"; then
        ok "$name"
    else
        not_ok "$name" "$(grep -hE 'omponent: (efa|ib)|ransport: srd' \
            "$TMPDIR/out" | tr -s '\n# ' ' ') $(head -n 3 "$TMPDIR/err")"
    fi
}

has_srd()
{
    grep -q '# *Transport: srd' "$TMPDIR/out"
}

is_silent()
{
    [ ! -s "$TMPDIR/err" ]
}

# one_line PATTERN: one line of ours, that says this; srd is not there
refused()
{
    [ "$(grep -c '^ucx-efa: ' "$TMPDIR/err")" = 1 ] &&
        grep -q "^ucx-efa: srd is not available: .*$1" "$TMPDIR/err" &&
        ! has_srd && grep -q '# *Transport: tcp' "$TMPDIR/out"
}

loader=$lib/libucx_efa_loader.so
info "$soft:$loader" ucx_info -d
expect "srd is there" has_srd
expect "nothing is said" is_silent

info "$loader" true
expect "nothing is said to a program without UCX" is_silent

info "$soft:$loader" env UCX_MODULES=^ib_efa ucx_info -d
expect "UCX_MODULES=^ib_efa keeps srd out" eval '! has_srd && is_silent'
info "$soft:$loader" env UCX_MODULES=cma ucx_info -d
expect "UCX_MODULES=cma keeps srd out" eval '! has_srd && is_silent'
info "$soft:$loader" env UCX_MODULES=cma,ib_efa ucx_info -d
expect "UCX_MODULES=cma,ib_efa lets srd in" has_srd

info "$soft:$lib/libucx_efa_loader_other.so" ucx_info -d
expect "a module for another version of UCX is refused" \
    refused "was built for UCX 1\.99, but .*libuct.so.0 is 1\."

cp "$lib/libucx_efa_loader_absent.so" "$TMPDIR/"
info "$soft:$TMPDIR/libucx_efa_loader_absent.so" ucx_info -d
expect "an absent module is said" refused "libuct_ib_efa.so.0 is neither in"

# beside the loader, as in an installation: but no library
mkdir "$TMPDIR/ucx"
echo "no library" > "$TMPDIR/ucx/libuct_ib_efa.so.0"
info "$soft:$TMPDIR/libucx_efa_loader_absent.so" ucx_info -d
expect "a broken module is said" refused "libuct_ib_efa.so.0.*; are libibverbs"
rm "$TMPDIR/ucx/libuct_ib_efa.so.0"
cp -L "$BUILD/src/uct/ib/efa/.libs/libuct_ib_efa.so.0" "$TMPDIR/ucx/"
info "$soft:$TMPDIR/libucx_efa_loader_absent.so" ucx_info -d
expect "a module beside the loader is found" eval 'has_srd && is_silent'

info "$soft:$loader" "$APPS/dlopen_uct"
expect "UCX opened with RTLD_LOCAL" grep -qx 'efa 1' "$TMPDIR/out"

# The trap is real: with ib, UCX 1.13 prints errors about the EFA device
info "$soft:$loader" env LD_DEBUG=files ucx_info -d
expect "ib stays out where all devices are EFA" \
    eval '! grep -q "calling init.*libuct_ib\.so" "$TMPDIR/err"'
info "$soft:$loader" env UCX_EFA_KEEP_IB=y LD_DEBUG=files ucx_info -d
if [ -e "$(sed -n 's/.*calling init: \(.*libuct\.so\.0\)$/\1/p' \
           "$TMPDIR/err" | head -n 1 | xargs -r dirname)/ucx/libuct_ib.so.0" ]; then
    expect "UCX_EFA_KEEP_IB=y lets it in" \
        grep -q "calling init.*libuct_ib\.so" "$TMPDIR/err"
else
    skip "UCX_EFA_KEEP_IB=y lets it in" "this UCX has no ib"
fi
# without verbs devices there is nothing to keep it from
if [ ! -e /sys/class/infiniband_verbs ]; then
    info "$loader" ucx_info -d
    grep -E 'Component|Transport|Device' "$TMPDIR/out" > "$TMPDIR/with"
    info "" ucx_info -d
    expect "nothing changes where there is no device" \
        diff "$TMPDIR/with" <(grep -E 'Component|Transport|Device' "$TMPDIR/out")
fi

finish
