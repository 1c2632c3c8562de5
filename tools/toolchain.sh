#!/bin/sh
# Says in one sentence which part of the toolchain is missing, if one is. Prints the Python to use when all is there.
set -u

missing() {
    printf 'sopasync needs %s: %s\n' "$1" "$2" >&2
    exit 1
}

at_least() { # at_least FOUND MAJOR MINOR
    major=${1%%.*}
    rest=${1#*.}
    minor=${rest%%.*}
    [ "$major" -gt "$2" ] || { [ "$major" -eq "$2" ] && [ "$minor" -ge "$3" ]; }
}

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if at_least "$version" 3 11; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || missing "Python 3.11 or newer" \
    "none was found as ${PYTHON:-python3 or python3.11 to python3.14}; install one, or name yours with 'make PYTHON=/path/to/python'."
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing "Python's venv module" \
    "$python has none; install it (on Debian and Ubuntu: apt install python3-venv)."

command -v cargo >/dev/null 2>&1 || missing "Rust 1.89 or newer" \
    "there is no cargo on the PATH; install the stable toolchain with rustup."
version=$(rustc --version 2>/dev/null | cut -d' ' -f2)
[ -n "$version" ] || missing "Rust 1.89 or newer" "'rustc --version' gives no answer; repair it with 'rustup update stable'."
at_least "$version" 1 89 || missing "Rust 1.89 or newer" "this one is $version; bring it up to date with 'rustup update stable'."
if ! command -v cc >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1 && ! command -v clang >/dev/null 2>&1; then
    missing "a C compiler, which Rust uses to link" \
        "there is no cc, gcc or clang on the PATH (on Debian and Ubuntu: apt install build-essential)."
fi

printf '%s\n' "$python"
