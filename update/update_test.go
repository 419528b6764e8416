package update_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/updatetest"
)

// web is a Courier over files in memory, which can be told to fail.
type web struct {
	f     *update.Folder
	files map[string][]byte // by the last part of the URL
	txt   string
	fail  map[string]*failing // by URL or by its last part
	asked []string
}

// failing answers wrongly, so many times.
type failing struct {
	times  int
	status int
	retry  string
	cut    int // break off after so many bytes
	body   []byte
}

func (w *web) TXT(context.Context, string) ([]string, error) {
	w.asked = append(w.asked, "TXT")
	if w.txt == "" {
		return nil, errors.New("no such host")
	}
	return []string{w.txt}, nil
}

func (w *web) Fetch(_ context.Context, a update.Ask) (update.Got, error) {
	name := path.Base(a.URL)
	line := name
	if a.From > 0 || a.To > 0 {
		line = fmt.Sprintf("%s[%d:%d]", name, a.From, a.To)
	}
	w.asked = append(w.asked, line)
	body, ok := w.files[name]
	f := w.fail[a.URL]
	if f == nil {
		f = w.fail[name]
	}
	if f != nil && f.times > 0 {
		f.times--
		if f.status != 0 {
			return update.Got{Status: f.status, RetryAfter: f.retry}, nil
		}
		if f.body != nil {
			body, ok = f.body, true
		}
	} else {
		f = nil
	}
	if !ok {
		return update.Got{Status: 404}, nil
	}
	g := update.Got{Status: 200, Now: update.Validators{ETag: fmt.Sprintf("%x", sha256.Sum256(body)), Length: int64(len(body))}}
	if a.Known == g.Now && a.Known.Length > 0 {
		g.Unchanged = true
		return g, nil
	}
	if a.From >= int64(len(body)) && a.From > 0 {
		return update.Got{Status: 416}, nil
	}
	end := int64(len(body))
	if a.To > 0 {
		end = min(end, a.To)
	}
	body = body[a.From:end]
	if a.From > 0 || a.To > 0 {
		g.Status = 206
	}
	var err error
	if f != nil && f.cut > 0 {
		body, err = body[:min(len(body), f.cut)], errors.New("connection broke")
	}
	if a.Small {
		g.Content = body
		return g, err
	}
	in, ierr := w.f.Inbox()
	if ierr != nil {
		return g, ierr
	}
	in.Truncate(a.From)
	if _, werr := in.WriteAt(body, a.From); werr != nil {
		return g, werr
	}
	g.Bytes = int64(len(body))
	return g, err
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// site is a publisher, what it has put out, and who fetches it.
type site struct {
	t   *testing.T
	p   *updatetest.Publisher
	web *web
	dir string
	now time.Time
	o   update.Options
	sys *disk.FS
}

func newSite(t *testing.T) *site {
	p, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, p: p, dir: filepath.Join(t.TempDir(), "rules"), now: now, web: &web{files: p.Files, fail: map[string]*failing{}}}
	s.o.Trust = p.Trust()
	return s
}

// members are those of a version.
func members(version, size int) cvd.Set {
	return cvd.Set{"COPYING": []byte("free\n"), "d.ndb": fmt.Appendf(nil, "V%d:0:*:414243444546\n%s", version, strings.Repeat("#", size)+"\n")}
}

func (s *site) publish(name string, version, size int) {
	s.t.Helper()
	if err := s.p.Publish(name, version, members(version, size)); err != nil {
		s.t.Fatal(err)
	}
	s.web.txt = fmt.Sprintf("1.5.0:%d:%d:%d:1:90:49192:%d", version, version, s.now.Add(-time.Hour).Unix(), version)
}

var clam = []update.Source{{Name: "clamav", Kind: "clamav", Licence: "x", Terms: "x", Mirrors: []string{"http://mirror.test"}, DNS: "current.test", Databases: []string{"daily"}}}

