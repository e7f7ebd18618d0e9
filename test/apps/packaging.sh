#!/usr/bin/env bash
# Debian's packages and the spec file say what the product has: its version, and
# each file that `make install` installs in one package, none that it does not.
# contrib/packages.sh and contrib/rpm.sh build and install them.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

spec=$TOP/contrib/ucx-efa.spec
version=$(sed -n 's/^AC_INIT(\[ucx-efa\], \[\(.*\)\])/\1/p' "$TOP/configure.ac")

# same_version FILE VERSION
same_version()
{
    if [ -n "$version" ] && [ "$2" = "$version" ]; then
        ok "$1: version $version"
    else
        not_ok "$1: version" "configure.ac has ${version:-none}, $1 ${2:-none}"
    fi
}

# same_files WHAT: the files of TMPDIR/patterns are those of TMPDIR/files
same_files()
{
    local pattern file missing='' absent='' twice='' count number=0

    while read -r file; do
        count=0
        while read -r pattern; do
            # shellcheck disable=SC2053 # a pattern
            [[ $file != $pattern ]] || count=$((count + 1))
        done < "$TMPDIR/patterns"
        number=$((number + 1))
        [ $count != 0 ] || missing+=" $file"
        [ $count -lt 2 ] || twice+=" $file"
    done < "$TMPDIR/files"
    while read -r pattern; do
        while read -r file; do
            # shellcheck disable=SC2053
            [[ $file != $pattern ]] || continue 2
        done < "$TMPDIR/files"
        absent+=" $pattern"
    done < "$TMPDIR/patterns"

    if [ $number = 0 ]; then
        not_ok "$1: files" "make install installs none"
    elif [ -n "$missing$absent$twice" ]; then
        not_ok "$1: files" "in no package:${missing:- none}; in two:${twice:- \
none}; not installed:${absent:- none}"
    else
        ok "$1: files ($number)"
    fi
}

if [ ! -d "$TOP/debian" ]; then
    skip packaging "debian/ is in the repository, not in its tar file"
    finish
    exit
fi

same_version debian/changelog \
    "$(sed -n '1s/^ucx-efa (\(.*\)-[^-]*) .*/\1/p' "$TOP/debian/changelog")"
same_version "${spec#"$TOP/"}" "$(sed -n 's/^Version: *//p' "$spec")"
same_version "the last entry of its %changelog" \
    "$(sed -n 's/^\* .* - \(.*\)-[^-]*$/\1/p' "$spec" | head -n 1)"

# Below /usr and in lib. Without libtool's files and the link for linking, which
# both remove
prefix=$(sed -n 's/^prefix = //p' "$BUILD/Makefile")
if ! limited make -C "$BUILD" install DESTDIR="$TMPDIR/stage" \
    > "$TMPDIR/make" 2>&1; then
    not_ok "make install" "$(tail -n 1 "$TMPDIR/make")"
    finish
    exit
fi
(cd "$TMPDIR/stage$prefix" && find . ! -type d -printf 'usr/%P\n') |
    grep -vE '\.la$|/libuct_efasrd\.so$' |
    sed -E 's,^usr/lib(64|/[^/]+-linux-gnu)/,usr/lib/,' > "$TMPDIR/files"

# dh_install's lists, pages, and what another tool of debhelper installs
{
    cat "$TOP"/debian/*.install
    sed -E 's,^man/(.*\.([0-9]))$,usr/share/man/man\2/\1,' \
        "$TOP"/debian/*.manpages
    grep -v /man/ "$TOP/debian/not-installed"
} | sed 's,^usr/lib/\*/,usr/lib/,' > "$TMPDIR/patterns"
same_files Debian

# %doc and %license, in the spec file
grep -v /doc/ "$TMPDIR/files" > "$TMPDIR/rest"
mv "$TMPDIR/rest" "$TMPDIR/files"
sed -n '/^%files/,/^%changelog/p' "$spec" | grep '^%{' |
    sed -e 's,%{_libdir},usr/lib,' -e 's,%{ucx_dir},usr/lib/ucx,' \
        -e 's,%{_bindir},usr/bin,' -e 's,%{_includedir},usr/include,' -e 's,%{_mandir},usr/share/man,' \
        -e 's,%{_datadir},usr/share,' > "$TMPDIR/patterns"
same_files RPM

finish
