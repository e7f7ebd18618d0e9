# The judgement of contrib/layers.sh, which makes the facts that this reads.

function fail(text)
{
    print text
    failures++
}

function die(text)
{
    print "layers.sh: " rules ": " text > "/dev/stderr"
    status = 2
    exit 2
}

function dirname(path)
{
    return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "."
}

function basename(path)
{
    sub(/.*\//, "", path)
    return path
}

# a/b/../c is a/c
function normal(path)
{
    gsub(/\/\.\//, "/", path)
    while (match(path, /[^\/]+\/\.\.\//)) {
        path = substr(path, 1, RSTART - 1) substr(path, RSTART + RLENGTH)
    }
    return path
}

# As the rules write it: without the tree, in lines about this tree
function short(folder, tree)
{
    return home[folder] == tree ? short_of[folder] : folder
}

function in_tree(tree, folder)
{
    if (folder ~ /^\//) {
        return substr(folder, 2)
    }
    return folder == "." ? tree : tree "/" folder
}

function read_rules(    line, n, words, tree, key, rest, i, j, k)
{
    while ((n = (getline line < rules)) > 0) {
        sub(/#.*/, "", line)
        if (line !~ /[^ \t]/) {
            continue
        }
        n = split(line, words, /[ \t]+/)
        if (words[1] == "tree") {
            tree = words[2]
            trees[tree] = 1
        } else if (tree == "") {
            die("'" line "' stands before the first tree")
        } else if (words[1] == "upcalls") {
            continue
        } else if (words[1] == "never") {
            for (i = 3; i <= n; i++) {
                never[tree "/" words[2], words[i]] = 1
            }
        } else if (words[1] == "without") {
            for (i = 3; i <= n; i++) {
                without[in_tree(tree, words[2]) "\t" words[i]] = 1
            }
        } else if (words[1] == "libc") {
            for (i = 2; i <= n; i++) {
                libc[tree "/" words[i]] = 1
            }
        } else if (words[1] == "circle") {
            read_circle(tree, line)
        } else if (words[1] ~ /:$/) {
            key = words[1]
            sub(/:$/, "", key)
            rest = key
            key = in_tree(tree, key)
            short_of[key] = rest
            home[key] = tree
            if (key in floors) {
                die(key " is there twice")
            }
            floors[key] = line
            for (i = 2; i <= n; i++) {
                if (words[i] != "") {
                    below[key, in_tree(tree, words[i])] = 1
                    named[in_tree(tree, words[i])] = key
                }
            }
        } else {
            die("cannot read '" line "'")
        }
    }
    if (n < 0) {
        die("cannot be read")
    }
    for (key in named) {
        if (!(key in floors) && (key ~ ("^" home[named[key]] "/") ||
                                 tree_of(key "/") != "")) {
            die(named[key] " names " key ", which has no line of its own")
        }
    }
    for (k in floors) {
        for (i in floors) {
            for (j in floors) {
                if (((i, k) in below) && ((k, j) in below)) {
                    below[i, j] = 1
                }
            }
        }
    }
    for (i in floors) {
        if ((i, i) in below) {
            die(i " is below itself")
        }
    }
}

# circle FILE FILE...: REASON
function read_circle(tree, line,    n, words, i, key, reason)
{
    reason = line
    if (!sub(/^[^:]*:[ \t]*/, "", reason) || reason == "") {
        die("'" line "' has no reason")
    }
    sub(/:.*/, "", line)
    n = split(line, words, /[ \t]+/)
    delete members
    for (i = 2; i <= n; i++) {
        if (words[i] != "") {
            members[tree "/" words[i]] = 1
        }
    }
    circles[sorted(members)] = reason
}

# The keys of a set, in alphabetical order
function sorted(set,    key, n, list, i, j, text)
{
    n = 0
    for (key in set) {
        for (i = ++n; i > 1 && list[i - 1] > key; i--) {
            list[i] = list[i - 1]
        }
        list[i] = key
    }
    text = ""
    for (j = 1; j <= n; j++) {
        text = text (j > 1 ? " " : "") list[j]
    }
    return text
}

function tree_of(path)
{
    for (path = dirname(path); path != "."; path = dirname(path)) {
        if (path in trees) {
            return path
        }
    }
    return ""
}

# "" if the rules do not know it: a new folder gets no floor by accident.
function folder_of(path)
{
    path = dirname(path)
    return path in floors ? path : ""
}

# The file that an include means, "" if none of these trees
function resolve(path, name, quote,    try, found, file)
{
    if (quote == "\"") {
        try = normal(dirname(path) "/" name)
        if (try in files) {
            return try
        }
    }
    try = normal(tree_of(path) "/" name)
    if (try in files) {
        return try
    }
    try = normal("src/" name)
    if (try in files) {
        return try
    }
    if (quote != "\"") {
        return ""
    }
    found = ""
    for (file in files) {
        if (substr(file, length(file) - length(name)) == "/" name &&
            (found == "" || tree_of(file) == tree_of(path))) {
            found = file
        }
    }
    return found
}

function may(from, to)
{
    return from == to || ((from, to) in below)
}

function rule(from,    key, list)
{
    delete list
    for (key in floors) {
        if ((from, key) in below) {
            list[short(key, home[from])] = 1
        }
    }
    key = sorted(list)
    return short(from, home[from]) " may use " (key == "" ? "no other folder" : "only " key)
}

BEGIN {
    read_rules()
}

$1 == "file" {
    files[$2] = 1
    if (folder_of($2) == "") {
        fail($2 ": the folder has no line in " rules)
    }
}

$1 == "upcall" {
    upcalls[$2] = $3
}

$1 == "include" {
    includes++
    name = $5
    for (key in without) {
        split(key, part, "\t")
        if (folder_of($2) == part[1] && index(name, part[2]) == 1) {
            fail($2 ":" $3 ": includes <" name ">, which its folder does without")
        }
    }
    to = resolve($2, name, $4)
    if (to == "" || to == $2) {
        next
    }
    if (!may(folder_of($2), folder_of(to))) {
        fail($2 ":" $3 ": includes \"" name "\" (" to "): " rule(folder_of($2)))
    }
    if (folder_of($2) == folder_of(to)) {
        connect($2, to, "#include")
    }
}

$1 == "defines" {
    if (!($2 in libc)) {
        defined[$3] = defined[$3] " " $2
    }
    has_object[$2] = 1
}

$1 == "uses" {
    has_object[$2] = 1
    uses[++n_uses] = $2 "\t" $3
}

# Where a call goes. Other trees are other libraries: what they define by chance
# or, as Soft-EFA, in place of libc's is called only where the rules know of it.
# With several of one name, in programs of their own, the one that may be used.
function called(path, symbol,    n, list, i, best)
{
    n = split(defined[symbol], list, " ")
    best = ""
    for (i = 1; i <= n; i++) {
        if (list[i] == path) {
            return ""
        }
        if (may(folder_of(path), folder_of(list[i])) ||
            (best == "" && tree_of(path) == tree_of(list[i]))) {
            best = list[i]
        }
    }
    return best
}

function judge_calls(    i, part, to)
{
    for (i in files) {
        if (i ~ /\.c$/ && !(i in has_object)) {
            fail(i ": has no object: build first, or remove it")
        }
    }
    for (i = 1; i <= n_uses; i++) {
        split(uses[i], part, "\t")
        sub(/@.*/, "", part[2])
        if ((folder_of(part[1]), part[2]) in never) {
            fail(part[1] ": calls " part[2] "(), which its folder never may")
        }
        if (!(part[2] in defined)) {
            continue
        }
        to = called(part[1], part[2])
        if (to == "") {
            continue
        }
        calls++
        if (may(folder_of(part[1]), folder_of(to))) {
            if (folder_of(part[1]) == folder_of(to)) {
                connect(part[1], to, part[2] "()")
            }
        } else if (part[2] in upcalls) {
            ups[part[2]] = ups[part[2]] " " part[1]
        } else {
            fail(part[1] ": calls " part[2] "() of " to ": " \
                 rule(folder_of(part[1])))
        }
    }
}

function connect(from, to, what)
{
    label[from, to] = label[from, to] " " what
    if (!((from, to) in edge)) {
        edge[from, to] = 1
        next_of[from] = next_of[from] " " to
        node[from] = node[to] = 1
    }
}

function reach(from, at,    n, list, i)
{
    n = split(next_of[at], list, " ")
    for (i = 1; i <= n; i++) {
        if (!((from, list[i]) in reached)) {
            reached[from, list[i]] = 1
            reach(from, list[i])
        }
    }
}

# As the rules write it
function circle_text(key,    n, list, i, text)
{
    n = split(key, list, " ")
    for (i = 1; i <= n; i++) {
        text = text " " substr(list[i], length(tree_of(list[i])) + 2)
    }
    return "circle" text
}

# What makes the circle: who uses what of whom
function print_circle(key,    n, list, i, j)
{
    n = split(key, list, " ")
    for (i = 1; i <= n; i++) {
        for (j = 1; j <= n; j++) {
            if ((list[i], list[j]) in label) {
                print "    " basename(list[i]) " > " basename(list[j]) ":" \
                      label[list[i], list[j]]
            }
        }
    }
}

function judge_circles(    a, b, key, found)
{
    for (a in node) {
        reach(a, a)
    }
    for (a in node) {
        delete members
        for (b in node) {
            if (((a, b) in reached) && ((b, a) in reached)) {
                members[b] = 1
            }
        }
        key = sorted(members)
        if (key !~ / / || (key in found)) {
            continue
        }
        found[key] = 1
        if (!(key in circles)) {
            sub(/ .*/, "", key)
            fail(tree_of(key) ": files use each other in a circle; break it, or" \
                 " add the reason and this line to " rules ":")
            key = sorted(members)
            print circle_text(key) ": REASON"
            print_circle(key)
        } else if (list) {
            print circle_text(key) ": " circles[key]
            print_circle(key)
        }
    }
    for (key in circles) {
        if (with_objects && !(key in found)) {
            fail(rules ": remove what is no circle any more: " \
                 circle_text(key))
        }
    }
}

END {
    if (status) {
        exit status
    }
    if (with_objects) {
        judge_calls()
    }
    judge_circles()
    if (list) {
        for (name in ups) {
            print "upcall: " name ":" ups[name]
        }
    }
    n = 0
    for (name in files) {
        n++
    }
    printf "layers.sh: %d files, %d includes, ", n, includes
    if (with_objects) {
        printf "%d calls between files, ", calls
    }
    printf "%d violations\n", failures
    exit failures > 0
}
