package trial_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/trial"
	"github.com/showcause/showcause/worker/workertest"
)

// crashes stands in rules that this program's loader dies of.
const crashes = "crash the loader"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == trial.Role {
		err := trial.Serve(os.Stdin, os.Stdout, func(_ trial.Job, dir string) (*ruledb.DB, error) {
			names, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, n := range names {
				if b, _ := os.ReadFile(n); bytes.Contains(b, []byte(crashes)) {
					os.Exit(139) // as after a fault in memory: nothing is said
				}
			}
			data, err := rules.Compile([]string{dir}, rules.Options{})
			if err != nil {
				return nil, err
			}
			return ruledb.New(data)
		}, workertest.Pool(1))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	workertest.Main(m)
}

// host is a folder of rules, a source that is a folder, and a root with packages.
type host struct {
	t              *testing.T
	dir, from, top string
	clock          time.Time
}

func newHost(t *testing.T) *host {
	if err := jail.Available(); err != nil {
		t.Skip("no jail here: ", err)
	}
	h := &host{t, filepath.Join(t.TempDir(), "rules"), t.TempDir(), t.TempDir(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	var list strings.Builder
	for name, text := range map[string]string{"lib/x86_64-linux-gnu/libc.so.6": "\x7fELF\x02\x01\x01 GNU C Library (Debian GLIBC)", "bin/sh": "\x7fELF\x02\x01\x01 shell", "usr/bin/tool": strings.Repeat("tool of the package. ", 100000)} {
		p := filepath.Join(h.top, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(text), 0o755)
		fmt.Fprintf(&list, "/%s\n", name)
	}
	p := filepath.Join(h.top, "var/lib/dpkg/info/x.list")
	os.MkdirAll(filepath.Dir(p), 0o755)
	os.WriteFile(p, []byte(list.String()), 0o644)
	return h
}

// publish replaces what the source has.
func (h *host) publish(files map[string]string) {
	os.RemoveAll(h.from)
	os.Mkdir(h.from, 0o755)
	for n, text := range files {
		if err := os.WriteFile(filepath.Join(h.from, n), []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *host) folder() *update.Folder {
	f, err := update.OpenFolder(nil, h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(f.Close)
	return f
}

// update runs one, as the command does.
func (h *host) update(soak, ring time.Duration) update.Result {
	f := h.folder()
	defer f.Close()
	p, err := trial.Start()
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.Close()
	s := update.Source{Name: "ours", Kind: "folder", Licence: "x", Terms: "x", URLs: []string{h.from}}
	return f.Run(context.Background(), []update.Source{s}, update.Options{
		Now: func() time.Time { return h.clock }, Soak: soak, Ring: ring,
		Try: func(dir, old string) error {
			a := p.Try(trial.Job{Dir: dir, Old: old, Root: h.top, Sample: 20})
			return a.Err()
		},
	})[0]
}

// serves is what the folder holds.
func (h *host) serves() string {
	b, _ := os.ReadFile(filepath.Join(h.dir, "ours-a.ndb"))
	return string(b)
}

// last is the newest line of the history, which its log has.
func (h *host) last() update.Event {
	all, err := update.ReadHistory(h.dir)
	if err != nil || len(all) == 0 {
		h.t.Fatalf("history: %d %v", len(all), err)
	}
	return all[len(all)-1]
}

func ndb(name, text string) string { return fmt.Sprintf("%s:0:*:%x\n", name, text) }

const slow = `rule slow { condition: for any j in (0..9) : (for any i in (0..filesize) : (uint32(i) == 0x12345678 and uint32be(i) == j)) }`

// Releases that hit the C library, crash the loader, make scans slower, or lose what
// was found: each is held, the rules before it go on to serve, and the history says why.
func TestHeld(t *testing.T) {
	h := newHost(t)
	good := ndb("Good", "what no file here has") + ndb("Eicar-Test", "EICAR-STANDARD-ANTIVIRUS")
	h.publish(map[string]string{"a.ndb": good})
	if r := h.update(0, 0); r.Err != nil || !r.Changed || h.serves() != good || h.last().What != "installed" || h.last().Files["ours-a.ndb"] == "" {
		t.Fatalf("%+v %+v", r, h.last())
	}
	for _, c := range []struct {
		files map[string]string
		code  string
		says  string
	}{
		{map[string]string{"a.ndb": good + ndb("Bad.Libc", "GNU C Library")}, "trial.hits", "libc.so.6"},
		{map[string]string{"a.ndb": good + "# " + crashes + "\n"}, "trial.loader", "died"},
		{map[string]string{"a.ndb": good, "s.yar": slow}, "trial.slow", "steps"},
		{map[string]string{"a.ndb": "rubbish"}, "trial.rules", "a.ndb"},
		{map[string]string{"a.ndb": ndb("Good", "what no file here has")}, "trial.corpus", "eicar"},
		{map[string]string{"a.ndb": good + ndb("All.Text", "quick brown fox")}, "trial.hits", "corpus/text"},
	} {
		h.publish(c.files)
		h.clock = h.clock.Add(time.Hour)
		r := h.update(time.Hour, 0)
		e := h.last()
		if r.Err == nil || r.Changed || e.What != "held" || e.Code != c.code || !strings.Contains(e.Why, c.says) || h.serves() != good {
			t.Errorf("%s: %v, %+v", c.code, r.Err, e)
		}
		before := len(mustHistory(t, h.dir))
		h.update(time.Hour, 0) // the same again is held again, and said once
		if n := len(mustHistory(t, h.dir)); n != before {
			t.Errorf("%s: %d lines more", c.code, n-before)
		}
	}
	h.publish(map[string]string{"a.ndb": good + ndb("Next", "and one more")})
	if r := h.update(0, 0); r.Err != nil || !r.Changed {
		t.Errorf("the next good one: %+v", r)
	}
	// Who changes the history is found out.
	p := filepath.Join(h.dir, ".update", "history")
	b, _ := os.ReadFile(p)
	os.WriteFile(p, bytes.Replace(b, []byte("libc.so.6"), []byte("libx.so.6"), 1), 0o600)
	if _, err := update.ReadHistory(h.dir); err == nil {
		t.Error("a line that was changed is not noticed")
	}
}

func mustHistory(t *testing.T, dir string) []update.Event {
	all, err := update.ReadHistory(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What shows itself within the soak time takes the change back, and it is not taken again; the
// next one is.
func TestSoak(t *testing.T) {
	for name, seen := range map[string][2]int{"crashes": {4, 0}, "hits": {0, 1}} {
		h := newHost(t)
		first, second := ndb("Good", "what no file here has"), ndb("Other", "what no file here has, either")
		h.publish(map[string]string{"a.ndb": first})
		h.update(0, 0)
		h.publish(map[string]string{"a.ndb": second, "b.ndb": ndb("More", "a second file of it")})
		h.clock = h.clock.Add(time.Hour)
		if r := h.update(24*time.Hour, 0); r.Err != nil || h.serves() != second {
			t.Fatalf("%+v", r)
		}
		f := h.folder()
		bounds := update.Bounds{Crashes: 3, Hits: 0}
		if back, err := f.Watch(1, 0, bounds, h.clock.Add(time.Hour)); back || err != nil {
			t.Errorf("%s: one crash is within bounds: %v", name, err)
		}
		back, err := f.Watch(seen[0], seen[1], bounds, h.clock.Add(2*time.Hour))
		if err != nil || !back || h.serves() != first {
			t.Errorf("%s: %v %v %s", name, back, err, h.serves())
		}
		f.Close()
		if _, err := os.Stat(filepath.Join(h.dir, "ours-b.ndb")); err == nil {
			t.Errorf("%s: a file of the change is still there", name)
		}
		if e := h.last(); e.What != "reverted" || !strings.Contains(e.Why, "soak."+name) || e.Files["ours-a.ndb"] == "" {
			t.Errorf("%s: %+v", name, e)
		}
		h.clock = h.clock.Add(3 * time.Hour)
		if r := h.update(24*time.Hour, 0); r.Err == nil || h.serves() != first || h.last().Code != "held.reverted" {
			t.Errorf("%s: what was reverted: %+v %+v", name, r, h.last())
		}
		h.publish(map[string]string{"a.ndb": second + ndb("Mended", "mended")})
		if r := h.update(24*time.Hour, 0); r.Err != nil || h.serves() == first {
			t.Errorf("%s: the next one: %+v", name, r)
		}
		// After the soak time nothing is watched.
		f = h.folder()
		if back, err := f.Watch(100, 100, bounds, h.clock.Add(25*time.Hour)); back || err != nil {
			t.Errorf("%s: after the soak: %v %v", name, back, err)
		}
	}
}

// A later ring waits, and a person can go back by hand.
func TestRings(t *testing.T) {
	h := newHost(t)
	first, second := ndb("Good", "what no file here has"), ndb("Other", "what no file here has, either")
	h.publish(map[string]string{"a.ndb": first})
	h.update(0, 0)
	h.publish(map[string]string{"a.ndb": second})
	if r := h.update(0, 48*time.Hour); r.Err == nil || h.serves() != first || h.last().Code != "held.ring" {
		t.Errorf("%+v", h.last())
	}
	h.clock = h.clock.Add(24 * time.Hour)
	if r := h.update(0, 48*time.Hour); r.Err == nil || h.serves() != first {
		t.Error("too early")
	}
	h.clock = h.clock.Add(25 * time.Hour)
	if r := h.update(0, 48*time.Hour); r.Err != nil || h.serves() != second {
		t.Errorf("%+v", r)
	}
	f := h.folder()
	if err := f.Revert(0, "by hand", h.clock); err != nil || h.serves() != first {
		t.Errorf("%v %s", err, h.serves())
	}
	if err := f.Revert(99, "by hand", h.clock); err == nil {
		t.Error("a generation that is none")
	}
}
