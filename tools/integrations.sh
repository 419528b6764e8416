#!/bin/sh
# Runs the recipes of docs/recipes.md against the real programs: installs the Debian packages named, and what is of no package or cannot be
# installed beside another. What cannot be had is skipped by its test, by name.
set -eu
: "${GO:=go}"
sh tools/deps.sh "$@"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/showcause-tests
mkdir -p "$cache"

# Debian lets one mail server be installed at a time: Exim is unpacked beside Postfix.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v exim4 >/dev/null; then
	if ! [ -x "$cache/exim/usr/sbin/exim4" ]; then
		(cd "$cache" && apt-get download -q exim4-daemon-heavy && dpkg -x exim4-daemon-heavy_*.deb exim.new && mv exim.new exim; rm -f exim4-daemon-heavy_*.deb) ||
			echo "exim4-daemon-heavy cannot be had" >&2
	fi
	if [ -x "$cache/exim/usr/sbin/exim4" ]; then
		getent passwd Debian-exim >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
		export SHOWCAUSE_EXIM="$cache/exim/usr/sbin/exim4"
	fi
fi

# Clients of clamd that are npm's and Go's. No script of a package is run.
if command -v npm >/dev/null; then
	[ -d "$cache/node_modules/clamav.js" ] ||
		npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$cache" clamscan@2.4.0 clamdjs@1.0.2 clamav.js@0.12.0 || echo "npm's clients cannot be had" >&2
	export SHOWCAUSE_NODE_MODULES="$cache/node_modules"
fi
(cd "$cache" && $GO mod download github.com/dutchcoders/go-clamd@v0.0.0-20170520113014-b970184f4d9e) || echo "go-clamd cannot be had" >&2

export SHOWCAUSE_RECIPES=1
$GO tool -modfile=tools/go.mod gotestsum --format testname -- -count 1 -timeout 10m -parallel 3 ./internal/recipes
exec $GO tool -modfile=tools/go.mod gotestsum --format testname -- -count 1 -timeout 10m -run '^TestClients$' ./serve/clamd
