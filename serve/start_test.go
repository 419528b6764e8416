package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// A log that cannot be opened goes to standard error until it can be.
func TestLogElsewhere(t *testing.T) {
	dir := t.TempDir() + "/later"
	var errs bytes.Buffer
	log, file, err := newLog(LogOptions{File: dir + "/log"}, &errs)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.settled(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	log.Info("one")
	if err := file.reopen(); err == nil {
		t.Error("it is open")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := file.settled(); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if err := file.reopen(); err == nil {
		t.Error("it is open")
	}
	log.Info("three") // the one that is open stays
	if b, err := os.ReadFile(dir + "2/log"); err != nil || string(b) != "two\nthree\n" || errs.String() != "one\n" {
		t.Errorf("%q in the file, %q elsewhere, %v", b, &errs, err)
	}
}

// A control socket that nobody asked for is left out, and said to be, where it cannot be opened;
// its folder is made.
func TestControlElsewhere(t *testing.T) {
	dir, err := os.MkdirTemp("", "control") // a short name: a socket's has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for path, there := range map[string]bool{dir + "/made/c": true, dir + "/not/made/c": false} {
		var errs bytes.Buffer
		d := &Daemon{o: Options{Control: path, ControlDefault: true, Stderr: &errs}}
		if err := d.open(nil); err != nil {
			t.Fatal(err)
		}
		if len(d.sockets) > 0 != there || d.o.Control != "" != there || strings.Contains(errs.String(), "no socket for status and top") == there {
			t.Errorf("%s: %d sockets, %q, %q", path, len(d.sockets), d.o.Control, &errs)
		}
		d.closeSockets()
		d.o.Control, d.o.ControlDefault = path, false // somebody asked for it
		if err := d.open(nil); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
		d.closeSockets()
	}
}

// A store that is refused shows before the rules are opened, and is given back where those are.
func TestStoreFirst(t *testing.T) {
	refused := errors.New("no store")
	d := &Daemon{log: slog.New(slog.DiscardHandler), o: Options{NoLock: true, State: func() string { return "" }}}
	d.o.Records = func(*slog.Logger) (*records.Keeper, error) { return nil, refused }
	d.o.Rules = func(context.Context) (queue.Database, error) {
		t.Error("the rules are opened")
		return queue.Database{}, errors.New("no rules")
	}
	if err := d.start(t.Context(), nil); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	none := errors.New("no rules")
	var k *records.Keeper
	d.o.Records = func(*slog.Logger) (_ *records.Keeper, err error) {
		k, err = records.Open(records.Options{Store: t.TempDir() + "/store"})
		return k, err
	}
	d.o.Rules = func(context.Context) (queue.Database, error) {
		if k == nil {
			t.Error("the store is not open yet")
		}
		return queue.Database{}, none
	}
	if err := d.start(t.Context(), nil); !errors.Is(err, none) {
		t.Errorf("%v", err)
	}
	if err := k.Store().Append(nil); err == nil {
		t.Error("the store is still open")
	}
}

// What is answered as OK by a setting is in the log, with what was not read and its record.
func TestWaivedLog(t *testing.T) {
	var b bytes.Buffer
	d := &Daemon{log: slog.New(slog.NewTextHandler(&b, nil)), o: Options{Policy: queue.Policy{Accept: []string{"encrypted"}}}}
	a := queue.Answer{Records: []string{"ab"}, Report: showcause.Report{Verdict: showcause.Incomplete, Size: 7, Gaps: []showcause.Gap{{Code: showcause.Encrypted}}}}
	d.told(&queue.Job{Door: "clamd", Client: "192.0.2.1", From: "192.0.2.1@25"}, &a, nil)
	if !strings.HasSuffix(b.String(), "msg=\"stream: OK\" door=clamd client=192.0.2.1 from=192.0.2.1@25 size=7 record=ab waived=encrypted\n") {
		t.Errorf("%q", &b)
	}
	b.Reset()
	a.Records, a.Unrecorded = nil, "no space"
	d.told(&queue.Job{Door: "icap", Client: "192.0.2.1", Name: "x"}, &a, nil)
	if !strings.HasSuffix(b.String(), "msg=\"x: OK\" door=icap client=192.0.2.1 size=7 unrecorded=\"no space\" waived=encrypted\n") {
		t.Errorf("%q", &b)
	}
}
