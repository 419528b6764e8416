package event

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is the process that runs commands, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == Role {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestFill(t *testing.T) {
	for _, x := range [][3]string{
		{"a %v b %v", "Win.Test-1", "a Win.Test-1 b Win.Test-1"},
		{"%f", "x", "see-CLAM_VIRUSEVENT_FILENAME"},
		{"echo '%v'", "a'; touch x; `y` $(z) \n|&<>*?\\\"é", "echo 'a___touch_x___y____z____________'"},
		{"%%v %s 100%", "x", "%x %s 100%"},
		{"", "x", ""},
	} {
		if got := fill(x[0], x[1]); got != x[2] {
			t.Errorf("%q, %q: %q, want %q", x[0], x[1], got, x[2])
		}
	}
}

// Each that is told of is run, with the name as it is; those that wait when the Teller is
// closed are, too.
func TestRuns(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	e, err := Start(`printf '%s\0' "$CLAM_VIRUSEVENT_FILENAME" > `+dir+`/%v.tmp && mv `+dir+`/%v.tmp `+dir+`/%v`, []string{"showcause", Role}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"a": "/x/y", "b": "/new\nline\xff", "c": "$(touch " + dir + "/owned)", "d": "\x00zero", "e": strings.Repeat("l", maxText+5)}
	for rule, name := range names {
		e.Tell(name, rule)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	names["d"], names["e"] = "zero", strings.Repeat("l", maxText)
	for rule, want := range names {
		var b []byte
		for range 600 {
			if b, err = os.ReadFile(filepath.Join(dir, rule)); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil || string(b) != want+"\x00" {
			t.Errorf("%s: %.50q %v", rule, b, err)
		}
	}
	if _, err := os.Stat(dir + "/owned"); err == nil {
		t.Error("a name was run")
	}
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// What finds no room is lost, and said; whoever tells does not wait.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	e, err := Start("while [ -d "+dir+" ] && [ ! -e "+dir+"/go ]; do sleep 0.1; done", []string{"showcause", Role}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		e.Tell(strings.Repeat("n", 1000), "r")
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if e.lost.Load() == 0 || !strings.Contains(log.String(), "VirusEvent is not run") {
		t.Errorf("%d lost\n%.500s", e.lost.Load(), log.String())
	}
}
