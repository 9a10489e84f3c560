#!/bin/bash
# units.sh PROGRAM DIST: puts the program and the units of dist/ into the file system at $root, as their heads
# say, and something to serve.
set -euo pipefail
program=$1 dist=$2

install -D "$program" "$root/usr/bin/mayhttpd"
install -m 644 -t "$root/etc/systemd/system" "$dist/mayhttpd.service" "$dist/mayhttpd.socket"
install -D -m 644 "$dist/mayhttpd.sysusers.conf" "$root/usr/lib/sysusers.d/mayhttpd.conf"
install -D -m 644 "$dist/mayhttpd.tmpfiles.conf" "$root/usr/lib/tmpfiles.d/mayhttpd.conf"
install -D -m 644 "$dist/mayhttpd-tls.conf" "$root/usr/share/mayhttpd/tls.conf"
install -D -m 644 "$dist/mayhttpd.toml" "$root/etc/mayhttpd/mayhttpd.toml"
mkdir -p "$root/var/www/html"
echo systemd >"$root/var/www/html/index.html"
head -c 30000000 /dev/zero >"$root/var/www/html/large.bin"
