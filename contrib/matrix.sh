#!/usr/bin/env bash
# Builds and tests with the UCX and the rdma-core that are in use, and prints a
# table: what passed, failed and was skipped with each, and why.
#
#   contrib/matrix.sh [--rows ROW[,ROW...]] [--cache DIR] [--build-only]
#                     [--ucx-src VERSION=DIR]... [--ucx-git CLONE]
#                     [--mirror URI] [--counts FILE] [--list]
#
#   ROW  installed              the UCX and rdma-core of this machine
#        bookworm, trixie, sid  those of that Debian, in a root: as root, with
#                               debootstrap. What is committed is tested
#        1.13, 1.14, ... 1.23   that UCX on this machine, of PyPI's libucx-cu12
#                               or built from its sources
#                               (default: all roots, and 1.14 to the newest UCX
#                               that there are sources of, at least 1.22)
#
#   --cache      builds and wheels are kept there for the next time (default:
#                ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/matrix)
#   --ucx-src    UCX's sources of a version such as 1.18 or 1.18.1: needed for
#                their private headers; for roots, where the archive has no
#                source package
#   --ucx-git    a clone of UCX, from which those of all others are taken
#   --build-only no test: compiles with the sources of each version
#   --mirror     of Debian, for roots (default: as this machine's apt has it)
#   --counts     adds "PASSED FAILED SKIPPED WHY" of each row to FILE
#   --list       prints the rows that would be run
#
# A row is the suites ucx (all of ucx_perftest's tests, over srd alone by the
# transport's counters), ucp (which checks what arrives: no ucx_perftest can), and
# loader in rows with a build of their own. What a row lacks (sources, network,
# privilege) is a skip with its reason. The status is 0 if nothing failed and
# something passed.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=contrib/root.sh
. "$top/contrib/root.sh"
# shellcheck source=contrib/ucx-tree.sh
. "$top/contrib/ucx-tree.sh"
# shellcheck source=contrib/ucx-get.sh
. "$top/contrib/ucx-get.sh"

die()
{
    echo "matrix.sh: $*" >&2
    exit 2
}

roots=(bookworm trixie sid)
versions=(1.14 1.15 1.16 1.17 1.18 1.19 1.20 1.21 1.22)
rows=()
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa/matrix
declare -A ucx_trees=()                 # version as given: directory
ucx_clone=
build_only=n
counts=
list=n
while [ $# -gt 0 ]; do
    case $1 in
    --rows)    IFS=, read -r -a rows <<< "${2:?--rows needs a value}"; shift ;;
    --cache)   cache=${2:?--cache needs a directory}; shift ;;
    --ucx-src)
        case ${2:?--ucx-src needs VERSION=DIR} in
        1.[0-9]*=?*) ;;
        *) die "--ucx-src needs VERSION=DIR, not '$2'" ;;
        esac
        ucx_trees[${2%%=*}]=$(cd "${2#*=}" 2> /dev/null && pwd) ||
            die "--ucx-src $2: no such directory"
        shift ;;
    --ucx-git)
        ucx_clone=$(git -C "${2:?--ucx-git needs a clone}" rev-parse \
            --absolute-git-dir 2> /dev/null) ||
            die "--ucx-git $2: no clone of git"
        shift ;;
    --mirror)  root_mirror=${2:?--mirror needs a value}; shift ;;
    --counts)  counts=${2:?--counts needs a file}; shift ;;
    --build-only) build_only=y ;;
    --list)    list=y ;;
    -h|--help) sed -n '2,34s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *)         die "unknown option '$1' (try --help)" ;;
    esac
    shift
done

if [ ${#rows[@]} = 0 ]; then
    [ "$build_only" = y ] || rows=("${roots[@]}")
    for minor in 13 {14..40}; do
        case " ${versions[*]} " in
        *" 1.$minor "*) rows+=("1.$minor") ;;
        *)  if ucx_get_given "1.$minor" > /dev/null ||
                [ -n "$(ucx_get_tags "1.$minor")" ]; then
                rows+=("1.$minor")
            fi ;;
        esac
    done
