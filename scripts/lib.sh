# shellcheck shell=bash
# Helpers for the scripts beside it: find Python, make .venv, install a lock into it. Sourced, never run.
# The caller has set -eu, and has gone to the checkout's root.

VENV=$PWD/.venv
STAMP=$VENV/.kaimen-installed     # what is installed; written last, so an interrupted install has none
UNFINISHED=$VENV/.kaimen-unfinished

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# The comment at the head of a script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# --- Python ---

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Distributions build theirs with profile-guided optimisation: a login costs a fifth less CPU. It must have venv.
system_python() {
    case ":$PATH:" in *:/usr/bin:*) ;; *) return 1 ;; esac
    new_enough /usr/bin/python3
}

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    local candidate
    if [ -z "${KAIMEN_PYTHON:-}" ] && system_python && has_venv /usr/bin/python3; then
        echo /usr/bin/python3
        return
    fi
    for candidate in ${KAIMEN_PYTHON:+"$KAIMEN_PYTHON"} python3 python3.13 python3.12 python3.11; do
        if new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        [ -z "${KAIMEN_PYTHON:-}" ] || die "KAIMEN_PYTHON=$KAIMEN_PYTHON is not Python 3.11 or newer"
    done
    die "needs Python 3.11 or newer: install it, or name it in KAIMEN_PYTHON"
}

# Debian and Ubuntu ship venv's ensurepip apart from Python.
need_venv_module() {
    has_venv "$1" && return
    need_packages "$("$1" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
}

# --- Debian packages ---

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null
}

need_packages() {
    [ $# -gt 0 ] || return 0
    can_install || die "missing: $*; as root: apt-get update && apt-get install $*"
    say "Installing $* with apt-get …"
    as_root apt-get -q -q update || say "apt-get update failed; trying with what apt knows"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@" >/dev/null
}

# --- the environment: kind is `run` (what the server needs) or `dev` (and what the tests need) ---

lock_of() {
    if [ "$1" = dev ]; then echo requirements-dev.lock; else echo requirements.lock; fi
}

# The path is part of it: a copied or moved .venv does not work.
stamp_for() {
    printf '%s %s ' "$1" "$PWD"
    cat "$(lock_of "$1")" setup.cfg pyproject.toml | cksum
}

installed() {
    [ -x "$VENV/bin/kaimen" ] && [ -x "$VENV/bin/python" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$(stamp_for "$1")" ]
}

# A dev environment has everything that `run` needs.
satisfied() {
    installed dev || { [ "$1" = run ] && installed run; }
}

# Reuse what pip can still work on: not a half-made .venv, nor one that was moved or has lost its Python.
usable() {
    [ ! -e "$UNFINISHED" ] && new_enough "$VENV/bin/python" &&
        [ "$("$VENV/bin/python" -c 'import pip, sys; print(sys.prefix)' 2>/dev/null)" = "$VENV" ]
}

make_venv() {
    need_venv_module "$1" && rm -rf "$VENV" && mkdir "$VENV" && : >"$UNFINISHED" && "$1" -m venv "$VENV"
}

# Quiet twice: errors only, not a warning for each package and each odd entry of the user's pip configuration.
pip_install() {
    "$VENV/bin/python" -m pip install -qq --no-input --disable-pip-version-check "$@"
}

# Chained, as set -e does not hold inside a condition.
fill_venv() {
    : >"$UNFINISHED" &&
        pip_install --require-hashes -r "$(lock_of "$1")" &&
        pip_install --no-deps --no-build-isolation -e . &&
        stamp_for "$1" >"$STAMP" && rm "$UNFINISHED"
}

install_env() {
    local started=$SECONDS python=
    usable || python=$(find_python) || return
    say "Installing into .venv from $(lock_of "$1"), once …"
    [ -z "$python" ] || make_venv "$python" || return
    fill_venv "$1" || die "the installation failed; the next run repairs it"
    say "Installed in $((SECONDS - started)) s."
}

# Two first starts at once wait for each other, on a lock that the kernel drops with its holder.
ensure_env() {
    if satisfied "$1"; then return; fi
    exec 9<.
    if command -v flock >/dev/null; then flock 9; fi
    if ! satisfied "$1"; then install_env "$1"; fi
    exec 9<&-
}

# --- the npm packages of tests: what the lock beside each package.json names, and no script of theirs is run ---

ensure_node_modules() {
    local lock folder
    for lock in tests/*/package-lock.json; do
        folder=${lock%/*}
        if [ ! -e "$lock" ] || cksum "$lock" | cmp -s - "$folder/node_modules/.kaimen-installed"; then continue; fi
        say "Installing the npm packages of $folder …"
        (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent) || return
        cksum "$lock" >"$folder/node_modules/.kaimen-installed"
    done
}
