package quarantine

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence"
)

// dress gives a file metadata of every kind that this file system and user can.
func dress(t *testing.T, p string) {
	t.Helper()
	if os.Geteuid() == 0 {
		os.Chown(p, 1234, 5678)
	}
	if err := os.Chmod(p, 0o750|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	set := func(name string, value []byte) {
		if err := unix.Setxattr(p, name, value, 0); err != nil {
			t.Logf("%s: %v", name, err)
		}
	}
	set("user.note", []byte("a\x00b\xff"))
	set("user.empty", nil)
	// An ACL (acl(5), version 2): user:1000:rw beside owner, group, mask, others.
	acl := []byte{2, 0, 0, 0}
	for _, e := range [][3]uint32{{1, 7, 0xffffffff}, {2, 6, 1000}, {4, 5, 0xffffffff}, {16, 7, 0xffffffff}, {32, 0, 0xffffffff}} {
		acl = append(acl, byte(e[0]), 0, byte(e[1]), 0, byte(e[2]), byte(e[2]>>8), byte(e[2]>>16), byte(e[2]>>24))
	}
	set("system.posix_acl_access", acl)
	capability := append([]byte{1, 0, 0, 2, 0, 4, 0, 0}, make([]byte, 12)...) // v2, effective, cap_net_bind_service
	set("security.capability", capability)
	set("trusted.x", []byte("y"))
	if fd, err := unix.Open(p, unix.O_RDONLY, 0); err == nil {
		if v, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil {
			err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, v|flagNoDump|flagSync)
			t.Logf("flags: %v", err)
		}
		unix.Close(fd)
	}
	when := []unix.Timespec{{Sec: 1111111111, Nsec: 123456789}, {Sec: 1234567890, Nsec: 987654321}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, p, when, 0); err != nil {
		t.Fatal(err)
	}
}

// Taken and restored, a file is what it was, whatever it was.
func TestTakeRestore(t *testing.T) {
	b := newBench(t)
	for name, content := range map[string]string{
		"plain": "x", "empty": "", "long": strings.Repeat("0123456789abcdef", 300000),
		"sp ace\nnew\x01line\\\xff\u202e": "name", "deep/er/f": "d",
	} {
		p := b.file(name, content)
		if name == "plain" || name == "long" {
			dress(t, p)
		}
		before := identity(t, p)
		s := b.find(p)
		plan, err := b.q.Take(t.Context(), []Request{{Finding: s}}, false)
		if err != nil || plan[0].Result != Planned {
			t.Fatalf("%q: %+v, %v", name, plan, err)
		}
		if identity(t, p) != before {
			t.Errorf("%q: the plan changed it", name)
		}
		out := b.take(s, Done, "")
		if there, err := os.Lstat(p); err == nil {
			t.Errorf("%q is still there: %v", name, there)
		}
		raw, err := os.ReadFile(filepath.Join(b.at, folder, out.Item+dataSuffix))
		if err != nil || strings.Contains(string(raw), marker) || !strings.HasPrefix(string(raw), "age-encryption.org/v1\n") {
			t.Errorf("%q: the content stands open: %v", name, err)
		}
		b.sound()
		b.open(nil) // another process
		if err := b.q.Restore(out.Item, "", "a test"); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if after := identity(t, p); after != before {
			t.Errorf("%q:\n  was %s\n  is  %s", name, before, after)
		}
		b.sound()
		it, err := b.q.Find(out.Item[:8])
		if err != nil || it.State != Restored || len(it.Deeds) != 2 {
			t.Errorf("%q: %+v, %v", name, it, err)
		}
		if err := b.q.Restore(out.Item, "", ""); err == nil {
			t.Errorf("%q: restored twice", name)
		}
	}
	if n := b.q.Notes(); len(n) > 0 {
		t.Errorf("%q", n)
	}
}

// A deed's record names the finding.
func TestDeeds(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "a")
	s := b.find(p)
	out := b.take(s, Done, "")
	if err := b.q.Purge(out.Item, "no use"); err != nil {
		t.Fatal(err)
	}
	it, err := b.q.Find(out.Item)
	if err != nil || it.State != Purged {
		t.Fatal(it, err)
	}
	var deeds []string
	for _, name := range it.Deeds {
		d, err := b.store.Verify(name)
		if err != nil {
			t.Fatal(err)
		}
		a := d.Statement().Action
		if a.Record != s.Record().Name() || a.Detail["item"] != it.ID || d.Statement().Subject.SHA256 != it.SHA256 {
			t.Errorf("%+v", a)
		}
		deeds = append(deeds, a.Deed)
	}
	if strings.Join(deeds, " ") != "take purge" {
		t.Errorf("%q", deeds)
	}
	if _, err := os.Stat(filepath.Join(b.at, folder, it.ID+dataSuffix)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("content of what was purged: %v", err)
	}
	if err := b.q.Restore(it.ID, "", ""); err == nil {
		t.Error("restored what was purged")
	}
}