// run runs an update, and returns what was asked.
func (s *site) run(sources []update.Source) (update.Result, []string) {
	s.t.Helper()
	f, err := update.OpenFolder(s.sys, s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	s.web.f, s.web.asked = f, nil
	o := s.o
	o.Courier, o.Now = s.web, func() time.Time { return s.now }
	return f.Run(s.t.Context(), sources, o)[0], s.web.asked
}

// has checks the names in the folder.
func (s *site) has(want ...string) {
	s.t.Helper()
	var got []string
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		if e.Name()[0] != '.' {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("in the folder: %v, want %v", got, want)
	}
}

// version is that of the database in the folder, proven.
func version(t *testing.T, dir, file string, trust cvd.Trust) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	c, err := cvd.Open(file, filepath.Ext(file)[1:], bytes.NewReader(b), int64(len(b)))
	if err == nil {
		err = c.Prove(trust, nil)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c.Header.Version
}

func TestWholeThenScripts(t *testing.T) {
	s := newSite(t)
	s.publish("daily", 10, 10)
	r, asked := s.run(clam)
	if r.Err != nil || !r.Changed || !slices.Equal(asked, []string{"TXT", "daily.cvd"}) {
		t.Fatalf("%+v %v", r, asked)
	}
	s.has("daily.cvd")
	if r, asked = s.run(clam); r.Err != nil || r.Changed || !slices.Equal(asked, []string{"TXT"}) {
		t.Errorf("nothing new: %+v %v", r, asked)
	}
	for v := 11; v <= 13; v++ {
		s.publish("daily", v, 10)
	}
	s.o.Check = true
	if r, asked = s.run(clam); r.Err != nil || !r.Changed || len(asked) != 1 || !strings.Contains(r.Lines[0], "10; there is 13") {
		t.Errorf("check: %+v %v", r, asked)
	}
	s.has("daily.cvd")
	s.o.Check = false
	if r, asked = s.run(clam); r.Err != nil || !r.Changed || !slices.Equal(asked, []string{"TXT", "daily-11.cdiff", "daily-12.cdiff", "daily-13.cdiff"}) {
		t.Errorf("scripts: %+v %v", r, asked)
	}
	s.has("daily.cld")
	if v := version(t, s.dir, "daily.cld", s.p.Trust()); v != 13 {
		t.Errorf("version %d", v)
	}
	// A script is missing, empty, of another version, changed: the whole is fetched.
	for i, spoil := range []func(name string){
		func(n string) { delete(s.p.Files, n) },
		func(n string) { s.p.Files[n] = nil },
		func(n string) { s.p.Files[n] = s.p.Files["daily-12.cdiff"] },
		func(n string) { s.p.Files[n][40] ^= 1 },
	} {
		v := 14 + i
		s.publish("daily", v, 10)
		spoil(fmt.Sprintf("daily-%d.cdiff", v))
		if r, asked = s.run(clam); r.Err != nil || !slices.Equal(asked, []string{"TXT", fmt.Sprintf("daily-%d.cdiff", v), "daily.cvd"}) {
			t.Errorf("%d: %+v %v", v, r, asked)
		}
		s.has("daily.cvd")
		if got := version(t, s.dir, "daily.cvd", s.p.Trust()); got != v {
			t.Errorf("version %d, want %d", got, v)
		}
	}
	// Without the text, or with an old one, the mirror is asked for the header.
	s.publish("daily", 20, 10)
	for _, txt := range []string{"", "x", fmt.Sprintf("1.5.0:20:99:%d:1:90:1:1", s.now.Add(-13*time.Hour).Unix())} {
		s.web.txt = txt
		s.o.Check = true
		if r, asked = s.run(clam); r.Err != nil || !slices.Equal(asked, []string{"TXT", "daily.cvd[0:512]"}) || !strings.Contains(r.Lines[0], "there is 20") {
			t.Errorf("%q: %+v %v", txt, r, asked)
		}
	}
}

func TestRefused(t *testing.T) {
	s := newSite(t)
	s.publish("daily", 10, 10)
	good := s.p.Files["daily.cvd"]
	other, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Publish("daily", 11, members(11, 10)); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[len(changed)-3] ^= 1
	for name, body := range map[string][]byte{"of another": other.Files["daily.cvd"], "changed": changed, "short": good[:600], "page": []byte("<html>" + strings.Repeat("x", 600)), "empty": {}} {
		s.p.Files["daily.cvd"] = body
		if r, _ := s.run(clam); r.Err == nil || r.Changed {
			t.Errorf("%s: %+v", name, r)
		}
		s.has()
	}
	s.p.Files["daily.cvd"] = good
	if r, _ := s.run(clam); r.Err != nil {
		t.Fatal(r.Err)
	}
	// An older one is not taken, whatever is told of it.
	old, _ := updatetest.New()
	old.Key = s.p.Key
	if err := old.Publish("daily", 9, members(9, 10)); err != nil {
		t.Fatal(err)
	}
	s.p.Files["daily.cvd"] = old.Files["daily.cvd"]
	s.web.txt = fmt.Sprintf("1.5.0:9:99:%d:1:90:1:9", s.now.Unix())
	if r, _ := s.run(clam); r.Err == nil || !strings.Contains(r.Err.Error(), "older than ours") {
		t.Errorf("rolled back: %+v", r)
	}
	if v := version(t, s.dir, "daily.cvd", s.p.Trust()); v != 10 {
		t.Errorf("version %d", v)
	}
	// What is refused when it is tried is not put in.
	s.publish("daily", 12, 10)
	tried := ""
	s.o.Try = func(dir, _ string) error {
		tried = dir
		if v := version(t, dir, "daily.cvd", s.p.Trust()); v != 12 {
			t.Errorf("tried with version %d", v)
		}
		return errors.New("it crashes")
	}
	delete(s.p.Files, "daily-12.cdiff")
	if r, _ := s.run(clam); r.Err == nil || r.Changed || !strings.Contains(r.Err.Error(), "it crashes; nothing of it was changed") || tried == "" {
		t.Errorf("%+v", r)
	}
	if v := version(t, s.dir, "daily.cvd", s.p.Trust()); v != 10 {
		t.Errorf("version %d", v)
	}
}

func TestPoliteness(t *testing.T) {
	for _, c := range []struct {
		f    failing
		wait time.Duration
	}{
		{failing{times: 1, status: 403}, 24 * time.Hour},
		{failing{times: 1, status: 429}, 4 * time.Hour},
		{failing{times: 1, status: 429, retry: "600"}, 10 * time.Minute},
		{failing{times: 1, status: 429, retry: now.Add(time.Hour).Format("Mon, 02 Jan 2006 15:04:05 GMT")}, time.Hour},
		{failing{times: 1, status: 429, retry: "99999999"}, 7 * 24 * time.Hour},
		{failing{times: 1, status: 429, retry: "soon"}, 4 * time.Hour},
		{failing{times: 1, status: 500}, 0},
		{failing{times: 1, status: 404}, 0},
	} {
		s := newSite(t)
		s.publish("daily", 10, 10)
		f := c.f
		s.web.fail["daily.cvd"] = &f
		if r, _ := s.run(clam); r.Err == nil || !strings.Contains(r.Err.Error(), fmt.Sprint(c.f.status)) {
			t.Errorf("%+v: %+v", c.f, r)
		}
		s.has()
		if c.wait > 0 {
			s.now = now.Add(c.wait - time.Second)
			s.publish("daily", 10, 10)
			if r, asked := s.run(clam); r.Err == nil || !slices.Equal(asked, []string{"TXT"}) || !strings.Contains(r.Err.Error(), "not to be asked yet") {
				t.Errorf("%+v: too early: %+v %v", c.f, r, asked)
			}
		}
		s.now = now.Add(c.wait + time.Second)
		s.publish("daily", 10, 10)
		if r, _ := s.run(clam); r.Err != nil {
			t.Errorf("%+v: afterwards: %+v", c.f, r)
		}
		s.has("daily.cvd")
	}
	// Another mirror helps at once.
	two := slices.Clone(clam)
	two[0].Mirrors = []string{"http://one.test", "http://two.test"}
	s := newSite(t)
	s.publish("daily", 10, 10)
	s.web.fail["http://one.test/daily.cvd"] = &failing{times: 9, status: 403}
	if r, asked := s.run(two); r.Err != nil || !slices.Equal(asked, []string{"TXT", "daily.cvd", "daily.cvd"}) {
		t.Errorf("%+v %v", r, asked)
	}
}

// A transfer that breaks off is gone on with, in the same run or in the next,
// from a whole MiB; if the file has changed between, it is fetched anew.
func TestResume(t *testing.T) {
	const size = 5 << 20
	noise := func(n int) string { // gzip leaves it long
		b := make([]byte, n)
		x := uint32(n)
		for i := range b {
			x = x*1664525 + 1013904223
			b[i] = 'a' + byte(x>>24)%26
		}
		return string(b)
	}
	s := newSite(t)
	big := func(v int) {
		if err := s.p.Publish("daily", v, cvd.Set{"d.ndb": fmt.Appendf(nil, "V%d:0:*:414243444546\n#%s\n", v, noise(size+v))}); err != nil {
			t.Fatal(err)
		}
		s.web.txt = fmt.Sprintf("1.5.0:1:%d:%d:1:90:1:1", v, s.now.Unix())
	}
	big(10)
	s.web.fail["daily.cvd"] = &failing{times: 2, cut: 1<<20 + 1000}
	r, asked := s.run(clam)
	if r.Err != nil || !slices.Equal(asked, []string{"TXT", "daily.cvd", "daily.cvd[1048576:0]", "daily.cvd[2097152:0]"}) {
		t.Fatalf("%+v %v", r, asked)
	}
	if got, _ := os.ReadFile(filepath.Join(s.dir, "daily.cvd")); !bytes.Equal(got, s.p.Files["daily.cvd"]) {
		t.Error("the pieces are not the whole")
	}
	delete(s.p.Files, "daily-11.cdiff")
	big(11)
	delete(s.p.Files, "daily-11.cdiff")
	s.web.fail["daily.cvd"] = &failing{times: 3, cut: 1<<20 + 1000}
	if r, _ := s.run(clam); r.Err == nil || !strings.Contains(r.Err.Error(), "connection broke") {
		t.Errorf("%+v", r)
	}
	if v := version(t, s.dir, "daily.cvd", s.p.Trust()); v != 10 {
		t.Errorf("version %d", v)
	}
	r, asked = s.run(clam)
	if r.Err != nil || !slices.Equal(asked, []string{"TXT", "daily-11.cdiff", "daily.cvd[3145728:0]"}) {
		t.Errorf("%+v %v", r, asked)
	}
	if v := version(t, s.dir, "daily.cvd", s.p.Trust()); v != 11 {
		t.Errorf("version %d", v)
	}
	big(12)
	s.web.fail["daily.cvd"] = &failing{times: 3, cut: 1<<20 + 1000}
	delete(s.p.Files, "daily-12.cdiff")
	s.run(clam)
	big(13)
	delete(s.p.Files, "daily-13.cdiff")
	delete(s.p.Files, "daily-12.cdiff")
	if r, asked = s.run(clam); r.Err != nil || !slices.Equal(asked, []string{"TXT", "daily-12.cdiff", "daily.cvd[3145728:0]", "daily.cvd"}) {
		t.Errorf("%+v %v", r, asked)
	}
	if v := version(t, s.dir, "daily.cvd", s.p.Trust()); v != 13 {
		t.Errorf("version %d", v)
	}
}

// zipped is an archive.
func zipped(t *testing.T, files map[string]string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, files[n])
	}
	w.Close()
	return b.Bytes()
}

