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

# apt_begin: a state of apt's own, whose sources are in the file $sources and in
# $work/parts
apt_begin()
{
    for tool in apt-get dpkg-source; do
        command -v $tool > /dev/null ||
            die "$tool is missing: run contrib/install-deps.sh (package dpkg-dev)"
    done

    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT

    # apt's sandbox user must reach the state when root runs this
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" \
        "$work/parts" "$work/source"
    if [ "$(id -u)" = 0 ] && id _apt > /dev/null 2>&1; then
        sandbox=(-o APT::Sandbox::User=root)
    else
        sandbox=()
    fi
    sources=$work/sources.list
    : > "$sources"
}

# apt COMMAND...: of apt-get
apt()
{
    local tool=apt-get

    [ "$1" != showsrc ] || tool=apt-cache
    "$tool" -q -o Dir::State="$work/state" -o Dir::State::lists="lists" \
        -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::Cache="$work/cache" \
        -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts="$work/parts" \
        -o APT::Get::List-Cleanup=false \
        -o Acquire::Languages=none \
        "${sandbox[@]}" "$@"
}

# apt_system: the system's sources, of both formats, as sources of source
# packages. Only what can hold ucx: archives of other suppliers are left out.
apt_system()
{
    local etc=/etc/apt file

    for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        sed -n -E 's/^[[:space:]]*deb[[:space:]]+/deb-src /p' "$file" >> "$sources"
    done
    for file in "$etc"/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        # a stanza at a time: Types becomes deb-src, Architectures has no meaning
        awk 'BEGIN { RS = ""; ORS = "\n\n" }
             {
                 out = ""; skip = 0
                 n = split($0, line, "\n")
                 for (i = 1; i <= n; ++i) {
                     low = tolower(line[i])
                     if (low ~ /^enabled:[ \t]*(no|false|0)/) skip = 1
                     if (low ~ /^#/ || low ~ /^architectures:/) continue
                     if (low ~ /^types:/) line[i] = "Types: deb-src"
                     out = out line[i] "\n"
                 }
                 if (!skip) print out
             }' "$file" > "$work/parts/$(basename "$file")"
    done
    if [ ! -s "$sources" ] && ! ls "$work"/parts/*.sources > /dev/null 2>&1; then
        die "no package sources in $etc: give configure --with-ucx-src=DIR"
    fi
}

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
    apt -o Acquire::Retries=2 update > "$work/log" 2>&1 || true
    version=$(apt showsrc --only-source ucx 2>> "$work/log" |
        sed -n 's/^Version: //p' | sort -V | tail -n 1) || true
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
    # One that fails (a third party's) does not matter if ucx is found
    apt -o Acquire::Retries=2 update > "$work/log" 2>&1 || true
fi
if ! (cd "$work/source" &&
      apt --only-source --download-only source "ucx=$version") \
      >> "$work/log" 2>&1; then
    grep -E '^(E|W|Err)' "$work/log" | head -n 5 >&2
    why="Offline?"
    if grep -q 'is expired' "$work/log"; then
        why="The archive's lists are too old for apt: is the clock right? is \
it a mirror that stands still?"
    elif grep -qE '^(Err|E: Failed).* 404 ' "$work/log"; then
        why="The archive lists it but has not its files: a mirror that is \
not complete, or lists that are older than the archive (apt-get update)."
    fi
    tag=v${upstream//\~/-}
    die "cannot fetch the source package ucx $version. $why Any of these helps:
  upgrade libucx0, if the archive has a newer version only
  copy the tree from a machine that has it to $tree
  git clone -b $tag https://github.com/openucx/ucx $tree
  configure --with-ucx-src=DIR, for a tree that you have"
fi

dsc=$(find "$work/source" -name 'ucx_*.dsc' | head -n 1)
[ -n "$dsc" ] || die "apt-get source left no ucx_*.dsc"
# apt-get has checked the hashes against the signed list of the archive
dpkg-source --no-check -x "$dsc" "$work/tree" > "$work/log" 2>&1 || {
    cat "$work/log" >&2
    die "cannot unpack $dsc"
}
[ -r "$work/tree/src/uct/base/uct_iface.h" ] ||
    die "the source package of ucx $version has no src/uct/base/uct_iface.h"
echo "$version" > "$work/tree/.ucx-efa-source"

rm -rf "$tree"
mv "$work/tree" "$tree"
echo "$tree"
