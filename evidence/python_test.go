package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const verifier = "../docs/format/verify.py"

// pyAnswer is what verify.py says of a file.
type pyAnswer struct {
	Name     string      `json:"name"`
	Problems [][3]string `json:"problems"`
	Notes    [][3]string `json:"notes"`
}

func (a pyAnswer) has(c Code) bool {
	return slices.ContainsFunc(a.Problems, func(p [3]string) bool { return p[0] == string(c) })
}

// runPython has the second verifier look at files.
func runPython(t *testing.T, keys []PublicKey, files [][]byte) []pyAnswer {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("the second verifier is not run: python3 is not installed")
	}
	dir := t.TempDir()
	var pub []byte
	for _, k := range keys {
		pub = append(pub, k.PEM()...)
	}
	key := filepath.Join(dir, "key.pub")
	if err := os.WriteFile(key, pub, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{verifier, "--json", "--key", key}
	for i, b := range files {
		args = append(args, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(args[len(args)-1], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(python, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := c.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("verify.py: %v\n%s", err, errs.String())
	}
	var answers []pyAnswer
	for d := json.NewDecoder(&out); d.More(); {
		var a pyAnswer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(files) {
		t.Fatalf("verify.py: %d answers on %d files\n%s", len(answers), len(files), errs.String())
	}
	return answers
}

// The second verifier takes every sample, whole and shared, and agrees on the name.
func TestPythonAgrees(t *testing.T) {
	ed, pq := sampleKeys(t)
	var files [][]byte
	var names []string
	add := func(r *Record) {
		files, names = append(files, r.Bytes()), append(names, r.Name())
	}
	for _, keys := range [][]*Key{{ed}, {ed, pq}} {
		for _, r := range samples(t, keys...) {
			add(r)
			add(r.Share(func(string) bool { return false }))
			for _, at := range r.Shown() {
				add(r.Share(func(a string) bool { return a == at }))
				add(r.Share(func(a string) bool { return a != at }))
			}
		}
	}
	for i, a := range runPython(t, []PublicKey{ed.Public(), pq.Public()}, files) {
		if len(a.Problems) > 0 || a.Name != names[i] {
			t.Errorf("file %d: %v, name %s, want %s", i, a.Problems, a.Name, names[i])
		}
	}
}
