#!/usr/bin/env bash
# Provides the servers the tests need on a Debian or Ubuntu machine. Does nothing where they can be had already.
set -euo pipefail

say() { printf 'servers: %s\n' "$*"; }

# The same places, in the same order, as tests/servers.py.
found() { # name, folders to look into besides PATH
    command -v "$1" >/dev/null 2>&1 && return
    local folder
    for folder in "${@:2}"; do
        [ -x "$folder/$1" ] && return
    done
    return 1
}

docker_answers() { command -v docker >/dev/null 2>&1 && timeout 10 docker info >/dev/null 2>&1; }

missing=()
[ -n "${SAGA_TEST_POSTGRES:-}" ] || found postgres /usr/lib/postgresql/*/bin || docker_answers || missing+=(postgresql)
[ -n "${SAGA_TEST_AMQP:-}" ] || found rabbitmq-server /usr/lib/rabbitmq/bin || docker_answers || missing+=(rabbitmq-server)
# It brings promtool, which tests the rules of infra/prometheus, and a real Prometheus to try them on.
{ found promtool && found prometheus; } || missing+=(prometheus)
# Debian splits venv from Python. Without it there is no place to install the rest.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)

if [ ${#missing[@]} -eq 0 ]; then
    say "PostgreSQL, RabbitMQ and Prometheus can be had here; nothing to install"
    exit 0
fi

install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null 2>&1; then
    say "missing: ${missing[*]}. Start Docker, or install them with the package manager of this system." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    say "missing: ${missing[*]}. Start Docker, or run:" >&2
    say "    sudo sh -c '$install'" >&2
    exit 1
fi

say "installing ${missing[*]} with: $install"
say "the packages' own services stay stopped; the tests start private servers on free ports"
# The tests start their own nodes, so keep the packages from occupying the standard ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
