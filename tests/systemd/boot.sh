#!/bin/bash
# Boots a systemd of its own that has the units of dist/ and runs drive.sh as a service. In namespaces that the caller made
# (mount, pid, ipc, uts, network, cgroup), over a copy-on-write view of this machine's files.
# boot.sh PROGRAM DIST OUT: OUT is the directory that drive.sh writes its results to.
set -euo pipefail
program=$1 dist=$2 out=$3 here=$(dirname "$(realpath "$0")")

mount --make-rprivate /
work=$out/work
mkdir "$work"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
root=$work/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/out"
mount --bind "$out" "$root/out"

install -D "$program" "$root/usr/bin/mayhttpd"
install -m 644 -t "$root/etc/systemd/system" "$dist/mayhttpd.service" "$dist/mayhttpd.socket"
install -D -m 644 "$dist/mayhttpd.sysusers.conf" "$root/usr/lib/sysusers.d/mayhttpd.conf"
install -D -m 644 "$dist/mayhttpd.tmpfiles.conf" "$root/usr/lib/tmpfiles.d/mayhttpd.conf"
install -m 755 "$here/drive.sh" "$root/usr/local/bin/drive.sh"
mkdir -p "$root/var/www/html"
echo systemd >"$root/var/www/html/index.html"
head -c 30000000 /dev/zero >"$root/var/www/html/large.bin"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"

cat >"$root/etc/systemd/system/drive.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/bash /usr/local/bin/drive.sh
StandardOutput=append:/out/results
StandardError=append:/out/results
ExecStopPost=/bin/systemctl --no-block exit 0
UNIT
cat >"$root/etc/systemd/system/drive.target" <<'UNIT'
[Unit]
Requires=systemd-journald.service drive.service
After=systemd-journald.service
UNIT

ip link set lo up
cd "$root"
mkdir old
pivot_root . old
umount -l /old
# So that systemd takes no console and ends by `systemctl exit`.
export container=namespace
exec /lib/systemd/systemd --system --unit=drive.target --log-target=journal --show-status=0
