# Lines of "NAME,BYTES,UNIT,VALUE", several of each: their medians, for
# bench-table.awk and bench-picture.awk.

function median(key,    n, i, j, t, v) {
    n = count[key]
    if (!n)
        return -1
    for (i = 1; i <= n; i++)
        v[i] = value[key, i]
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
            t = v[j]
            v[j] = v[j - 1]
            v[j - 1] = t
        }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# -1 if one of them was not measured
function ratio(a, b) {
    return (median(a) < 0 || median(b) <= 0) ? -1 : median(a) / median(b)
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
