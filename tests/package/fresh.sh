#!/bin/bash
# Runs in a chroot with the machine's network: makes a Debian without systemd by debootstrap, which is
# installed there if it can be, and runs plain.sh in it, without any network.
export LANG=C DEBIAN_FRONTEND=noninteractive
source /etc/os-release
if ! command -v debootstrap >/dev/null; then
    apt-get update -q >/out/apt 2>&1 && apt-get install -q -y --no-install-recommends debootstrap >>/out/apt 2>&1
fi
if [ "${ID-}" != debian ] || ! command -v debootstrap >/dev/null; then
    echo "SKIPPED a Debian of its own: debootstrap can't be had here"
    exit
fi
mount -t tmpfs tmpfs /mnt
fresh=/mnt/debian
if ! debootstrap --variant=minbase --include=curl,procps,iproute2,systemd-standalone-sysusers \
    "$VERSION_CODENAME" $fresh >/out/debootstrap 2>&1; then
    tail -3 /out/debootstrap
    echo "SKIPPED a Debian of its own: its packages can't be had here"
    exit
fi
mkdir $fresh/out
mount --bind /out $fresh/out
mount -t proc proc $fresh/proc
exec unshare --net chroot $fresh /out/plain.sh
