#!/bin/sh
# Installs the Debian packages named that are not there, or says how.
missing=
for p in "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
	echo "not a Debian system; tests that need these are skipped, each by name:$missing" >&2
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "the tests need packages; as root: apt-get install$missing" >&2
	echo "(go test ./... runs without them, and names what it skips)" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# freshclam would fetch databases as a service; the tests bring their own.
apt-get update -q && apt-get install -q -y --no-install-recommends $missing
