#!/usr/bin/env bash
# contrib/abi-watch.sh finds no difference between a tree and a copy of it, and
# in a changed copy exactly what was changed.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

watch=$TOP/contrib/abi-watch.sh
tree=$TMPDIR/ucx
source=$(sed -n 's/^UCX_SRC = //p' "$BUILD/Makefile")

need gdb gdb
need gcc gcc

# Headers, and what says the version
copy_tree()
{
    mkdir "$tree"
    (cd "$source" && find src -name '*.h' -o -name '*.inl' -o -name version.h.in) |
        tar -C "$source" -cf - -T - configure.ac | tar -C "$tree" -xf -
}

# watch_tree STATUS [ARGUMENT...]: its output to $TMPDIR/out
watch_tree()
{
    local wanted=$1 status=0
    shift

    "$watch" --build "$BUILD" "$@" > "$TMPDIR/out" 2>&1 < /dev/null || status=$?
    if [ "$status" != "$wanted" ]; then
        echo "status $status, not $wanted"
        cat "$TMPDIR/out"
        return 1
    fi
}

same()
{
    watch_tree 0 "$tree" && grep -x '0 of [0-9]\{3,\} differ' "$TMPDIR/out"
}

# A member before others; an enumerator; a parameter of a function; a macro, and with
# it the size of an array
changed()
{
    local line

    sed -i 's/^typedef struct uct_tl {/&\n    long abi_added;/' \
        "$tree/src/uct/base/uct_iface.h"
    sed -i 's/^    UCT_ALLOC_METHOD_THP,/    UCT_ALLOC_METHOD_ADDED,\n&/' \
        "$tree/src/uct/api/uct.h"
    sed -i 's/\(void ucs_arbiter_init(ucs_arbiter_t \*arbiter\));/\1, int added);/' \
        "$tree/src/ucs/datastruct/arbiter.h"
    sed -i 's/^\(#define UCT_COMPONENT_NAME_MAX\) .*/\1 17/' \
        "$tree/src/uct/api/uct_def.h"

    watch_tree 1 "$tree" || return
    for line in '^struct uct_tl  [0-9]* -> [0-9]* bytes' \
        '^    + abi_added  at 0, 8 bytes: long abi_added' \
        '^    ~ name  at 0 -> 8' \
        '^    + UCT_ALLOC_METHOD_ADDED' \
        '^macro UCT_COMPONENT_NAME_MAX$' '^    ~ UCT_COMPONENT_NAME_MAX  *16 ->' \
        '^    ~ component_name  at .*, 16 -> 17 bytes' \
        '^function ucs_arbiter_init$' \
        '^    ~ void ucs_arbiter_init (ucs_arbiter_t \*) -> .*, int)'; do
        grep -q -- "$line" "$TMPDIR/out" && continue
        echo "not said: $line"
        cat "$TMPDIR/out"
        return 1
    done
}

# What else has these within: nothing that the transport shares
only_that()
{
    if grep -E '^[a-z]' "$TMPDIR/out" |
        grep -vxE \
            '(struct uct_(tl|component|md_attr|base_iface)|uct_(alloc_method|md_attr_v2)_t|macro UCT_C.*|function ucs_arbiter_init)( .*)?'
    then
        cat "$TMPDIR/out"
        return 1
    fi
}

# refused TEXT ARGUMENT...
refused()
{
    local text=$1
    shift

    watch_tree 2 "$@" && grep "^abi-watch.sh: .*$text" "$TMPDIR/out"
}

copy_tree
check "a copy is the same" same
check "what was changed is named" changed
check "nothing else is named" only_that
check "a directory without UCX" refused "no UCX source tree in" "$TMPDIR"
check "no tree is given" refused "which UCX_TREE"
check "a build that is not there" refused "has no libefasrd" \
    --build "$TMPDIR/nothing" "$tree"

finish
