package rpmdb_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/rpmdb"
	"github.com/showcause/showcause/product/estate"
)

func headers() (out [][]byte) {
	for i := range 5 {
		out = append(out, estate.RPMHeader(fmt.Sprintf("agent%d", i), "1.2", "3", strings.Repeat("Example GmbH ", 1+900*(i%2))))
	}
	return out
}

func forms() map[string][]byte {
	return map[string][]byte{"ndb": estate.NDB(headers()...), "bdb": estate.BDB(headers()...), "package": estate.RPMFile(headers()[1])}
}

func TestForms(t *testing.T) {
	for form, b := range forms() {
		f := rpmdb.Parse(showcause.Bytes(b), nil)
		want := 5
		if form == "package" {
			want = 1
		}
		if f.Form != form || f.Short || len(f.List) != want {
			t.Errorf("%s: %q, short %v, %d packages", form, f.Form, f.Short, len(f.List))
			continue
		}
		if p := f.List[len(f.List)-1]; !strings.HasPrefix(p.Name, "agent") || p.EVR() != "1.2-3" || p.Arch != "x86_64" || !strings.HasPrefix(p.Vendor, "Example GmbH") || p.Length == 0 {
			t.Errorf("%s: %+v", form, p)
		}
		for n := range b {
			if n > 100 && n%7 != 0 {
				continue
			}
			if g := rpmdb.Parse(showcause.Bytes(b[:n]), nil); g.Form != "" && len(g.List) < want && !g.Short {
				t.Fatalf("%s, %d of %d bytes: %d packages, and nothing says so", form, n, len(b), len(g.List))
			}
		}
	}
}

// TestPeer reads databases that rpm made, against what rpm says of them.
func TestPeer(t *testing.T) {
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool, " is not installed")
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	var files []string
	for i := range 12 {
		spec := filepath.Join(dir, fmt.Sprintf("p%d.spec", i))
		text := fmt.Sprintf("Name: p%d\nVersion: 1.%d\nRelease: 2\nEpoch: %d\nVendor: Example %d\nSummary: S\nLicense: L\nBuildArch: noarch\n%%description\n%s\n%%files\n", i, i, i%2, i, strings.Repeat("words ", i*500))
		if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run("rpmbuild", "-bb", "--define", "_topdir "+dir, spec)
		files = append(files, filepath.Join(dir, "RPMS", "noarch", fmt.Sprintf("p%d-1.%d-2.noarch.rpm", i, i)))
	}
	for backend, name := range map[string]string{"sqlite": "rpmdb.sqlite", "ndb": "Packages.db"} {
		db := filepath.Join(dir, backend)
		flags := []string{"--define", "_db_backend " + backend, "--dbpath", db, "--root", "/"}
		if out, _ := exec.Command("rpm", append(flags, "--initdb")...).CombinedOutput(); strings.Contains(string(out), "invalid %_db_backend") {
			t.Logf("%s: this rpm has no such form", backend)
			continue
		}
		run("rpm", append(append(flags, "-i", "--justdb", "--nodeps", "--nosignature"), files...)...)
		want := run("rpm", append(flags, "-qa", "--qf", "%{NAME}|%{EVR}|%{VENDOR}\n")...)
		b, err := os.ReadFile(filepath.Join(db, name))
		if err != nil {
			t.Fatal(err)
		}
		f := rpmdb.Parse(showcause.Bytes(b), nil)
		if f.Form != backend || f.Short || len(f.List) != 12 {
			t.Errorf("%s: %q, short %v, %d packages", backend, f.Form, f.Short, len(f.List))
		}
		for _, p := range f.List {
			if line := p.Name + "|" + p.EVR() + "|" + p.Vendor + "\n"; !strings.Contains(strings.ReplaceAll(want, "|0:", "|"), line) {
				t.Errorf("%s: %q is not in\n%s", backend, line, want)
			}
		}
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if f := rpmdb.Parse(showcause.Bytes(b), nil); f.Form != "package" || f.Short || len(f.List) != 1 || !strings.Contains(name, "/"+f.List[0].Name+"-") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range forms() {
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		left := int64(1 << 16)
		rpmdb.Parse(showcause.Bytes(b), func(n int64) bool { left -= n; return left > 0 })
	})
}
