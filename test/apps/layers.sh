#!/usr/bin/env bash
# contrib/layers.sh passes a tree whose arrows run down, and fails one in which
# an include, a call, a circle or a folder without a floor was added.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

layers=$TOP/contrib/layers.sh
tree=$TMPDIR/layers

# A tree of three floors whose two upper ones use the lower, and one upcall
toy_tree()
{
    rm -rf "$tree"
    mkdir -p "$tree"/{contrib,src/toy/{low,mid,top}}
    cat > "$tree/contrib/layers.rules" << 'END'
tree src/toy
upcalls low/upcall.h
low:
mid: low                # and what low may
top: mid
END
    echo 'void toy_up(void); /* not toy_comment(x) */' \
        > "$tree/src/toy/low/upcall.h"
    echo 'void low_do(void);' > "$tree/src/toy/low/low.h"
    printf '%s\n' '#include "low/low.h"' '#include "low/upcall.h"' \
        'void low_do(void) { toy_up(); }' > "$tree/src/toy/low/low.c"
    printf '%s\n' '#include "low/low.h"' 'void mid_do(void);' \
        > "$tree/src/toy/mid/mid.h"
    printf '%s\n' '#include "mid.h"' 'void mid_do(void) { low_do(); }' \
        > "$tree/src/toy/mid/mid.c"
    printf '%s\n' '#include "mid/mid.h"' '#include "low/upcall.h"' \
        'void top_do(void) { mid_do(); low_do(); }' 'void toy_up(void) { }' \
        > "$tree/src/toy/top/top.c"
}

# As libtool names them
toy_objects()
{
    local source libs

    rm -rf "$tree/build"
    for source in "$tree"/src/toy/*/*.c; do
        libs=${source%/*}
        libs=$tree/build${libs#"$tree"}/.libs
        mkdir -p "$libs"
        "${CC:-cc}" -I"$tree/src/toy" -c "$source" \
            -o "$libs/libtoy_la-$(basename "$source" .c).o" || return
    done
}

# judged [OPTION...]: the script's output, and its status
judged()
{
    "$layers" --top "$tree" --rules "$tree/contrib/layers.rules" "$@" \
        > "$TMPDIR/judgement" 2>&1
}

# passes NAME [OPTION...]
passes()
{
    local name=$1
    shift

    if judged "$@"; then
        ok "$name"
    else
        not_ok "$name" "$(< "$TMPDIR/judgement")"
    fi
}

# fails NAME LINE [OPTION...]: with this line
fails()
{
    local name=$1 line=$2
    shift 2

    if judged "$@"; then
        not_ok "$name" "passed"
    elif ! grep -qF -e "$line" "$TMPDIR/judgement"; then
        not_ok "$name" "did not say '$line': $(< "$TMPDIR/judgement")"
    else
        ok "$name"
    fi
}

# fails_with NAME FILE TEXT LINE [OPTION...]: when TEXT is added to FILE
fails_with()
{
    local name=$1 file=$tree/src/toy/$2 text=$3 line=$4
    shift 4

    toy_tree
    mkdir -p "${file%/*}"
    printf '%s\n' "$text" >> "$file"
    if [ $# -gt 0 ] && ! toy_objects; then
        not_ok "$name" "does not compile"
        return
    fi
    fails "$name" "$line" "$@"
}

test_includes()
{
    toy_tree
    passes "arrows that run down"
    fails_with "an include that runs up" low/low.c '#include "mid/mid.h"' \
        'src/toy/low/low.c:4: includes "mid/mid.h" (src/toy/mid/mid.h): low may use no other folder'
    fails_with "an include that runs up, in a header" low/low.h \
        ' #  include "mid/mid.h" /* why */' 'src/toy/low/low.h:2: includes'
    fails_with "an include beside the file that runs up" low/low.c \
        '#include "../mid/mid.h"' 'src/toy/low/low.c:4: includes'
    fails_with "an include that -I makes possible" low/low.c \
        '#include "mid.h"' 'src/toy/low/low.c:4: includes'
    fails_with "an include in angles" low/low.c '#include <toy/mid/mid.h>' \
        'src/toy/low/low.c:4: includes'
    fails_with "a folder without a floor" mid/sub/sub.h 'int sub;' \
        'src/toy/mid/sub/sub.h: the folder has no line in'
    toy_tree
    echo 'without low sys/ net/if.h' >> "$tree/contrib/layers.rules"
    passes "headers that a folder may include"
    echo '#include <sys/types.h>' >> "$tree/src/toy/low/low.c"
    fails "a header that a folder does without" \
        'src/toy/low/low.c:4: includes <sys/types.h>, which its folder does without'
    toy_tree
    echo '#include "low/upcall.h"' >> "$tree/src/toy/low/low.h"
    echo '#include "low/low.h"' >> "$tree/src/toy/low/upcall.h"
    fails "headers that include each other" \
        'circle low/low.h low/upcall.h: REASON'
    toy_tree
    echo 'low: top' >> "$tree/contrib/layers.rules"
    fails "a folder that is there twice" 'src/toy/low is there twice'
    toy_tree
    sed -i 's/^low:/low: top/' "$tree/contrib/layers.rules"
    fails "rules that run in a circle" 'is below itself'
    toy_tree
    rm -r "$tree/src/toy"
    fails "rules for what is not there" 'names src/toy, which'
}

