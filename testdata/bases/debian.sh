#!/bin/sh
# Writes the root filesystem of a minimal Debian (or Ubuntu) to the tar file $1: this
# machine's release, from this machine's own package sources, with mmdebstrap.
set -eu
out=$1
. /etc/os-release
command -v mmdebstrap >/dev/null || { echo "debian.sh: install mmdebstrap first" >&2; exit 1; }
umask 022

# The sources of this machine, so that a mirror set up here is used inside too.
set --
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources \
  /etc/apt/sources.list.d/ubuntu.sources; do
  if [ -f "$file" ] && grep -qE '^(deb|Types:) ?' "$file"; then set -- "$@" "$file"; fi
done

# What this machine says of the dates of package lists holds inside too.
dates=$(mktemp)
trap 'rm -f "$dates" "$out.part"' EXIT
apt-config dump | grep -E '^Acquire::Check-(Date|Valid-Until) ' >"$dates" || true

mmdebstrap --quiet --variant=minbase --format=tar --aptopt="$dates" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  "$VERSION_CODENAME" "$out.part" "$@"
mv "$out.part" "$out"
