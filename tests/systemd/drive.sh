#!/bin/bash
# Runs inside a systemd of its own: uses the units as an administrator would, and says `ok` or `not ok` of
# each step.
export LANG=C
check() {
    local what=$1
    shift
    if "$@"; then echo "ok $what"; else echo "not ok $what"; fi
}
page() { [ "$(curl -s -m 10 http://127.0.0.1/)" = systemd ]; }
main() { systemctl show -P MainPID mayhttpd.service; }
is() { [ "$(systemctl is-active "$1")" = "$2" ]; }
result() { [ "$(systemctl show -P Result mayhttpd.service)" = success ]; }
eventually() {
    for _ in $(seq 150); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}
# A client that is still taking a long page when the rest of the command runs, and whether it got all of it.
during_download() {
    curl -s -m 60 --limit-rate 20M -o /tmp/large.got http://127.0.0.1/large.bin &
    local client=$!
    eventually test -s /tmp/large.got || return 1
    "$@" || return 1
    wait $client && cmp -s /tmp/large.got /var/www/html/large.bin && rm /tmp/large.got
}

check user systemd-sysusers
check directories systemd-tmpfiles --create mayhttpd.conf
if ! systemd-run --quiet --wait -p PrivateDevices=yes true; then
    echo "devices can't be made here; the service goes without devices of its own"
    mkdir -p /etc/systemd/system/mayhttpd.service.d
    printf '[Service]\nPrivateDevices=no\n' >/etc/systemd/system/mayhttpd.service.d/devices.conf
fi
systemctl daemon-reload

check start systemctl start mayhttpd.service
check page page
first=$(main)
if [ "$first" = 0 ]; then
    journalctl -u mayhttpd.service --no-pager
    exit
fi
count() { [ "$(pgrep -c -x -P "$1" mayhttpd)" = "$2" ]; }
workers=$(pgrep -c -x -P "$first" mayhttpd)
check "not root" test "$(ps -o user= -p "$first")" = mayhttpd
check reload during_download systemctl reload mayhttpd.service
check "same process" test "$(main)" = "$first"
check "page after the reload" page
check "old workers leave" eventually count "$first" "$workers"

new_main() { kill -0 "$(main)" && [ "$(main)" != "$first" ]; }
kill -USR2 "$first"
check "new program" eventually count "$first" $((workers + 1))
next=$(pgrep -x -n -P "$first" mayhttpd)
check "its workers" eventually count "$next" "$workers"
kill -QUIT "$first"
check "the new program is the main one" eventually new_main
check "old program leaves" eventually bash -c "! kill -0 $first 2>/dev/null"
check "active after the upgrade" is mayhttpd.service active
check "page after the upgrade" page
check "stop after an upgrade" during_download systemctl stop mayhttpd.service
check "good end" result
check inactive is mayhttpd.service inactive

check "start of the socket" systemctl start mayhttpd.socket
check "page by the socket" page
check "started by the client" eventually is mayhttpd.service active
check "stop beside the socket" during_download systemctl stop mayhttpd.service
check "good end beside the socket" result
check "page by the socket again" page
check kill systemctl kill --signal=KILL --kill-who=main mayhttpd.service
check "page after the kill" eventually page

echo "--- journal"
journalctl -u mayhttpd.service --no-pager -o short-iso
echo "--- end"
