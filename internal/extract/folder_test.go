package extract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/internal/explain"
	"github.com/showcause/showcause/scan"
)

// write unpacks an input into a folder.
func write(t testing.TB, s *disk.FS, dir, name string, src showcause.Source) (*Folder, error) {
	t.Helper()
	f, err := NewFolder(s, dir, name)
	if err != nil {
		return nil, err
	}
	r := NewReceiver(showcause.Limits{}, src.Size(), Wanted{Content: true}, sinkOf{f})
	err = Send(src, scan.Options{}, Wanted{Content: true}, r.Part)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return f, err
}

// sinkOf is a folder as a Sink.
type sinkOf struct{ *Folder }

func (sinkOf) Gap(showcause.Gap) error { return nil }

func (sinkOf) Fact(explain.Fact) error { return nil }

// listing returns the files below a folder with what they hold, and the folders.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		switch {
		case err != nil || rel == ".":
			return err
		case e.IsDir():
			out[rel+"/"] = ""
			return nil
		case !e.Type().IsRegular():
			t.Errorf("%s is %v", rel, e.Type())
			return nil
		}
		st, _ := e.Info()
		if st.Mode().Perm()&0o177 != 0 {
			t.Errorf("%s: %v", rel, st.Mode())
		}
		b, err := os.ReadFile(p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFolder(t *testing.T) {
	deep := strings.Repeat("d/", 50) + "f"
	far := strings.Repeat(strings.Repeat("long", 40)+"/", 20) + "g"
	inner := zipOf("n", "inner\n")
	src := showcause.Bytes(zipOf(
		"a.txt", "one\n", "a.txt", "two\n", "A.TXT", "three\n", "a.txt", "four\n",
		"../../up", "up\n", "/etc/passwd", "root\n", `..\..\win`, "win\n",
		"x", "file\n", "x/y", "below a file\n",
		"inner.zip", string(inner), "inner.zip.unpacked/n", "in the way\n",
		deep, "deep\n", far, "far\n",
		"t.tgz", string(gzipOf(tarOf("k", "kept\n"))), "con", "device\n", "a\nb", "line\n",
	))
	dir := filepath.Join(t.TempDir(), "new", "out")
	f, err := write(t, nil, dir, "input.zip", src)
	if err != nil {
		t.Fatal(err)
	}
	got := listing(t, dir)
	var files []string
	for name := range got {
		if !strings.HasSuffix(name, "/") {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	want := map[string]string{
		"a.txt": "one\n", "a~2.txt": "two\n", "A~2.TXT": "", "A~3.TXT": "", "a~3.txt": "", "a~4.txt": "",
		"%2E%2E/%2E%2E/up": "up\n", "etc/passwd": "root\n", "%2E%2E/%2E%2E/win": "win\n",
		"x": "file\n", "x~2/y": "below a file\n",
		"inner.zip": string(inner), "inner.zip.unpacked/n": "inner\n", "inner.zip~2.unpacked/n": "in the way\n",
		deep: "deep\n", "deep/g": "far\n", "t.tgz.unpacked/t.tar.unpacked/k": "kept\n", "%63on": "device\n", "a%0Ab": "line\n",
	}
	for name, text := range want {
		if b, ok := got[name]; text != "" && (!ok || b != text) {
			t.Errorf("%s: %q, want %q", name, b, text)
		}
	}
	texts := map[string]int{}
	for _, name := range files {
		texts[got[name]]++
	}
	for _, text := range []string{"one\n", "two\n", "three\n", "four\n", "far\n", "in the way\n", "kept\n"} {
		if texts[text] != 1 {
			t.Errorf("%q is in %d files: %q", text, texts[text], files)
		}
	}
	if f.Files != int64(len(files)) {
		t.Errorf("%d files written, %d there: %q", f.Files, len(files), files)
	}
	if out, err := os.ReadDir(filepath.Dir(filepath.Dir(dir))); err != nil || len(out) != 1 {
		t.Errorf("beside the folder: %v %v", out, err)
	}
}

// A folder must be new or empty, and no link.
func TestFolderTaken(t *testing.T) {
	dir := t.TempDir()
	if f, err := NewFolder(nil, filepath.Join(dir, "a"), "x"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if f, err := NewFolder(nil, filepath.Join(dir, "a"), "x"); err != nil {
		t.Error("an empty one: ", err)
	} else {
		f.Close()
	}
	if _, err := NewFolder(nil, dir, "x"); err == nil {
		t.Error("one with something in it")
	}
	os.Symlink("a", filepath.Join(dir, "link"))
	if _, err := NewFolder(nil, filepath.Join(dir, "link"), "x"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	if _, err := NewFolder(nil, filepath.Join(dir, "file"), "x"); err == nil {
		t.Error("a file")
	}
}

// What somebody puts into the folder while it is written is not followed and not replaced.
func TestFolderRaced(t *testing.T) {
	dir, outside := filepath.Join(t.TempDir(), "out"), t.TempDir()
	once := false
	s := &disk.FS{Fault: func(op, name string) error {
		if op == "mkdirat" && name == "sub" && !once {
			once = true
			os.Symlink(outside, filepath.Join(dir, "sub"))
			os.WriteFile(filepath.Join(dir, "a"), []byte("mine\n"), 0o600)
			os.Symlink(filepath.Join(outside, "b"), filepath.Join(dir, "b"))
		}
		return nil
	}}
	if _, err := write(t, s, dir, "x.zip", showcause.Bytes(zipOf("sub/f", "text\n", "a", "a\n", "b", "b\n"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"sub~2/f": "text\n", "a": "mine\n", "a~2": "a\n", "b~2": "b\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if es, _ := os.ReadDir(outside); len(es) > 0 {
		t.Errorf("written outside: %v", es)
	}
}

// A folder that becomes a link on the way ends it.
func TestFolderSwapped(t *testing.T) {
	dir, outside := filepath.Join(t.TempDir(), "out"), t.TempDir()
	s := &disk.FS{Fault: func(op, name string) error {
		if op == "openat2" && name == "sub" {
			os.Remove(filepath.Join(dir, "sub"))
			os.Symlink(outside, filepath.Join(dir, "sub"))
		}
		return nil
	}}
	if _, err := write(t, s, dir, "x.zip", showcause.Bytes(zipOf("sub/f", "text\n"))); err == nil {
		t.Error("written through a link")
	}
	if es, _ := os.ReadDir(outside); len(es) > 0 {
		t.Errorf("written outside: %v", es)
	}
}

// TestDiskFull breaks each operation in turn: what is there afterwards is whole,
// and the error names the layer.
func TestDiskFull(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 20_000)
	members := []string{"a", "one\n", "sub/b", long, "in.zip", string(zipOf("c", "three\n")), "d", "four\n"}
	src := showcause.Bytes(zipOf(members...))
	whole := listing(t, func() string {
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := write(t, nil, dir, "x.zip", src); err != nil {
			t.Fatal(err)
		}
		return dir
	}())
	for _, fault := range []error{unix.ENOSPC, &disk.Short{Err: unix.ENOSPC}, unix.EIO} {
		broke := true
		for k := 0; broke; k++ {
			broke = false
			n := 0
			s := &disk.FS{Fault: func(op, name string) error {
				if n++; n == k+1 {
					broke = true
					if op != "write" {
						return errors.Unwrap(fmt.Errorf("%w", unix.ENOSPC))
					}
					return fault
				}
				return nil
			}}
			dir := filepath.Join(t.TempDir(), "out")
			_, err := write(t, s, dir, "x.zip", src)
			if err != nil && !strings.HasPrefix(err.Error(), "folder") {
				t.Errorf("operation %d: %v", k, err)
			}
			if _, serr := os.Stat(dir); serr != nil {
				continue
			}
			got := listing(t, dir)
			if err == nil && len(got) < len(whole) {
				t.Errorf("operation %d: %d of %d are there, and no error", k, len(got), len(whole))
			}
			for name, text := range got {
				if b, ok := whole[name]; !ok || b != text {
					t.Errorf("operation %d: %s has %d bytes, want %d", k, name, len(text), len(b))
				}
			}
		}
	}
}

// Many members of one name cost no more than others.
func TestManyEqual(t *testing.T) {
	p := newPlace("")
	seen := map[string]bool{}
	for range 100_000 {
		n := strings.ToLower(p.claim("Name.txt"))
		if seen[n] {
			t.Fatal(n)
		}
		seen[n] = true
	}
}
