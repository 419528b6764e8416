package quarantine

import (
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// root makes a small Debian root beside the files: packages, some of whose files
// a rule hits, and files of nobody.
func (b *bench) root() string {
	b.t.Helper()
	root := filepath.Join(b.dir, "..", "root")
	write := func(name, content string) {
		p := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(content), 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755)
	os.Symlink("usr/bin", filepath.Join(root, "bin"))
	for _, n := range []string{"usr/bin/tool", "usr/bin/other", "usr/bin/third", "usr/bin/changed", "usr/bin/aside.distrib", "etc/tool.conf", "usr/share/tool/data"} {
		write(n, marker+n)
	}
	sum := func(n string) string { return fmt.Sprintf("%x", md5.Sum([]byte(marker+n))) }
	write("var/lib/dpkg/info/tool.md5sums",
		sum("usr/bin/tool")+"  bin/tool\n"+ // listed by the path before /usr was merged
			sum("usr/bin/other")+"  usr/bin/other\n"+sum("usr/bin/third")+"  usr/bin/third\n"+
			sum("as it was")+"  usr/bin/changed\n"+sum("usr/bin/aside.distrib")+"  usr/bin/aside\n"+
			sum("usr/share/tool/data")+"  usr/share/tool/data\nnonsense\n")
	write("var/lib/dpkg/diversions", "/usr/bin/aside\n/usr/bin/aside.distrib\nlocal\n")
	write("var/lib/dpkg/status", "Package: tool\nStatus: install ok installed\nConffiles:\n /etc/tool.conf "+sum("etc/tool.conf")+"\nDescription: x\n /usr/bin/free 00\n")
	write("usr/bin/free", marker+"free")
	write("usr/bin/bash", marker+"bash")
	write("boot/vmlinuz-6", marker+"kernel")
	write("lib/x86_64-linux-gnu/libc.so.6", marker+"libc")
	write("etc/shells", "# shells\n/usr/bin/strange\n")
	// It is read at each take: its time of access is one that reading leaves (relatime).
	os.Chtimes(filepath.Join(root, "etc/shells"), time.Now().Add(time.Hour), time.Now())
	write("usr/bin/strange", marker+"strange")
	write("sbin/init", marker+"init")
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		b.t.Fatal(err)
	}
	return real
}

