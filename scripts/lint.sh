#!/bin/sh
# Formatting, static analysis and house rules:  scripts/lint.sh [CHECK...]
#
# Prints one line per check, "ok NAME" or "FAIL NAME" with the findings before it, and
# exits 1 when one failed. Without arguments all checks run.
# shellcheck disable=SC2317 # the checks are called by name
set -u
cd "$(dirname "$0")/.." || exit 2

tracked() {
    git ls-files -co --exclude-standard -- "$@" | sort -u | while read -r file; do
        [ -f "$file" ] && echo "$file"
    done
}

check_format() {
    tracked '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

# What each file looks like to the compiler is read from the Clang build.
check_tidy() {
    [ -f build-asan/compile_commands.json ] || scripts/build.sh asan || return 1
    tracked 'src/*.c' 'sim/*.c' |
        xargs -P 2 -n 1 clang-tidy --quiet -p build-asan 2>/dev/null |
        grep -v '^$'
    # grep succeeds when there was a finding
    [ $? -eq 1 ]
}

check_cppcheck() {
    tracked 'src/*.c' 'sim/*.c' |
        xargs cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j 2 \
            --enable=warning,performance,portability -I src -I sim -D_GNU_SOURCE \
            -DPROGRAM_VERSION='""' --suppress=missingIncludeSystem \
            --template='{file}:{line}: {severity}: {message} [{id}]'
}

check_shell() {
    {
        tracked '*.sh' '*.bash'
        echo .ci/run
    } | xargs shellcheck
}

check_man() {
    pages=$(tracked '*.1')
    [ -z "$pages" ] || echo "$pages" | xargs mandoc -T lint -W warning
}

check_banned() { scripts/lint/house_rules.py banned; }
check_folders() { scripts/lint/house_rules.py folders; }
check_mirror() { scripts/lint/house_rules.py mirror; }
check_length() { scripts/lint/house_rules.py length; }
check_text() { scripts/lint/house_rules.py text; }

[ $# -gt 0 ] || set -- format text banned folders mirror length shell man cppcheck tidy
status=0
for check in "$@"; do
    if output=$("check_$check" 2>&1); then
        echo "ok $check"
    else
        echo "$output"
        echo "FAIL $check"
        status=1
    fi
done
exit $status
