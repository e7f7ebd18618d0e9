#!/usr/bin/env bash
# What the distribution's ibv_devinfo and ibv_devices say about Soft-EFA. They
# know nothing of it: libibverbs found the device and libefa opened it.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need ibv_devinfo ibverbs-utils
need ibv_devices ibverbs-utils

# expect NAME LINE...: the output has each line, however it is spaced
expect()
{
    local name=$1 line missing=
    shift

    for line in "$@"; do
        grep -qxF -- "$line" "$TMPDIR/squeezed" || missing="$missing [$line]"
    done
    if [ -z "$missing" ]; then
        ok "$name"
    else
        not_ok "$name" "not in the output:$missing"
        sed 's/^/    /' "$TMPDIR/devinfo"
    fi
}

# devinfo ARGS...: runs ibv_devinfo under efarun with these arguments
devinfo()
{
    local status=0

    "$EFARUN" --soft --quiet "$@" >"$TMPDIR/devinfo" 2>&1 || status=$?
    tr -s '\t ' ' ' <"$TMPDIR/devinfo" | sed 's/^ //; s/ $//' \
        >"$TMPDIR/squeezed"
    return $status
}

part=61344 # 0xefa0
for profile in efa0 efa1 efa2 efa3 efa4; do
    if devinfo --profile $profile ibv_devinfo -v; then
        expect "ibv_devinfo -v on $profile" \
            'hca_id: efa_0' 'transport: unspecified (4)' \
            'vendor_id: 0x1d0f' "vendor_part_id: $part" \
            'phys_port_cnt: 1' 'max_mr_size: 0x1800000000' \
            'page_size_cap: 0xfffff000' 'max_qp: 256' 'max_qp_wr: 4096' \
            'max_sge: 2' 'max_sge_rd: 1' 'max_cq: 512' 'max_cqe: 32768' \
            'max_mr: 262144' 'max_pd: 256' 'max_ah: 1024' 'max_srq: 0' \
            'atomic_cap: ATOMIC_NONE (0)' 'port: 1' \
            'state: PORT_ACTIVE (4)' 'max_mtu: 4096 (5)' \
            'active_mtu: 4096 (5)' 'sm_lid: 0' 'port_lid: 0' \
            'port_lmc: 0x01' 'link_layer: Unspecified' \
            'max_msg_sz: 0x22e0' 'gid_tbl_len: 1' 'pkey_tbl_len: 1'
    else
        not_ok "ibv_devinfo -v on $profile" "$(tail -n 1 "$TMPDIR/devinfo")"
    fi
    part=$((part + 1))
done

if devinfo --devices 3 ibv_devices &&
       [ "$(grep -c '^ *efa_[012] ' "$TMPDIR/devinfo")" -eq 3 ]; then
    ok "ibv_devices lists three devices"
else
    not_ok "ibv_devices lists three devices" "$(cat "$TMPDIR/devinfo")"
fi

if devinfo --devices 3 ibv_devinfo -d efa_2 &&
       grep -q 'efa_2' "$TMPDIR/devinfo" &&
       ! grep -q 'efa_0' "$TMPDIR/devinfo"; then
    ok "ibv_devinfo -d efa_2"
else
    not_ok "ibv_devinfo -d efa_2" "$(cat "$TMPDIR/devinfo")"
fi

if devinfo --devices 1 ibv_devinfo -d efa_1; then
    not_ok "there is no efa_1 among one device" "ibv_devinfo found it"
else
    ok "there is no efa_1 among one device"
fi

# A process that sleeps until its device dies, and an order from another one
export SOFTEFA_FABRIC=$SOFTEFA_FABRIC-w
"$EFARUN" --soft --quiet stdbuf -oL ibv_asyncwatch >"$TMPDIR/watch" 2>&1 &
watch=$!
until_true grep -q 'event FD' "$TMPDIR/watch"
"$EFARUN" --inject 'fatal dev=0' || not_ok "efarun --inject" "status $?"
if until_true grep -q IBV_EVENT_DEVICE_FATAL "$TMPDIR/watch"; then
    ok "ibv_asyncwatch sees a device die"
else
    not_ok "ibv_asyncwatch sees a device die" "$(tail -n 1 "$TMPDIR/watch")"
fi
kill "$watch"
wait "$watch" || true
# Who comes to a fabric of the dead and goes removes it
"$EFARUN" --inject 'return dev=0' 2>/dev/null || true

finish
