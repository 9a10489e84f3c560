#!/bin/bash
# Runs in a chroot: lintian on the package, which is installed there if it can be.
export LANG=C DEBIAN_FRONTEND=noninteractive
if ! command -v lintian >/dev/null; then
    apt-get update -q >/out/apt 2>&1 && apt-get install -q -y --no-install-recommends lintian >>/out/apt 2>&1
fi
if ! command -v lintian >/dev/null; then
    tail -3 /out/apt
    echo "SKIPPED lintian can't be installed here"
    exit
fi
lintian --allow-root --fail-on error /out/1.deb && echo "lintian has no errors"
