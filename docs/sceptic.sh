#!/bin/sh
# Checks from outside, with tools that are not ours, that nothing leaves.
#
#   sh sceptic.sh [PATH OF showcause]
#
# Prints PASS, FAIL or NOT RUN, one line each; NOT RUN says what is missing. Root
# runs all of it. Exit code: 0 nothing failed, 1 something did.
#
#   strace         a scan of 5,000 files: processes that read them make, once locked, only calls of the published list
#   /proc          those processes while they read: Seccomp 2, NoNewPrivs 1, no capability, no descriptor but the listed
#   ip, tcpdump    a scan of 10,000 files in a network of its own whose other end is watched: 0 packets
#
# FILES and MORE in the environment change the 5,000 and the 10,000.

showcause=${1:-showcause}
files=${FILES:-5000}
more=${MORE:-10000}
failed=0

pass() { echo "PASS     $*"; }
fail() { echo "FAIL     $*"; failed=1; }
notrun() { echo "NOT RUN  $*"; }

has() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null 2>&1 || return 1
	done
}

showcause=$(command -v "$showcause") || { echo "usage: sh sceptic.sh [PATH OF showcause]" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d) || exit 2
far=showcause-far-$$
near=showcause-near-$$
scan=
cleanup() {
	[ -z "$scan" ] || kill -CONT "$scan" 2>/dev/null
	[ -z "$scan" ] || kill "$scan" 2>/dev/null
	if [ -e "$work/netns" ]; then
		ip netns delete "$near" 2>/dev/null
		ip netns delete "$far" 2>/dev/null
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 2' INT TERM HUP

# Files of all kinds: text by the number, and some programs and documents of this system with archives around them.
corpus() { # FOLDER NUMBER
	mkdir -p "$1"
	awk -v dir="$1" -v n="$2" 'BEGIN {
		for (i = 0; i < n; i++) {
			f = dir "/" i ".txt"
			print "file " i ", nothing in it" > f
			for (k = 0; k < i % 50; k++) print "line " k " of a text that is read and not carried away" > f
			close(f)
		}
	}'
	i=0
	for f in /bin/ls /bin/sh /bin/cat /usr/share/doc/*/copyright /usr/share/doc/*/changelog*.gz; do
		[ -f "$f" ] || continue
		i=$((i + 1))
		cp "$f" "$1/sys-$i"
		rm -f "$1/$((i - 1)).txt"
		[ $i -lt 100 ] && [ $i -lt "$2" ] || break
	done
}

# The calls of a reader, by name.
listed() {
	"$showcause" status --jail --format json 2>/dev/null | tr '{' '\n' | sed -n 's/^"name":"\([a-z0-9_]*\)","number":[0-9]*,"action":.*/\1/p'
}

