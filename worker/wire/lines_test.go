package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func TestLines(t *testing.T) {
	var l Lines
	if got := l.Take(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	l.Add("one")
	l.Add("esc\x1b[31m\n\xff~")
	l.Add(strings.Repeat("x", MaxLine))
	l.Add(strings.Repeat("x", MaxLine+1))
	l.Add(strings.Repeat("\x00", MaxLine))
	got := l.Take()
	want := []string{"one", `esc\x1b[31m\x0a\xff~`, strings.Repeat("x", MaxLine), strings.Repeat("x", MaxLine-3) + "...", strings.Repeat(`\x00`, MaxLine)[:MaxLine-3] + "..."}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, n := range []int{MaxLines, MaxLines + 1, 3 * MaxLines} {
		for i := range n {
			l.Add(fmt.Sprint(i))
		}
		got := l.Take()
		if len(got) != min(n, MaxLines+1) || got[MaxLines-1] != fmt.Sprint(MaxLines-1) || n > MaxLines && got[MaxLines] != fmt.Sprintf("showcause: %d more lines", n-MaxLines) {
			t.Errorf("%d: %d, %q", n, len(got), got[len(got)-1])
		}
		if again := l.Take(); len(again) != 0 {
			t.Errorf("%d are left", len(again))
		}
	}
}

// TestLineLies holds that lines that no reader writes are refused, and that too many
// of them for the broker's memory are cut, which changes no verdict.
func TestLineLies(t *testing.T) {
	s := Settings{Logs: true}
	e, d := NewEncoder(&s), NewDecoder(&s, database())
	r := showcause.Report{Type: "text", Size: 10, Logs: []string{"one", "two"}}
	r.Conclude()
	b := body(e.Report(nil, 1, &r))
	if got, err := d.Report(b, 1, 10, 1<<40); err != nil || !slices.Equal(got.Logs, r.Logs) {
		t.Errorf("%q %v", got.Logs, err)
	}
	for n := range b {
		if _, err := d.Report(b[:n], 1, 10, 1<<40); err == nil {
			t.Errorf("%d bytes of %d are a report", n, len(b))
		}
	}
	for name, bad := range map[string][]byte{
		"escape": []byte(strings.Replace(string(b), "one", "o\x1be", 1)),
		"UTF-8":  []byte(strings.Replace(string(b), "two", "\u20ac", 1)),
		"more":   []byte(strings.Replace(string(b), "\x02\x00\x00\x00\x03\x00one", "\x03\x00\x00\x00\x03\x00one", 1)),
		"fewer":  []byte(strings.Replace(string(b), "\x02\x00\x00\x00\x03\x00one", "\x01\x00\x00\x00\x03\x00one", 1)),
		"behind": append(slices.Clone(b), 0),
		"long":   append(append(slices.Clone(b[:len(b)-14]), 1, 0, 0, 0, 1, 4), strings.Repeat("x", MaxLine+1)...),
		"many":   append(append(slices.Clone(b[:len(b)-14]), 0xea, 3, 0, 0), make([]byte, lineSize*(MaxLines+2))...),
	} {
		if _, err := d.Report(bad, 1, 10, 1<<40); err == nil {
			t.Errorf("%s: let pass", name)
		}
	}
	if got, err := d.Report(append(append(slices.Clone(b[:len(b)-14]), 0xe9, 3, 0, 0), make([]byte, lineSize*(MaxLines+1))...), 1, 10, 1<<40); err != nil || len(got.Logs) != MaxLines+1 {
		t.Errorf("as many as there may be: %v", err)
	}

	for range MaxLines + 1 {
		r.Logs = append(r.Logs, strings.Repeat("x", 2*MaxLine))
	}
	frame := e.Report(nil, 1, &r)
	if len(frame)-4 > s.MaxFrame() {
		t.Errorf("%d bytes, at most %d", len(frame), s.MaxFrame())
	}
	got, err := d.Report(body(frame), 1, 10, 0)
	if err != nil || got.Verdict != showcause.NothingFound || len(got.Gaps) > 0 || Weigh(&got) > LeastRoom+1000 ||
		got.Logs[len(got.Logs)-1] != missing(MaxLines+1-(len(got.Logs)-1)) {
		t.Errorf("%v: %v, %d lines, %q, %d bytes", err, got.Verdict, len(got.Logs), got.Logs[len(got.Logs)-1], Weigh(&got))
	}

	// Lines that nobody asked for do not travel.
	e, d = NewEncoder(&Settings{}), NewDecoder(&Settings{}, database())
	if got, err := d.Report(body(e.Report(nil, 1, &r)), 1, 10, 1<<40); err != nil || len(got.Logs) > 0 {
		t.Errorf("%d lines, %v", len(got.Logs), err)
	}
}

func TestModules(t *testing.T) {
	in := map[string][]byte{"cuckoo": []byte("{}"), "a": {}, "b": []byte(strings.Repeat("x", 1<<16))}
	b, err := EncodeModules(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := DecodeModules(b)
	if err != nil || len(out) != 3 || string(out["cuckoo"]) != "{}" || len(out["b"]) != 1<<16 || out["a"] == nil {
		t.Errorf("%d %v", len(out), err)
	}
	for i := range min(len(b), 200) {
		if _, err := DecodeModules(b[:i]); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if _, err := DecodeModules(append(b, 0)); err == nil {
		t.Error("a byte behind")
	}
	if _, err := DecodeModules([]byte("\x02\x00\x01a\x00\x00\x00\x00\x01a\x00\x00\x00\x00")); err == nil {
		t.Error("a name twice")
	}
	head := 2 + 1 + 1 + 4
	for n, want := range map[int]bool{MaxModules - head: true, MaxModules - head + 1: false} {
		b, err := EncodeModules(map[string][]byte{"x": make([]byte, n)})
		if (err == nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err == nil && len(b) != MaxModules {
			t.Errorf("%d bytes", len(b))
		}
	}
	if _, err := EncodeModules(map[string][]byte{strings.Repeat("x", 256): nil}); err == nil {
		t.Error("a long name")
	}
	if _, err := DecodeModules(make([]byte, MaxModules+1)); err == nil {
		t.Error("too many bytes")
	}
}
