//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/showcause/showcause/internal/escape"
	"github.com/showcause/showcause/internal/escape/stage"
	"github.com/showcause/showcause/internal/jail"
)

// TestSelftestSummary holds that what got out stands below the totals, by name.
func TestSelftestSummary(t *testing.T) {
	r := selftestReport{Attempts: []attemptReport{
		{Result: stage.Result{Name: "one", What: "the first", Outcome: escape.Killed, How: "SIGSYS"}},
		{Result: stage.Result{Name: "two", What: "the second", Outcome: escape.Succeeded}},
		{Result: stage.Result{Name: "three", What: "the third", Outcome: escape.Unclear, How: "EINVAL"}},
		{Result: stage.Result{Name: "four", What: "the fourth", Outcome: escape.Denied, How: "EPERM"}, Control: "denied EPERM", vacuous: true},
	}}
	var out strings.Builder
	if err := r.text(&out, true); err != nil {
		t.Fatal(err)
	}
	_, summary, _ := strings.Cut(out.String(), "4 attempts: ")
	want := `1 killed, 1 denied, 0 not possible here, 2 NOT STOPPED, 1 that SHOW NOTHING: they fail without the jail too
  NOT STOPPED: two (the second): SUCCEEDED
  NOT STOPPED: three (the third): UNCLEAR EINVAL
  SHOWS NOTHING: four (the fourth): without the jail denied EPERM
`
	if summary != want {
		t.Errorf("got\n%s\nwant\n%s", summary, want)
	}
}

// gone is an output whose reader has left, and which notes what still stood when it was written to.
type gone struct {
	t   *testing.T
	dir string
}

var errGone = errors.New("nobody reads")

func (g gone) Write([]byte) (int, error) {
	if left, err := os.ReadDir(g.dir); err != nil || len(left) > 0 {
		g.t.Errorf("something is left when the first line is printed: %v %v", left, err)
	}
	return 0, errGone
}

// TestSelftestLeavesNothing holds that folders are gone before anything is
// printed, since a closed output ends the program, and also when it is stopped.
func TestSelftestLeavesNothing(t *testing.T) {
	if err := jail.Available(); err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("/tmp", "left") // readers that are another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	for _, o := range []selftestOptions{{format: "text", attempt: "socket-inet"}, {format: "json", attempt: "setuid-program"}} {
		if err := o.run(t.Context(), gone{t, dir}); !errors.Is(err, errGone) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := (&selftestOptions{format: "text"}).run(stopped, gone{t, dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
