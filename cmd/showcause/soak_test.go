package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// updated begins a service over a folder that an update keeps, with one source that is a folder.
// What it returns publishes rules, and updates without trying them.
func updated(t *testing.T) (s *service, publish func(rules string)) {
	s = began(t, "", "--soak-crashes", "2")
	s.write("sources.json", fmt.Sprintf(`[{"name": "mine", "kind": "folder", "about": "x", "licence": "x", "terms": "x", "urls": ["file://%s/pub"], "default": true}]`, s.dir))
	run := func(args ...string) {
		t.Helper()
		out, err := s.run(append(args, "--sources", filepath.Join(s.dir, "sources.json"), "--ledger", filepath.Join(s.dir, "ledger"), "-o", filepath.Join(s.dir, "db"))...)
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	publish = func(rules string) {
		s.write("pub/a.ndb", rules)
		run("update", "--no-try", "mine")
	}
	publish(signature("Good", "what is in nothing here"))
	s.end()
	s.again()
	return s, publish
}

// again starts the service anew, with a new log.
func (s *service) again() {
	s.t.Helper()
	s.write("log", "")
	s.start("--soak-crashes", "2")
}

func signature(name, marker string) string { return fmt.Sprintf("%s:0:*:%x\n", name, marker) }

// history is what became of the folder.
func (s *service) history() string {
	out, err := s.run("rules", "history", "--ledger", filepath.Join(s.dir, "ledger"), "-o", filepath.Join(s.dir, "db"))
	if err != nil {
		s.t.Fatalf("%v %s", err, out)
	}
	return out
}

// A release that nobody tried hits most of what comes to a service: it goes back by itself, the
// folder with it, and the history says why. It is not opened again, nor taken by the next update.
func TestServeSoak(t *testing.T) {
	s, publish := updated(t)
	mail := func(i int) string { return s.ask("nINSTREAM\n" + instream(fmt.Sprintf("an ordinary mail %d", i))) }
	for i := range 100 {
		if got := mail(i); got != "stream: OK\n" {
			t.Fatal(got)
		}
	}
	bad := signature("Good", "what is in nothing here") + signature("Bad", "an ordinary mail")
	publish(bad)
	if got := s.ask("nRELOAD\n"); got != "RELOADING\n" {
		t.Fatal(got)
	}
	s.told("rules are reloaded")
	if got := mail(1000); got != "stream: Bad.UNOFFICIAL FOUND\n" {
		t.Fatal(got)
	}
	for i := range 120 {
		mail(2000 + i)
	}
	s.told("rules are taken back")
	s.until("the folder goes back", func() bool { return strings.Contains(s.history(), "reverted") })
	if h := s.history(); !strings.Contains(h, "soak.hits: ") {
		t.Error(h)
	}
	if got := mail(3000); got != "stream: OK\n" {
		t.Error(got)
	}
	_ = s.ask("nRELOAD\n")
	s.until("a second reload", func() bool { return strings.Count(s.logged(), "rules are reloaded") == 2 })
	if got := mail(3001); got != "stream: OK\n" {
		t.Error(got)
	}
	if out, err := s.run("update", "--no-try", "mine", "--sources", filepath.Join(s.dir, "sources.json"), "--ledger", filepath.Join(s.dir, "ledger"), "-o", filepath.Join(s.dir, "db")); err == nil || !strings.Contains(out, "is what was reverted") {
		t.Errorf("%v %s", err, out)
	}
	publish(bad + signature("Other", "what else is in nothing")) // the next one is taken, and watched
	if h := s.history(); strings.Count(h, "installed") != 3 {
		t.Error(h)
	}
}

// Rules that cannot be opened leave those before; rules with which services end again and again,
// or readers die, go back.
func TestServeSoakCrashes(t *testing.T) {
	s, publish := updated(t)
	publish("rubbish\n")
	_ = s.ask("nRELOAD\n")
	s.told("rules are not reloaded; the old ones stay")
	if got := s.ask("nINSTREAM\n" + instream("an ordinary mail")); got != "stream: OK\n" {
		t.Error(got)
	}
	publish(signature("Good", "what is in nothing here, either"))
	publish(signature("Next", "an ordinary mail"))
	die := func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	for range 3 {
		die()
		s.again()
		if got := s.ask("nINSTREAM\n" + instream("an ordinary mail")); got != "stream: Next.UNOFFICIAL FOUND\n" {
			t.Error(got)
		}
		s.end() // one that ends as it should does not count
		s.again()
	}
	if h := s.history(); strings.Contains(h, "reverted") {
		t.Error(h)
	}
	die()
	s.again()
	if h := s.history(); !strings.Contains(h, "soak.starts: 3 services") {
		t.Error(h)
	}
}