func TestOtherSources(t *testing.T) {
	s := newSite(t)
	files := []update.Source{{Name: "mine", Kind: "files", Licence: "x", Terms: "x", URLs: []string{"http://h.test/a.ndb", "http://h.test/b.yar"}}}
	s.p.Files["a.ndb"], s.p.Files["b.yar"] = []byte("A:0:*:41424344\n"), []byte("rule b { condition: true }\n")
	if r, asked := s.run(files); r.Err != nil || !slices.Equal(asked, []string{"a.ndb", "b.yar"}) {
		t.Fatalf("%+v %v", r, asked)
	}
	s.has("mine-a.ndb", "mine-b.yar")
	if r, _ := s.run(files); r.Err != nil || r.Changed {
		t.Errorf("nothing new: %+v", r)
	}
	s.p.Files["b.yar"] = []byte("rule bb { condition: true }\n")
	if r, _ := s.run(files); r.Err != nil || !r.Changed {
		t.Errorf("one new: %+v", r)
	}
	if b, _ := os.ReadFile(filepath.Join(s.dir, "mine-b.yar")); !bytes.Equal(b, s.p.Files["b.yar"]) {
		t.Errorf("%s", b)
	}
	s.p.Files["a.ndb"] = []byte("A2:0:*:41424344\n")
	s.web.fail["b.yar"] = &failing{times: 9, status: 500}
	if r, _ := s.run(files); r.Err == nil {
		t.Errorf("%+v", r)
	}
	if b, _ := os.ReadFile(filepath.Join(s.dir, "mine-a.ndb")); string(b) != "A:0:*:41424344\n" {
		t.Errorf("half of a source was put in: %s", b)
	}

	archive := []update.Source{{Name: "forge", Kind: "archive", Licence: "x", Terms: "x", URLs: []string{"http://h.test/r.zip"}}}
	s.p.Files["r.zip"] = zipped(t, map[string]string{"r/x/one.yar": "1", "r/two.yara": "2", "r/README.md": "no", "../../up.yar": "3", "r/x_one.yar": "4"})
	if r, _ := s.run(archive); r.Err != nil || !r.Changed {
		t.Fatalf("%+v", r)
	}
	s.has("forge-.._up.yar", "forge-_x_one.yar", "forge-two.yara", "forge-x_one.yar", "mine-a.ndb", "mine-b.yar")
	s.p.Files["r.zip"] = zipped(t, map[string]string{"r/two.yara": "2"})
	if r, _ := s.run(archive); r.Err != nil || !r.Changed {
		t.Fatalf("%+v", r)
	}
	s.has("forge-two.yara", "mine-a.ndb", "mine-b.yar")
	for _, bad := range [][]byte{nil, []byte("no archive at all"), zipped(t, map[string]string{"README": "x"}), zipped(t, map[string]string{"a.yar": "x"})[:40]} {
		s.p.Files["r.zip"] = bad
		if r, _ := s.run(archive); r.Err == nil {
			t.Errorf("%.10q: %+v", bad, r)
		}
		s.has("forge-two.yara", "mine-a.ndb", "mine-b.yar")
	}
	from := t.TempDir()
	os.WriteFile(filepath.Join(from, "x.ldb"), []byte("X\n"), 0o644)
	os.WriteFile(filepath.Join(from, "README"), []byte("X\n"), 0o644)
	if r, _ := s.run([]update.Source{{Name: "usb", Kind: "folder", URLs: []string{from}}}); r.Err != nil || !r.Changed {
		t.Errorf("%+v", r)
	}
	s.has("forge-two.yara", "mine-a.ndb", "mine-b.yar", "usb-x.ldb")
}