fi
for row in "${rows[@]}"; do
    case $row in
    installed) ;;
    1.1[3-9]|1.[2-9][0-9]) ;;
    *)  case " ${roots[*]} " in
        *" $row "*) [ "$build_only" = n ] ||
            die "--build-only compiles with sources of UCX, not for $row" ;;
        *) die "no row '$row': installed, ${roots[*]} or 1.13, 1.14, ..." ;;
        esac ;;
    esac
done
if [ "$list" = y ]; then
    printf '%s\n' "${rows[@]}"
    exit 0
fi

mkdir -p "$cache" || exit 2
cache=$(cd "$cache" && pwd)
build=$cache/build
prefix=$cache/install
work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-matrix.XXXXXX")
ucx_cache=$cache
ucx_log=$work/pip
trap 'root_kill; rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP
table=$work/table
: > "$table"

# Of all messages of a full run: each test of ucx_perftest takes some 0.3 s
export TEST_SCALE=${TEST_SCALE:-5}

# row_done ROW UCX RDMA_CORE PASSED FAILED SKIPPED SECONDS WHY...
row_done()
{
    local why=${*:8}

    echo "$1|$2|$3|$4|$5|$6|$7|$why" | tee "$cache/last" >> "$table"
    echo "   $1: $4 passed, $5 failed, $6 skipped"
    [ -z "$counts" ] || echo "$4 $5 $6 $why" >> "$counts"
}

# skipped ROW WHY...: nothing of it could be done
skipped()
{
    row_done "$1" - - 0 0 1 0 "${*:2}"
}

# why_skipped LOG...: the reasons in logs of suites, each once with its number
why_skipped()
{
    cat "$@" | awk '
        /^skip / { sub(/^skip [^:]*: /, ""); sub(/: *$/, ""); why[$0]++; next }
        is_reason && NF { why[$0]++ }
        { is_reason = /: Skipped$/ }
        END { for (w in why) printf "%s%d: %s", n++ ? "; " : "", why[w], w }'
}

# rdma_core: the version of the libibverbs that programs get here
rdma_core()
{
    local file

    file=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p |
        awk '$1 == "libibverbs.so.1" { print $NF; exit }')
    readlink -f "$file" | sed -n 's/.*\.so\.1\.[0-9]*\.//p'
}