// All names of a file are taken and come back as one file.
func TestNames(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "x")
	second, third := filepath.Join(b.dir, "b"), filepath.Join(b.dir, "sub", "c")
	os.Mkdir(filepath.Dir(third), 0o755)
	for _, n := range []string{second, third} {
		if err := os.Link(p, n); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, b.dir)
	s := b.find(p)
	other := b.file("other", "x") // the same bytes, another file
	b.take(s, Refused, otherFile, p, other)
	os.Remove(other)
	out := b.take(s, Done, "", p, second, third)
	if len(tree(t, b.dir)) != 0 {
		t.Errorf("%q", tree(t, b.dir))
	}
	if err := b.q.Restore(out.Item, "", ""); err != nil {
		t.Fatal(err)
	}
	for name, want := range before {
		if got := tree(t, b.dir)[name]; got != want {
			t.Errorf("%s:\n  was %s\n  is  %s", name, want, got)
		}
	}
	// The same finding again: its item is the one that is in quarantine.
	again := b.take(s, Done, "", p, second, third)
	if it, err := b.q.Find(s.Record().Name()[:16]); err != nil || it.ID != again.Item {
		t.Errorf("%+v, %v", it, err)
	}
	if err := b.q.Restore(again.Item, "", ""); err != nil {
		t.Fatal(err)
	}
	if it, err := b.q.Find(s.Record().Name()[:16]); err == nil {
		t.Errorf("which of two? %+v", it)
	}
	// One name of several: said.
	out = b.take(b.find(p), Done, "", p)
	if !strings.Contains(out.Text, "2 other names") {
		t.Errorf("%+v", out)
	}
}

// Nothing is replaced, and a folder that is gone is said.
func TestRestoreRefused(t *testing.T) {
	b := newBench(t)
	p := b.file("d/a", "x")
	out := b.take(b.find(p), Done, "")
	os.WriteFile(p, []byte("mine"), 0o600)
	if err := b.q.Restore(out.Item, "", ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if read(t, p) != "mine" {
		t.Error("replaced")
	}
	os.RemoveAll(filepath.Dir(p))
	if err := b.q.Restore(out.Item, "", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	os.Symlink(b.dir, filepath.Dir(p)) // the folder is a link now
	if err := b.q.Restore(out.Item, "", ""); err == nil {
		t.Error("restored through a link")
	}
	b.sound()
	to := filepath.Join(b.dir, "elsewhere")
	os.Mkdir(to, 0o755)
	if err := b.q.Restore(out.Item, to, ""); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(to, "a")) != marker+"x" {
		t.Error("not the bytes")
	}
	b.sound()
}

// Damaged content is not restored.
func TestContentDamaged(t *testing.T) {
	b := newBench(t)
	p := b.file("a", strings.Repeat("x", 200000))
	out := b.take(b.find(p), Done, "")
	data := filepath.Join(b.at, folder, out.Item+dataSuffix)
	good, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 30, 100, 200, len(good) / 2, len(good) - 1} {
		bad := []byte(string(good))
		bad[i] ^= 1
		os.WriteFile(data, bad, 0o600)
		if err := b.q.Restore(out.Item, "", ""); err == nil {
			t.Fatalf("byte %d changed: restored", i)
		}
		os.WriteFile(data, good[:i], 0o600)
		if err := b.q.Restore(out.Item, "", ""); err == nil {
			t.Fatalf("cut at %d: restored", i)
		}
		if names := tree(t, b.dir); len(names) > 0 {
			t.Fatalf("left behind: %q", names)
		}
	}
	os.WriteFile(data, good, 0o600)
	if err := b.q.Restore(out.Item, "", ""); err != nil {
		t.Fatal(err)
	}
}

