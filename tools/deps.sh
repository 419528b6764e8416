#!/bin/sh
# Installs the Debian packages named that are not there, or says how. Tests whose package cannot be had are skipped, each by name.
missing=
for p in "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
	echo "not a Debian system; tests that need these are skipped:$missing" >&2
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "the tests need packages; as root: apt-get install$missing" >&2
	echo "(go test ./... runs without them, and names what it skips)" >&2
	exit 1
fi
# RUNLEVEL=1: no service is started; freshclam would fetch databases, and the tests bring their own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -q || true
apt-get install -q -y --no-install-recommends $missing && exit 0
# One that cannot be had, on another release for one, does not keep the others away.
lacking=
for p in $missing; do
	apt-get install -q -y --no-install-recommends "$p" || lacking="$lacking $p"
done
[ -z "$lacking" ] || echo "could not be installed; tests that need these are skipped:$lacking" >&2
