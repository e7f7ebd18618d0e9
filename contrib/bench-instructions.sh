# shellcheck shell=bash
# Sourced by bench.sh: instructions of an operation (test/apps/instructions.c),
# by callgrind, and the same of another commit beside it.
#
#   instructions_paths EFARUN FILE           by libefa, and by the direct data path,
#                                            whose names begin with direct_
#   instructions_count EFARUN PREFIX FILE    appends to FILE, for each operation,
#                                            PREFIX+NAME:PART,BYTES,instr,NUMBER
#   instructions_compare REV THRESHOLD       table; 1: something got worse
#
# PART is who executes them: transport, ucx (libuct, libucs), libefa (and
# libibverbs), device (Soft-EFA), libc. They are exact to some tenths, whatever
# else the machine does.
#
# Set before: here, tmp, build, jobs; program, which is the same for all builds:
# it needs nothing but UCT's public functions.
#
# shellcheck disable=SC2154 # these

instructions_count()
{
    local efarun=$1 prefix=$2 file=$3 out=$tmp/callgrind part=0 name bytes num
    # The program opens two devices, and uses one
    local -x SOFTEFA_DEVICES=2 SOFTEFA_FABRIC=bench-$$ UCX_WARN_UNUSED_ENV_VARS=n

    rm -f "$out".*
    "$efarun" --soft --quiet valgrind --tool=callgrind --toggle-collect=measure \
        --dump-after=measured --callgrind-out-file="$out" "$program" \
        > "$tmp/counted" 2> "$tmp/error" < /dev/null || {
        echo "bench.sh: $program failed with $efarun:" >&2
        grep -v '^==' "$tmp/error" >&2 || tail -n 20 "$tmp/error" >&2
        return 1
    }
    # callgrind has written a part after each
    while read -r name bytes num; do
        part=$((part + 1))
        awk -v key="$prefix$name" -v bytes="$bytes" -v num="$num" \
            -f "$here/contrib/bench-callgrind.awk" "$out.$part" >> "$file"
    done < "$tmp/counted"
    [ "$part" -gt 0 ] || {
        echo "bench.sh: $program counted nothing with $efarun" >&2
        return 1
    }
}

# instructions_paths EFARUN FILE: by libefa's functions and, if this build has one,
# by the direct data path, which Soft-EFA makes possible with any libefa
instructions_paths()
{
    local efarun=$1 file=$2

    UCX_SRD_DIRECT=n instructions_count "$efarun" '' "$file" || return
    # not grep -q, by which ucx_info would end with SIGPIPE
    if "$efarun" --soft --quiet ucx_info -caf 2> /dev/null |
           grep '^UCX_SRD_DIRECT=' > /dev/null; then
        SOFTEFA_EFADV=y UCX_SRD_DIRECT=y instructions_count "$efarun" direct_ \
            "$file"
    fi
}

# compare_die WHY...: a comparison that cannot be made
compare_die()
{
    echo "bench.sh: --compare: $*" >&2
    exit 77
}

# compare_base: with which commit this one is to be compared: the newest one
# before it that says what became of the instructions, otherwise the one before
compare_base()
{
    local from=HEAD~1 found

    git -C "$here" diff --quiet HEAD -- src || from=HEAD
    git -C "$here" rev-parse -q --verify "$from^{commit}" > /dev/null ||
        compare_die "there is no commit before this one: a shallow clone?"
    found=$(git -C "$here" log -1 --format=%H --grep='^Instructions: ' "$from")
    echo "${found:-$from}"
}

# compare_allowed REV: percent that the messages of the commits since REV claim
compare_allowed()
{
    git -C "$here" log --format=%B "$1..HEAD" |
        awk '/^Instructions: \+[0-9.]+ *%/ { sum += substr($2, 2) }
             END { print sum + 0 }'
}

