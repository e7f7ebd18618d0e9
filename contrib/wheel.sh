#!/usr/bin/env bash
# Builds the Python wheel of ucx-efa: loader, transports for several versions of
# UCX, Soft-EFA, efarun and srdtool.
#
#   contrib/wheel.sh --out DIR [--work DIR] [VERSION=SOURCE_DIR[:PREFIX]...]
#
#   --out DIR    where the wheel goes
#   --work DIR   a build tree, kept for the next time (default: DIR/build)
#   VERSION=...  as of contrib/build-modules.sh; the UCX that is installed is
#                always among them
#
# Needs the packages of contrib/install-deps.sh build, and Python 3.8 without
# any package. The wheel runs with the libc of the machine that builds it and
# newer ones: its tag says which. libibverbs and libefa are not in it.
set -euo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

die()
{
    echo "wheel.sh: $*" >&2
    exit 1
}

# What a library of the wheel may need: manylinux's, and rdma-core's, which has
# to fit the machine's driver and providers
allowed='libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1'
allowed+='|libgcc_s\.so\.1|ld-linux-.*|libibverbs\.so\.1|libefa\.so\.1'

# install_tree DIR: the package ucx_efa, as it is installed
install_tree()
{
    local package=$1/ucx_efa stage=$work/stage

    rm -rf "$1" "$stage"
    mkdir -p "$package/bin" "$package/lib/ucx"
    # json-c's library has another name on every other distribution
    rm -f "$work/src/tools/srdtool"
    quietly "$work/tools.log" make -C "$work/src/tools" -j"$jobs" \
        JSON_C_LIBS=-l:libjson-c.a
    quietly "$work/install.log" make -C "$work" install DESTDIR="$stage" \
        JSON_C_LIBS=-l:libjson-c.a
    cp "$top/contrib/wheel/__init__.py" "$package/"
    cp "$stage/usr/local/bin/efarun" "$stage/usr/local/bin/srdtool" \
        "$package/bin/"
    cp "$stage/usr/local/lib/libsoftefa.so" \
        "$stage/usr/local/lib/libucx_efa_loader.so" "$package/lib/"
    cp -L "$stage/usr/local/lib/ucx/libuct_efasrd.so.0" \
        "$stage"/usr/local/lib/ucx/libefasrd-*.so "$package/lib/ucx/"
    cp "$top/LICENSE" "$package/"
    if [ ${#modules[@]} -gt 0 ]; then
        "$top/contrib/build-modules.sh" --build "$work" --jobs "$jobs" \
            --out "$package/lib/ucx" "${modules[@]}"
    fi
    strip --strip-unneeded "$package"/bin/* "$package"/lib/*.so \
        "$package"/lib/ucx/*
}

# glibc_of FILE...: the newest version whose symbols they use, 2.34. Fails if
# they need a library that is not allowed.
glibc_of()
{
    local file other

    for file in "$@"; do
        other=$(objdump -p "$file" | awk '$1 == "NEEDED" {print $2}' |
            { grep -vxE "$allowed" || true; } | xargs)
        [ -z "$other" ] || die "$file needs $other, which is not everywhere"
    done
    objdump -T "$@" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' |
        sort -uV | tail -n 1
}

out=
work=
modules=()
while [ $# -gt 0 ]; do
    case $1 in
    --out)     out=${2:?--out needs a directory}; shift ;;
    --work)    work=${2:?--work needs a directory}; shift ;;
    -h|--help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*)        die "unknown option '$1' (try --help)" ;;
    *=?*)      modules+=("$1") ;;
    *)         die "'$1' is not VERSION=SOURCE_DIR (try --help)" ;;
    esac
    shift
done
[ -n "$out" ] || die "--out DIR is missing (try --help)"
mkdir -p "$out" "${work:=$out/build}"
out=$(cd "$out" && pwd)
work=$(cd "$work" && pwd)

ucx_src=$("$top/contrib/ucx-headers.sh") || exit 1
build_tree "$work" --prefix=/usr/local --libdir=/usr/local/lib \
    --with-ucx-module-dir=/usr/local/lib/ucx || exit 1
step "modules"
install_tree "$work/tree"

step "wheel"
glibc=$(glibc_of "$work"/tree/ucx_efa/bin/* "$work"/tree/ucx_efa/lib/*.so \
    "$work"/tree/ucx_efa/lib/ucx/*)
tag=py3-none-manylinux_${glibc/./_}_$(uname -m)
version=$("$work/tree/ucx_efa/bin/efarun" --version | sed 's/.* //')
python3 "$top/contrib/wheel/pack.py" "$work/tree" "$version" "$tag" \
    "$top/README.md" "$out"
