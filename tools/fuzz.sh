#!/bin/sh
# Runs every fuzz target for the time given, one after the other, and prints a table of what each did.
set -u
: "${GO:=go}"
time=${1:-60s}
failed=0
echo "| package | target | runs | new inputs |"
echo "| --- | --- | --- | --- |"
for dir in $($GO list -f '{{.Dir}}' ./...); do
	for f in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | cut -c6- | sort -u); do
		if ! out=$($GO test -run '^$' -fuzz "^$f\$" -fuzztime "$time" -fuzzminimizetime 5x "$dir" 2>&1); then
			# The runner itself sometimes ends with a deadline of its own; nothing failed then.
			if ! echo "$out" | grep -q 'context deadline exceeded' || echo "$out" | grep -q 'Failing input'; then
				echo "$out" >&2
				failed=1
			fi
		fi
		last=$(echo "$out" | grep -o 'execs: [0-9]*.*total: [0-9]*' | tail -1)
		echo "| ${dir#"$PWD"/} | $f | $(echo "$last" | sed 's/execs: \([0-9]*\).*/\1/') | $(echo "$last" | sed 's/.*new interesting: \([0-9]*\).*/\1/') |"
	done
done
exit $failed