# run_suites ROW UCX EFARUN SUITE...: with the environment of the caller
run_suites()
{
    local row=$1 ucx=$2 efarun=$3 sums=(0 0 0) status=0 why='' begin=$SECONDS
    local suite logs=$cache/logs/$row lines
    shift 3

    rm -rf "$logs" "$build/test-logs"
    for suite in "$@"; do
        grep "^$suite " "$top/test/suites"
    done > "$work/suites"
    "$top/test/run.sh" --build "$build" --efarun "$efarun" \
        --suites "$work/suites" --counts "$work/counts" > "$work/run" 2>&1 ||
        status=$?
    mkdir -p "$cache/logs" && mv "$build/test-logs" "$logs"
    grep -v -e '^    skip ' -e '^[0-9]* passed,' "$work/run" | sed 's/^/   /'
    [ ! -r "$work/counts" ] || read -r -a sums < "$work/counts"
    rm -f "$work/counts"
    # not by a test that failed
    if [ "$status" -gt 1 ]; then
        sums[1]=$((sums[1] + 1))
        why="run.sh ended with status $status"
    fi
    lines=$(why_skipped "$logs"/*.log)
    row_done "$row" "$ucx" "$(rdma_core)" "${sums[@]}" $((SECONDS - begin)) \
        "$why${why:+; }$lines"
}

# failed ROW UCX WHY LOG: it was not even built
failed()
{
    row_done "$1" "$2" "$(rdma_core)" 0 1 0 0 "$3, log: $4"
}

# prepare: the tree with the installed UCX, and an installation of it in which the
# rows' modules will be; once. The compiler takes most of a row's time.
prepared=
prepare()
{
    if [ -z "$prepared" ]; then
        prepared=n
        setup_packages smoke &&
            build_tree "$build" --prefix="$prefix" \
                --with-ucx-module-dir="$prefix/lib/ucx" CFLAGS=-O1 CXXFLAGS=-O0 &&
            step "the tests' programs" &&
            quietly "$build/make-check.log" make -C "$build/test/gtest" \
                -j"$jobs" test_ucp libfake_srd.la &&
            quietly "$build/make-loader.log" make -C \
                "$build/src/uct/ib/efa/loader" check-programs &&
            quietly "$build/make-apps.log" make -C "$build/test/apps" \
                -j"$jobs" dlopen_uct &&
            rm -rf "$prefix" &&
            quietly "$build/install.log" make -C "$build" install &&
            prepared=y
    fi
    [ "$prepared" = y ]
}

row_installed()
{
    prepare || {
        failed installed - "not built" "$build"
        return
    }
    run_suites installed "$(ucx_version)" "$build/src/tools/efarun" \
        ucx ucp loader
}

# build_row MINOR TREE: a module for these sources, no more
build_row()
{
    local log=$cache/logs/$1.log

    prepare || {
        failed "$1" - "not built" "$build"
        return
    }
    mkdir -p "$cache/logs"
    if "$top/contrib/build-modules.sh" --build "$build" \
        --out "$build/modules" "$1=$2" > "$log" 2>&1; then
        row_done "$1" "$(ucx_tree_version "$2")" "$(rdma_core)" 1 0 0 0
    else
        failed "$1" "$(ucx_tree_version "$2")" "does not compile" "$log"
    fi
}

# row_ucx MINOR
row_ucx()
{
    local minor=$1 tree ucx version path log=$cache/logs/$1.log

    if ! tree=$(ucx_get_tree "$minor"); then
        skipped "$minor" "no sources of UCX $minor: give --ucx-src" \
            "$minor=DIR or --ucx-git CLONE"
        return
    fi
    if [ "$build_only" = y ]; then
        build_row "$minor" "$tree"
        return
    fi

    if ucx=$(ucx_get_wheel "$minor"); then
        tree=$(ucx_get_tree "$minor" "$(ucx_version "$ucx")")
    elif [ ! -x "$tree/autogen.sh" ] && [ ! -x "$tree/configure" ]; then
        skipped "$minor" "pip gets no libucx-cu12 $minor" \
            "($(tail -n 1 "$ucx_log")), and $tree is not complete"
        return
    elif ! ucx=$(ucx_get_built "$minor" "$tree"); then
        # by UCX's own scripts, which need what they need
        skipped "$minor" "no wheel, and UCX $minor is not built:" \
            "$cache/ucx-$minor/log"
        return
    fi
    version=$(ucx_version "$ucx")

    prepare || {
        failed "$minor" "$version" "not built" "$build"
        return
    }
    mkdir -p "$cache/logs"
    if ! "$top/contrib/build-modules.sh" --build "$build" \
        --out "$prefix/lib/ucx" "$minor=$tree:$ucx" > "$log" 2>&1; then
        failed "$minor" "$version" "does not compile" "$log"
        return
    fi
    path=$ucx/bin
    if ! ucx_get_runs "$ucx" "$ucx/bin/ucx_perftest"; then
        path=$cache/perftest-$minor
        if ! ucx_get_runs "$ucx" "$path/ucx_perftest" &&
            ! ucx_get_perftest "$ucx" "$tree" \
                "$(echo "$build/modules/$version"*-installed/include)" \
                "$path"; then
            failed "$minor" "$version" "ucx_perftest of the wheel crashes, and \
is not built" "$path/log"
            return
        fi
        path=$path:$ucx/bin
    fi
    PATH=$path:$PATH LD_LIBRARY_PATH=$ucx/lib run_suites "$minor" "$version" \
        "$prefix/bin/efarun" ucx ucp
}

# root_tree SUITE VERSION: prints the directory of UCX's sources of this very
# version, as given or as the archive has them; else says why, returns non-zero
root_tree()
{
    local tree version=${2%%\~*}

    if tree=$(ucx_get_given "${version%.*}") &&
        [ "$(ucx_tree_version "$tree")" = "$version" ]; then
        echo "$tree"
        return
    fi
    ucx_get_tag "v${2//\~/-}" 2> /dev/null && return
    "$top/contrib/ucx-headers.sh" --suite "$1" --mirror "$root_mirror" \
        2> "$work/headers" || {
        sed -n 's/^ucx-headers.sh: \(cannot .*\) Any of .*/\1/p' \
            "$work/headers" | sed 's/: a mirror.*/:/'
        echo "give --ucx-src $version=DIR or --ucx-git CLONE"
        return 1
    }
}

