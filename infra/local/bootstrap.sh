#!/bin/sh
# Prints the path of uv, after getting it where this machine has none. Needs python3; exits with 2 when there is no way.
set -eu

tools=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)/.quire/tools

# A version manager's stand-in may be on the PATH and lead nowhere, so each candidate has to answer.
for candidate in "$(command -v uv || true)" "$tools/bin/uv" "$HOME/.local/bin/uv"; do
    if [ -n "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
done

give_up() {
    echo "uv is missing and could not be installed: $1" >&2
    echo "Install it by hand, for example with: pipx install uv" >&2
    exit 2
}

with_venv() {
    rm -rf "$tools"
    "$python" -m venv "$tools" && "$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv
}

# A folder of its own needs neither ensurepip nor leave to change the system's packages.
with_pip() {
    rm -rf "$tools"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$tools" uv
}

with_apt() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then become_root=""; else become_root="sudo -n"; fi
    get="env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv"
    $become_root $get || { $become_root apt-get update && $become_root $get; } || return 1
    python=/usr/bin/python3
    with_venv
}

python=""
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || give_up "there is no python3"

echo "getting uv into $tools" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for way in with_pip with_venv with_apt; do
    if $way >>"$log" 2>&1 && "$tools/bin/uv" --version >/dev/null 2>&1; then
        echo "$tools/bin/uv"
        exit 0
    fi
done
rm -rf "$tools"
tail -n 5 "$log" >&2
give_up "neither venv, pip nor apt helped"
