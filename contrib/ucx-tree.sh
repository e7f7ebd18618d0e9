# shellcheck shell=bash
# Sourced by what compiles with a UCX source tree on which configure never ran.

# ucx_tree_version TREE: as 1.18.1
ucx_tree_version()
{
    sed -n 's/^.*ucx_ver_\(major\|minor\|patch\)., *\([0-9]*\)).*/\2/p' \
        "$1/configure.ac" | xargs | tr ' ' .
}

# ucx_tree_version_header TREE: what UCX's configure makes of version.h.in
ucx_tree_version_header()
{
    local major minor patch
    IFS=. read -r major minor patch <<< "$(ucx_tree_version "$1")"

    if [ -z "$patch" ]; then
        echo "cannot find UCX's version in $1/configure.ac" >&2
        return 1
    fi
    sed -e "s/@MAJOR_VERSION@/$major/g" -e "s/@MINOR_VERSION@/$minor/g" \
        -e "s/@PATCH_VERSION@/$patch/g" -e "s/@VERSION@/$major.$minor/g" \
        -e 's/@[A-Z_]*@//g' "$1/src/uct/api/version.h.in"
}
