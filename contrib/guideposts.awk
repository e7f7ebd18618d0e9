# The judgement of contrib/guideposts.sh: "FILE:LINE: text" in, findings out.

function read_set(file, set,    line)
{
    while ((getline line < file) > 0) {
        sub(/[ \t]*#.*/, "", line)
        if (line != "") {
            set[line] = 1
        }
    }
    close(file)
}

# A shell's pattern as a regular expression
function pattern(glob)
{
    gsub(/[.+?()|^$]/, "\\\\&", glob)
    gsub(/\*/, "[^/ ]*", glob)
    return glob
}

# Is one of the set, whose name is kind, like that?
function matches(regex, set, kind,    key)
{
    if ((kind, regex) in known) {
        return known[kind, regex]
    }
    for (key in set) {
        if (key ~ regex) {
            return known[kind, regex] = 1
        }
    }
    return known[kind, regex] = 0
}

function finding(word, why)
{
    if (!(word in foreign)) {
        print place ": " word ": " why
        findings++
    }
}

# a{b,c}d: each of them
function is_file(name,    head, tail, n, part, i)
{
    if (match(name, /\{[^}]*\}/)) {
        head = substr(name, 1, RSTART - 1)
        tail = substr(name, RSTART + RLENGTH)
        n = split(substr(name, RSTART + 1, RLENGTH - 2), part, ",")
        for (i = 1; i <= n; i++) {
            if (!is_file(head part[i] tail)) {
                return 0
            }
        }
        return 1
    }
    sub(/^(\.\.?\/)+/, "", name)
    sub(/^\/+/, "", name)
    return matches("(^|/)" pattern(name) "$", files, "files")
}

function judge_file(word)
{
    # not the ends of several names that begin alike
    if (word !~ /^[._]/ && word ~ /[A-Za-z0-9*}]\.(c|h|cc|sh|md|am|m4|py|awk|rules)$/ &&
        !is_file(word)) {
        finding(word, "there is no such file")
    }
}

function judge_name(word)
{
    if (word ~ /^(uct_srd|uct_efa|efa_window|softefa|srdtool|doctor)_[a-z0-9_]+$/ &&
        !(word in identifiers) &&
        !matches("(^|/)" word "(\\.[a-z]+)?$", files, "files") &&
        (word !~ /_$/ || !matches("^" word, identifiers, "identifiers"))) {
        finding(word, "no code has it")
    }
}

function judge_option(word)
{
    if (word ~ /^(UCX_SRD|UCX_EFA|SOFTEFA|EFARUN)_[A-Z0-9_]+$/ &&
        !(word in options) && !(word in identifiers) &&
        (word !~ /_$/ || (!matches("^" word, options, "options") &&
                          !matches("^" word, identifiers, "identifiers")))) {
        finding(word, "no man page has it")
    }
}

function judge_test(word,    part)
{
    if (place ~ /\.md:/ && split(word, part, ".") == 2 && part[1] in groups && part[2] != "" &&
        part[2] !~ /^(c|h|cc|sh|md|py)$/ &&
        !matches("^" pattern(word) "$", tests, "tests")) {
        finding(word, "there is no such test")
    }
}

function judge_suite(word)
{
    if (word != "" && !(word in suites) && !matches("^" word "-", suites, "suites")) {
        finding(word, "there is no such suite")
    }
}

# What stands behind a program, up to the end of the code or of the sentence
function judge_arguments(text,    program, rest, n, word, i)
{
    while (match(text, /(contrib\/[a-z-]+\.sh|(^|[ `])(efarun|srdtool)) [^`|;:>#]*/)) {
        rest = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/^[ `]/, "", rest)
        n = split(rest, word, /[ ,=]+/)
        program = word[1]
        if (program ~ /\// && !(program in files)) {
            continue
        }
        for (i = 2; i <= n; i++) {
            # another program, with arguments of its own
            if (word[i] !~ /^-/ && program == "efarun") {
                break
            }
            if (word[i] ~ /^--[a-z][a-z-]*$/ &&
                !((program " " word[i]) in arguments)) {
                finding(word[i], program " has no such argument")
            }
        }
    }
}

BEGIN {
    read_set(dir "/files", files)
    read_set(dir "/arguments", arguments)
    read_set(dir "/identifiers", identifiers)
    read_set(dir "/options", options)
    read_set(dir "/suites", suites)
    read_set(dir "/tests", tests)
    read_set(foreign_file, foreign)
    for (key in tests) {
        sub(/\..*/, "", key)
        groups[key] = 1
    }
}

{
    match($0, /^[^:]*:[0-9]*/)
    place = substr($0, 1, RLENGTH)
    text = substr($0, RLENGTH + 2)

    rest = text
    while (match(rest, /(SUITES="?[a-z0-9][a-z0-9 -]*|[Tt]he suite `[a-z0-9-]+`)/)) {
        list = substr(rest, RSTART, RLENGTH)
        quoted = list ~ /"|`/
        rest = substr(rest, RSTART + RLENGTH)
        gsub(/SUITES="?|[Tt]he suite `|`/, "", list)
        n = split(list, names, " ")
        for (i = 1; i <= (quoted ? n : 1); i++) {
            judge_suite(names[i])
        }
    }

    # the system's and UCX's own
    gsub(/<[^>]*>/, " ", text)
    if (place ~ /\.md:/) {
        judge_arguments(text)
    }
    gsub(/[^A-Za-z0-9_.*{},\/+-]/, " ", text)
    n = split(text, words, " ")
    for (i = 1; i <= n; i++) {
        word = words[i]
        gsub(/^[,-]+|[.,-]+$/, "", word)
        if (word ~ /\{/ || word !~ /,/) {
            judge_file(word)
            judge_test(word)
        } else {
            m = split(word, part, ",")
            for (j = 1; j <= m; j++) {
                judge_file(part[j])
                judge_test(part[j])
            }
        }
        gsub(/[^A-Za-z0-9_]/, " ", word)
        m = split(word, part, " ")
        for (j = 1; j <= m; j++) {
            judge_name(part[j])
            judge_option(part[j])
        }
    }
}

END {
    printf "guideposts.sh: %d lines, %d findings\n", NR, findings
    exit findings > 0
}
