#!/bin/bash
# Runs in a chroot where no systemd runs: installs, upgrades, removes and purges the package, and says `ok` or
# `not ok` of each step.
export LANG=C DEBIAN_FRONTEND=noninteractive
check() {
    local what=$1
    shift
    if "$@"; then echo "ok $what"; else echo "not ok $what"; fi
}
fails() { ! "$@"; }
version() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' mayhttpd)" = "ii 0.2.0-$1" ]; }
link=/etc/systemd/system/multi-user.target.wants/mayhttpd.service

check "installation" dpkg -i /out/1.deb
check "it is installed" version 1
check "the user" getent passwd mayhttpd
check "the directory" test -d /var/www/html
check "the service is enabled" test -e $link
check "the socket is not" fails test -e /etc/systemd/system/sockets.target.wants/mayhttpd.socket
check "nothing runs" fails pgrep -x mayhttpd
check "the program's own test of the settings" /usr/bin/mayhttpd -c /etc/mayhttpd/mayhttpd.toml -t

# As an administrator goes on without systemd.
ip link set lo up
echo page >/var/www/html/index.html
sed -i 's/^#name = .*/name = "edited"/' /etc/mayhttpd/mayhttpd.toml
# The lines for TLS that the file shows.
mayhttpd generate certificate example.org --out /etc/mayhttpd >/dev/null
sed -i -E 's/^#(tls_listen|\[\[certificate\]\]|chain =|key =)/\1/' /etc/mayhttpd/mayhttpd.toml
words() { /usr/bin/mayhttpd -c /etc/mayhttpd/mayhttpd.toml --user mayhttpd --log-file /var/log/mayhttpd.log "$@"; }
check "start" words start
check "status" words status
check "page" test "$(curl -s -m 10 http://127.0.0.1/)" = page
secure() {
    curl -s -m 10 --resolve example.org:443:127.0.0.1 --cacert /etc/mayhttpd/example.org.pem https://example.org/
}
check "page by TLS" test "$(secure)" = page
check "bash completes" bash -c 'source /usr/share/bash-completion/completions/mayhttpd && complete -p mayhttpd'

rm $link
deb-systemd-helper update-state mayhttpd.service
check "upgrade" dpkg -i /out/2.deb
check "it is upgraded" version 2
check "what was disabled stays disabled" fails test -e $link
check "settings stay" grep -q '^name = "edited"' /etc/mayhttpd/mayhttpd.toml
check "the server of the old program serves on" test "$(curl -s -m 10 http://127.0.0.1/)" = page
check "restart" words restart
check "stop" words stop
check "nothing is left of it" fails pgrep -x mayhttpd

check "removal" dpkg -r mayhttpd
check "the program is gone" fails test -e /usr/bin/mayhttpd
check "settings stay after the removal" grep -q '^name = "edited"' /etc/mayhttpd/mayhttpd.toml
check "installation again" dpkg -i /out/2.deb
check "settings stay after the installation" grep -q '^name = "edited"' /etc/mayhttpd/mayhttpd.toml
rm /var/log/mayhttpd.log /etc/mayhttpd/example.org.*
mkdir -p /var/log/mayhttpd
check "purge" dpkg -P mayhttpd
left=$(find /etc /usr /var -xdev -name '*mayhttpd*' -not -path '/usr/local/*' -not -path '/var/lib/systemd/*/.*' 2>/dev/null)
check "nothing is left: $left" test -z "$left"
check "no link leads nowhere" test -z "$(find /etc/systemd -lname '*mayhttpd*')"
check "the page stays" test -e /var/www/html/index.html
echo "--- end"