# A trace, in two passes: which process a thread belongs to, and when that was locked; then every call after that.
# Numbers are of this system, or, behind "in strace's PID NS", also where a reader has numbers of its own.
judge_trace() { # TRACE LIST
	awk -v list="$2" '
	function tid(s) { sub(/<.*/, "", s); return s + 0 }
	BEGIN { while ((getline name < list) > 0) ok[name] = 1 }
	FNR == 1 { pass++ }
	{
		t = tid($1)
		call = $0
		sub(/^[0-9]+<[^>]*> +/, "", call)
	}
	pass == 1 && call ~ /^execve\("\/proc\/self\/exe", \["showcause", "worker"\]/ { group[t] = t; born[t] = FNR; readers++ }
	pass == 1 && (t in group) && call ~ /^(clone\(|<\.\.\. clone resumed>)/ && call ~ / = [0-9]+/ {
		child = call
		if (call ~ /in strace.s PID NS/) { sub(/ in strace.*/, "", child); sub(/.*\/\* /, "", child) }
		else { sub(/.* = /, "", child); sub(/[^0-9].*/, "", child) }
		group[child + 0] = group[t]
	}
	pass == 1 && (t in group) && call ~ /^seccomp\(SECCOMP_SET_MODE_FILTER/ { asked[t] = 1 }
	pass == 1 && (t in group) && asked[t] && call ~ /seccomp/ && call ~ / = 0$/ { if (!(group[t] in locked)) { locked[group[t]] = FNR; n++ } }
	pass == 2 && (t in group) && (group[t] in locked) && FNR > locked[group[t]] {
		if (call ~ /^(<\.\.\.|---|\+\+\+|\?\?\?)/) next
		name = call
		sub(/\(.*/, "", name)
		calls[name]++
		if (!(name in ok)) bad[name] = call
		if (name == "mmap" && call ~ /PROT_EXEC/) bad[name] = call
		if (name == "write" && call !~ /^write\([0-9]+<?/) bad[name] = call
	}
	END {
		printf "readers %d\nlocked %d\nreads %d\n", readers, n, calls["pread64"]
		for (name in calls) printf "call %s %d\n", name, calls[name]
		for (name in bad) printf "bad %s: %.200s\n", name, bad[name]
	}' "$1" "$1"
}

check_strace() {
	what="system calls of locked readers are on the list, over a scan of $files files (strace)"
	has strace awk || { notrun "$what: strace is not installed"; return; }
	strace --help 2>&1 | grep -q decode-pids || { notrun "$what: this strace has no --decode-pids (5.15 has)"; return; }
	listed >"$work/listed"
	[ -s "$work/listed" ] || { fail "$what: $showcause status --jail lists no call"; return; }
	corpus "$work/strace" "$files"
	strace -f -qq --decode-pids=comm,pidns -o "$work/trace" "$showcause" scan -j 1 "$work/strace" >"$work/strace.out" 2>&1
	code=$?
	if [ ! -s "$work/trace" ]; then
		notrun "$what: strace may not trace here: $(head -n 1 "$work/strace.out")"
		return
	fi
	[ $code -le 2 ] || { fail "$what: the scan ended with $code"; return; }
	judge_trace "$work/trace" "$work/listed" >"$work/judged"
	readers=$(sed -n 's/^readers //p' "$work/judged")
	locked=$(sed -n 's/^locked //p' "$work/judged")
	reads=$(sed -n 's/^reads //p' "$work/judged")
	if grep -q '^bad ' "$work/judged"; then
		fail "$what: $(grep '^bad ' "$work/judged" | tr '\n' ';')"
	elif [ "${locked:-0}" -lt 1 ] || [ "${reads:-0}" -lt "$files" ]; then
		fail "$what: $readers readers, $locked locked, $reads reads seen; each file is read by one"
	else
		pass "$what: $locked readers, $reads reads, only: $(sed -n 's/^call \([a-z0-9_]*\) .*/\1/p' "$work/judged" | sort | tr '\n' ' ')"
	fi
	what="no socket but AF_UNIX is made by any process of the scan (strace)"
	# AF_UNSPEC is no family: the broker asks so whether its own filter refuses, and no kernel makes a socket of it.
	if grep -E '> (socket|socketpair)\(' "$work/trace" | grep -qvE 'AF_UNIX|\(AF_UNSPEC, '; then
		fail "$what: $(grep -E '> (socket|socketpair)\(' "$work/trace" | grep -vE 'AF_UNIX|\(AF_UNSPEC, ' | head -n 1)"
	else
		pass "$what"
	fi
	rm -rf "$work/strace" "$work/trace"
}

children() { # PID
	cat /proc/"$1"/task/*/children 2>/dev/null
}

filters() { # PID
	sed -n 's/^Seccomp_filters:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null
}

# A reader that holds a file to scan, or has a filter more than the broker, whose own it inherits.
reading() { # PID
	# Between its fork and its start a child has all that the broker has open, and the broker's command line still.
	cmp -s "/proc/$1/cmdline" "/proc/$scan/cmdline" && return 1
	ls -l "/proc/$1/fd" 2>/dev/null | grep -qF -- "-> $work/proc/" && return 0
	[ "$(filters "$1")" -gt "$(filters "$scan")" ] 2>/dev/null
}

# Looks at one reader that is locked.
check_reader() { # PID
	cp "/proc/$1/status" "$work/status" 2>/dev/null || return
	for want in 'NoNewPrivs:1' 'Seccomp:2' 'CapInh:0000000000000000' 'CapPrm:0000000000000000' 'CapEff:0000000000000000' 'CapAmb:0000000000000000'; do
		name=${want%%:*}
		got=$(sed -n "s/^$name:[[:space:]]*//p" "$work/status")
		[ "$got" = "${want#*:}" ] || echo "$name is $got" >>"$work/wrong"
	done
	if [ "$(id -u)" = 0 ] && grep -q '^Uid:.*[[:space:]]0\([[:space:]]\|$\)' "$work/status"; then
		echo "runs as $(grep '^Uid:' "$work/status")" >>"$work/wrong"
	fi
	# A file that is closed while ls looks makes it complain; what it saw counts.
	ls -l "/proc/$1/fd" >"$work/fd" 2>/dev/null
	if ! grep -q ' -> ' "$work/fd"; then
		[ "$(id -u)" = 0 ] || echo "$1" >>"$work/hidden"
		return
	fi
	sed -n 's/.* \([0-9]*\) -> \(.*\)/\1 \2/p' "$work/fd" | while read -r fd target; do
		case $fd:$target in
		0:/dev/null | 1:pipe:* | 2:pipe:* | 3:socket:*) ;;
		*:"anon_inode:[eventpoll]" | *:"anon_inode:[eventfd]") ;;
		4:*memfd:* | 6:*memfd:showcause-rules*) ;;
		5:*"(deleted)") ;;
		*:"$work/proc/"*)
			# Read-only: the last digit of the flags is 0. A file that is closed meanwhile has none.
			flags=$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$1/fdinfo/$fd" 2>/dev/null)
			case $flags in
			*[1-7]) echo "descriptor $fd may be written: $target" >>"$work/wrong" ;;
			esac
			;;
		*) echo "descriptor $fd is $target" >>"$work/wrong" ;;
		esac
	done
	[ "$(readlink "/proc/$1/ns/net")" = "$(readlink /proc/self/ns/net)" ] && echo "$1" >>"$work/samenet"
	echo "$1" >>"$work/seen"
}