var errDied = errors.New("the process died")

// The process dies at every one of its operations on the disk, also with half of
// a write done: each file in the folder is whole then, and after the next Open the set is
// the old one or the new one.
func TestKilled(t *testing.T) {
	three := slices.Clone(clam)
	three[0].Databases = []string{"main", "daily", "bytecode"}
	archive := []update.Source{{Name: "forge", Kind: "archive", Licence: "x", Terms: "x", URLs: []string{"http://h.test/r.zip"}}}
	points := 0
	for name, c := range map[string]struct {
		sources []update.Source
		publish func(s *site, n int)
	}{
		"scripts": {three, func(s *site, n int) {
			for _, d := range three[0].Databases {
				s.publish(d, n, 10)
			}
		}},
		"whole": {three, func(s *site, n int) {
			for _, d := range three[0].Databases {
				s.publish(d, n, 10)
				delete(s.p.Files, fmt.Sprintf("%s-%d.cdiff", d, n))
			}
		}},
		"archive": {archive, func(s *site, n int) {
			files := map[string]string{}
			for i := range 25 {
				files[fmt.Sprintf("r/%d.yar", i+n)] = fmt.Sprintf("rule r%d { condition: true } // %d", i, n)
			}
			s.p.Files["r.zip"] = zipped(t, files)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			c.publish(s, 10)
			if r, _ := s.run(c.sources); r.Err != nil {
				t.Fatal(r.Err)
			}
			start := snapshot(t, s.dir)
			c.publish(s, 11)
			points += s.killed(t, c.sources, start)
		})
	}
	if points < 300 {
		t.Errorf("%d points", points)
	}
}

