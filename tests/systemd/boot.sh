#!/bin/bash
# boot.sh OUT DRIVE [PREPARE ARGUMENT…]: boots a systemd of its own and runs DRIVE as a service. In namespaces
# that the caller made (mount, pid, ipc, uts, network, cgroup), over a copy-on-write view of this machine's
# files, into which PREPARE, with ARGUMENTs and the variable root, puts what is needed. OUT is the directory
# that DRIVE's results go to, and /out in the view.
set -euo pipefail
out=$1 drive=$2 here=$(dirname "$(realpath "$0")")
shift 2

source "$here/view.sh" "$out" "$out"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
if [ $# != 0 ]; then root=$root bash "$@"; fi
install -m 755 "$drive" "$root/usr/local/bin/drive.sh"
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
# As systemd makes it on a machine: credentials come to their service by propagation.
mount --make-rshared /
# So that systemd takes no console and ends by `systemctl exit`.
export container=namespace
exec /lib/systemd/systemd --system --unit=drive.target --log-target=journal --show-status=0
