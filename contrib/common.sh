# shellcheck shell=bash
# Sourced by demo.sh and check.sh: set-up and builds, each skipped when done.
# Functions return non-zero after they said why (no reliance on set -e).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A clone is used by its own; nothing of the caller's is to creep in.
unset LD_PRELOAD UCX_TLS UCX_NET_DEVICES UCX_MODULES UCX_MODULE_DIR
for variable in ${!SOFTEFA_@}; do
    unset "$variable"
done

jobs=$(nproc 2> /dev/null || echo 2)

step()
{
    printf '%s\n' "-- $*"
}

# setup_packages GROUP: what install-deps.sh calls GROUP
setup_packages()
{
    step "packages"
    "$top/contrib/install-deps.sh" "$1" || return
    step "UCX's private headers"
    ucx_src=$("$top/contrib/ucx-headers.sh") || return
}

# quietly LOG COMMAND...: output to LOG; what matters of it is shown on failure
quietly()
{
    local log=$1
    shift

    if ! "$@" > "$log" 2>&1 < /dev/null; then
        { grep -E -A 3 '(error|warning|ERROR):|undefined reference' "$log" | head -n 40 |
              grep . || tail -n 40 "$log"; } >&2
        echo "'$*' failed, log: $log" >&2
        return 1
    fi
}

setup_configure()
{
    local inputs=("$top/configure.ac" "$top"/config/m4/{common,ucx,verbs}.m4)
    local file

    while IFS= read -r file; do
        inputs+=("$file")
    done < <(find "$top/src" "$top/test" "$top/Makefile.am" -name Makefile.am)
    for file in "${inputs[@]}"; do
        if [ ! -x "$top/configure" ] || [ "$file" -nt "$top/configure" ]; then
            step "autogen"
            quietly "$1" "$top/autogen.sh" && touch "$top/configure"
            return
        fi
    done
}

# build_tree DIR [CONFIGURE ARGUMENTS]: configures once, makes what changed
build_tree()
{
    local dir=$1 arguments
    shift

    mkdir -p "$dir"
    setup_configure "$dir/autogen.log" || return
    arguments="$ucx_src $*"
    if [ ! -f "$dir/Makefile" ] || [ "$top/configure" -nt "$dir/config.status" ] ||
           [ "$(cat "$dir/.arguments" 2> /dev/null)" != "$arguments" ]; then
        step "configure in ${dir##*/}"
        rm -f "$dir/.arguments"
        (cd "$dir" &&
         quietly configure.log "$top/configure" --with-ucx-src="$ucx_src" "$@") ||
            return
        echo "$arguments" > "$dir/.arguments"
    fi
    step "make in ${dir##*/}"
    quietly "$dir/make.log" make -C "$dir" -j"$jobs"
}
