#!/usr/bin/env bash
# Tries the two commands of the README on a machine that has next to nothing: a bare Debian 12 made with mmdebstrap,
# with python3, venv, make and certificates, and the committed repository copied in. Prints what each took.
#
#     sudo tests/acceptance/bare.sh [demo] [test]        both unless told
#
# How this machine reaches packages (apt sources and proxies, pip and npm settings, certificates, name servers) is
# taken over while it runs. Needs root, mmdebstrap and unshare; leaves nothing behind. SAGA_BARE_KEEP=1 keeps the root.
set -euo pipefail

DEMO_SECONDS_MAX=60
PACKAGES=python3,python3-venv,make,ca-certificates
SUITE=bookworm

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
say() { printf 'bare: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------- inside the bare machine

# Run in the root with its own mounts, processes and host name: all of them are gone when this script is.
inside() {
    root=$1; shift
    hostname bare
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    while read -r folder; do
        mkdir -p "$root$folder"
        mount --bind -o ro "$folder" "$root$folder"
    done < <(local_indexes)
    # Nothing of the user's environment but the way to packages.
    mapfile -t passed < <(env | grep -iE '^(https?|no|all)_proxy=|^(pip|npm_config)_|^(node_extra_ca_certs|ssl_cert_file)=')
    # Not exec: this shell is the init of its processes, and buries the orphans that tests leave to it.
    chroot "$root" env -i "${passed[@]}" HOME=/root USER=root LANG=C.UTF-8 PYTHONUNBUFFERED=1 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd /root/saga && exec "$@"' bash "$@"
}

# Folders that pip takes packages from, by its settings. The files of an index stand beside its pages.
local_indexes() {
    { python3 -m pip config list 2>/dev/null || true; } | cut -d= -f2- | tr -d "'\"" | sed 's/\\n/ /g' | tr ' ' '\n' |
        sed -n 's#^\(file://\)\?\(/[^ ]*\)$#\2#p' | sort -u | while read -r place; do
            if [ -d "$place" ]; then printf '%s\n' "${place%/simple}"; fi
        done | sort -u
}

# ---------------------------------------------------------------------------------------------------- making the root

# The file in which this machine says where it takes this release from, if it does.
sources() {
    grep -lw "$SUITE" /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1
}

make_root() {
    root=$1
    local settings="$work/apt.conf"
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|Languages)' >"$settings" || true
    local from
    mapfile -t from < <(sources)
    mmdebstrap --quiet --mode=root --variant=minbase --include="$PACKAGES" --aptopt="$settings" "$SUITE" "$root" "${from[@]}"
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    printf '127.0.0.1 localhost bare\n' >"$root/etc/hosts"
    local file
    for file in /etc/pip.conf ~/.config/pip/pip.conf ~/.pip/pip.conf ~/.npmrc; do
        [ -e "$file" ] && install -D -m 600 "$file" "$root${file/#$HOME//root}"
    done
    git clone --quiet --no-hardlinks "$repository" "$root/root/saga"
}

# --------------------------------------------------------------------------------------------------------- the trials

# Runs a command in the root and sets `seconds` and `output`.
timed() {
    local began=$EPOCHREALTIME
    output="$work/$1.log"; shift
    if ! unshare --mount --pid --uts --ipc --fork --kill-child "${BASH_SOURCE[0]}" --inside "$root" "$@" \
        >"$output" 2>&1 </dev/null; then
        tail -n 60 "$output"
        fail "failed: $*"
    fi
    seconds=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
}

try_demo() {
    timed demo-first make demo
    say "make demo, from nothing and with every download: $seconds s"
    timed clean make clean
    # What was downloaded is in pip's cache now; all the rest is done again.
    timed demo make demo
    cat "$output"
    say "make demo, beside downloads: $seconds s (at most $DEMO_SECONDS_MAX)"
    awk -v s="$seconds" -v most="$DEMO_SECONDS_MAX" 'BEGIN { exit !(s < most) }' || fail "make demo takes too long"
}

try_test() {
    timed test make test
    grep -nE '^servers: |^Setting up |passed' "$output" | cut -c1-150
    say "make test: $seconds s"
    local said installed
    said=$(grep -n -m1 '^servers: installing' "$output" | cut -d: -f1)
    installed=$(grep -n -m1 '^Setting up\|^Get:' "$output" | cut -d: -f1)
    [ -n "$said" ] && [ "$said" -lt "$installed" ] || fail "make test does not say first what it installs"
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
    exit
fi
[ "$(id -u)" -eq 0 ] || fail "a bare root needs root. Fix: sudo $0"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing. Fix: apt-get install --no-install-recommends mmdebstrap"
work=$(mktemp -d "${TMPDIR:-/tmp}/saga-bare-XXXXXX")
root=$work/root
clean_up() {
    if [ -n "${SAGA_BARE_KEEP:-}" ]; then say "kept: $work"; else rm -rf --one-file-system "$work"; fi
}
trap clean_up EXIT
make_root "$root"
say "Debian $(cat "$root/etc/debian_version"), $(chroot "$root" dpkg-query -W | wc -l) packages, $(chroot "$root" python3 --version), $(nproc) cores"
for trial in "${@:-demo test}"; do
    for each in $trial; do "try_$each"; done
done
