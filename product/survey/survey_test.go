package survey_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/estate"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/worker/once"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == survey.Role {
		os.Exit(survey.Read())
	}
	os.Exit(m.Run())
}

func here(_ context.Context, request []byte, f *os.File, part func([]byte) error) error {
	return survey.Here(request, f, part)
}

var debian = estate.Tree{
	"etc/os-release":       []byte("ID=debian\nVERSION_ID=\"12\"\n"),
	"var/lib/dpkg/status":  estate.Status(estate.Deb{Name: "acme-agent", Version: "1"}, estate.Deb{Name: "other", Version: "2"}),
	"opt/acme/bin/acmed":   estate.ELF("x"),
	"usr/share/doc/a.gz":   estate.Gzip([]byte("words")),
	"var/backups/old.tar":  estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "acme-old"})}.Tar(),
	"home/u/notes.txt":     []byte("acme-agent is on the list"),
	"home/u/empty":         nil,
	"srv/mail/secret.mbox": []byte("From a"),
}

func write(t testing.TB, tree estate.Tree) string {
	t.Helper()
	dir := t.TempDir()
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t testing.TB, target string, o survey.Options) *product.Inventory {
	t.Helper()
	inv, err := survey.Run(context.Background(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if !inv.Coverage.Files.Balanced() {
		t.Errorf("files do not balance: %+v", inv.Coverage.Files)
	}
	return inv
}

// packages are the packages of an inventory with their classes.
func packages(inv *product.Inventory) (out []string) {
	for _, o := range inv.Observations {
		if p := o.Get(product.Package); p != "" {
			out = append(out, p+" "+string(o.Class))
		}
	}
	slices.Sort(out)
	return out
}

// TestJailed makes the same inventory in the jail and outside.
func TestJailed(t *testing.T) {
	dir := write(t, debian)
	want := run(t, dir, survey.Options{Run: here, Exclude: []string{"/srv/mail"}})
	if got := packages(want); !slices.Equal(got, []string{"acme-agent installed", "acme-old backup", "other installed"}) {
		t.Errorf("%v", got)
	}
	if want.System.Name != "debian" || want.Kind != "root" || !want.Coverage.Whole() {
		t.Errorf("%+v %s %+v", want.System, want.Kind, want.Coverage.Gaps)
	}
	if f := want.Coverage.Files; f != (product.Files{Seen: 7, Read: 5, Records: 2, Unpacked: 3, Judged: 2}) || len(want.Coverage.Excluded) != 1 {
		t.Errorf("%+v, %v", f, want.Coverage.Excluded)
	}
	if err := jail.Available(); err != nil {
		t.Skip("jail: ", err)
	}
	got := run(t, dir, survey.Options{Exclude: []string{"/srv/mail"}})
	x, _ := json.Marshal(want.Observations)
	y, _ := json.Marshal(got.Observations)
	if string(x) != string(y) {
		t.Errorf("in the jail:\n%s\nhere:\n%s", y, x)
	}
}

// TestUnreached holds that nothing is found where nothing could be read, and that this is said.
func TestUnreached(t *testing.T) {
	inv := run(t, filepath.Join(t.TempDir(), "nothing"), survey.Options{Run: here})
	if inv.Coverage.Unreached == "" || inv.Coverage.Whole() {
		t.Errorf("%+v", inv.Coverage)
	}
	zip := []byte("PK\x03\x04\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00xabcdefghijklmnop")
	inv = run(t, write(t, estate.Tree{"a.zip": zip}), survey.Options{Run: here})
	if inv.Coverage.Whole() || inv.Coverage.Files.Unread != 1 {
		t.Errorf("%+v", inv.Coverage)
	}
	if os.Getuid() != 0 {
		dir := write(t, estate.Tree{"secret": []byte("x")})
		if err := os.Chmod(filepath.Join(dir, "secret"), 0); err != nil {
			t.Fatal(err)
		}
		if inv := run(t, dir, survey.Options{Run: here}); inv.Coverage.Files.Unread != 1 {
			t.Errorf("%+v", inv.Coverage)
		}
	}
}

// TestDeath holds that a process that dies takes one file with it, and that this file is a gap.
func TestDeath(t *testing.T) {
	dir := write(t, estate.Tree{"1/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "a"}), "2/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "b"}), "3/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "c"})})
	lines := 0
	inv := run(t, dir, survey.Options{Workers: 1, Run: func(ctx context.Context, request []byte, f *os.File, part func([]byte) error) error {
		return survey.Here(request, f, func(b []byte) error {
			if lines++; lines == 2 {
				return fmt.Errorf("x: %w", once.ErrDied)
			}
			return part(b)
		})
	}})
	if got := packages(inv); !slices.Equal(got, []string{"a installed", "c installed"}) || inv.Coverage.Files.Unread != 1 || inv.Coverage.Gaps[0].Code != showcause.Crash || inv.Coverage.Gaps[0].Place.Path != "/2/var/lib/dpkg/status" {
		t.Errorf("%v, %+v", got, inv.Coverage)
	}
}

// TestLies holds that what no reader says is not believed: the file is a gap.
func TestLies(t *testing.T) {
	dir := write(t, estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "a"})})
	obs := func(o string) string { return `{"f":0,"o":` + o + `}` + "\n" }
	for _, lie := range []string{
		"{", `{"f":1,"e":{"layers":1}}` + "\n", `{"f":0}` + "\n", `{"f":0,"e":{"layers":1}}` + "\n", `{"f":0,"e":{"layers":1,"way":"guess"}}` + "\n", `{"f":0,"e":{"layers":-1}}` + "\n", `{"f":0,"g":{"code":"all.well","offset":0,"length":1}}` + "\n",
		obs(`{"source":"oracle","class":"installed","facts":[{"kind":"package","value":"x"}]}`),
		obs(`{"source":"dpkg","class":"certain","facts":[{"kind":"package","value":"x"}]}`),
		obs(`{"source":"dpkg","class":"installed","facts":[{"kind":"guilt","value":"x"}]}`),
		obs(`{"source":"dpkg","class":"installed","facts":[]}`),
		obs(`{"source":"dpkg","class":"installed","facts":[{"kind":"package","value":"` + strings.Repeat("x", 2000) + `"}]}`),
		obs(`{"source":"dpkg","class":"installed","place":{"trail":[{"index":0,"op":"magic"}]},"facts":[{"kind":"package","value":"x"}]}`),
	} {
		inv := run(t, dir, survey.Options{Run: func(_ context.Context, _ []byte, _ *os.File, part func([]byte) error) error {
			if err := part([]byte(lie)); err != nil {
				return err
			}
			return errors.New("it was believed")
		}})
		if len(packages(inv)) != 0 || inv.Coverage.Files.Unread != 1 {
			t.Errorf("%s: %+v", lie, inv.Coverage)
		}
	}
	// The place is the one that was asked for, whatever is said.
	inv := run(t, dir, survey.Options{Run: func(_ context.Context, _ []byte, _ *os.File, part func([]byte) error) error {
		return part([]byte(obs(`{"source":"dpkg","class":"installed","place":{"path":"/etc/shadow"},"facts":[{"kind":"package","value":"x"}]}`) + `{"f":0,"e":{"layers":1,"way":"record"}}` + "\n"))
	}})
	if inv.Observations[0].Place.Path != "/var/lib/dpkg/status" {
		t.Errorf("%+v", inv.Observations[0].Place)
	}
}