check_proc() {
	what="readers while they read: Seccomp 2, NoNewPrivs 1, no capability, only the listed descriptors (/proc)"
	[ -r "/proc/$$/task/$$/children" ] || { notrun "$what: this kernel has no /proc/PID/task/TID/children"; return; }
	corpus "$work/proc" "$more"
	: >"$work/wrong"
	# The same files again and again, so that it lasts; it is ended when enough was seen.
	set --
	while [ $# -lt 20 ]; do set -- "$@" "$work/proc"; done
	"$showcause" scan "$@" >"$work/proc.out" 2>&1 &
	scan=$!
	tries=0
	while [ $tries -lt 400 ] && kill -0 "$scan" 2>/dev/null; do
		tries=$((tries + 1))
		# Held still for a look, so that it does not end meanwhile; readers go on, and stay when they have nothing to do.
		kill -STOP "$scan" 2>/dev/null
		for pid in $(children "$scan"); do
			reading "$pid" && check_reader "$pid"
		done
		kill -CONT "$scan" 2>/dev/null
		[ "$(cat "$work/seen" "$work/hidden" 2>/dev/null | wc -l)" -ge 12 ] && break
		sleep 0.02 2>/dev/null || sleep 1
	done
	kill "$scan" 2>/dev/null
	wait "$scan" 2>/dev/null
	scan=
	if [ -s "$work/wrong" ]; then
		fail "$what: $(sort "$work/wrong" | uniq | head -n 5 | tr '\n' ';')"
	elif [ -e "$work/hidden" ]; then
		notrun "$what: status is right; only root may see the descriptors of a process that is not dumpable"
	elif [ ! -e "$work/seen" ] && [ $tries -lt 40 ]; then
		notrun "$what: the scan was over after $tries looks, none of them at a locked reader; more files (MORE=) make it last"
	elif [ ! -e "$work/seen" ]; then
		fail "$what: no locked reader in $tries looks: $(head -n 1 "$work/proc.out")"
	else
		pass "$what: looked $(wc -l <"$work/seen") times"
	fi
	what="readers have a network of their own, with nothing in it (/proc)"
	if [ ! -e "$work/seen" ]; then
		notrun "$what: no reader was seen"
	elif [ -e "$work/samenet" ]; then
		notrun "$what: this kernel or container gives no network namespace; seccomp alone keeps readers off the network"
	else
		pass "$what"
	fi
	rm -rf "$work/proc"
}

# Two networks with one cable between them; what one sends, the other sees.
cable() {
	touch "$work/netns"
	ip netns add "$near" && ip netns add "$far" &&
		ip -n "$near" link add wire type veth peer name wire netns "$far" || return 1
	for ns in "$near" "$far"; do
		# The kernel itself speaks IPv6 on a new cable; what is looked for here is what a program sends.
		ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null
	done
	ip -n "$near" addr add 192.0.2.1/24 dev wire && ip -n "$far" addr add 192.0.2.2/24 dev wire &&
		ip -n "$near" link set lo up && ip -n "$near" link set wire up && ip -n "$far" link set wire up &&
		ip -n "$near" route add default via 192.0.2.2 || return 1
	# Each end knows the other's address: the kernel does not ask for it later on its own account.
	for pair in "$near $far 192.0.2.2" "$far $near 192.0.2.1"; do
		set -- $pair
		ip -n "$1" neigh replace "$3" lladdr "$(ip netns exec "$2" cat /sys/class/net/wire/address)" nud permanent dev wire || return 1
	done
}

# Runs a command in the near network and prints how many packets the far end saw.
watched() { # COMMAND...
	rm -f "$work/packets"
	ip netns exec "$far" tcpdump -n -U -i wire -w "$work/packets" 2>"$work/tcpdump" &
	dump=$!
	tries=0
	until grep -q 'listening on' "$work/tcpdump"; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] && kill -0 $dump 2>/dev/null || { echo none; return; }
		sleep 0.1 2>/dev/null || sleep 1
	done
	ip netns exec "$near" "$@" >"$work/watched.out" 2>&1
	sleep 1
	kill -INT $dump
	wait $dump
	tcpdump -n -r "$work/packets" 2>/dev/null | wc -l | tr -d ' '
}

