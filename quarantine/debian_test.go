package quarantine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
)

// A rule that is true of everything, on a copy of this host's own Debian system:
// by default no file is touched; with acting switched on, the brake stops it, and
// one restore brings back everything.
func TestDebian(t *testing.T) {
	lists, _ := filepath.Glob("/var/lib/dpkg/info/*.md5sums")
	if len(lists) == 0 {
		t.Skip("not a Debian system")
	}
	most := 150
	if *full {
		most = 5000
	}
	b := newBench(t)
	root := filepath.Join(b.dir, "..", "root")
	paths := copyDebian(t, root, lists, most)
	packagedFiles := len(paths)
	for i := range 40 { // of nobody
		p := filepath.Join(root, "srv", fmt.Sprint(i%4), fmt.Sprint("own", i))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(marker+fmt.Sprint("own", i)), 0o640)
		paths = append(paths, p)
	}
	before := tree(t, root)
	for name := range before { // the lists are read by the guard
		if strings.HasPrefix(name, "var/lib/dpkg/") {
			delete(before, name)
		}
	}
	unchanged := func() bool {
		now := tree(t, root)
		for name, want := range before {
			if now[name] != want {
				t.Logf("%s:\n  was %s\n  is  %s", name, want, now[name])
				return false
			}
		}
		return true
	}
	find := func(rule string) (out []Request) {
		var records []*evidence.Record
		for _, p := range paths {
			r, err := evidence.Seal(finding(rule, p, read(t, p)), b.store.Keys()...)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
		if err := b.store.Append(records); err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			s, err := r.Verify(evidence.VerifyOptions{Keys: b.store.Public()})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, Request{Finding: s})
		}
		return out
	}
	take := func(rs []Request) map[string]int {
		out, err := b.q.Take(t.Context(), rs, true)
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for _, x := range out {
			n[strings.TrimSpace(string(x.Result)+" "+string(x.Code))]++
		}
		return n
	}
	o := Options{Guard: Guard{Root: root}, FS: quickFS()}
	b.open(&o)
	rs := find("Bad.True")
	n := take(rs)
	t.Logf("%d files of packages, 40 others; by default: %v", packagedFiles, n)
	if n["done"] > 0 || !unchanged() {
		t.Error("by default: files were touched")
	}
	if held := n["held packaged"] + n["held never-touch"]; held < packagedFiles*95/100 {
		t.Errorf("%d of %d files of packages are known as such", held, packagedFiles)
	}
	o.Guard.Stages = []byte("act *\n")
	b.open(&o)
	n = take(rs)
	t.Logf("acting: %v", n)
	if n["done"] > 0 || !unchanged() {
		t.Error("acting: it hit packages, and files were taken")
	}
	o.Limits.Packaged = -1 // without that part of the brake, the number stops it
	b.open(&o)
	n = take(rs)
	t.Logf("acting, packages not counted: %v", n)
	if n["done"] != 20 {
		t.Errorf("%v: the limit is 20", n)
	}
	items, err := b.q.Select(Selection{Rule: "Bad.*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if err := b.q.Restore(it.ID, "", "the rule is bad"); err != nil {
			t.Error(err)
		}
	}
	if !unchanged() {
		t.Error("after the restore it is not as it was")
	}
	b.sound()
}

// copyDebian copies lists of packages, and some files of each, below a root.
func copyDebian(t *testing.T, root string, lists []string, most int) []string {
	t.Helper()
	var paths []string
	place := func(from string) {
		st, err := os.Lstat(from)
		if err != nil || !st.Mode().IsRegular() || st.Size() > 1<<20 || st.Size() < int64(len(marker)) {
			return
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(from))
		if err != nil {
			return
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return
		}
		to := filepath.Join(root, dir, filepath.Base(from))
		os.MkdirAll(filepath.Dir(to), 0o755)
		if os.WriteFile(to, content, st.Mode().Perm()|0o200) == nil {
			os.Chtimes(to, st.ModTime(), st.ModTime())
			paths = append(paths, to)
		}
	}
	copyOf := func(name string) {
		content, err := os.ReadFile(name)
		if err == nil {
			os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755)
			os.WriteFile(filepath.Join(root, name), content, 0o644)
		}
	}
	copyOf("/var/lib/dpkg/status")
	copyOf("/var/lib/dpkg/diversions")
	os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755)
	for _, l := range []string{"bin", "sbin", "lib", "lib64"} { // as this host is merged
		if to, err := os.Readlink("/" + l); err == nil {
			os.MkdirAll(filepath.Join(root, to), 0o755)
			os.Symlink(to, filepath.Join(root, l))
		}
	}
	for i, list := range lists {
		copyOf(list)
		text, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		for line := range strings.Lines(string(text)) {
			_, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			if ok && len(paths) < most && taken < 1+most/len(lists) && i*most/len(lists) >= len(paths)-most/2 {
				before := len(paths)
				place("/" + name)
				taken += len(paths) - before
			}
		}
	}
	for _, conf := range []string{"/etc/profile", "/etc/bash.bashrc", "/etc/adduser.conf", "/etc/login.defs"} {
		place(conf)
	}
	return paths
}