test_calls()
{
    toy_tree
    toy_objects || not_ok "objects" "do not compile"
    passes "calls that run down, and an upcall" --objects "$tree/build"
    fails_with "a call that runs up, without an include" low/low.c \
        'void mid_do(void); void low_bad(void) { mid_do(); }' \
        'src/toy/low/low.c: calls mid_do() of src/toy/mid/mid.c: low may use no other folder' \
        --objects "$tree/build"
    toy_tree
    echo 'int mid_data;' >> "$tree/src/toy/mid/mid.c"
    echo 'extern int mid_data; int low_bad(void) { return mid_data; }' \
        >> "$tree/src/toy/low/low.c"
    toy_objects
    fails "data that is used upwards" 'calls mid_data() of src/toy/mid/mid.c' \
        --objects "$tree/build"
    toy_tree
    toy_objects
    rm "$tree/build/src/toy/mid/.libs/libtoy_la-mid.o"
    fails "a source that was not built" 'src/toy/mid/mid.c: has no object' \
        --objects "$tree/build"
    rm -r "$tree/build/src/toy"
    fails "a tree that was not built" 'has no objects of src/toy' \
        --objects "$tree/build"
}

# What a folder never may call, and what stands for libc's
test_symbols()
{
    toy_tree
    echo 'never low getpid' >> "$tree/contrib/layers.rules"
    toy_objects
    passes "nothing that is forbidden" --objects "$tree/build"
    echo 'int getpid(void); int low_id(void) { return getpid(); }' \
        >> "$tree/src/toy/low/low.c"
    toy_objects
    fails "a call that is forbidden" \
        'src/toy/low/low.c: calls getpid(), which its folder never may' \
        --objects "$tree/build"

    toy_tree
    echo 'int fake(void) { return 0; }' > "$tree/src/toy/top/libc.c"
    echo 'int fake(void); int low_id(void) { return fake(); }' \
        >> "$tree/src/toy/low/low.c"
    toy_objects
    fails "a function in place of libc's, as any other" \
        'calls fake() of src/toy/top/libc.c' --objects "$tree/build"
    echo 'libc top/libc.c' >> "$tree/contrib/layers.rules"
    passes "a function in place of libc's" --objects "$tree/build"

    # An object of a test that was not built again
    toy_tree
    toy_objects
    echo 'int mid_do(void); void low_do(void) { mid_do(); }' \
        > "$tree/build/src/toy/low/test.c"
    "${CC:-cc}" -c "$tree/build/src/toy/low/test.c" \
        -o "$tree/build/src/toy/low/test_low-low.o"
    passes "another object of the same source" --objects "$tree/build"
}

test_circles()
{
    toy_tree
    echo 'void other_do(void); void mid_more(void) { other_do(); }' \
        >> "$tree/src/toy/mid/mid.c"
    echo 'void mid_do(void); void other_do(void) { mid_do(); }' \
        > "$tree/src/toy/mid/other.c"
    toy_objects
    fails "a circle of calls" 'circle mid/mid.c mid/other.c: REASON' \
        --objects "$tree/build"
    echo 'circle mid/other.c mid/mid.c:' >> "$tree/contrib/layers.rules"
    fails "a circle without a reason" 'has no reason' --objects "$tree/build"
    sed -i 's/^circle.*/& two halves/' "$tree/contrib/layers.rules"
    passes "a circle with its reason" --objects "$tree/build" --list
    if grep -q 'circle mid/mid.c mid/other.c: two halves' "$TMPDIR/judgement" &&
           grep -q 'upcall: toy_up: src/toy/low/low.c' "$TMPDIR/judgement"; then
        ok "circles and upcalls are listed"
    else
        not_ok "circles and upcalls are listed" "$(< "$TMPDIR/judgement")"
    fi
    echo 'void other_do(void) { }' > "$tree/src/toy/mid/other.c"
    toy_objects
    fails "a circle that is no more" 'remove what is no circle any more' \
        --objects "$tree/build"
}

# The project's own rules: in each folder one file includes a header of each
# folder above it
test_project()
{
    local line folder dir header file lower wanted=0 found

    rm -rf "$tree"
    mkdir -p "$tree/contrib"
    cp -r "$TOP/src" "$tree"
    cp "$TOP/contrib/layers.rules" "$tree/contrib"
    if ! judged; then
        not_ok "the project" "$(< "$TMPDIR/judgement")"
        return
    fi
    ok "the project"

    # lowest first, as the rules are written
    dir=
    lower=()
    while read -r line folder; do
        case $line in
        tree)
            dir=$folder
            lower=()
            ;;
        *:)
            folder=$tree/$dir/${line%:}
            header=$(find "$folder" -maxdepth 1 -name '*.h' | head -n 1)
            for file in ${header:+${lower[@]+"${lower[@]}"}}; do
                echo "#include \"${header#"$tree/$dir/"}\"" >> "$file"
                wanted=$((wanted + 1))
            done
            file=$(find "$folder" -maxdepth 1 -name '*.[ch]' | head -n 1)
            [ -z "$file" ] || lower+=("$file")
            ;;
        esac
    done < <(grep -v '^#' "$tree/contrib/layers.rules")

    judged
    found=$(grep -c '^src/[^ ]*:[0-9]*: includes ' "$TMPDIR/judgement")
    if [ $wanted -gt 50 ] && [ "$found" = $wanted ]; then
        ok "each include that runs up ($wanted)"
    else
        not_ok "each include that runs up" "found $found of $wanted"
    fi
}

test_includes
test_calls
test_symbols
test_circles
test_project
finish
