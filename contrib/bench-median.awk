# Lines of "NAME,BYTES,UNIT,VALUE", several of each: their medians, for
# bench-table.awk and bench-picture.awk.

function median(key,    n, i, v) {
    n = count[key]
    for (i = 1; i <= n; i++)
        v[i] = value[key, i]
    return middle(v, n)
}

# Of v[1] to v[n]; -1 if there are none
function middle(v, n,    i, j, t) {
    if (!n)
        return -1
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
            t = v[j]
            v[j] = v[j - 1]
            v[j - 1] = t
        }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# The median of each round's ratio: a virtual machine's two processors may be
# near each other in one round and far in the next. -1 if one was not measured.
function ratio(a, b,    n, i, v) {
    n = count[a]
    if (!n || !count[b])
        return -1
    if (n != count[b])
        return median(b) > 0 ? median(a) / median(b) : -1
    for (i = 1; i <= n; i++) {
        if (value[b, i] <= 0)
            return -1
        v[i] = value[a, i] / value[b, i]
    }
    return middle(v, n)
}

# human(8), human(65536): 8 B, 64 KB
function human(bytes) {
    if (bytes >= 1048576 && bytes % 1048576 == 0)
        return bytes / 1048576 " MB"
    if (bytes >= 1024 && bytes % 1024 == 0)
        return bytes / 1024 " KB"
    return bytes " B"
}

{
    key = $1 "," $2
    value[key, ++count[key]] = $4
    unit[key] = $3
    if (count[key] == 1)
        order[++keys] = key
    if ($1 ~ /_(lat|bw)$/ && !size_seen[$2]++) {
        for (i = ++sizes; i > 1 && size[i - 1] + 0 > $2 + 0; i--)
            size[i] = size[i - 1]
        size[i] = $2
    }
}