# compare_flags: as the working tree's build was configured, but for what only
# the tests of it need
compare_flags()
{
    local flag

    if [ ! -x "$build/config.status" ]; then
        return
    fi
    eval "set -- $("$build/config.status" --config)"
    for flag; do
        [ "$flag" = --enable-werror ] || printf '%s\n' "$flag"
    done
}

# compare_make TREE: what is counted, of a configured tree
compare_make()
{
    make -C "$1/src/softefa" -j "$jobs" && make -C "$1/src/uct/ib/efa" -j "$jobs" &&
        make -C "$1/src/uct/ib/efa/loader" -j "$jobs" &&
        make -C "$1/src/tools" -j "$jobs" efarun
}

# compare_build DIR SOURCE
compare_build()
{
    (cd "$2" && ./autogen.sh) && mkdir -p "$1" &&
        (cd "$1" && "$2/configure" "${flags[@]}") && compare_make "$1"
}

# compare_other COMMIT: its build, in a cache outside of the tree; sets other
compare_other()
{
    local commit=$1 cache key dir log

    cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa/bench
    key=$({ printf '%s\n' "${flags[@]}"; ${CC:-cc} --version; ucx_info -v
            ldconfig -p | grep -E 'lib(ibverbs|efa)\.' | xargs -n 1 readlink -f
          } 2> /dev/null | cksum | cut -d ' ' -f 1) || true
    dir=$cache/$commit-$key
    log=$dir/log
    other=$dir/build
    mkdir -p "$dir"
    exec 9> "$dir/lock"
    flock 9
    if [ ! -f "$dir/done" ]; then
        echo "bench.sh: building ${commit:0:12} in $dir" >&2
        rm -rf "$dir/source" "$other"
        mkdir "$dir/source"
        git -C "$here" archive "$commit" | tar -x -C "$dir/source"
        compare_build "$other" "$dir/source" > "$log" 2>&1 < /dev/null || {
            tail -n 20 "$log" >&2
            compare_die "${commit:0:12} cannot be built, log: $log"
        }
        touch "$dir/done"
    fi
    # Those of the last five are kept
    touch "$dir"
    find "$cache" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' |
        sort -rn | sed -e '1,5d' -e 's/^[^ ]* //' | xargs -r -d '\n' rm -rf
    exec 9>&-
}

# instructions_compare REV THRESHOLD
instructions_compare()
{
    local rev=$1 threshold=$2 commit allowed other
    local -a flags

    git -C "$here" rev-parse --git-dir > /dev/null 2>&1 ||
        compare_die "$here is no git clone"
    [ "$rev" != last ] || rev=$(compare_base)
    commit=$(git -C "$here" rev-parse -q --verify "$rev^{commit}") ||
        compare_die "there is no commit '$rev' here: a shallow clone?"
    allowed=$(compare_allowed "$commit")
    mapfile -t flags < <(compare_flags)

    compare_other "$commit"
    echo "bench.sh: building the working tree in $build" >&2
    { compare_make "$build" && make -C "$build/test/apps" instructions; } \
        > "$tmp/make" 2>&1 < /dev/null || {
        tail -n 20 "$tmp/make" >&2
        echo "bench.sh: the working tree cannot be built" >&2
        exit 1
    }

    : > "$tmp/before"
    : > "$tmp/after"
    instructions_paths "$other/src/tools/efarun" "$tmp/before" || exit 1
    instructions_paths "$build/src/tools/efarun" "$tmp/after" || exit 1
    echo "Instructions of an operation, of both sides together, in" \
         "$(git -C "$here" log -1 --format='%h (%s)' "$commit") and in the" \
         "working tree"
    [ "$allowed" = 0 ] ||
        echo "Commits since then say that they need $allowed % more"
    awk -F '[:,]' -v limit="$(awk "BEGIN { print $threshold + $allowed }")" \
        -f "$here/contrib/bench-compare.awk" "$tmp/before" "$tmp/after"
}
