#!/bin/sh
# Installs Debian's Chromium, with which `make test` opens reports (tests marked `browser`). Needs root and apt.
# Nothing else of ai-sci needs it: without a Chromium those tests are skipped.
set -eu
if command -v chromium >/dev/null; then
    echo "chromium is there: $(command -v chromium)"
    exit 0
fi
command -v apt-get >/dev/null || { echo "no apt-get here: install Chromium with this system's own packages" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "run this as root: sudo $0" >&2; exit 1; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
echo "installed $(chromium --version --no-sandbox 2>/dev/null || echo chromium)"
