#!/bin/bash
# run.sh [TEST…]: builds the image as its user does, and tries it: the tests of the image itself, and those of
# the protocol against its published port, or the TESTs that are named. With MAYHTTPD_BUILD_TESTS=yes the
# tests that a build can run are run by one, too. The engine is its own, with everything below a temporary
# directory, and ends with this. It builds without a bridge, so that the machine's network stays as it is, and
# then runs in a network namespace, whose bridge and packet filter are its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "SKIPPED the image: $*" >&2
    exit 0
}
[ "$(id -u)" = 0 ] || skip "an engine needs root"
for program in dockerd docker ip nsenter iptables; do
    command -v "$program" >/dev/null || skip "there is no $program"
done

work=$(mktemp -d)
network=mayhttpd-engine-$$
engine=
export DOCKER_HOST=unix://$work/docker.sock
# The classic builder is all that a plain engine has.
export DOCKER_BUILDKIT=0

start() {
    "$@" --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        >>"$work/log" 2>&1 &
    engine=$!
    for _ in $(seq 300); do
        docker version >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$work/log" >&2
    skip "the engine doesn't start here"
}

stop() {
    [ -z "$engine" ] || kill "$engine" 2>/dev/null || true
    [ -z "$engine" ] || wait "$engine" || true
    engine=
}

clean() {
    if [ -n "$engine" ]; then
        docker ps --all --quiet | xargs -r docker rm --force >/dev/null || true
    fi
    stop
    ip netns delete "$network" 2>/dev/null || true
    # An engine that was ended in the middle of its work leaves this behind.
    umount "$work"/exec/netns/* 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

# The base image, or where it can't be had a stand-in of the same name.
provide() {
    if ! timeout 300 docker pull --quiet "$1" 2>"$work/pull"; then
        echo "$1 can't be pulled ($(tail -1 "$work/pull")): a stand-in is made of this machine's files"
        tests/docker/stand-in.sh "$1"
    fi
}

step() { printf -- '-- %s, %s s\n' "$*" "$SECONDS"; }

step "base images"
start dockerd --bridge=none --iptables=false --ip-forward=false
provide rust:1-slim-bookworm
# Nothing is lost without it but the test of compose.yaml, which says so.
if command -v nginx >/dev/null; then provide nginx:1-alpine; fi

# As README.md has it. The network is the machine's, since this engine has no bridge.
build() {
    if ! docker build --network host "$@" . >"$work/build" 2>&1; then
        tail -500 "$work/build"
        exit 1
    fi
    grep -ahE '^test result: |^SKIPPED |Successfully tagged ' "$work/build" || true
}

step "the image"
build -t mayhttpd
if [ -n "${MAYHTTPD_BUILD_TESTS:-}" ]; then
    step "the tests that a build can run"
    build --target test --build-arg TESTS=yes
    if ! grep -aq '^test result: ok' "$work/build"; then
        echo "the build has run no test" >&2
        exit 1
    fi
fi
stop

ip netns add "$network"
ip -n "$network" link set dev lo up
start nsenter --net="/run/netns/$network" dockerd

tests() {
    MAYHTTPD_IT_IMAGE=mayhttpd nsenter --net="/run/netns/$network" cargo test --locked --test it -- "$@"
}
if [ $# != 0 ]; then
    tests --include-ignored "$@"
    exit
fi

step "tests of the image"
tests --ignored docker::

# The protocol, but for what takes long and is the same behind a published port. Left out is also what starts
# in a way that a container can't be started in: with other addresses or limits, in another directory, or with
# a log that the test reads from a file.
step "tests of the protocol at the published port"
groups="basics|errors|expect|fields|framing|methods|request_line|versions|persistence|pipelining|files|paths"
groups+="|redirects|traversal|types|conditional|ranges"
left_out="every_listening_address|without_a_root|a_fifo_is_refused_unopened|the_settings_add_types"
# By whole names, since the runner would take `files::` for a part of `site_files::` too.
cargo test --locked --test it -- --list | sed -n 's/: test$//p' \
    | grep -E "^($groups)::" | grep -vE "$left_out" >"$work/names"
mapfile -t names <"$work/names"
tests --test-threads 4 --exact "${names[@]}"
step done
