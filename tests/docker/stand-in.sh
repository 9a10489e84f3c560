#!/bin/bash
# stand-in.sh IMAGE: imports a stand-in for a base image that can't be pulled, made of this machine's own
# files: those of the Debian packages that the image has, and what their scripts have put into /etc. What the
# real one lacks is not in it.
#   rust:*   the compiler that is in use, gcc, and the crates that cargo has fetched
#   nginx:*  nginx, as the real image starts it
set -euo pipefail
image=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From the root directory, where each path of a list is looked for.
cd /

# What is essential in Debian, these packages, and what they depend on.
packages() {
    local essential
    mapfile -t essential < <(dpkg-query -W -f '${Essential} ${binary:Package}\n' | sed -n 's/^yes //p')
    apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "$@" "${essential[@]}" | grep -E '^[a-z0-9]' | sort -u |
        comm -12 - <(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p' | sort -u)
}

# Their files. /bin and its like are links to folders below /usr, and what is listed under them lies there.
files() {
    packages "$@" | xargs dpkg-query -L | sed -E 's,^/(s?bin|lib(32|64|x32)?)/,/usr/\1/,' |
        grep -vE '^/usr/share/(doc|man|locale|info)/' | grep -vx '/\.' | sort -u |
        while read -r path; do if [ -e "$path" ]; then echo "${path#/}"; fi; done
    for path in bin sbin lib lib64 tmp etc/passwd etc/group etc/ld.so.cache; do
        if [ -e "$path" ]; then echo "$path"; fi
    done
    # cc and awk are links that a package's script has made.
    find etc/alternatives usr/bin -type l
    find etc/ssl/certs
}

archive() {
    tar --create --no-recursion --ignore-failed-read --files-from="$work/files" "$@" 2>"$work/complaints"
}

case $image in
rust:*)
    files gcc libc6-dev ca-certificates | sort -u >"$work/files"
    sysroot=$(rustc --print sysroot)
    crates=${CARGO_HOME:-$HOME/.cargo}/registry
    # Without credentials, which lie beside the registry, and without what is no part of the real image.
    archive --recursion --exclude=share/doc --exclude="*-musl" \
        --transform "s,^${sysroot#/},usr/local/rust," --transform "s,^${crates#/},usr/local/cargo/registry," \
        "${sysroot#/}" "${crates#/}/index" "${crates#/}/cache" |
        docker import \
            --change 'ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/usr/local/cargo' - "$image"
    ;;
nginx:*)
    files nginx-light | sort -u >"$work/files"
    archive | docker import \
        --change 'CMD ["nginx", "-g", "daemon off;"]' - "$image"
    ;;
*)
    echo "there is no stand-in for $image" >&2
    exit 2
    ;;
esac
