package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NetworkOf returns the bytes that the kernel counted on the interfaces of a
// process's network namespace, link-layer headers included: those named, or
// all but the loopback. It refuses a process that shares our own namespace,
// whose numbers are those of the whole machine.
func NetworkOf(pid int, names []string) (out, in int64, err error) {
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("process: %w", err)
	}
	ours, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return 0, 0, fmt.Errorf("process: %w", err)
	}
	if os.SameFile(theirs, ours) {
		return 0, 0, fmt.Errorf("process %d: has no network namespace of its own: the counters would be the whole machine's", pid)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("process: %w", err)
	}
	defer f.Close()
	return netDev(f, names)
}

// netDev reads /proc/net/dev (proc_net_dev(5)): two lines of titles, then
// "name: bytes-in and 7 more bytes-out and 7 more".
func netDev(r io.Reader, names []string) (out, in int64, err error) {
	left := slices.Clone(names)
	s := bufio.NewScanner(r)
	for n := 0; s.Scan(); n++ {
		if n < 2 {
			continue
		}
		name, rest, ok := strings.Cut(s.Text(), ":")
		name = strings.TrimSpace(name)
		f := strings.Fields(rest)
		if !ok || len(f) < 16 {
			return 0, 0, errors.New("counters: a line of net/dev is not of its form")
		}
		if len(names) == 0 && name == "lo" || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		left = slices.DeleteFunc(left, func(s string) bool { return s == name })
		i, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("counters: %w", err)
		}
		o, err := strconv.ParseInt(f[8], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("counters: %w", err)
		}
		in += i
		out += o
	}
	if err := s.Err(); err != nil {
		return 0, 0, fmt.Errorf("counters: %w", err)
	}
	if len(left) > 0 {
		return 0, 0, fmt.Errorf("counters: no interface %s", left[0])
	}
	return out, in, nil
}

// ParseUnit reads what "systemctl show --timestamp=unix" says of a unit's
// control group: the IP bytes out and in, and the time from which they count,
// zero if systemd does not say it in this form.
func ParseUnit(text string) (out, in int64, since time.Time, err error) {
	values := map[string]string{}
	for l := range strings.SplitSeq(text, "\n") {
		k, v, _ := strings.Cut(l, "=")
		values[k] = v
	}
	counter := func(k string) int64 {
		n, cerr := strconv.ParseInt(values[k], 10, 64) // 2^64-1 is "none"
		if cerr != nil && err == nil {
			err = fmt.Errorf("no %s: it needs IPAccounting=yes, and is read while it is active", k)
		}
		return n
	}
	out, in = counter("IPEgressBytes"), counter("IPIngressBytes")
	if n, terr := strconv.ParseInt(strings.TrimPrefix(values["InactiveExitTimestamp"], "@"), 10, 64); terr == nil && n > 0 {
		since = time.Unix(n, 0)
	}
	return out, in, since, err
}
