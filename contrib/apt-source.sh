# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # apt_why and cache: of who sources this
# Sourced by what fetches source packages of Debian: a state of apt's own, which
# needs no privilege and leaves the system's lists and configuration as they are.
#
#   cache=DIR; die() ...          of who sources this: where to work, how to end
#   apt_begin; apt_system; apt_update
#   apt_newest PACKAGE            prints the newest version that there is
#   apt_download PACKAGE VERSION || die "$apt_why"      to $work/source
#   apt_unpack PACKAGE                                  to $work/tree

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
        die "no package sources in $etc: name a source tree instead"
    fi
}

# apt_update: an archive that fails (a third party's) does not matter if another
# one has the package
apt_update()
{
    apt -o Acquire::Retries=2 update > "$work/log" 2>&1 || true
}

apt_newest()
{
    apt showsrc --only-source "$1" 2>> "$work/log" |
        sed -n 's/^Version: //p' | sort -V | tail -n 1 || true
}

# apt_download PACKAGE VERSION: sets apt_why if it fails
apt_download()
{
    apt_why=
    (cd "$work/source" &&
     apt --only-source --download-only source "$1=$2") >> "$work/log" 2>&1 &&
        return
    grep -E '^(E|W|Err)' "$work/log" | head -n 5 >&2
    if grep -q 'is expired' "$work/log"; then
        apt_why="The archive's lists are too old for apt: is the clock right? is \
it a mirror that stands still?"
    elif grep -qE '^(Err|E: Failed).* 404 ' "$work/log"; then
        apt_why="The archive lists it but has not its files: a mirror that is \
not complete, or lists that are older than the archive (apt-get update)."
    else
        apt_why="Offline?"
    fi
    return 1
}

# apt_unpack PACKAGE: what apt_download brought; apt-get has checked the hashes
# against the signed list of the archive
apt_unpack()
{
    local dsc

    dsc=$(find "$work/source" -name "$1_*.dsc" | head -n 1)
    [ -n "$dsc" ] || die "apt-get source left no $1_*.dsc"
    dpkg-source --no-check -x "$dsc" "$work/tree" > "$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "cannot unpack $dsc"
    }
}
