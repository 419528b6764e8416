package quarantine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
)

const marker = "marker"

// finding is a finding of a file that begins with marker.
func finding(rule, path, content string) *evidence.Statement {
	sum := func(s string) string {
		d := sha256.Sum256([]byte(s))
		return hex.EncodeToString(d[:])
	}
	s := &evidence.Statement{
		Kind:    evidence.Finding,
		Subject: evidence.Digests{SHA256: sum(content)},
		Predicate: evidence.Predicate{
			Verdict: "found",
			Input:   &evidence.Input{Size: int64(len(content))},
			Engine:  evidence.Engine{Version: "showcause test", Binary: sum("binary"), Go: "go1.26.0", Target: "linux/amd64"},
			Rules: &evidence.Rules{Database: sum("database"), Rule: &evidence.Rule{
				Language: "clamav", Name: rule + ".UNOFFICIAL", File: "test.ldb", Line: 1,
			}},
			Policy:   &evidence.Policy{Limits: showcause.Limits{}.WithDefaults()},
			Matches:  &evidence.Matches{List: []evidence.Match{{Pattern: 0, Offset: 0, Length: 6}}},
			Coverage: &evidence.Coverage{Objects: 1, Bytes: int64(len(content)), Complete: true},
			Context:  evidence.Context{Path: evidence.Private{Text: showcause.Escape(path)}, Jail: "sealed"},
			Time:     evidence.Time{Observed: "2026-11-21T14:00:00Z"},
		},
	}
	s.Rules.Rule.SetText(rule + ";Engine:51-255,Target:0;0;6d61726b6572")
	return s
}

// noSync leaves out what a test cannot see.
func noSync(op, _ string) error {
	if op == "fsync" || op == "syncfs" {
		return disk.ErrSkip
	}
	return nil
}

func quickFS() *disk.FS { return &disk.FS{Fault: noSync} }

// a bench has a store, its quarantine and a folder with files.
type bench struct {
	t     testing.TB
	store *store.Store
	q     *Quarantine
	dir   string // of the files
	at    string // of the store
}

// options let everything be taken, and know of no package.
func (b *bench) options() Options {
	return Options{
		Guard:  Guard{Stages: []byte("act Test.*\n"), Root: filepath.Join(b.dir, "..", "root")},
		Limits: Limits{Takes: -1, Share: -1},
		FS:     quickFS(),
	}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: filepath.Join(base, "files"), at: filepath.Join(base, "store")}
	os.Mkdir(b.dir, 0o755)
	os.Mkdir(filepath.Join(base, "root"), 0o755)
	b.open(nil)
	return b
}

// open opens store and quarantine, in place of those that are open.
func (b *bench) open(o *Options) {
	b.t.Helper()
	b.close()
	if o == nil {
		d := b.options()
		o = &d
	}
	var err error
	if b.store, err = store.Open(b.at, store.Options{FS: o.FS}); err != nil {
		b.t.Fatal(err)
	}
	if b.q, err = Open(b.store, *o); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.close)
}

func (b *bench) close() {
	if b.q != nil {
		b.q.Close()
		b.store.Close()
		b.q = nil
	}
}

// file writes a file that a rule hits.
func (b *bench) file(name, content string) string {
	b.t.Helper()
	p := filepath.Join(b.dir, name)
	os.MkdirAll(filepath.Dir(p), 0o755)
	if err := os.WriteFile(p, []byte(marker+content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	when := time.Date(2020, 1, 2, 3, 4, 5, 678912345, time.UTC)
	os.Chtimes(p, when, when.Add(time.Hour))
	return p
}

// find seals a finding of the file as it is.
func (b *bench) find(p string) *evidence.Sealed { return b.findBy("Test.Marker-1", p) }

func (b *bench) findBy(rule, p string) *evidence.Sealed {
	b.t.Helper()
	content := read(b.t, p)
	r, err := evidence.Seal(finding(rule, p, content), b.store.Keys()...)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Append([]*evidence.Record{r}); err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.store.Verify(r.Name())
	if err != nil {
		b.t.Fatal(err)
	}
	return sealed
}

// take takes one file, and wants this of it.
func (b *bench) take(s *evidence.Sealed, want Result, code Reason, paths ...string) Outcome {
	b.t.Helper()
	out, err := b.q.Take(b.t.Context(), []Request{{Finding: s, Paths: paths}}, true)
	if err != nil {
		b.t.Fatal(err)
	}
	if out[0].Result != want || out[0].Code != code {
		b.t.Fatalf("%+v, want %s %s", out[0], want, code)
	}
	return out[0]
}

// read reads without leaving a trace in the time of access.
func read(t testing.TB, p string) string {
	t.Helper()
	fd, err := unix.Open(p, unix.O_RDONLY|unix.O_NOATIME|unix.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// identity is all that is known of a file but inode, times of birth and of
// metadata: bytes, mode, owner, times, attributes, flags, names.
func identity(t testing.TB, p string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return err.Error()
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Sprintf("mode %o", st.Mode)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%x mode %o owner %d:%d size %d names %d atime %d.%09d mtime %d.%09d", sha256.Sum256([]byte(read(t, p))),
		st.Mode, st.Uid, st.Gid, st.Size, st.Nlink, st.Atim.Sec, st.Atim.Nsec, st.Mtim.Sec, st.Mtim.Nsec)
	list := make([]byte, 65536)
	n, _ := unix.Llistxattr(p, list)
	names := strings.Split(strings.TrimRight(string(list[:n]), "\x00"), "\x00")
	slices.Sort(names)
	for _, name := range names {
		value := make([]byte, 65536)
		if n, err := unix.Lgetxattr(p, name, value); err == nil {
			fmt.Fprintf(&b, " %s=%x", name, value[:n])
		}
	}
	if fd, err := unix.Open(p, unix.O_RDONLY|unix.O_NOATIME, 0); err == nil {
		if v, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil {
			fmt.Fprintf(&b, " flags %#x", v)
		}
		unix.Close(fd)
	}
	return b.String()
}

// tree is the identity of every file below a folder.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out[rel] = identity(t, p)
		}
		return err
	})
	return out
}

// sound proves the store, and that nothing is left half done.
func (b *bench) sound() {
	b.t.Helper()
	_, _, err := b.store.Check(func(p store.Problem) { b.t.Errorf("%v", p) })
	if err != nil {
		b.t.Error(err)
	}
	items, err := b.q.Items()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, it := range items {
		if it.State != Stored && it.State != Restored && it.State != Purged && it.State != Stranded {
			b.t.Errorf("item %s is %s", it.ID, it.State)
		}
		for _, d := range it.Deeds {
			if _, err := b.store.Verify(d); err != nil {
				b.t.Errorf("deed %s of item %s: %v", d, it.ID, err)
			}
		}
	}
}
