# To be sourced in a mount namespace of its own: a copy-on-write view of this machine's files at $root, which
# lives in memory below the directory $1. $2, if it is given, is to be seen there as /out.
mount --make-rprivate /
work=$1/work
mkdir "$work"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
root=$work/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
if [ -n "${2-}" ]; then
    mkdir "$root/out"
    mount --bind "$2" "$root/out"
fi
