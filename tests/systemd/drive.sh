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
fails() { ! "$@"; }
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

# TLS. One page by it, and a certificate that no other one verifies.
secure() {
    [ "$(curl -s -m 10 --resolve test:443:127.0.0.1 --cacert "$1" https://test/)" = systemd ]
}
certificate() { mayhttpd generate certificate test --force --out "$1" >/dev/null; }
key_warning() { journalctl -u mayhttpd.service --no-pager | grep 'may read the private key'; }
dropins=/etc/systemd/system/mayhttpd.service.d
mkdir -p $dropins /etc/letsencrypt/live/example.org
live() {
    certificate /root/live
    install -m 644 /root/live/test.pem /etc/letsencrypt/live/example.org/fullchain.pem
    install -m 600 /root/live/test.key /etc/letsencrypt/live/example.org/privkey.pem
}

systemctl stop mayhttpd.socket mayhttpd.service
live
install -m 644 /usr/share/mayhttpd/tls.conf $dropins/tls.conf
systemctl daemon-reload
check "start with credentials" systemctl start mayhttpd.service
check "page by TLS" secure /root/live/test.pem
check "page beside it" eventually page
check "the key is private" fails key_warning
check "reload with credentials" systemctl reload mayhttpd.service
check "page by TLS after the reload" secure /root/live/test.pem
live
check "restart with a renewed certificate" systemctl restart mayhttpd.service
check "page by the renewed certificate" secure /root/live/test.pem

systemctl stop mayhttpd.service
mkdir -p /etc/systemd/system/mayhttpd.socket.d
printf '[Socket]\nListenStream=443\n' >/etc/systemd/system/mayhttpd.socket.d/tls.conf
systemctl daemon-reload
check "start of the socket for TLS" systemctl start mayhttpd.socket
check "page by TLS and the socket" secure /root/live/test.pem
check "page without TLS by the socket" page
systemctl stop mayhttpd.socket mayhttpd.service
rm $dropins/tls.conf

# As docs/tls.md has it for renewals without a restart.
deploy() {
    install -m 644 /etc/letsencrypt/live/example.org/fullchain.pem /etc/mayhttpd/site.pem
    install -m 400 -o mayhttpd /etc/letsencrypt/live/example.org/privkey.pem /etc/mayhttpd/site.key
}
deploy
cat >/etc/default/mayhttpd <<'VARIABLES'
MAYHTTPD_TLS_LISTEN=*:443
MAYHTTPD_TLS_CERT=/etc/mayhttpd/site.pem
MAYHTTPD_TLS_KEY=/etc/mayhttpd/site.key
VARIABLES
systemctl daemon-reload
check "start with files" systemctl start mayhttpd.service
check "page by a file" secure /root/live/test.pem
first=$(main)
live
deploy
check "the renewed files are taken up" eventually secure /root/live/test.pem
check "without a restart" test "$(main)" = "$first"
check "the key is private to the end" fails key_warning

echo "--- journal"
journalctl -u mayhttpd.service --no-pager -o short-iso
echo "--- end"
