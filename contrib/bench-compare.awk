# Two files of "NAME:PART,BYTES,instr,NUMBER", before and after: a table of both,
# one line for an operation. The status is 1 if what the sender's and the
# receiver's software executes (transport, ucx, libefa), or the device (device,
# libc), became more than `limit` percent worse. What moves from one library to
# another is not. An instruction or two are within what counting tells apart.

function number(x) {
    return sprintf(x < 9.95 ? "%.1f" : "%.0f", x)
}

function pair(a, b) {
    a = number(a)
    b = number(b)
    return a == b ? b : a " > " b
}

function change(a, b) {
    if (a < 0.05)
        return 0
    return b - a < 1 && a - b < 1 ? 0 : (b - a) / a * 100
}

function percent(x) {
    return sprintf("%+.1f %%", x)
}

function sum(file, name, parts,    list, i, n, s) {
    n = split(parts, list, " ")
    for (i = 1; i <= n; i++)
        s += value[file, name, list[i]]
    return s
}

FNR == 1 { ++file }
{
    value[file, $1, $2] = $5
    known[file, $1] = 1
    bytes[$1] = $3
    if (!($1 in seen)) {
        seen[$1] = 1
        order[++names] = $1
    }
}
END {
    columns = split("transport ucx libefa device libc", part, " ")
    software = "transport ucx libefa"
    device = "device libc"
    format = "| %-17s | %5s | %-11s | %-9s | %-10s | %-11s | %-10s |" \
             " %-9s | %-9s |\n"

    printf format, "operation", "bytes", "transport", "ucx", "libefa",
           "device", "libc", "software", "device"
    print "|-------------------|-------|-------------|-----------|" \
          "------------|-------------|------------|-----------|-----------|"
    for (i = 1; i <= names; i++) {
        name = order[i]
        if (!known[1, name] || !known[2, name]) {
            one = known[1, name] ? 1 : 2
            printf format, name, bytes[name],
                   number(value[one, name, "transport"]),
                   number(value[one, name, "ucx"]),
                   number(value[one, name, "libefa"]),
                   number(value[one, name, "device"]),
                   number(value[one, name, "libc"]),
                   one == 1 ? "gone" : "new", ""
            continue
        }
        for (k = 1; k <= columns; k++)
            cell[k] = pair(value[1, name, part[k]], value[2, name, part[k]])
        ours = change(sum(1, name, software), sum(2, name, software))
        theirs = change(sum(1, name, device), sum(2, name, device))
        printf format, name, bytes[name], cell[1], cell[2], cell[3], cell[4],
               cell[5], percent(ours), percent(theirs)
        if (ours > limit)
            why = why sprintf("%s: transport, ucx and libefa %s\n", name,
                              percent(ours))
        if (theirs > limit)
            why = why sprintf("%s: device and libc %s\n", name,
                              percent(theirs))
    }
    if (!names)
        why = "nothing was counted\n"
    if (why == "") {
        printf "Nothing needs more than %g %% more\n", limit
        exit 0
    }
    printf "\nMore than %g %% worse:\n%s", limit, why
    print "If that is what the change is worth, say so in its commit message:"
    print "a line such as \"Instructions: +3 % because ...\""
    exit 1
}
