# callgrind's file: instructions by who executes them, of which `num` operations
# were done: a line "KEY:PART,BYTES,instr,NUMBER" for each part.

# object(LINE): ob= and cob= name one, "(ID) FILE" at first and "(ID)" later
function object(s,    id) {
    sub(/^[^=]*=/, "", s)
    id = s
    sub(/ .*/, "", id)
    if (s ~ / /) {
        sub(/^[^ ]* /, "", s)
        sub(/.*\//, "", s)
        path[id] = s
    }
    return path[id]
}

function part_of(file) {
    # ours; UCX's own srd
    if (file ~ /^lib(efasrd|uct_ib_efa|uct_ib)[-.]/)
        return "transport"
    if (file ~ /^lib(uct|ucs)[-.]/)
        return "ucx"
    if (file ~ /^lib(efa|ibverbs)[-.]/)
        return "libefa"
    if (file ~ /^libsoftefa[-.]/)
        return "device"
    if (file ~ /^(libc|ld-linux.*)[-.]/)
        return "libc"
    return ""
}

/^ob=/      { part = part_of(object($0)); next }
/^cob=/     { object($0); next }
# announces a line of inclusive cost, which is the callee's
/^calls=/   { skip = 1; next }
/^[+*0-9-]/ { if (skip) skip = 0; else sum[part] += $2 }

END {
    n = split("transport ucx libefa device libc", parts, " ")
    for (i = 1; i <= n; i++)
        printf "%s:%s,%d,instr,%.1f\n", key, parts[i], bytes,
               sum[parts[i]] / num
}
