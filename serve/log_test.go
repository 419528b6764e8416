package serve

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogs holds the forms of the log.
func TestLogs(t *testing.T) {
	r := record{time: time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC), text: "a\nb: X FOUND"}
	if got := string(r.clamd(&LogOptions{Time: true})); got != "Mon Nov  2 03:04:05 2026 -> a\\nb: X FOUND\n" {
		t.Errorf("%q", got)
	}
	for facility, want := range map[string]string{"": "<30>", "LOG_LOCAL6": "<182>", "LOG_MAIL": "<22>"} {
		n, err := facilityOf(facility)
		if got := string(r.syslog(n, r.line())); err != nil || !strings.HasPrefix(got, want+"Nov  2 03:04:05 showcause[") {
			t.Errorf("%q %v", got, err)
		}
	}
	if got := string(r.journal()); !strings.HasPrefix(got, "MESSAGE=a\\nb: X FOUND\nPRIORITY=6\n") {
		t.Errorf("%q", got)
	}
	if _, _, err := newLog(LogOptions{Syslog: true, Facility: "LOG_NONE"}, os.Stderr); err == nil {
		t.Error("a facility that is none is taken")
	}
}

// The form of clamd's log is clamd's, and nothing that it has no place for is lost.
func TestClamdLog(t *testing.T) {
	asked := []slog.Attr{slog.String("door", "clamd"), slog.String("client", "uid=7"), slog.Int("size", 68), slog.String("sha256", "ab")}
	for _, c := range []struct {
		o    LogOptions
		text string
		more []slog.Attr
		want string
	}{
		{LogOptions{}, "/a: X FOUND", nil, "/a: X FOUND"},
		{LogOptions{}, "stream: X FOUND", nil, "instream(local): X FOUND"},
		{LogOptions{}, "stream: X FOUND", []slog.Attr{slog.String("from", "192.0.2.1@4711")}, "instream(192.0.2.1@4711): X FOUND"},
		{LogOptions{}, "/a: X FOUND", []slog.Attr{slog.String("from", "192.0.2.1@4711")}, "/a: X FOUND"},
		{LogOptions{}, "stream: OK", nil, "instream(local): OK"},
		{LogOptions{Extended: true}, "/a: X FOUND", nil, "/a: X(ab:68) FOUND"},
		{LogOptions{Extended: true}, "/a: OK", nil, "/a: OK"},
		{LogOptions{Extended: true}, "/a: Not read whole: encrypted ERROR", nil, "/a: Not read whole: encrypted ERROR"},
		{LogOptions{}, "/a: OK", []slog.Attr{slog.String("waived", "encrypted")}, "/a: OK door=clamd client=\"uid=7\" size=68 sha256=ab waived=encrypted"},
		{LogOptions{Verbose: true}, "/a: X FOUND", nil, "/a: X FOUND\nabout /a: X door=clamd client=\"uid=7\" size=68 sha256=ab"},
		{LogOptions{}, "/a: X FOUND", []slog.Attr{slog.String("record", "cd")}, "/a: X FOUND\nabout /a: X door=clamd client=\"uid=7\" size=68 sha256=ab record=cd"},
		{LogOptions{Extended: true}, "stream: X FOUND", []slog.Attr{slog.String("record", "cd")}, "instream(local): X(ab:68) FOUND\nabout stream: X door=clamd client=\"uid=7\" size=68 sha256=ab record=cd"},
		{LogOptions{}, "/a\n/b: X FOUND", nil, "/a\\n/b: X FOUND"},
	} {
		r := record{text: c.text, attrs: append(asked[:len(asked):len(asked)], c.more...)}
		if got := string(r.clamd(&c.o)); got != c.want+"\n" {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	r := record{text: "ready", attrs: []slog.Attr{slog.Int("rules", 3)}}
	if got := string(r.clamd(&LogOptions{})); got != "ready rules=3\n" {
		t.Errorf("%q", got)
	}
}

// A log that has grown above its bound is put aside, whole; nothing is lost where that
// cannot be.
func TestLogAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "clamd.log")
	var errs bytes.Buffer
	log, file, err := newLog(LogOptions{File: path, MaxBytes: 10}, &errs)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"one", "two, long", "three", "four, long", "five, long", "six"} {
		log.Info(w)
	}
	all, aside := "", 0
	files, _ := filepath.Glob(filepath.Join(dir, "clamd-2*.log"))
	for _, f := range files { // the second's number behind the first's name: in order
		b, _ := os.ReadFile(f)
		all += string(b)
		aside++
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "six\n" || aside != 3 {
		t.Errorf("%d files are put aside, and %q is in the log: %v", aside, b, err)
	}
	for _, want := range []string{"one\ntwo, long\n", "three\nfour, long\n", "five, long\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
	if err := os.Rename(path, path+".1"); err != nil { // as logrotate does it
		t.Fatal(err)
	}
	if err := file.reopen(); err != nil {
		t.Fatal(err)
	}
	log.Warn("two", "key", "a b")
	if b, err := os.ReadFile(path); err != nil || string(b) != "WARNING: two key=\"a b\"\n" {
		t.Errorf("%q %v", b, err)
	}
	if err := os.Remove(path); err != nil { // there is nothing to rename
		t.Fatal(err)
	}
	st := file.n
	log.Info("goes on")
	if file.n != st+8 || !strings.Contains(errs.String(), "grows on") {
		t.Errorf("%d bytes, %q", file.n, &errs)
	}
}

// A link is followed where none but root or this user can have put it.
func TestLogLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	name := filepath.Join(dir, "folder", "log")
	if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
	f, err := openAppend(name)
	if err != nil {
		t.Fatalf("a link of our own: %v", err)
	}
	f.Close()
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	refused := func(why string) {
		t.Helper()
		if f, err := openAppend(name); err == nil {
			f.Close()
			t.Errorf("%s: a link was followed", why)
		}
		if _, err := os.Lstat(target); err == nil {
			t.Errorf("%s: its target was made", why)
		}
	}
	if err := os.Chmod(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	refused("in a folder that all may write to")
	if err := os.Chmod(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("what root does in a folder of others: needs root")
	}
	if err := os.Chown(filepath.Dir(name), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	refused("in a folder of the service's user")
}
