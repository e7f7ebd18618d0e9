#!/usr/bin/env bash
# The loader: brings srd in, refuses what would crash, says one line when srd
# cannot be had and none otherwise, keeps UCX's ib off EFA devices.
# shellcheck disable=SC2016 # for the shells below
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
        not_ok "$name" "$(grep -hE 'omponent: (efasrd|ib|self)|ransport: srd' \
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

# serves: the components that have a transport srd
serves()
{
    [ "$(awk '/Component: /{c = $NF} /Transport: srd$/{print c}' \
        "$TMPDIR/out" | xargs)" = "$1" ] && is_silent
}

loader=$lib/libucx_efa_loader.so
info "$soft:$loader" ucx_info -d
expect "srd is there" has_srd
expect "nothing is said" is_silent

info "$loader" true
expect "nothing is said to a program without UCX" is_silent

info "$soft:$loader" env UCX_MODULES=^efasrd ucx_info -d
expect "UCX_MODULES=^efasrd keeps srd out" eval '! has_srd && is_silent'
info "$soft:$loader" env UCX_MODULES=cma ucx_info -d
expect "UCX_MODULES=cma keeps srd out" eval '! has_srd && is_silent'
info "$soft:$loader" env UCX_MODULES=cma,efasrd ucx_info -d
expect "UCX_MODULES=cma,efasrd lets srd in" has_srd
info "$soft:$loader" env UCX_MODULES=^cma ucx_info -d
expect "UCX_MODULES=^cma is still heard" \
    eval 'has_srd && ! grep -q "Component: cma" "$TMPDIR/out"'

# install_as [FILE]: an installation with our transport under that name, or
# without one
install_as()
{
    rm -rf "${TMPDIR:?}/lib"
    mkdir -p "$TMPDIR/lib/ucx"
    cp "$lib/libucx_efa_loader_absent.so" "$TMPDIR/lib/"
    cp -L "$lib/libuct_efasrd.so.0" "$TMPDIR/lib/ucx/"
    [ $# = 0 ] || cp -L "$transport" "$TMPDIR/lib/ucx/$1"
}
transport=$(echo "$BUILD"/src/uct/ib/efa/.libs/libefasrd-*.so)
fits=${transport##*/}
other=$TMPDIR/lib/libucx_efa_loader_absent.so

install_as "$fits"
info "$soft:$other" ucx_info -d
expect "an installation is found beside the loader" \
    eval 'has_srd && is_silent'
install_as libefasrd-1.99.so
info "$soft:$other" ucx_info -d
expect "a transport for another version of UCX is refused" \
    refused "was built for UCX 1\.99, but .*libuct.so.0 is 1\."
cp "$transport" "$TMPDIR/lib/ucx/"
info "$soft:$other" ucx_info -d
expect "one of several is taken" eval 'has_srd && is_silent'
# as this UCX has them or not
for layout in assert stats; do
    version=${fits#libefasrd-}
    case $version in
    *-$layout*) version=${version/-$layout/} what=" with.*" ;;
    *)          version=${version%.so}-$layout.so what='[^;]*' ;;
    esac
    install_as "libefasrd-$version"
    info "$soft:$other" ucx_info -d
    expect "a transport for other structures is refused: $layout" refused \
        "was built for UCX ${version%.so}, but .*libuct.so.0 is 1\.[0-9.]*$what; install or build"
done
install_as
info "$soft:$other" ucx_info -d
expect "an absent transport is said" refused "$fits is not in $TMPDIR/lib/ucx"
echo "no library" > "$TMPDIR/lib/ucx/$fits"
info "$soft:$other" ucx_info -d
expect "a broken transport is said" refused "$fits.*; are libibverbs"
echo "no library" > "$TMPDIR/lib/ucx/libuct_efasrd.so.0"
info "$soft:$other" ucx_info -d
expect "a broken module is said" refused "libuct_efasrd.so.0.*; install ucx-efa"
rm "$TMPDIR/lib/ucx/libuct_efasrd.so.0"
info "$soft:$other" ucx_info -d
expect "an absent module is said" refused "libuct_efasrd.so.0 is neither in"

# UCX loads the module by itself: under the name of one of its own, which all
# versions do. Module directories are those beside libucs, so this is a copy.
install_as "$fits"
mv "$TMPDIR/lib/ucx/libuct_efasrd.so.0" "$TMPDIR/lib/ucx/libuct_cma.so.0"
uct_dir=$(ldd "$(command -v ucx_info)" | sed -n 's,.*=> \(.*\)/libuct\.so.*,\1,p')
cp -L "$uct_dir"/libuc[tsp].so.0 "$TMPDIR/lib/"
info "$soft" env LD_LIBRARY_PATH="$TMPDIR/lib" ucx_info -d
expect "UCX loads the module by itself" eval 'has_srd && is_silent'
info "$soft:$loader" env LD_LIBRARY_PATH="$TMPDIR/lib" ucx_info -d
expect "of two installations one serves" serves efasrd
mv "$TMPDIR/lib/ucx/$fits" "$TMPDIR/lib/ucx/libefasrd-1.99.so"
info "$soft" env LD_LIBRARY_PATH="$TMPDIR/lib" ucx_info -d
expect "the module refuses a UCX that loads it by itself" \
    refused "was built for UCX 1\.99, but $TMPDIR/lib/libuct.so.0 is 1\."

# A wheel's UCX, which has libraries with names of its own, and not the system's
# modules, which would bring the system's libraries
mkdir "$TMPDIR/wheel"
cp -L "$uct_dir"/libuc[mpst].so.0 "$(command -v ucx_info)" "$TMPDIR/wheel/"
for file in "$TMPDIR"/wheel/*; do
    sed -i 's/libuc\([mpst]\)\.so\.0/libuc\1-so.0/g' "$file"
    mv -n "$file" "${file/.so.0/-so.0}" 2> /dev/null
done
info "$soft:$loader" env LD_LIBRARY_PATH="$TMPDIR/wheel" \
    UCX_MODULE_DIR="$TMPDIR/wheel/ucx" "$TMPDIR/wheel/ucx_info" -d
expect "a UCX with other names has srd" serves efasrd

# Two UCX in one process, of which one has it, whatever the order
ours=$(ls "$TMPDIR"/wheel/libuct-so.0)
for order in "$ours libuct.so.0" "libuct.so.0 $ours"; do
    last=${order##* }
    last=${last##*/}
    two=(env LD_LIBRARY_PATH="$TMPDIR/wheel" UCX_MODULE_DIR="$TMPDIR/wheel/ucx"
         "$APPS/dlopen_uct")
    # shellcheck disable=SC2086 # two words
    if ! info "" "${two[@]}" $order; then
        skip "two UCX in one process: $last last" \
            "this UCX does not bear it: $(grep -o -m 1 'Assertion.*' "$TMPDIR/err")"
        continue
    fi
    # shellcheck disable=SC2086 # two words
    info "$soft:$loader" "${two[@]}" $order
    expect "two UCX in one process: $last last" eval \
        '[ "$(grep -c "^efasrd 1$" "$TMPDIR/out")" = 1 ] &&
         [ "$(grep -c "^self " "$TMPDIR/out")" = 2 ] &&
         [ "$(grep -c "" "$TMPDIR/err")" = 1 ] &&
         grep -q "another UCX of this process has taken .*, .*$last goes" \
             "$TMPDIR/err"'
