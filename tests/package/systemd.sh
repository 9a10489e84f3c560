#!/bin/bash
# Runs inside a systemd of its own: installs, upgrades, removes and purges the package, and says `ok` or
# `not ok` of each step.
export LANG=C DEBIAN_FRONTEND=noninteractive
check() {
    local what=$1
    shift
    if "$@"; then echo "ok $what"; else echo "not ok $what"; fi
}
fails() { ! "$@"; }
page() { [ "$(curl -s -m 10 http://127.0.0.1/)" = page ]; }
named() { curl -s -m 10 -I http://127.0.0.1/ | grep -qi "^server: $1"; }
refused() { ! curl -s -m 10 -o /dev/null http://127.0.0.1/; }
main() { systemctl show -P MainPID mayhttpd.service; }
is() { [ "$(systemctl is-active "$1")" = "$2" ]; }
enabled() { [ "$(systemctl is-enabled mayhttpd.service)" = "$1" ]; }
not_failed() { ! systemctl --failed --no-legend | grep mayhttpd; }

# Images for containers have one that forbids every start.
rm -f /usr/sbin/policy-rc.d
if ! systemd-run --quiet --wait -p PrivateDevices=yes true; then
    echo "devices can't be made here; the service goes without devices of its own"
    mkdir -p /etc/systemd/system/mayhttpd.service.d
    printf '[Service]\nPrivateDevices=no\n' >/etc/systemd/system/mayhttpd.service.d/devices.conf
fi
mkdir -p /var/www/html
echo page >/var/www/html/index.html

check "installation" dpkg -i /out/1.deb
check "the service runs" is mayhttpd.service active
check "it is enabled" enabled enabled
check "the socket is left alone" is mayhttpd.socket inactive
check "page" page
check "not root" test "$(ps -o user= -p "$(main)")" = mayhttpd

sed -i 's/^#name = .*/name = "edited"/' /etc/mayhttpd/mayhttpd.toml
check "reload" systemctl reload mayhttpd.service
edited() { for _ in $(seq 100); do named edited && return; sleep 0.1; done; return 1; }
check "new settings" edited

first=$(main)
check "upgrade" dpkg -i /out/2.deb
check "another process" test "$(main)" != "$first" -a "$(main)" != 0
check "it runs after the upgrade" is mayhttpd.service active
check "page after the upgrade" page
check "settings stay" named edited

# TLS by the example, with files that only root may read.
secure() { [ "$(curl -s -m 10 --resolve test:443:127.0.0.1 --cacert /root/test.pem https://test/)" = page ]; }
mayhttpd generate certificate test --out /root >/dev/null
mkdir -p /etc/letsencrypt/live/example.org /etc/systemd/system/mayhttpd.service.d
install -m 600 /root/test.pem /etc/letsencrypt/live/example.org/fullchain.pem
install -m 600 /root/test.key /etc/letsencrypt/live/example.org/privkey.pem
cp /usr/share/doc/mayhttpd/examples/mayhttpd-tls.conf /etc/systemd/system/mayhttpd.service.d/tls.conf
systemctl daemon-reload
check "restart with TLS" systemctl restart mayhttpd.service
check "page by TLS" secure
check "page without TLS" page
rm /etc/systemd/system/mayhttpd.service.d/tls.conf
systemctl daemon-reload

systemctl --quiet disable --now mayhttpd.service
check "upgrade of a disabled service" dpkg -i /out/2.deb
check "it stays disabled" enabled disabled
check "it stays stopped" is mayhttpd.service inactive

systemctl --quiet enable --now mayhttpd.socket
check "page by the socket" page
check "upgrade beside the socket" dpkg -i /out/2.deb
check "page by the socket after the upgrade" page
check "removal" dpkg -r mayhttpd
check "nothing runs" fails pgrep -x mayhttpd
check "the port is closed" refused
check "no unit has failed" not_failed
check "settings stay after the removal" grep -q '^name = "edited"' /etc/mayhttpd/mayhttpd.toml

check "installation again" dpkg -i /out/1.deb
check "it is disabled still" enabled disabled
systemctl --quiet stop mayhttpd.socket
check "enabled by hand" systemctl --quiet enable --now mayhttpd.service
check "page after the installation" page
check "settings stay after the installation" named edited

check "purge" dpkg -P mayhttpd
check "nothing runs after the purge" fails pgrep -x mayhttpd
check "no unit has failed after the purge" not_failed
check "systemd knows no such unit" fails systemctl cat mayhttpd.service
left=$(find /etc /usr /var -xdev -name '*mayhttpd*' -not -path '/usr/local/*' -not -name 'mayhttpd.service.d' 2>/dev/null)
check "nothing is left: $left" test -z "$left"
check "no link leads nowhere" test -z "$(find /etc/systemd -lname '*mayhttpd*')"

check "installation after the purge" dpkg -i /out/2.deb
check "it runs" is mayhttpd.service active
check "it is as new" named mayhttpd
check "page after the purge" page
check "the end" dpkg -P mayhttpd
echo "--- journal"
journalctl -u mayhttpd.service --no-pager -o short-iso | tail -40
echo "--- end"
