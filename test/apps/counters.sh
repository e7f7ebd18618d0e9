# shellcheck shell=bash
# Sourced after common.sh by scripts that prove that srd carried the messages:
# every process leaves its counters, which are added up.

export UCX_EFA_STATS=keep XDG_RUNTIME_DIR=$TMPDIR/segments
mkdir -p "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"

# before what is to be counted
counters_reset()
{
    rm -f "$XDG_RUNTIME_DIR"/ucx-efa.*
}

# counted NAME...: total of these over all interfaces since then
counted()
{
    local file

    for file in "$XDG_RUNTIME_DIR"/ucx-efa.*; do
        [ ! -e "$file" ] ||
            "$BUILD/src/tools/srdtool" -d --file "$file" stat show iface 2> /dev/null
    done | awk -v names=" $* " 'index(names, " " $1 " ") { sum += $2 }
                                END { printf "%.0f", sum }'
}
