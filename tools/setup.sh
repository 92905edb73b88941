#!/usr/bin/env bash
# Makes a fresh Debian 12 with rustup's toolchain able to build and test Krypton. Run it as often as you like: what is there
# already is left alone.
#
#   tools/setup.sh build    what a build needs
#   tools/setup.sh test     what the tests need besides
set -euo pipefail
cd "$(dirname "$0")/.."

# The Debian packages, each with the command or file by which we know that it is there.
build_packages=(gcc:gcc libc6-dev:/usr/include/stdlib.h)
test_packages=(
    python3:python3 python3-venv:python3
    softhsm2:softhsm2-util opensc:pkcs11-tool
    postgresql:/usr/lib/postgresql redis-server:redis-server
)

requirements=operator-cli/tests/pykmip/requirements.txt
venv=.venv

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# install PACKAGE...: with apt-get, as root or by sudo.
install() {
    command -v apt-get >/dev/null || fail "please install these by hand, this is not a Debian: $*"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "please install these as root: $*"
        as_root=(sudo)
    fi
    say "installing $*"
    "${as_root[@]}" apt-get update -qq
    # The tests start databases of their own: those that come with the packages are not started, now or later.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        made_policy=yes
    fi
    local status=0
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        status=$?
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
    [ "$status" -eq 0 ] || fail "apt-get could not install $*"
    local package
    for package in "$@"; do
        case "$package" in
            postgresql | redis-server) "${as_root[@]}" systemctl disable --quiet "$package" 2>/dev/null || true ;;
        esac
    done
}

# need PACKAGE:SIGN...: installs the packages whose commands or files are missing.
need() {
    local entry sign missing=()
    for entry in "$@"; do
        sign=${entry#*:}
        command -v "$sign" >/dev/null || [ -e "$sign" ] || missing+=("${entry%%:*}")
    done
    [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
}

need_rust() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs and run this again"
}

# A Python that PyKMIP can run on.
python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3 python3.10; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' 2>/dev/null
        then
            echo "$candidate"
            return
        fi
    done
    fail "PyKMIP 0.10.0 needs Python 3.10 or 3.11, and $(python3 --version 2>&1) is all there is." \
        "Install an older one beside it (pyenv, uv, or your distribution's python3.11) and set PYTHON to it."
}

# make_venv: the virtual environment, made anew when the requirements change.
make_venv() {
    local wanted found=""
    wanted=$(sha256sum <"$requirements")
    [ ! -f "$venv/requirements.sha256" ] || found=$(cat "$venv/requirements.sha256")
    if [ "$wanted" = "$found" ] && "$venv/bin/python" -c 'import kmip, opentelemetry.proto' 2>/dev/null; then
        return
    fi
    local python
    python=$(python)
    "$python" -c 'import ensurepip' 2>/dev/null || install "python3-venv"
    say "making $venv with $("$python" --version) and PyKMIP"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
    echo "$wanted" >"$venv/requirements.sha256"
}

case "${1:-}" in
    build)
        need "${build_packages[@]}"
        need_rust
        ;;
    test)
        need "${build_packages[@]}" "${test_packages[@]}"
        need_rust
        make_venv
        ;;
    *)
        fail "usage: tools/setup.sh build|test"
        ;;
esac
