package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/translog"
)

// pythonStore lays out a host's folder: key, records, and a log of them and of
// more digests, which end in tag. A log of fewer with the same tag is an
// earlier time of it.
func pythonStore(t *testing.T, dir string, ed *Key, more int, tag byte) {
	t.Helper()
	write := func(name string, b []byte) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "key.pub"), ed.Public().PEM())
	l, err := translog.Open(filepath.Join(dir, "log"), translog.Options{Public: ed.Public().Ed25519(), Key: ed.Ed25519(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var ds []translog.Digest
	records := slices.Collect(maps.Values(samples(t, ed)))
	slices.SortFunc(records, func(a, b *Record) int { return strings.Compare(a.Name(), b.Name()) })
	for _, r := range records {
		ds = append(ds, r.Digest())
		write(filepath.Join(dir, "records", r.Name()[:2], r.Name()+".scf"), r.Bytes())
	}
	for i := range more {
		ds = append(ds, translog.Digest{byte(i), byte(i >> 8), tag})
	}
	if _, err := l.Append(ds); err != nil {
		t.Fatal(err)
	}
}

// The second verifier takes a store, and notices a record that is gone, one
// that was renamed, and one that the log does not have.
func TestPythonStore(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("the second verifier is not run: python3 is not installed")
	}
	ed, _ := sampleKeys(t)
	for _, c := range []struct {
		name string
		want string // in the output of a refusal
		do   func(dir, record string) error
	}{
		{"as it is", "", func(string, string) error { return nil }},
		{"a record is gone", "in the log and not in the store", func(_, r string) error { return os.Remove(r) }},
		{"a record is renamed", "another record's name", func(_, r string) error {
			return os.Rename(r, filepath.Join(filepath.Dir(r), filepath.Base(r)[:2]+strings.Repeat("0", 62)+".scf"))
		}},
		{"a record is in another folder", "is not named as a record", func(dir, r string) error {
			if err := os.Mkdir(filepath.Join(dir, "records", "zz"), 0o700); err != nil {
				return err
			}
			return os.Rename(r, filepath.Join(dir, "records", "zz", filepath.Base(r)))
		}},
		{"a file more", "is not named as a record", func(_, r string) error { return os.WriteFile(r+"~", nil, 0o600) }},
		{"a file beside the folders", "no folder of records", func(dir, _ string) error {
			return os.WriteFile(filepath.Join(dir, "records", "notes"), nil, 0o600)
		}},
		{"a folder more", "is not named as a record", func(_, r string) error { return os.Mkdir(filepath.Join(filepath.Dir(r), "x"), 0o700) }},
		{"a record is a link", "is not named as a record", func(_, r string) error {
			if err := os.Rename(r, r+".away"); err != nil {
				return err
			}
			return os.Symlink(filepath.Base(r)+".away", r)
		}},
		{"a record is its shared copy", "does not show it any more", func(_, r string) error {
			b, err := os.ReadFile(r)
			if err != nil {
				return err
			}
			whole, err := Parse(b)
			if err != nil {
				return err
			}
			return os.WriteFile(r, whole.Share(func(string) bool { return false }).Bytes(), 0o600)
		}},
		{"a record is cut", "canonical", func(_, r string) error { return os.Truncate(r, 100) }},
		{"a record is not in the log", "the log does not have the record", func(dir, _ string) error {
			r, err := Seal(sampleContest(sum("x")), ed)
			if err != nil {
				return err
			}
			at := filepath.Join(dir, "records", r.Name()[:2])
			if err := os.MkdirAll(at, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(at, r.Name()+".scf"), r.Bytes(), 0o600)
		}},
		{"no log", "log.checkpoint", func(dir, _ string) error { return os.RemoveAll(filepath.Join(dir, "log")) }},
	} {
		dir := t.TempDir()
		pythonStore(t, dir, ed, 0, 9)
		records, err := filepath.Glob(filepath.Join(dir, "records", "*", "*.scf"))
		if err != nil || len(records) != 6 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if err := c.do(dir, records[0]); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, verifier, "--store", dir).CombinedOutput()
		var exit *exec.ExitError
		refused := errors.As(err, &exit) && exit.ExitCode() == 1
		if refused != (c.want != "") || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// Every file of a log, changed, cut, made longer or taken away, and a file
// more: the second verifier refuses the log.
func TestPythonLog(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("the second verifier is not run: python3 is not installed")
	}
	ed, _ := sampleKeys(t)
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	whole := t.TempDir()
	pythonStore(t, whole, ed, 600, 9)
	foreign := t.TempDir()
	pythonStore(t, foreign, other, 600, 9)
	shorter := t.TempDir()
	pythonStore(t, shorter, ed, 500, 9)
	forked := t.TempDir()
	pythonStore(t, forked, ed, 500, 8)
	from := os.DirFS(filepath.Join(whole, "log"))
	var folders, names []string
	add := func(name string, do func(dir string) error) {
		dir := filepath.Join(t.TempDir(), "log")
		if err := os.CopyFS(dir, from); err != nil {
			t.Fatal(err)
		}
		if err := do(dir); err != nil {
			t.Fatal(err)
		}
		folders, names = append(folders, dir), append(names, name)
	}
	add("as it is", func(string) error { return nil })
	err = fs.WalkDir(from, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || p == "lock" {
			return err
		}
		b, err := fs.ReadFile(from, p)
		if err != nil {
			return err
		}
		for _, i := range []int{0, len(b) / 2, len(b) - 2} {
			add(fmt.Sprintf("%s: byte %d", p, i), func(dir string) error {
				c := append([]byte(nil), b...)
				c[i] ^= 1
				return os.WriteFile(filepath.Join(dir, p), c, 0o600)
			})
		}
		add(p+" cut", func(dir string) error { return os.Truncate(filepath.Join(dir, p), int64(len(b)-1)) })
		add(p+" longer", func(dir string) error { return os.WriteFile(filepath.Join(dir, p), append(b, b...), 0o600) })
		add(p+" gone", func(dir string) error { return os.Remove(filepath.Join(dir, p)) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	add("a tile more", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "tile", "0", "003"), []byte("x"), 0o600)
	})
	for name, d := range map[string]string{"of another key": foreign, "of an earlier time": shorter} {
		add("the checkpoint "+name, func(dir string) error {
			b, err := os.ReadFile(filepath.Join(d, "log", "checkpoint"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "checkpoint"), b, 0o600)
		})
	}
	checkpoint, err := os.ReadFile(filepath.Join(whole, "log", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	beside := func(what, name string, b []byte) {
		add(what, func(dir string) error { return os.WriteFile(filepath.Join(dir, name), b, 0o600) })
	}
	lines := strings.Split(string(checkpoint), "\n")
	journal := func(origin, root string) []byte {
		s := fmt.Sprintf("showcause-log-pending/v1\n%s\n605\n606\n%s\n%s\n", origin, root, sum("entry"))
		return []byte(s + "sum " + sum(s) + "\n")
	}
	good := map[string]bool{"as it is": true, "a journal whose end is missing": true, "cosigned as it is": true, "cosigned of an earlier time": true}
	beside("a journal whose end is missing", "pending", journal(lines[0], lines[2]))
	beside("a journal of another tree", "pending", journal(lines[0], strings.Repeat("A", 43)+"="))
	beside("a journal of another log", "pending", journal(lines[0]+"0", lines[2]))
	beside("a journal with a false sum", "pending", append(journal(lines[0], lines[2])[:200], "0\n"...))
	beside("a journal of junk", "pending", []byte("junk\n"))
	beside("an empty journal", "pending", nil)
	beside("cosigned as it is", "cosigned", checkpoint)
	beside("cosigned, of junk", "cosigned", []byte("junk\n"))
	for name, d := range map[string]string{"of another key": foreign, "of another history": forked, "of an earlier time": shorter} {
		b, err := os.ReadFile(filepath.Join(d, "log", "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		beside("cosigned "+name, "cosigned", b)
	}
	const program = `
import importlib.util, json, sys
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("verify", sys.argv[1])
v = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v)
keys = v.read_keys(sys.argv[2])
print(json.dumps([v.verify_log(d, keys)[1] for d in sys.argv[3:]]))
`
	out, err := exec.Command(python, append([]string{"-c", program, verifier, filepath.Join(whole, "key.pub")}, folders...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers [][][3]string
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(folders) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	t.Logf("%d logs", len(answers))
	for i, a := range answers {
		if (len(a) == 0) != good[names[i]] {
			t.Errorf("%s: %v", names[i], a)
		}
	}
}
