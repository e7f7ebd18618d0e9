# What gdb prints for "ptype/o" and "ptype", as a line for each member:
#
#   TYPE <tab> member <tab> offset <tab> size <tab> declaration
#
# The size of the whole has the member "(size)", what is no structure the member
# "(is)". Members of a nested structure
# that has no tag are called OUTER.INNER; of one that has a tag, which is a TYPE
# of its own, only the whole is a member. For contrib/abi-watch.sh.

function emit(member, offset, size, text)
{
    ++lines
    name[lines] = member
    rest[lines] = offset "\t" size "\t" text
}

# name_of DECLARATION: "int (*f)(int)", "char a[3]", "unsigned b : 3", "x_t *p"
function name_of(text)
{
    if (match(text, /\(\*+[A-Za-z0-9_]+/)) {
        text = substr(text, RSTART, RLENGTH)
    } else {
        sub(/ : [0-9]+$/, "", text)
        sub(/(\[[0-9]*\])+$/, "", text)
        match(text, /[A-Za-z0-9_]+$/)
        text = substr(text, RSTART, RLENGTH)
    }
    gsub(/[^A-Za-z0-9_]/, "", text)
    return text
}

function end_type(    i)
{
    for (i = 1; i <= lines; ++i) {
        print type "\t" name[i] "\t" rest[i]
    }
    lines = depth = hidden = 0
}

# enumerators LIST: those without a value follow the one before
function enumerators(list,    n, part, i, value, pair)
{
    value = 0
    n = split(list, part, /, /)
    for (i = 1; i <= n; ++i) {
        split(part[i], pair, / = /)
        value = part[i] ~ / = / ? pair[2] : value
        emit(pair[1], "", "", value)
        ++value
    }
}

/^type (struct|union|enum)? ?[A-Za-z0-9_]+$/ {
    end_type()
    type = substr($0, 6)
    next
}

# gdb 18, unlike 13, gives each enumerator a line
/^type = enum .*{$/ {
    enum_lines = $0
    next
}

enum_lines != "" {
    sub(/^ +/, enum_lines ~ /{$/ ? "" : " ")
    enum_lines = enum_lines $0
    if (!/^ ?}/) {
        next
    }
    sub(/,? ?}/, "}", enum_lines)
    $0 = enum_lines
    enum_lines = ""
}

/^type = enum .*}$|^type = enum {.*}$/ {
    sub(/^[^{]*{/, "")
    sub(/}.*/, "")
    enumerators($0)
    next
}

# A type of functions
/^type = / && !/{$/ {
    sub(/^type = /, "")
    gsub(/enum {[^}]*}/, "enum {...}")
    emit("(is)", "", "", $0)
    next
}

/total size \(bytes\):/ {
    if (depth == 0) {
        emit("(size)", "", $(NF - 1), "")
    }
    next
}

# The end of a nested structure, which says its name
depth > 0 && /^ +} ?[^ ]*;$/ {
    text = $0
    sub(/^ +} ?/, "", text)
    sub(/;$/, "", text)
    member = text == "" ? "" : name_of(text)
    if (tag[depth] != "") {
        --hidden
        if (!hidden) {
            emit(member, at[depth], bytes[depth], tag[depth])
        }
    } else if (!hidden && member != "") {
        for (i = first[depth] + 1; i <= lines; ++i) {
            name[i] = member "." name[i]
        }
    }
    --depth
    next
}

# "/* 8 | 16 */ long b;", "/* 40: 3 | 4 */ unsigned b : 5;", in a union "/* 4 */"
/^\/\* +[0-9]/ && !/type = / {
    end = index($0, "*/")
    split(substr($0, 3, end - 3), number, "|")
    offset = number[1]
    size = number[2]
    if (substr($0, 3, end - 3) !~ /\|/) {
        size = offset
        offset = at[depth]
    }
    gsub(/ /, "", offset)
    gsub(/ /, "", size)
    text = substr($0, end + 2)
    sub(/^ +/, "", text)

    if (text ~ /{$/) {
        ++depth
        at[depth] = offset
        bytes[depth] = size
        first[depth] = lines
        tag[depth] = ""
        if (text ~ /^(struct|union) [A-Za-z0-9_]+ {$/) {
            tag[depth] = substr(text, 1, length(text) - 2)
            ++hidden
        }
    } else if (!hidden) {
        sub(/;$/, "", text)
        emit(name_of(text), offset, size, text)
    }
}

END { end_type() }
