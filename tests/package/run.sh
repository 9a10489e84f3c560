#!/bin/bash
# run.sh: builds the Debian package, twice with different versions, and tries installation, upgrade, removal
# and purge in a copy-on-write view of this machine's files: in a chroot without systemd running, under a
# systemd of its own, and in a Debian that debootstrap makes there. Says of each part that can't be done here
# that it is left out; fails where one that is done fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "SKIPPED $*" >&2
}
skip_all() {
    skip "the package: $*"
    exit 0
}
for program in cargo dpkg-deb dpkg-shlibdeps unshare; do
    command -v "$program" >/dev/null || skip_all "there is no $program"
done
step() { printf -- '-- %s, %s s\n' "$*" "$SECONDS"; }

work=$(mktemp -d)
group=
clean() {
    # systemd has made groups below it. They are empty, but the kernel needs a moment for that.
    if [ -n "$group" ]; then
        for _ in $(seq 50); do
            find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
            [ -d "$group" ] || break
            sleep 0.1
        done
    fi
    rm -rf "$work"
}
trap clean EXIT
failed=0

step "the tool"
# For itself alone, where the user has none.
export PATH=$PATH:$PWD/target/tools/bin
command -v cargo-deb >/dev/null || cargo install cargo-deb --locked --root target/tools

step "the packages"
for revision in 1 2; do
    dist/debian/build.sh --deb-revision $revision --output "$work/$revision.deb" >"$work/build" 2>&1 || {
        cat "$work/build"
        exit 1
    }
    dpkg-deb --info "$work/$revision.deb" | grep -E '^ (Version|Depends):'
done

step "its contents"
dpkg-deb --contents "$work/1.deb" >"$work/contents"
for path in usr/bin/mayhttpd usr/lib/systemd/system/mayhttpd.service usr/lib/systemd/system/mayhttpd.socket \
    usr/lib/sysusers.d/mayhttpd.conf usr/lib/tmpfiles.d/mayhttpd.conf etc/logrotate.d/mayhttpd \
    etc/mayhttpd/mayhttpd.toml usr/share/man/man8/mayhttpd.8.gz usr/share/bash-completion/completions/mayhttpd \
    usr/share/zsh/vendor-completions/_mayhttpd usr/share/fish/vendor_completions.d/mayhttpd.fish \
    usr/share/doc/mayhttpd/examples/mayhttpd-tls.conf usr/share/doc/mayhttpd/copyright usr/share/doc/mayhttpd/changelog.Debian.gz; do
    if ! grep -q " \./$path\$" "$work/contents"; then
        echo "not ok $path is missing"
        failed=1
    fi
done
dpkg-deb --ctrl-tarfile "$work/1.deb" | tar --extract --directory "$work" ./conffiles ./postinst ./prerm ./postrm
diff <(sort "$work/conffiles") - <<'FILES' || failed=1
/etc/logrotate.d/mayhttpd
/etc/mayhttpd/mayhttpd.toml
FILES

if [ "$(id -u)" != 0 ]; then
    skip "installation, upgrade and removal: they need root"
    exit $failed
fi
here=$PWD/tests/package
results() {
    grep -E '^(not )?ok ' "$1/results" || true
    if grep -q '^not ok' "$1/results" || ! tail -1 "$1/results" | grep -q '^--- end$'; then
        cat "$1/results"
        failed=1
    fi
}

step "without systemd running"
mkdir "$work/plain"
cp "$work"/[12].deb "$work/plain"
unshare --mount --pid --fork --kill-child --net bash "$here/chroot.sh" "$work/plain" "$here/plain.sh" \
    >"$work/plain/results" 2>&1 || true
results "$work/plain"

step "under systemd"
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ ! -x /lib/systemd/systemd ]; then
    skip "the package under systemd: there is no systemd"
elif [ -z "$groups" ] || ! mkdir "$groups/mayhttpd-package-$$"; then
    skip "the package under systemd: no control group can be made"
else
    group=$groups/mayhttpd-package-$$
    mkdir "$work/systemd"
    cp "$work"/[12].deb "$work/systemd"
    bash -c "echo \$\$ >$group/cgroup.procs && exec timeout -s KILL 300 unshare --mount --pid --fork --kill-child --ipc --uts \
        --net --cgroup bash tests/systemd/boot.sh $work/systemd $here/systemd.sh" >"$work/boot" 2>&1 || true
    touch "$work/systemd/results"
    results "$work/systemd"
    [ -s "$work/systemd/results" ] || cat "$work/boot"
fi

step "in a Debian of its own, without systemd"
mkdir "$work/fresh"
cp "$work"/[12].deb "$here/plain.sh" "$work/fresh"
# With this machine's network, from which its packages come.
unshare --mount --pid --fork --kill-child bash "$here/chroot.sh" "$work/fresh" "$here/fresh.sh" \
    >"$work/fresh/results" 2>&1 || true
if grep '^SKIPPED' "$work/fresh/results" >&2; then :; else results "$work/fresh"; fi

step lintian
mkdir "$work/lint"
cp "$work/1.deb" "$work/lint"
# With this machine's network, by which it may be installed in the view.
unshare --mount --pid --fork --kill-child bash "$here/chroot.sh" "$work/lint" "$here/lint.sh" >"$work/lint/results" 2>&1 || true
cat "$work/lint/results"
case $(tail -1 "$work/lint/results") in
"lintian has no errors") ;;
SKIPPED*) ;;
*) failed=1 ;;
esac

step done
exit $failed