// A record that is no ground to act is refused.
func TestNoGround(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "x")
	seal := func(s *evidence.Statement) *evidence.Sealed {
		t.Helper()
		r, err := evidence.Seal(s, b.store.Keys()...)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.Append([]*evidence.Record{r}); err != nil {
			t.Fatal(err)
		}
		sealed, err := b.store.Verify(r.Name())
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	good := finding("Test.Marker-1", p, read(t, p))
	b.take(nil, Refused, noFinding)
	b.take(new(evidence.Sealed), Refused, noFinding)
	allowed := finding("Test.Marker-1", p, read(t, p))
	allowed.Rules.Rule.Allowed = "Good.File"
	b.take(seal(allowed), Refused, noFinding)
	deed, err := b.q.seal(&Item{ID: newID(), SHA256: good.Subject.SHA256, Names: []Name{newName(p, "x")}, Record: seal(good).Record().Name()}, "take", "done", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Append([]*evidence.Record{deed}); err != nil {
		t.Fatal(err)
	}
	d, err := b.store.Verify(deed.Name())
	if err != nil {
		t.Fatal(err)
	}
	b.take(d, Refused, noFinding)
	// Of another host, though it verifies there.
	other := newBench(t)
	b.take(other.find(p), Refused, noFinding)
	// Not in the store.
	r, err := evidence.Seal(good, b.store.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	loose, err := r.Verify(evidence.VerifyOptions{Keys: b.store.Public()})
	if err != nil {
		t.Fatal(err)
	}
	b.take(loose, Refused, noFinding)
	// A copy that hides digest or path.
	if err := b.store.Append([]*evidence.Record{r}); err != nil {
		t.Fatal(err)
	}
	hidden, err := r.Share(func(string) bool { return false }).Verify(evidence.VerifyOptions{Keys: b.store.Public()})
	if err != nil {
		t.Fatal(err)
	}
	b.take(hidden, Refused, noFinding)
	if len(tree(t, b.dir)) != 1 {
		t.Error("something was taken")
	}
	b.take(loose, Done, "")
}

// What is not the finding's file is refused.
func TestNotTheFile(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "x")
	s := b.find(p)
	os.WriteFile(p, []byte(marker+"y"), 0o644)
	b.take(s, Refused, notTheFile)
	os.WriteFile(p, []byte(marker+"longer"), 0o644)
	b.take(s, Refused, notTheFile)
	os.Remove(p)
	b.take(s, Refused, noPath)
	os.Mkdir(p, 0o755)
	b.take(s, Refused, notRegular)
	os.Remove(p)
	unix.Mkfifo(p, 0o644)
	b.take(s, Refused, notRegular)
	os.Remove(p)
	real := b.file("real", "x")
	os.Symlink(real, p)
	b.take(s, Refused, notRegular)
	b.take(s, Refused, noPath, "relative")
	b.take(s, Refused, noPath, filepath.Join(b.dir, "none", "a"))
	if items, _ := b.q.Items(); len(items) > 0 {
		t.Errorf("%d items", len(items))
	}
	b.sound()
	if left, _ := os.ReadDir(filepath.Join(b.at, folder)); len(left) > 3 {
		t.Errorf("left behind: %v", left)
	}
}

// By rule and since a time.
func TestSelect(t *testing.T) {
	b := newBench(t)
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	o := b.options()
	o.Now = func() time.Time { return now }
	b.open(&o)
	for i, rule := range []string{"Test.One", "Test.Two", "Test.One"} {
		p := b.file(string(rune('a'+i)), rule)
		b.take(b.findBy(rule, p), Done, "")
		now = now.Add(24 * time.Hour)
	}
	for _, c := range []struct {
		s    Selection
		want int
	}{
		{Selection{}, 3},
		{Selection{Rule: "Test.One*"}, 2},
		{Selection{Rule: "Test.Two.UNOFFICIAL"}, 1},
		{Selection{Rule: "Two"}, 0},
		{Selection{Since: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}, 2},
		{Selection{Rule: "*.One.*", Since: time.Date(2026, 11, 1, 0, 0, 1, 0, time.UTC)}, 1},
	} {
		got, err := b.q.Select(c.s)
		if err != nil || len(got) != c.want {
			t.Errorf("%+v: %d, %v, want %d", c.s, len(got), err, c.want)
		}
	}
	if _, err := b.q.Select(Selection{Rule: "[a"}); err == nil {
		t.Error("a bad pattern is taken")
	}
}

// A cancelled batch leaves the rest alone.
func TestCancelled(t *testing.T) {
	b := newBench(t)
	s := b.find(b.file("a", "x"))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	out, err := b.q.Take(ctx, []Request{{Finding: s}}, true)
	if err != nil || out[0].Result != Refused || len(tree(t, b.dir)) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}

// unescape undoes Escape.
func TestUnescape(t *testing.T) {
	for _, bad := range []string{`\`, `\x`, `\x1`, `\q`, `\u12`, `\xzz`, `a\U0000`} {
		if got, ok := unescape(bad); ok {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a", "\\", "\xff\n\t\r\x01", "\u202e\U000e0001é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := unescape(newName("/"+s, "x").Path); !ok || got != "/"+s {
			t.Errorf("%q: %q, %v", s, got, ok)
		}
		unescape(s)
	})
}

// FuzzItem: a sidecar is read strictly, and written as it was read.
func FuzzItem(f *testing.F) {
	it := &Item{
		Format: itemFormat, ID: strings.Repeat("ab", 16), State: Stored, Record: "r", Rule: "R", Time: "2026-11-21T14:00:00Z",
		SHA256: strings.Repeat("0", 64), Names: []Name{newName("/a\xff", strings.Repeat("ab", 16)+".0")}, Meta: Meta{Mode: "0644"},
	}
	b, err := it.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(strings.Replace(string(b), "0644", "9", 1)))
	f.Add([]byte(strings.Replace(string(b), base64.StdEncoding.EncodeToString([]byte("/a\xff")), "Li4vYQ==", 1)))
	if _, err := decodeItem(b, it.ID); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeItem(b, it.ID)
		if err != nil {
			return
		}
		for _, n := range got.Names {
			if !filepath.IsAbs(string(n.Bytes)) || strings.Contains(n.Held, "/") {
				t.Errorf("%+v", n)
			}
		}
		again, err := got.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeItem(again, it.ID); err != nil {
			t.Errorf("%v\n%s", err, again)
		}
	})
}
