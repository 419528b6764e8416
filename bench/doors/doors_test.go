package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestMailsDiffer(t *testing.T) {
	seen := map[string]bool{}
	marked := 0
	for n := range uint64(1000) {
		b, rule := mail(n)
		if len(b) != mailSize || seen[string(b)] {
			t.Fatalf("mail %d: %d bytes, seen %v", n, len(b), seen[string(b)])
		}
		seen[string(b)] = true
		found := -1
		for i := range rulesMarked {
			if bytes.Contains(b, []byte(mark(i))) {
				found = i
			}
		}
		if found != rule {
			t.Fatalf("mail %d has the mark of %d, not of %d", n, found, rule)
		}
		if rule >= 0 {
			marked++
		}
	}
	if marked != 250 {
		t.Errorf("%d of 1000 are marked", marked)
	}
}

// A service is measured for a moment, and a wrong answer is noticed.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	tmp := t.TempDir()
	rules := filepath.Join(tmp, "rules")
	if err := gather(rules, filepath.Join(tmp, "none")); err != nil {
		t.Fatal(err)
	}
	o := options{showcause: build(t, tmp)}
	s, err := startShowcause(t.Context(), tmp, rules, &o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	for _, network := range []string{"unix", "tcp"} {
		if r := s.drive(t.Context(), network, 4, 200*time.Millisecond); len(r.latencies) == 0 || r.wrong+r.lost > 0 {
			t.Errorf("%s: %d answers, %d wrong, %d lost", network, len(r.latencies), r.wrong, r.lost)
		}
		if r := s.pace(t.Context(), network, 20, 200*time.Millisecond); len(r.latencies) == 0 || r.wrong+r.lost > 0 {
			t.Errorf("%s, paced: %d answers, %d wrong, %d lost", network, len(r.latencies), r.wrong, r.lost)
		}
	}
	if err := s.reload(); err != nil {
		t.Error(err)
	}
	if s.memory() <= 0 || s.cpu() <= 0 || s.descriptors() <= 0 || len(s.tree()) < 2 {
		t.Errorf("memory %v, CPU %v, %d descriptors, processes %v", s.memory(), s.cpu(), s.descriptors(), s.tree())
	}
	if err := s.say("VERSIONCOMMANDS", "PONG"); err == nil {
		t.Error("a wrong answer passed")
	}
	var r result
	if r.note(0, wrong{}); r.wrong != 1 {
		t.Error("a wrong answer is not counted")
	}
}

func build(t *testing.T, tmp string) string {
	t.Helper()
	bin := filepath.Join(tmp, "showcause")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/showcause").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}
