#!/usr/bin/env bash
# Fetches the UCX source tree of exactly the installed version, for the private
# headers that the transport is built with, and prints its directory.
#
#   contrib/ucx-headers.sh [--version VERSION] [--force]
#   contrib/ucx-headers.sh --suite SUITE --mirror URI [--which]
#
#   --suite   of the version that this release of Debian has
#   --mirror  the archive of Debian that has it
#   --which   print that version alone
#
# Source: the Debian (or Ubuntu) source package of the installed libucx0. apt
# works on a state directory of its own: its sources are the system's with
# deb-src added, the system's own lists and configuration stay as they are, and
# no privilege is needed. The tree is kept outside of the project, in
# ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/ucx-<version>; a second run only prints it.
# With a UCX that is no Debian package, use ./configure --with-ucx-src=DIR.
set -euo pipefail

die()
{
    echo "ucx-headers.sh: $*" >&2
    exit 1
}

version=
force=n
suite=
mirror=
which=n
while [ $# -gt 0 ]; do
    case $1 in
    --version) version=${2:?--version needs a value}; shift ;;
    --suite)   suite=${2:?--suite needs a value}; shift ;;
    --mirror)  mirror=${2:?--mirror needs a value}; shift ;;
    --which)   which=y ;;
    --force)   force=y ;;
    -h|--help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$1' (try --help)" ;;
    esac
    shift
done

[ -z "$suite" ] || [ -n "$mirror" ] ||
    die "--suite $suite needs the archive that has it: --mirror URI"

cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa

# shellcheck source=contrib/apt-source.sh
. "$(dirname "$0")/apt-source.sh"

# apt_suite: what --suite has
apt_suite()
{
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg

    if [ -r "$keys" ]; then
        keys="[signed-by=$keys] "
    else
        keys=
    fi
    echo "deb-src $keys$mirror $suite main" > "$sources"
}

if [ -n "$suite" ]; then
    apt_begin
    apt_suite
    apt_update
    version=$(apt_newest ucx)
    [ -n "$version" ] || {
        grep -E '^(E|W|Err)' "$work/log" | head -n 5 >&2
        die "no list of the sources of $suite at $mirror: is the network there?"
    }
fi

# The Debian version of the source package, such as 1.13.1-1.
if [ -z "$version" ]; then
    command -v dpkg-query > /dev/null ||
        die "this is no Debian system: get the source of your UCX version" \
            "yourself and give it to configure with --with-ucx-src=DIR"
    # dpkg-query replaces the ${...}, not the shell
    # shellcheck disable=SC2016
    version=$(dpkg-query -W -f '${db:Status-Status} ${source:Version}\n' \
        libucx0 2> /dev/null | sed -n 's/^installed //p') || true
    [ -n "$version" ] ||
        die "the package libucx0 is not installed: run" \
            "contrib/install-deps.sh, or give configure --with-ucx-src=DIR" \
            "for a UCX of your own"
fi
upstream=${version#*:}
upstream=${upstream%-*}
upstream=${upstream%%+*}

if [ "$which" = y ]; then
    echo "$upstream"
    exit
fi
tree=$cache/ucx-$upstream
marker=$tree/.ucx-efa-source

if [ "$force" = n ] && [ -f "$marker" ] && [ "$(cat "$marker")" = "$version" ]
then
    echo "$tree"
    exit 0
fi
# One without the marker was put there by hand, as the advice below says
if [ "$force" = n ] && [ ! -e "$marker" ] &&
   [ -r "$tree/src/uct/base/uct_iface.h" ]; then
    echo "$tree"
    exit 0
fi

echo "ucx-headers.sh: fetching the source of ucx $version" >&2
if [ -z "$suite" ]; then
    apt_begin
    apt_system
    apt_update
fi
if ! apt_download ucx "$version"; then
    tag=v${upstream//\~/-}
    die "cannot fetch the source package ucx $version. $apt_why Any of these helps:
  upgrade libucx0, if the archive has a newer version only
  copy the tree from a machine that has it to $tree
  git clone -b $tag https://github.com/openucx/ucx $tree
  configure --with-ucx-src=DIR, for a tree that you have"
fi

apt_unpack ucx
[ -r "$work/tree/src/uct/base/uct_iface.h" ] ||
    die "the source package of ucx $version has no src/uct/base/uct_iface.h"
echo "$version" > "$work/tree/.ucx-efa-source"

rm -rf "$tree"
mv "$work/tree" "$tree"
echo "$tree"
