# Compares two files of lines "TYPE, member, offset, size, declaration" (with tabs,
# contrib/abi-layouts.awk makes them) and prints what differs. The status is 1 if
# something does. For contrib/abi-watch.sh.

BEGIN { FS = "\t" }

# The first file; the second
FNR == 1   { ++file }
           { key = $1 SUBSEP $2 }
file == 1  { if (!($1 in old_type)) { order[++types] = $1 }
             old_type[$1]; old[key] = $3 FS $4 FS $5
             old_members[$1] = old_members[$1] SUBSEP $2 }
file == 2  { if (!($1 in old_type) && !($1 in new_type)) { order[++types] = $1 }
             new_type[$1]; new[key] = $3 FS $4 FS $5
             new_members[$1] = new_members[$1] SUBSEP $2 }

function say(text)
{
    out = out "    " text "\n"
}

function described(value,    field)
{
    split(value, field, FS)
    if (field[1] == "") {
        return field[3]
    }
    return "at " field[1] ", " field[2] " bytes: " field[3]
}

function compare(type,    n, part, i, member, key, was, is)
{
    n = split(substr(old_members[type], 2), part, SUBSEP)
    for (i = 1; i <= n; ++i) {
        member = part[i]
        key = type SUBSEP member
        if (!(key in new)) {
            say("- " member "  " described(old[key]))
            continue
        }
        if (old[key] == new[key]) {
            continue
        }
        split(old[key], was, FS)
        split(new[key], is, FS)
        if (member == "(size)") {
            title = "  " was[2] " -> " is[2] " bytes"
        } else if (was[1] == is[1] && was[2] == is[2]) {
            say("~ " (member == "(is)" ? "" : member "  ") was[3] " -> " is[3])
        } else {
            say("~ " member "  at " was[1] \
                (was[1] == is[1] ? "" : " -> " is[1]) \
                (was[2] == is[2] ? "" : ", " was[2] " -> " is[2] " bytes"))
        }
    }
    n = split(substr(new_members[type], 2), part, SUBSEP)
    for (i = 1; i <= n; ++i) {
        key = type SUBSEP part[i]
        if (!(key in old)) {
            say("+ " part[i] "  " described(new[key]))
        }
    }
}

END {
    for (i = 1; i <= types; ++i) {
        type = order[i]
        out = title = ""
        if (!(type in new_type)) {
            title = "  gone"
        } else if (!(type in old_type)) {
            title = "  new"
        } else {
            compare(type)
        }
        if (title != "" || out != "") {
            printf "%s%s\n%s", type, title, out
            ++differ
        }
    }
    printf "%d of %d differ\n", differ, types
    exit differ > 0
}
