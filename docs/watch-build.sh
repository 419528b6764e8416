#!/bin/bash
# What `showcause watch --block` costs an ordinary compile: `go build ./...` of this project in a
# watched folder that holds the sources, Go's cache and its temporary files, without and with it, in turns.
#
#	docs/watch-build.sh ROUNDS [OPTION OF WATCH...]
#
# PACKAGES=./evidence builds less than all. It takes root, a kernel with fanotify, git, Go and 2 GB of memory (a tmpfs). Each line: real time, CPU of
# go and what it starts, CPU of watch and its readers, in seconds. The last says how much more CPU there was in all:
# on a machine that does other work, time says little.
set -euo pipefail
rounds=${1:-2}
[ $# -eq 0 ] || shift
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
fs=$dir/fs
mkdir "$fs"
mount -t tmpfs -o size=4g watch-build "$fs"
watching=
end() {
	[ -z "$watching" ] || kill "$watching" 2>/dev/null || true
	umount -l "$fs"
	rm -rf "$dir"
}
trap end EXIT
go build -C "$root" -o "$dir/showcause" ./cmd/showcause
export SHOWCAUSE_STORE=off
export GOFLAGS=-mod=mod GOCACHE=$fs/cache GOTMPDIR=$fs/tmp TMPDIR=$fs/tmp
TIMEFORMAT='%R %U %S'

build() { # what is built is not there before
	rm -rf "$fs"/*
	mkdir "$fs/tmp"
	git -c advice.detachedHead=false clone -q --shared "$root" "$fs/src"
	{ time go build -C "$fs/src" ${PACKAGES:-./...} ; } 2>"$dir/go" || { cat "$dir/go" "$dir/log"; exit 1; }
}

for i in $(seq "$rounds"); do
	build
	echo "plain $(cat "$dir/go") 0 0" | tee -a "$dir/all"
	{ time sh -c 'echo $$ >"$0/pid"; exec "$0/showcause" watch --block "$@" "$0/fs" 2>"$0/log"' "$dir" "$@"; } 2>"$dir/watch" &
	job=$!
	until grep -q msg=ready "$dir/log" 2>/dev/null; do
		kill -0 $job || { cat "$dir/log"; exit 1; }
		sleep 0.1
	done
	watching=$(cat "$dir/pid")
	build
	kill "$watching"
	wait $job || true
	watching=
	echo "watch $(cat "$dir/go") $(tail -1 "$dir/watch" | cut -d' ' -f2-)" | tee -a "$dir/all"
	grep FOUND "$dir/log" && exit 1
	rm -f "$dir/log"
done
awk '{ real[$1] += $2; cpu[$1] += $3 + $4; own[$1] += $5 + $6; n[$1]++ }
	END {
		for (k in n) printf "%s: %.1f s real, %.1f s CPU of go, %.1f s of watch\n", k, real[k]/n[k], cpu[k]/n[k], own[k]/n[k]
		printf "real time %+.1f %%, CPU in all %+.1f %%\n", 100*(real["watch"]/real["plain"]-1), 100*((cpu["watch"]+own["watch"])/cpu["plain"]-1)
	}' "$dir/all"