check_packets() {
	what="packets sent by a scan of $more files: 0 (tcpdump at the other end of the cable)"
	has ip tcpdump || { notrun "$what: iproute2 and tcpdump are not installed"; return; }
	[ "$(id -u)" = 0 ] || { notrun "$what: making a network needs root"; return; }
	cable 2>"$work/cable" || { notrun "$what: $(head -n 1 "$work/cable")"; return; }
	# First that the far end would see one.
	if has logger; then
		seen=$(watched logger --server 192.0.2.2 --udp --port 9 --tag showcause one packet)
	elif has python3; then
		seen=$(watched python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 9))')
	else
		notrun "$what: neither logger nor python3 is there to send the one packet that must be seen"
		return
	fi
	case $seen in
	0 | none) notrun "$what: tcpdump does not see a packet that was sent: $(tail -n 1 "$work/tcpdump")"; return ;;
	esac
	corpus "$work/net" "$more"
	sent=$(watched "$showcause" scan "$work/net")
	if ! grep -q 'nothing found' "$work/watched.out"; then
		fail "$what: the scan did not end well: $(tail -n 1 "$work/watched.out")"
	elif [ "$sent" = 0 ]; then
		pass "$what; of what a program that does send did before, it saw $seen: $(tail -n 1 "$work/watched.out")"
	else
		fail "$what: $sent were seen: $(tcpdump -n -r "$work/packets" 2>/dev/null | head -n 3 | tr '\n' ';')"
	fi
}

check_strace
check_proc
check_packets
exit $failed
