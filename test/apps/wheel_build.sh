# shellcheck shell=bash
# Sourced after common.sh by scripts that run our wheel for Python.
#
#   UCX_SOURCES   directory with UCX's sources as ucx-1.18.1 (default: the cache of
#                 contrib/ucx-headers.sh)
#   WHEEL         a wheel that is there already

wheel_sources=${UCX_SOURCES:-${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa}

# wheel_build VERSION...: sets WHEEL, with a transport for each of these versions of
# UCX that there are sources of. Fails after it said why.
wheel_build()
{
    local version modules=()

    if [ -z "${WHEEL:-}" ]; then
        for version in "$@"; do
            [ ! -d "$wheel_sources/ucx-$version/src" ] ||
                modules+=("$version=$wheel_sources/ucx-$version")
        done
        # No limit: some minutes for each version
        if ! "$TOP/contrib/wheel.sh" --out "$TMPDIR/out" \
            --work "$BUILD/wheel" "${modules[@]}" > "$TMPDIR/log" 2>&1; then
            not_ok "the wheel is built" "$(tail -n 3 "$TMPDIR/log")"
            return 1
        fi
        WHEEL=$(echo "$TMPDIR"/out/*.whl)
    fi
    ok "the wheel is built"
    python3 -m zipfile -l "$WHEEL" > "$TMPDIR/wheel.list"
}

# wheel_has VERSION: is there a transport for this UCX in the wheel?
wheel_has()
{
    grep -q "/libefasrd-${1%.*}\.so " "$TMPDIR/wheel.list"
}
