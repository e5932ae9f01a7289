#!/bin/sh
# Installs Slurm from Debian's own packages, for `make test-slurm`: its daemons, its commands, and munge.
# It starts nothing: the tests start daemons of their own, with a configuration in a temporary folder.
set -eu

packages="slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
PATH="$PATH:/usr/sbin:/sbin"
if command -v slurmctld >/dev/null 2>&1 && command -v slurmd >/dev/null 2>&1 && command -v munged >/dev/null 2>&1 &&
    command -v sbatch >/dev/null 2>&1; then
    echo "Slurm is installed: $(slurmctld -V)."
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-slurm: no apt-get here; install these yourself: $packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "install-slurm: run this as root, for apt-get, and because a whole cluster's daemons need root" >&2
    exit 1
fi

echo "Installing with apt-get: $packages"
export DEBIAN_FRONTEND=noninteractive
# The packages would start daemons that have no configuration.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $packages || {
    apt-get update
    apt-get install -y --no-install-recommends $packages
}
echo "Installed $(slurmctld -V)."
