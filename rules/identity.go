package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// identity names the state of rule files and folders: a digest over the names,
// sizes, times and inodes of their files, of the options, and of what compiles
// them. Files that they include are not in it: see sameIncludes.
func identity(paths []string, o *Options) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, tool)
	fmt.Fprintln(h, o.NoBytecode, o.BytecodeUnsigned, o.PUA, o.Lenient, o.Dialect, o.NoIncludes, o.RelaxedRegexps)
	if len(o.PUAOnly)+len(o.PUAExcept) > 0 {
		fmt.Fprintf(h, "pua %q %q\n", o.PUAOnly, o.PUAExcept)
	}
	fmt.Fprintf(h, "heuristics %+v\n", o.Heuristics)
	fmt.Fprintf(h, "trust %v %q\n", o.Unsigned, o.Certs)
	for _, d := range o.IncludeDirs {
		fmt.Fprintf(h, "include %q\n", d)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Externals)) {
		v := o.Externals[name]
		fmt.Fprintf(h, "external %q %d %d %g %q %v\n", name, v.Kind, v.Int, v.Float, v.Text, v.Ref)
	}
	for _, arg := range paths {
		namespace, path := Split(arg)
		fmt.Fprintf(h, "in %q\n", namespace)
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		st, err := os.Stat(abs)
		if err != nil {
			return "", err
		}
		state(h, abs, st)
		if !st.IsDir() {
			for _, f := range stagesBeside(arg) {
				if st, err = os.Stat(f); err != nil {
					return "", err
				}
				state(h, f, st)
			}
			continue
		}
		if err := folderState(h, abs); err != nil {
			return "", err
		}
		files, _, err := yaraFiles(arg)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			if filepath.Dir(f.path) == filepath.Clean(path) {
				continue
			}
			if st, err = os.Stat(f.path); err != nil {
				return "", err
			}
			state(h, f.path, st)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// folderState writes the state of what is in a folder.
func folderState(h io.Writer, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		st, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			st, err = os.Lstat(filepath.Join(dir, e.Name()))
		}
		if err != nil {
			return err
		}
		state(h, e.Name(), st)
	}
	return nil
}

// state writes the state of a file.
func state(h io.Writer, name string, st fs.FileInfo) {
	fmt.Fprintf(h, "%q %d %d", name, st.Size(), st.ModTime().UnixNano())
	fmt.Fprintln(h, inode(st))
}

// includesEnd is the end of the name of the file that stands beside a cached
// database whose rules include files: for each, its state and path.
const includesEnd = ".includes"

// sameIncludes tells whether the files that the rules of a cached database
// include are as they were.
func sameIncludes(file string) bool {
	b, err := os.ReadFile(file + includesEnd)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		path, want, ok := strings.Cut(line, "\x00")
		if !ok {
			return false
		}
		if got, err := includeState(path); err != nil || got != want {
			return false
		}
	}
	return true
}

// writeIncludes notes the files that the rules of a database include.
func writeIncludes(file string, paths []string) error {
	if len(paths) == 0 {
		if err := os.Remove(file + includesEnd); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b strings.Builder
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		if strings.ContainsAny(abs, "\n\x00") {
			return fmt.Errorf("%q: a name with a line end cannot be noted", abs)
		}
		s, err := includeState(abs)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s\x00%s\n", abs, s)
	}
	return os.WriteFile(file+includesEnd, []byte(b.String()), 0o600)
}

func includeState(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	state(h, path, st)
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