# row_root SUITE: this script, inside
row_root()
{
    local suite=$1 dir=$cache/$1 log=$cache/logs/$1.log version tree base
    local packages ucx rdma p f s time why

    if [ -e /etc/apt/apt.conf.d/99ucx-efa ]; then
        skipped "$suite" "this is a root itself"
        return
    fi
    if ! root_check 2> "$work/why" ||
        ! unshare --mount --pid --fork true 2> "$work/why" ||
        ! version=$("$top/contrib/ucx-headers.sh" --suite "$suite" --mirror \
            "$root_mirror" --which 2> "$work/why"); then
        skipped "$suite" "no root: $(tail -n 1 "$work/why")"
        return
    fi
    tree=$(root_tree "$suite" "$version") || {
        skipped "$suite" "${tree//$'\n'/ }"
        return
    }
    mapfile -t packages < <("$top/contrib/install-deps.sh" smoke --list)
    base=$(root_with "$suite" smoke "${packages[@]}" 2> "$work/why") || {
        cat "$work/why" >&2
        skipped "$suite" "no root: $(tail -n 1 "$work/why")"
        return
    }

    # Kept, so that make has to build what has changed
    mkdir -p "$dir" "$cache/logs"
    if [ -d "$dir/src/.git" ]; then
        git -C "$dir/src" fetch -q "$top" HEAD &&
            git -C "$dir/src" reset -q --hard FETCH_HEAD
    else
        git clone -q --no-hardlinks "$top" "$dir/src"
    fi || {
        skipped "$suite" "$top is no clone of git"
        return
    }
    root_copy "$base" "$work/root"
    mkdir -p "$work/root/root/.cache/ucx-efa"
    cp -a "$tree" "$work/root/root/.cache/ucx-efa/ucx-$version"
    rm -f "$dir/last"
    root_run "$work/root" --bind "$dir:/matrix" --dir /matrix/src \
        contrib/matrix.sh --rows installed --cache /matrix > "$log" 2>&1
    rm -rf --one-file-system "$work/root"
    grep '^   ' "$log" | grep -v '^   installed: '
    if [ -r "$dir/last" ]; then
        IFS='|' read -r _ ucx rdma p f s time why < "$dir/last"
        row_done "$suite" "$ucx" "$rdma" "$p" "$f" "$s" "$time" "$why"
    else
        tail -n 20 "$log" >&2
        row_done "$suite" "$version" - 0 1 0 0 "ended in between, log: $log"
    fi
}

for row in "${rows[@]}"; do
    step "$row"
    case $row in
    installed) row_installed ;;
    1.*)       row_ucx "$row" ;;
    *)         row_root "$row" ;;
    esac
done

echo
awk -F '|' '
    BEGIN {
        line = "%-10s  %-8s  %-9s  %6s  %6s  %7s  %6s\n"
        printf line, "row", "UCX", "rdma-core", "passed", "failed", "skipped", "time"
    }
    {
        printf line, $1, $2, $3, $4, $5, $6, sprintf("%d:%02d", $7 / 60, $7 % 60)
        if ($8 != "")
            why[++n] = $1 ": " $8
        p += $4; f += $5; s += $6
    }
    END {
        for (i = 1; i <= n; ++i)
            printf "%s%s\n", i == 1 ? "\n" : "", why[i]
        printf "\n%d passed, %d failed%s\n", p, f, s ? ", " s " skipped" : ""
        exit !(p && !f)
    }' "$table"