// TestCache holds that a file that did not change is not read again, that one that did is, and that
// a damaged cache is none.
func TestCache(t *testing.T) {
	dir, cache := write(t, debian), filepath.Join(t.TempDir(), "cache")
	later := func() time.Time { return time.Now().Add(time.Minute) }
	read := 0
	o := survey.Options{Cache: cache, Now: later, Run: func(ctx context.Context, request []byte, f *os.File, part func([]byte) error) error {
		read += strings.Count(string(request), `"path"`)
		return survey.Here(request, f, part)
	}}
	same := func(a, b *product.Inventory) {
		t.Helper()
		x, _ := json.Marshal(a.Observations)
		y, _ := json.Marshal(b.Observations)
		if string(x) != string(y) || a.Coverage.Files != b.Coverage.Files || a.Coverage.Layers != b.Coverage.Layers {
			t.Errorf("%+v\n%s\n%+v\n%s", a.Coverage.Files, x, b.Coverage.Files, y)
		}
	}
	first := run(t, dir, o)
	if read != 5 {
		t.Errorf("%d files were read", read)
	}
	read = 0
	same(first, run(t, dir, o))
	if read != 0 {
		t.Errorf("%d files were read again", read)
	}
	status := filepath.Join(dir, "var/lib/dpkg/status")
	st, err := os.Stat(status)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(status)
	if err := os.WriteFile(status, []byte(strings.Replace(string(b), "acme-agent", "acme-agenu", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(status, st.ModTime(), st.ModTime()); err != nil { // as one does who hides it
		t.Fatal(err)
	}
	if inv := run(t, dir, o); read != 1 || !slices.Contains(packages(inv), "acme-agenu installed") {
		t.Errorf("%d files were read: %v", read, packages(inv))
	}
	files, _ := filepath.Glob(cache + "/*")
	b, _ = os.ReadFile(files[0])
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if read = 0; len(packages(run(t, dir, o))) != 3 || read != 5 {
		t.Errorf("damaged: %d files were read", read)
	}
	o.Engine = "another"
	if read = 0; len(packages(run(t, dir, o))) != 3 || read != 5 {
		t.Errorf("another engine: %d files were read", read)
	}
	o.Now = time.Now // the files were written just now: another change may have the same time
	o.Cache = filepath.Join(t.TempDir(), "cache")
	run(t, dir, o)
	if read = 0; len(packages(run(t, dir, o))) != 3 || read != 5 {
		t.Errorf("fresh files: %d were read", read)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	dir := write(t, estate.Tree{"a/x": []byte("x")})
	out := write(t, estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "outside"})})
	for from, to := range map[string]string{"var": out + "/var", "a/loop": "..", "a/status": out + "/var/lib/dpkg/status"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if inv := run(t, dir, survey.Options{Run: here}); len(packages(inv)) != 0 || inv.Coverage.Files.Seen != 1 {
		t.Errorf("%v %+v", packages(inv), inv.Coverage.Files)
	}
}

// TestFolders tells of a vendor's folder and of its product's, and of nothing below.
// TestHiddenDatabases holds that a database that stands where none is looked for, or is damaged from its first byte on, is read or is a gap.
func TestHiddenDatabases(t *testing.T) {
	link := func(root, name, to string) error {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			return err
		}
		return os.Symlink(to, filepath.Join(root, name))
	}
	for name, v := range map[string]struct {
		file, text, link, to string
		gap                  string
	}{
		"dpkg is a link":         {"srv/x/status", "\nPackage: hidden\n", "var/lib/dpkg", "/srv/x", "/var/lib/dpkg"},
		"status is a link":       {"srv/x", "\nPackage: hidden\n", "var/lib/dpkg/status", "../../../srv/x", "/var/lib/dpkg/status"},
		"rpm as it should be":    {"usr/lib/sysimage/rpm/x", "x", "var/lib/rpm", "../../usr/lib/sysimage/rpm", ""},
		"status within dpkg":     {"srv/dpkg/status", "Package: hidden\n", "var/lib/dpkg", "/srv/dpkg", ""},
		"another link":           {"srv/x", "x", "etc/x", "/srv/x", ""},
		"apk is read where":      {"srv/apk/db/installed", "P:hidden\n", "lib/apk", "/srv/apk", ""},
		"a hive without a start": {"Windows/System32/config/SOFTWARE", "xxxxhidden", "", "", "/Windows/System32/config/SOFTWARE"},
	} {
		root := write(t, estate.Tree{v.file: []byte(v.text)})
		if v.link != "" {
			if err := link(root, v.link, v.to); err != nil {
				t.Fatal(err)
			}
		}
		inv := run(t, root, survey.Options{Run: here})
		gap := ""
		for _, g := range inv.Coverage.Gaps {
			gap += g.Place.Path
		}
		if gap != v.gap || v.gap == "" && strings.Contains(v.text, "hidden") && !slices.Contains(packages(inv), "hidden installed") {
			t.Errorf("%s: %v, gap %q, want %q", name, packages(inv), gap, v.gap)
		}
	}
	root := write(t, estate.Tree{"etc/x": []byte("x"), "var/lib/dpkg/x": []byte("x")})
	if err := syscall.Mkfifo(filepath.Join(root, "var/lib/dpkg/status"), 0o600); err != nil {
		t.Skip(err)
	}
	if inv := run(t, root, survey.Options{Run: here}); len(inv.Coverage.Gaps) != 1 {
		t.Errorf("a pipe: %+v", inv.Coverage.Gaps)
	}
}

func TestFolders(t *testing.T) {
	dir := write(t, estate.Tree{"opt/vendor/agent/bin/x": []byte("x"), "Program Files/Vendor/Agent/lib/x": []byte("x"), "usr/share/x": []byte("x")})
	var got []string
	for _, o := range run(t, dir, survey.Options{Run: here}).Observations {
		got = append(got, o.Get(product.Path))
	}
	if want := []string{"/Program Files/Vendor", "/Program Files/Vendor/Agent", "/opt/vendor", "/opt/vendor/agent"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestStorage holds that layers of containers are roots of their own, that those of one image are taken together, and
// those of others are not.
func TestStorage(t *testing.T) {
	const store = "var/lib/docker/overlay2/"
	dir := write(t, estate.Tree{
		"etc/os-release": []byte("ID=debian\n"), store + "l/x": []byte("x"),
		store + "base/link": []byte("AAAA"), store + "base/diff/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "acme-agent", Version: "1"}),
		store + "base/diff/etc/os-release": []byte("ID=alpine\n"),
		store + "top/link":                 []byte("BBBB"), store + "top/lower": []byte("l/CCCC:l/AAAA"), store + "top/diff/opt/acme/bin/acmed": estate.ELF("x"),
		store + "mid/link": []byte("CCCC"), store + "mid/lower": []byte("l/AAAA"), store + "mid/diff/usr/lib/x.so": estate.ELF(""),
		store + "other/link": []byte("DDDD"), store + "other/lower": []byte("l/../../../etc"), store + "other/diff/opt/acme/x": []byte("x"),
		"var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/lib/apk/db/installed": estate.Alpine(estate.Deb{Name: "acme-apk", Version: "1"}),
		"srv/overlay2/mine/diff/opt/acme/x": []byte("x"), // no storage
	})
	inv := run(t, dir, survey.Options{Run: here})
	var got []string
	for _, o := range inv.Observations {
		switch {
		case o.Source == "dpkg", o.Source == "apk", o.Source == "folder", o.Source == "elf":
			got = append(got, fmt.Sprintf("%s %s [%s] app %s way %s", o.Source, o.Place.Path, o.Place.Root, o.Place.App, o.Class))
		}
	}
	want := []string{
		"apk /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/lib/apk/db/installed [/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7] app  way installed",
		"dpkg /var/lib/docker/overlay2/base/diff/var/lib/dpkg/status [/var/lib/docker/overlay2/base] app  way installed",
		"elf /var/lib/docker/overlay2/mid/diff/usr/lib/x.so [/var/lib/docker/overlay2/base] app  way installed",
		"elf /var/lib/docker/overlay2/top/diff/opt/acme/bin/acmed [/var/lib/docker/overlay2/base] app /opt/acme way installed",
		"folder /var/lib/docker/overlay2/other/diff/opt/acme [/var/lib/docker/overlay2/other] app /opt/acme way installed",
		"folder /var/lib/docker/overlay2/top/diff/opt/acme [/var/lib/docker/overlay2/base] app /opt/acme way installed",
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if inv.System.Name != "debian" {
		t.Errorf("the system is %q", inv.System.Name)
	}
}

// TestImageFolder holds that a search says that it has not read an image that is a folder as a system.
func TestImageFolder(t *testing.T) {
	layout := []byte(`{"imageLayoutVersion":"1.0.0"}`)
	inv := run(t, write(t, estate.Tree{
		"srv/image/oci-layout": layout, "srv/image/index.json": []byte("{}"), "srv/image/blobs/sha256/aa": []byte("{}"),
		"srv/notes/oci-layout": layout, "srv/notes/a": []byte("a"),
	}), survey.Options{Run: here})
	if g := inv.Coverage.Gaps; len(g) != 1 || g[0].Place.Path != "/srv/image" || g[0].Code != "unsupported.image-folder" || !g[0].Code.Unread() {
		t.Errorf("%+v", g)
	}
}

// TestHostileTree holds that a root that lies costs no more than what it lies about: pipes, sockets and devices are not opened,
// fields without end are cut, a database that is a folder or a link is none.
func TestHostileTree(t *testing.T) {
	huge := []byte("Package: " + strings.Repeat("a", 3<<20) + "\nVersion: 1\n\nPackage: ../../etc/passwd\nVersion: " + strings.Repeat("9", 1<<20) + "\nStatus:   \n\nPackage: good\nStatus: install ok installed\n\n")
	dir := write(t, estate.Tree{"var/lib/dpkg/status": huge, "lib/apk/db/installed/x": []byte("a folder where a file belongs")})
	for _, name := range []string{"var/lib/dpkg/status.d/pipe", "usr/lib/sysimage/rpm/rpmdb.sqlite"} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(full, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := syscall.Mknod(filepath.Join(dir, "var/lib/dpkg/status.d/zero"), syscall.S_IFCHR|0o600, 1<<8|5); err != nil {
			t.Log(err)
		}
	}
	inv := run(t, dir, survey.Options{Run: here})
	seen := 0
	for _, o := range inv.Observations {
		for _, f := range o.Facts {
			if len(f.Value) > product.MaxValue {
				t.Errorf("a value of %d bytes", len(f.Value))
			}
			if f.Kind == product.Package {
				seen++
			}
		}
	}
	if seen != 3 || inv.Coverage.Files.Seen != 2 {
		t.Errorf("%d packages, %+v, %+v", seen, inv.Coverage.Files, inv.Coverage.Gaps)
	}
}

// TestRootInTree holds that the packages of a root within the tree are not those of the tree.
func TestRootInTree(t *testing.T) {
	dir := write(t, estate.Tree{
		"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "here"}), "srv/c1/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "there"}),
	})
	for _, o := range run(t, dir, survey.Options{Run: here}).Observations {
		if want := map[string]string{"here": "", "there": "/srv/c1"}[o.Get(product.Package)]; o.Place.Root != want {
			t.Errorf("%s: root %q, want %q", o.Get(product.Package), o.Place.Root, want)
		}
	}
}
