# shellcheck shell=bash
# Sourced by matrix.sh: where the sources, libraries and programs of a version of
# UCX come from.
#
#   sources    ucx_trees, ucx_clone, what ucx-headers.sh has fetched
#   libraries  PyPI's wheel, else built from the sources
#   programs   the same; ucx_perftest of some wheels has to be built
#
# Set before: ucx_trees (array: directory by version, as 1.18 or 1.18.1),
# ucx_clone (git directory, or empty), ucx_cache (directory, kept), ucx_log (for
# what a tool says last). MINOR is a version as 1.18. Functions that print a
# directory return non-zero if there is none.
# shellcheck disable=SC2154 # these

# ucx_get_tags MINOR: of the clone, newest first; HEAD if that becomes MINOR
ucx_get_tags()
{
    [ -n "$ucx_clone" ] || return 0
    git -C "$ucx_clone" tag --list "v$1.[0-9]*" | grep -xE 'v[0-9.]+' | sort -rV
    [ "$(git -C "$ucx_clone" show HEAD:configure.ac |
        sed -n 's/^define(\[ucx_ver_m..or\], *\([0-9]*\).*/\1/p' | xargs |
        tr ' ' .)" != "$1" ] || echo HEAD
}

# ucx_get_given MINOR: the directory of --ucx-src, if there is one
ucx_get_given()
{
    local version

    for version in "${!ucx_trees[@]}"; do
        case $version. in
        "$1".*) echo "${ucx_trees[$version]}"; return ;;
        esac
    done
    return 1
}

# ucx_get_tag TAG: prints the directory of its sources, out of the clone
ucx_get_tag()
{
    local tag tree

    [ -n "$ucx_clone" ] &&
        tag=$(git -C "$ucx_clone" rev-parse -q --verify "$1^{commit}") || return
    [ "$1" = HEAD ] || tag=${1#v}
    tree=$ucx_cache/src/ucx-$tag
    if [ ! -d "$tree" ]; then
        rm -rf "$tree.new"
        mkdir -p "$tree.new"
        git -C "$ucx_clone" archive "$1" | tar -x -C "$tree.new" &&
            mv "$tree.new" "$tree" || return
    fi
    echo "$tree"
}

# ucx_get_tree MINOR [VERSION]: prints the directory of sources, of this very
# version if they are to be had
ucx_get_tree()
{
    local minor=$1 version=${2:-} tag tree

    ucx_get_given "$minor" && return
    for tag in $(ucx_get_tags "$minor" | grep -x "v$version") \
        $(ucx_get_tags "$minor"); do
        ucx_get_tag "$tag" && return
    done
    # what ucx-headers.sh has fetched
    for tree in "${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa/ucx-$minor".*; do
        if [ -r "$tree/src/uct/base/uct_iface.h" ]; then
            echo "$tree"
            return
        fi
    done
    return 1
}

# ucx_get_wheel MINOR: prints the prefix of the newest wheel, unpacked
ucx_get_wheel()
{
    local dir=$ucx_cache/wheels/$1

    if [ ! -d "$dir/libucx/lib" ]; then
        rm -rf "$dir"
        mkdir -p "$dir"
        python3 -m pip download -q --disable-pip-version-check --no-deps \
            --only-binary :all: -d "$dir" "libucx-cu12==$1.*" \
            > "$ucx_log" 2>&1 &&
            python3 -m zipfile -e "$dir"/libucx_cu12-*.whl "$dir" &&
            rm "$dir"/*.whl || return
    fi
    chmod u+x "$dir"/libucx/bin/*
    echo "$dir/libucx"
}

# ucx_get_built MINOR TREE: prints the prefix of a release build of the sources
ucx_get_built()
{
    local dir=$ucx_cache/ucx-$1 tree=$2

    if [ ! -x "$dir/install/bin/ucx_perftest" ] ||
        [ "$(cat "$dir/.tree" 2> /dev/null)" != "$tree" ]; then
        rm -rf "$dir"
        mkdir -p "$dir"
        cp -a "$tree" "$dir/src"
        (
            cd "$dir/src" || exit
            [ -x configure ] || ./autogen.sh || exit
            ./contrib/configure-release --prefix="$dir/install" --enable-mt \
                --disable-doxygen-doc --without-java --without-go \
                --without-mpi --without-cuda --without-rocm --without-gdrcopy \
                --without-verbs --without-mlx5 --without-rdmacm &&
                make -j"$jobs" && make install
        ) > "$dir/log" 2>&1 < /dev/null || return
        rm -rf "$dir/src"
        echo "$tree" > "$dir/.tree"
    fi
    echo "$dir/install"
}

# ucx_get_runs PREFIX PROGRAM: does it? That of some wheels crashes at once
ucx_get_runs()
{
    (LD_LIBRARY_PATH=$1/lib "$2" -h) < /dev/null
} > /dev/null 2>&1

# ucx_get_perftest PREFIX TREE INCLUDE DIR: DIR/ucx_perftest, from the sources,
# with the wheel's libraries; config.h and version.h of that UCX are in INCLUDE
ucx_get_perftest()
{
    local prefix=$1 tree=$2 include=$3 dir=$4
    local flags=(-w -O1 -D_GNU_SOURCE -DHAVE_CONFIG_H -fopenmp)
    local perf=$tree/src/tools/perf

    rm -rf "$dir"
    mkdir -p "$dir"
    (
        cd "$dir" || exit
        "${CC:-cc}" -std=gnu11 "${flags[@]}" -I"$include" -I"$tree/src" -c \
            "$perf"/lib/*.c "$perf"/perftest{,_run,_params}.c &&
            "${CXX:-c++}" -std=gnu++11 "${flags[@]}" -I"$include" \
                -I"$tree/src" -c "$perf"/lib/*.cc &&
            "${CXX:-c++}" -fopenmp -o ucx_perftest ./*.o \
                "$prefix"/lib/libuc{p,t,s}.so -lpthread -lm
    ) > "$dir/log" 2>&1 < /dev/null
}

# ucx_version [PREFIX]: of the libraries there
ucx_version()
{
    LD_LIBRARY_PATH=${1:+$1/lib} "${1:+$1/bin/}ucx_info" -v 2> /dev/null |
        sed -n -e 's/^# Library version: *\([0-9.]*\).*/\1/p' \
            -e 's/^# Version *\([0-9.]*\).*/\1/p' | head -n 1
}
