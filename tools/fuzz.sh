#!/bin/sh
# Runs every fuzz target for the time given, one after the other.
set -eu
: "${GO:=go}"
time=${1:-60s}
failed=
for dir in $($GO list -f '{{.Dir}}' ./...); do
	for f in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | cut -c6- | sort -u); do
		echo "== ${dir#"$PWD"/} $f"
		$GO test -run '^$' -fuzz "^$f\$" -fuzztime "$time" "$dir" | tail -3 || failed="$failed $f"
	done
done
[ -z "$failed" ] || { echo "FAILED:$failed"; exit 1; }