// Files of packages are held as long as they are what the package has, and what
// the system needs is held always, under any name.
func TestGuard(t *testing.T) {
	b := newBench(t)
	root := b.root()
	o := b.options()
	o.Guard.Root = root
	o.Limits.Packaged = -1
	b.open(&o)
	link := filepath.Join(b.dir, "innocent")
	if err := os.Link(filepath.Join(root, "lib/x86_64-linux-gnu/libc.so.6"), link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Reason{
		"usr/bin/tool": packaged, "usr/bin/third": packaged, "usr/bin/aside.distrib": packaged, "etc/tool.conf": packaged,
		"usr/share/tool/data": packaged,
		"usr/bin/bash":        neverTouch, "boot/vmlinuz-6": neverTouch, "lib/x86_64-linux-gnu/libc.so.6": neverTouch,
		"usr/bin/strange": neverTouch, "sbin/init": neverTouch, "var/lib/dpkg/info/tool.md5sums": neverTouch, "etc/shells": "",
		"usr/bin/changed": "", "usr/bin/free": "",
	} {
		p := filepath.Join(root, name)
		before := identity(t, p)
		if want == "" {
			out := b.take(b.find(p), Done, "")
			if err := b.q.Restore(out.Item, "", ""); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else {
			b.take(b.find(p), Held, want)
			out, err := b.q.Take(t.Context(), []Request{{Finding: b.find(p), Approved: true}}, true)
			if err != nil || out[0].Code != want {
				t.Errorf("%s: a person's approval lifts the guard: %+v", name, out)
			}
		}
		if identity(t, p) != before {
			t.Errorf("%s: changed", name)
		}
	}
	b.take(b.find(filepath.Join(root, "bin/tool")), Refused, noPath) // by a link; a scan records the path without
	b.take(b.find(link), Held, neverTouch)
	again := filepath.Join(b.dir, "again") // the same folder by another path
	os.Mkdir(again, 0o755)
	if unix.Mount(root, again, "", unix.MS_BIND, "") == nil {
		defer unix.Unmount(again, unix.MNT_DETACH)
		b.take(b.find(filepath.Join(again, "usr/bin/tool")), Held, packaged)
		b.take(b.find(filepath.Join(again, "etc/tool.conf")), Held, packaged)
		b.take(b.find(filepath.Join(again, "usr/bin/bash")), Held, neverTouch)
		b.take(b.find(filepath.Join(again, "boot/vmlinuz-6")), Held, neverTouch)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(b.dir, "mine")
	if os.Link(self, mine) == nil {
		b.take(b.find(mine), Held, neverTouch)
	}
	inStore := filepath.Join(b.at, "x")
	os.WriteFile(inStore, []byte(marker), 0o600)
	b.take(b.find(inStore), Held, neverTouch)
	b.sound()
}

// A rule that is true of everything, by default: nothing is touched. Acting
// switched on: the brake stops it, and one restore brings back all.
func TestBadRule(t *testing.T) {
	b := newBench(t)
	root := b.root()
	for i := range 60 {
		p := filepath.Join(root, "srv", fmt.Sprint(i%6), fmt.Sprint("file", i))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(marker+fmt.Sprint(i)), 0o644)
		when := time.Unix(1500000000, int64(i))
		os.Chtimes(p, when, when)
	}
	for _, name := range []string{"etc/shells", "var/lib/dpkg/status", "var/lib/dpkg/diversions", "var/lib/dpkg/info/tool.md5sums"} {
		os.ReadFile(filepath.Join(root, name)) // they are read by the guard: let their times of access be settled (relatime)
	}
	before := tree(t, root)
	// Only what the system does not need, so that it is the other brakes which stop it.
	var outside, all []string
	for name := range before {
		if name != "bin" { // a link
			all = append(all, filepath.Join(root, name))
		}
		if strings.HasPrefix(name, "srv/") {
			outside = append(outside, filepath.Join(root, name))
		}
	}
	o := Options{Guard: Guard{Root: root}, FS: quickFS()} // the defaults
	b.open(&o)
	requests := func(paths []string) (rs []Request) {
		for _, p := range paths {
			rs = append(rs, Request{Finding: b.findBy("Bad.All", p)})
		}
		return rs
	}
	count := func(out []Outcome, err error) (n map[Result]int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		n = map[Result]int{}
		for _, x := range out {
			n[x.Result]++
		}
		return n
	}
	if n := count(b.q.Take(t.Context(), requests(all), true)); n[Done] > 0 || n[Planned] > 0 {
		t.Errorf("by default: %v", n)
	}
	if fmt.Sprint(tree(t, root)) != fmt.Sprint(before) {
		t.Error("by default: the root changed")
	}
	// Switched on: it hit packages before, and that is remembered.
	o.Guard.Stages = []byte("act *\n")
	b.open(&o)
	out, err := b.q.Take(t.Context(), requests(outside), true)
	if n := count(out, err); n[Done] > 0 || out[0].Code != brake {
		t.Errorf("acting, after it hit packages: %v %+v", n, out[0])
	}
	// Another such rule, which hit no package: the number of takes stops it.
	var rs []Request
	for _, p := range outside {
		rs = append(rs, Request{Finding: b.findBy("Bad.Some", p)})
	}
	if n := count(b.q.Take(t.Context(), rs, true)); n[Done] != 20 || n[Held] != len(outside)-20 {
		t.Errorf("acting: %v", n)
	}
	if n := count(b.q.Take(t.Context(), rs[:30], true)); n[Done] > 0 {
		t.Errorf("acting, at once again: %v", n)
	}
	if n := len(before) - len(tree(t, root)); n != 20 {
		t.Errorf("%d files are gone", n)
	}
	items, err := b.q.Select(Selection{Rule: "Bad.*"})
	if err != nil || len(items) != 20 {
		t.Fatal(len(items), err)
	}
	for _, it := range items {
		if err := b.q.Restore(it.ID, "", "the rule is bad"); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(tree(t, root)) != fmt.Sprint(before) {
		t.Error("not all is as it was")
	}
	b.sound()
}

// At most half of a folder's files, from the fifth on; and the window moves.
func TestBrake(t *testing.T) {
	b := newBench(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := b.options()
	o.Limits = Limits{Takes: 8}
	o.Now = func() time.Time { return now }
	b.open(&o)
	var rs []Request
	for i := range 12 {
		rs = append(rs, Request{Finding: b.find(b.file(fmt.Sprint("d/", i), fmt.Sprint(i)))})
	}
	done := func(act bool) (n int, last Outcome) {
		t.Helper()
		out, err := b.q.Take(t.Context(), rs, act)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out {
			if x.Result == Done || x.Result == Planned {
				n++
			}
		}
		return n, out[len(out)-1]
	}
	if n, _ := done(false); n > 8 {
		t.Errorf("%d planned", n)
	}
	if n, last := done(true); n != 6 || last.Code != brake {
		t.Errorf("%d taken of 12, %+v", n, last)
	}
	now = now.Add(2 * time.Hour)
	if n, _ := done(true); n != 4 {
		t.Errorf("%d taken of 6 that are left, an hour later", n)
	}
}

func TestStages(t *testing.T) {
	s, err := ParseStages([]byte("# comment\nshadow Win.*.Weak*\nact Win.* # all others\n\nreport *\n"))
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]showcause.Stage{"Win.A.Weak-1": showcause.StageShadow, "Win.B": showcause.StageAct, "X": showcause.StageReport} {
		if got := s.Of(rule, ""); got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
	for _, c := range []struct{ local, signed, want showcause.Stage }{
		{"", "", showcause.StageReport},
		{"", showcause.StageAct, showcause.StageAct},
		{"", showcause.StageShadow, showcause.StageShadow},
		{showcause.StageAct, "", showcause.StageAct},
		{showcause.StageAct, showcause.StageReport, showcause.StageReport},
		{showcause.StageReport, showcause.StageAct, showcause.StageReport},
		{showcause.StageShadow, showcause.StageAct, showcause.StageShadow},
	} {
		s := Stages{}
		if c.local != "" {
			s, _ = ParseStages([]byte(string(c.local) + " *"))
		}
		if got := s.Of("X", c.signed); got != c.want {
			t.Errorf("%q here and %q signed: %q, want %q", c.local, c.signed, got, c.want)
		}
	}
	for _, bad := range []string{"act", "act a b", "kill *", "act [a"} {
		if _, err := ParseStages([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	b := newBench(t)
	o := b.options()
	o.Guard.Stages = nil
	os.WriteFile(filepath.Join(b.at, "stages"), []byte("act Test.Act*\n"), 0o600)
	b.open(&o)
	b.take(b.findBy("Test.Act", b.file("a", "a")), Done, "")
	held := b.findBy("Test.Report", b.file("b", "b"))
	b.take(held, Held, noStage)
	out, err := b.q.Take(t.Context(), []Request{{Finding: held, Approved: true}}, true)
	if err != nil || out[0].Result != Done {
		t.Errorf("%+v, %v", out, err)
	}
}

// A file of an rpm, as rpm tells. A database without rpm holds everything.
func TestRPM(t *testing.T) {
	b := newBench(t)
	root := b.root()
	os.MkdirAll(filepath.Join(root, "var/lib/rpm"), 0o755)
	os.WriteFile(filepath.Join(root, "var/lib/rpm/rpmdb.sqlite"), nil, 0o644)
	o := b.options()
	o.Guard.Root = root
	o.Limits.Packaged = -1
	b.open(&o)
	free := b.find(filepath.Join(root, "usr/bin/free"))
	b.take(free, Held, packageTool)
	script := filepath.Join(b.dir, "..", "rpm")
	sum := free.Statement().Subject.SHA256
	os.WriteFile(script, []byte(`#!/bin/sh
case "$*" in
*" -- /usr/bin/free") printf 'pkg\t`+sum+`\t/usr/bin/free\npkg\t00\t/usr/bin/x\n' ;;
*" -- /usr/bin/changed") printf 'pkg\t`+sum+`\t/usr/bin/changed\n' ;;
*" -- /opt/broken") exit 3 ;;
*) echo "file is not owned by any package"; exit 1 ;;
esac
`), 0o755)
	o.Guard.RPM = script
	b.open(&o)
	b.take(free, Held, packaged)
	os.MkdirAll(filepath.Join(root, "opt"), 0o755)
	for _, n := range []string{"opt/own", "opt/broken", "opt/changed"} {
		os.WriteFile(filepath.Join(root, n), []byte(marker+n), 0o644)
	}
	b.take(b.find(filepath.Join(root, "opt/own")), Done, "")
	b.take(b.find(filepath.Join(root, "opt/broken")), Held, packageTool)
}