done

# A second srd, as upstream's: in a module of that name, and in `self`
mkdir "$TMPDIR/fake"
cp -L "$BUILD/test/gtest/.libs/libfake_srd.so" "$TMPDIR/fake/libuct_ib_efa.so.0"
fake=$TMPDIR/fake/libuct_ib_efa.so.0
info "$soft:$fake" ucx_info -d
expect "without the loader upstream's srd serves" serves self
info "$soft:$fake:$loader" ucx_info -d
expect "with the loader ours serves alone" serves efasrd
info "$soft:$fake:$loader" env UCX_MODULES=^efasrd ucx_info -d
expect "UCX_MODULES=^efasrd leaves srd to upstream's" serves self
info "$soft:$fake:$loader" env EFARUN_TRANSPORT=upstream ucx_info -d
expect "EFARUN_TRANSPORT=upstream, too" serves self
info "$soft:$loader" env EFARUN_TRANSPORT=upstream ucx_info -d
expect "and says so where UCX has none" \
    refused "has none of its own, .*; run without --transport upstream"
info "$soft:$fake:$loader" ucx_info -f
expect "options are those of who serves" \
    eval 'grep -q ^UCX_SRD_TX_WINDOW= "$TMPDIR/out" &&
          ! grep -q ^UCX_SRD_FAKE= "$TMPDIR/out"'

info "$soft:$loader" "$APPS/dlopen_uct"
expect "UCX opened with RTLD_LOCAL" grep -qx 'efasrd 1' "$TMPDIR/out"

# Other threads may be reading the environment
info "$soft:$loader" env -u RDMAV_ALLOW_DISASSOC_DESTROY "$APPS/environ_uct"
expect "the environment that others read stays" grep -qx \
    'environment: untouched; RDMAV_ALLOW_DISASSOC_DESTROY=1' "$TMPDIR/out"

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
