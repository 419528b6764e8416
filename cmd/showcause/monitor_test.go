package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A monitor fetches a site by its address, keeps a copy, and says what each release changed; what
// it fetched is in the ledger, and another site at that address is found out.
func TestMonitorFetches(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		b, err := process(t, dir, args...).CombinedOutput()
		return string(b), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		return out
	}
	rules := func(text string) {
		if err := os.MkdirAll(filepath.Join(dir, "rules"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "rules/a.ndb"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"p", "q"} {
		must("publish", "init", p, "--pack", "mine")
		rules(signature("One", "the first marker"))
		must("publish", "release", p, "rules")
	}
	site := filepath.Join(dir, "p/site")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(site)).ServeHTTP(w, r)
	}))
	defer server.Close()
	look := func() (string, error) {
		return run("publish", "monitor", server.URL, "--source", "p/source.json", "--ledger", "led")
	}
	if out, err := look(); err != nil || !strings.Contains(out, "release 1, ") || !strings.Contains(out, "  add   ") {
		t.Fatalf("%v %s", err, out)
	}
	rules(signature("One", "the first marker") + signature("Two", "the second marker"))
	must("publish", "release", "p", "rules")
	if out, err := look(); err != nil || strings.Contains(out, "release 1, ") || !strings.Contains(out, "Two.UNOFFICIAL") {
		t.Errorf("%v %s", err, out)
	}
	for _, name := range []string{"log/checkpoint", "releases/1.json", "releases/2.changes"} {
		if _, err := os.Stat(filepath.Join(dir, "mirror", name)); err != nil {
			t.Error(err)
		}
	}
	site = filepath.Join(dir, "q/site")
	if out, err := look(); err == nil || !strings.Contains(out, "WRONG") {
		t.Errorf("%v %s", err, out)
	}
	if out := must("ledger", "show", "--ledger", "led"); !strings.Contains(out, "/releases/2.changes") {
		t.Error(out)
	}
	server.Close()
	if out, err := look(); err == nil || strings.Contains(out, "WRONG") {
		t.Errorf("a server that is gone: %v %s", err, out)
	}
}
