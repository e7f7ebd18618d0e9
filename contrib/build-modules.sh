#!/usr/bin/env bash
# Builds the transport for several versions of UCX, none of which is installed.
#
#   contrib/build-modules.sh [--build DIR] [--out DIR] [--jobs N]
#                            VERSION=SOURCE_DIR[:PREFIX]...
#
#   --build DIR   a configured tree (default: the current directory)
#   --out DIR     where libefasrd-VERSION.so go (default: modules in the
#                 configured tree). UCX's srd is loaded from where
#                 libuct_efasrd.so lies: give that directory to install them
#   VERSION       as 1.18 or 1.18.1: what the sources have to be; 1.18-assert,
#                 1.18-stats: for a UCX with assertions (Debian's), statistics
#   SOURCE_DIR    UCX's sources: a clone, a tarball, a configured tree
#   PREFIX        where that UCX is installed or unpacked, as PREFIX of its
#                 configure (of a wheel: the directory libucx)
#
# Structures depend on UCX's configuration as well (ENABLE_ASSERT,
# ENABLE_STATS). It is taken from PREFIX/bin/ucx_info, or from SOURCE_DIR/config.h,
# or is that of a release build, which has neither unless VERSION says so. The file is called
# libefasrd-1.18.so, with -assert and -stats where UCX has them.
# Nothing of UCX is linked: libuct_efasrd.so binds the transport to the UCX of the
# process. SOURCE_DIR is not written to.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/ucx-tree.sh
. "$top/contrib/ucx-tree.sh"
build=.
out=
jobs=$(nproc 2> /dev/null || echo 2)

die()
{
    echo "build-modules.sh: $*" >&2
    exit 1
}

# write_config TREE PREFIX LAYOUT FILE: UCX's config.h
write_config()
{
    local tree=$1 prefix=$2 layout=$3 file=$4

    if [ -n "$prefix" ]; then
        [ -f "$prefix/bin/ucx_info" ] ||
            die "$prefix/bin/ucx_info is missing: is UCX installed in $prefix?"
        # A wheel's programs need not be executable
        [ -x "$prefix/bin/ucx_info" ] || chmod u+x "$prefix/bin/ucx_info"
        LD_PRELOAD='' LD_LIBRARY_PATH=$prefix/lib "$prefix/bin/ucx_info" -b |
            sed -n '/^#define/p'
    elif [ -f "$tree/config.h" ]; then
        sed -n '/^#define/p' "$tree/config.h"
    else
        sed -n -e '/ENABLE_ASSERT/d' -e '/ENABLE_STATS/d' \
            -e 's/\(ENABLE_DEBUG_DATA\) .*/\1 0/' \
            -e 's/\(ENABLE_PARAMS_CHECK\) .*/\1 0/' -e '/^#define/p' \
            "$build/ucx-config/config.h"
        case $layout in *-assert*) echo "#define ENABLE_ASSERT 1" ;; esac
        case $layout in *-stats*) echo "#define ENABLE_STATS 1" ;; esac
    fi | sed -e '/^#define PACKAGE/d' -e '/^#define VERSION/d' \
        -e '/^#define LT_OBJDIR/d' > "$file.new"
    grep -q UCX_CONFIG_H "$file.new" ||
        die "no configuration of UCX in ${prefix:-$tree}"
    replace "$file"
}

# replace FILE: by FILE.new, unless it is the same
replace()
{
    if cmp -s "$1.new" "$1"; then
        rm "$1.new"
    else
        mv "$1.new" "$1"
    fi
}

# build_module VERSION TREE PREFIX
build_module()
{
    local asked=${1%%-*} layout=${1#"${1%%-*}"} tree=$2 prefix=$3
    local version dir tag log

    [ -r "$tree/src/uct/base/uct_iface.h" ] ||
        die "no UCX source tree in $tree"
    version=$(ucx_tree_version "$tree")
    case $version. in
    "$asked".*) ;;
    *) die "$tree has UCX $version, not $asked" ;;
    esac

    dir=$build/modules/$version$layout${prefix:+-installed}
    mkdir -p "$dir/include/uct/api"
    write_config "$tree" "$prefix" "$layout" "$dir/include/config.h"
    ucx_tree_version_header "$tree" > "$dir/include/uct/api/version.h.new"
    replace "$dir/include/uct/api/version.h"

    tag=${version%.*}
    grep -qE '^#define ENABLE_ASSERT +1' "$dir/include/config.h" && tag+=-assert
    grep -qE '^#define ENABLE_STATS +1' "$dir/include/config.h" && tag+=-stats

    log=$dir/make.log
    if ! make -C "$build/src/uct/ib/efa" -j"$jobs" module MODULE_DIR="$dir" \
        MODULE_SRC="$tree" MODULE_TAG="$tag" > "$log" 2>&1 < /dev/null; then
        grep -E 'error|undefined|\*\*\*' "$log" | head -n 20 >&2 || true
        die "UCX $version failed, log: $log"
    fi

    install -m 755 "$dir/libefasrd-$tag.so" "$out/"
    echo "UCX $version: $out/libefasrd-$tag.so"
}

modules=()
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?--build needs a directory}; shift ;;
    --out)   out=${2:?--out needs a directory}; shift ;;
    --jobs)  jobs=${2:?--jobs needs a number}; shift ;;
    -h|--help) sed -n '2,24s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*)      die "unknown option '$1' (try --help)" ;;
    *=?*)    modules+=("$1") ;;
    *)       die "'$1' is not VERSION=SOURCE_DIR (try --help)" ;;
    esac
    shift
done
[ ${#modules[@]} -gt 0 ] || die "no VERSION=SOURCE_DIR is given (try --help)"
if [ ! -f "$build/ucx-config/config.h" ] ||
   [ ! -f "$build/src/uct/ib/efa/Makefile" ]; then
    die "$build is not a configured tree: run ${top}/configure there, or give" \
        "--build DIR"
fi
build=$(cd "$build" && pwd)
: "${out:=$build/modules}"
mkdir -p "$out"
out=$(cd "$out" && pwd)

for module in "${modules[@]}"; do
    source=${module#*=}
    prefix=
    case $source in
    *:*) prefix=$(cd "${source#*:}" && pwd) || exit 1 ;;
    esac
    tree=$(cd "${source%%:*}" && pwd) || exit 1
    build_module "${module%%=*}" "$tree" "$prefix"
done