// killed runs an update from a folder with these files, dying at each point.
func (s *site) killed(t *testing.T, sources []update.Source, start map[string]string) (points int) {
	ops := 0
	state, err := os.ReadFile(filepath.Join(s.dir, ".update", "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.sys = &disk.FS{Fault: func(op, _ string) error { ops++; return skip(op) }}
	if r, _ := s.run(sources); r.Err != nil {
		t.Fatal(r.Err)
	}
	end := snapshot(t, s.dir)
	if maps.Equal(start, end) {
		t.Fatal("nothing was put in")
	}
	olds, news := 0, 0
	for _, short := range []bool{false, true} {
		for at := 1; at <= ops; at++ {
			s.dir = filepath.Join(t.TempDir(), "r")
			restore(t, s.dir, start)
			restore(t, filepath.Join(s.dir, ".update"), map[string]string{"state.json": string(state)})
			n, hit := 0, false
			s.sys.Fault = func(op, _ string) error {
				if n++; n < at || short && !hit && (n > at || op != "write") {
					return skip(op)
				}
				if short && !hit {
					hit = true
					return &disk.Short{Err: errDied}
				}
				return errDied
			}
			f, err := update.OpenFolder(s.sys, s.dir)
			if err == nil {
				s.web.f = f
				o := s.o
				o.Courier, o.Now = s.web, func() time.Time { return s.now }
				f.Run(t.Context(), sources, o)
				f.Close()
			}
			if short && !hit {
				continue
			}
			points++
			for name, b := range snapshot(t, s.dir) {
				if b != start[name] && b != end[name] {
					t.Fatalf("killed at %d: %s is neither old nor new", at, name)
				}
			}
			f, err = update.OpenFolder(nil, s.dir)
			if err != nil {
				t.Fatalf("killed at %d: %v", at, err)
			}
			f.Close()
			switch got := snapshot(t, s.dir); {
			case maps.Equal(got, start):
				olds++
			case maps.Equal(got, end):
				news++
			default:
				t.Fatalf("killed at %d: half of the set: %v", at, slices.Sorted(maps.Keys(got)))
			}
		}
	}
	t.Logf("%d points: %d left the old set, %d the new one", points, olds, news)
	if olds == 0 || news == 0 {
		t.Errorf("%d old, %d new", olds, news)
	}
	return points
}

// skip leaves waiting for the disk out.
func skip(op string) error {
	if op == "fsync" {
		return disk.ErrSkip
	}
	return nil
}

func snapshot(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] != '.' {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = string(b)
		}
	}
	return out
}

func restore(t *testing.T, dir string, files map[string]string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for n, b := range files {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSources(t *testing.T) {
	all, err := update.Sources()
	if err != nil || len(all) < 5 {
		t.Fatalf("%d: %v", len(all), err)
	}
	for _, s := range all {
		if s.Default != (s.Name == "clamav") {
			t.Errorf("%s: default is %v", s.Name, s.Default)
		}
	}
	for _, bad := range []string{
		`x`, `[{"name":"a"}]`, `[{"name":"a","licence":"x","terms":"x","kind":"odd"}]`, `[{"name":"a b","licence":"x","terms":"x","kind":"files","urls":["http://x/a.ndb"]}]`,
		`[{"name":"a","licence":"x","terms":"x","kind":"files","urls":["http://x/"]}]`, `[{"name":"a","licence":"x","terms":"x","kind":"clamav"}]`, `[{"more":1}]`,
		`[{"name":"a","licence":"x","terms":"x","kind":"folder","urls":["/x"]},{"name":"a","licence":"x","terms":"x","kind":"folder","urls":["/x"]}]`,
		`[{"name":"a","licence":"x","terms":"x","kind":"clamav","mirrors":["http://x"],"databases":["../x"]}]`,
	} {
		if _, err := update.ParseSources([]byte(bad)); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}

func FuzzParseSources(f *testing.F) {
	f.Add([]byte(`[{"name":"a","licence":"x","terms":"x","kind":"folder","urls":["/x"]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := update.ParseSources(b)
		for _, s := range all {
			if err == nil && (s.Licence == "" || strings.ContainsAny(s.Name, "/.")) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// What is known of a folder is told while another is at work on it.
func TestView(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules")
	f, err := update.OpenFolder(nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := update.Source{Name: "ours", Kind: "folder", Licence: "x", Terms: "x", URLs: []string{"/"}}
	if err := f.Turn(&s, true, now); err != nil {
		t.Fatal(err)
	}
	if _, err := update.OpenFolder(nil, dir); err == nil {
		t.Error("two at work")
	}
	v, err := update.ViewFolder(dir)
	if err != nil || !v.On(&s) || len(v.Status(&s, now)) == 0 {
		t.Errorf("%v", err)
	}
	v.Close()
	if v, err = update.ViewFolder(filepath.Join(dir, "none")); err != nil || v.On(&s) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
