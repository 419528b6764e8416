package update

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Bounds of an archive of rules.
const (
	maxMembers = 20000
	maxText    = 1 << 30 // bytes of all its rule files
)

// files brings in what a source has as files, as archives or in a folder. The
// files are named after the source, so that two sources have no name in common.
func (u *run) files(ctx context.Context, s *Source, change *set, r *Result) error {
	st := u.f.state.of(s.Name)
	known := map[string]Validators{}
	var fresh, kept []string
	for _, where := range s.URLs {
		if s.Kind == "folder" {
			got, err := u.folder(s, where)
			if err != nil {
				return err
			}
			fresh = append(fresh, got...)
			continue
		}
		g, err := u.get(ctx, Ask{URL: where, Max: s.Max, Known: u.known(st, s, where)})
		if err != nil {
			return err
		}
		known[where] = g.Now
		if g.Unchanged {
			r.Lines = append(r.Lines, nameOf(where)+": up to date")
			kept = append(kept, st.of(s, where)...)
			continue
		}
		got, err := u.unpack(s, where)
		if ferr := u.f.forget(); err == nil {
			err = ferr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		r.Lines = append(r.Lines, fmt.Sprintf("%s: %d bytes, %d files", nameOf(where), g.Bytes, len(got)))
		fresh = append(fresh, got...)
	}
	change.place = u.differing(fresh)
	for _, n := range st.Files {
		if !slices.Contains(fresh, n) && !slices.Contains(kept, n) {
			change.remove = append(change.remove, n)
		}
	}
	if u.Check {
		return nil
	}
	st.Known = known
	st.Files = slices.Sorted(maps.Keys(setOf(slices.Concat(fresh, kept))))
	return nil
}

func setOf(names []string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// known is what its server said of a file, if the folder still has it.
func (u *run) known(st *SourceState, s *Source, where string) Validators {
	files := st.of(s, where)
	for _, n := range files {
		if ok, err := u.f.dir.Has(n); err != nil || !ok {
			return Validators{}
		}
	}
	if len(files) == 0 {
		return Validators{}
	}
	return st.Known[where]
}

// of are the files of a source that came from one URL: all of them, of an archive.
func (st *SourceState) of(s *Source, where string) []string {
	if s.Kind == "files" {
		if n := s.Name + "-" + nameOf(where); slices.Contains(st.Files, n) {
			return []string{n}
		}
		return nil
	}
	return st.Files
}

// differing are those of the staged files that the folder has not got as they are.
func (u *run) differing(names []string) (out []string) {
	for _, n := range names {
		old, err := u.f.read(n)
		if err == nil {
			a, err1 := digest(old)
			old.Close()
			fresh, err2 := os.Open(filepath.Join(u.f.path, ownName, "new", n))
			if err1 == nil && err2 == nil {
				b, err := digest(fresh)
				fresh.Close()
				if err == nil && a == b {
					continue
				}
			}
		}
		out = append(out, n)
	}
	return out
}

// isRules tells the files of rules by their names.
func isRules(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yar", ".yara", ".hdb", ".hsb", ".hdu", ".hsu", ".mdb", ".msb", ".mdu", ".msu", ".imp", ".fp", ".sfp", ".ign", ".ign2",
		".ndb", ".ndu", ".ldb", ".ldu", ".idb", ".cdb", ".crb", ".pdb", ".wdb", ".gdb", ".ftm", ".cfg", ".pwdb", ".cbc", ".cud", ".cvd", ".cld":
		return true
	}
	return false
}

// unpack makes ready what the inbox holds.
func (u *run) unpack(s *Source, where string) ([]string, error) {
	in, n, err := u.content()
	if err != nil {
		return nil, err
	}
	if s.Kind == "files" {
		name := s.Name + "-" + nameOf(where)
		return []string{name}, u.f.stage(name, in)
	}
	var out []string
	left := int64(maxText)
	take := func(name string, r io.Reader) error {
		if !isRules(name) {
			return nil
		}
		if len(out) == maxMembers {
			return fmt.Errorf("more than %d rule files", maxMembers)
		}
		to := s.Name + "-" + flat(name)
		for slices.Contains(out, to) {
			to = s.Name + "-_" + strings.TrimPrefix(to, s.Name+"-")
		}
		l := io.LimitReader(r, left+1)
		c := &counter{r: l}
		if err := u.f.stage(to, c); err != nil {
			return err
		}
		if left -= c.n; left < 0 {
			return fmt.Errorf("more than %d bytes of rules", int64(maxText))
		}
		out = append(out, to)
		return nil
	}
	if err := members(in, n, take); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no rule file in it")
	}
	return out, nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// flat makes one name of the path of a member, the archive's own folder left out.
func flat(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	if len(parts) > 1 {
		parts = parts[1:]
	}
	b := []byte(strings.Join(parts, "_"))
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			b[i] = '_'
		}
	}
	return string(b[max(0, len(b)-80):])
}

// members calls take with each regular file of a zip or tar, compressed or not.
func members(in *os.File, n int64, take func(name string, r io.Reader) error) error {
	var magic [4]byte
	if _, err := in.ReadAt(magic[:], 0); err != nil {
		return errors.New("no archive")
	}
	if bytes.Equal(magic[:], []byte("PK\x03\x04")) {
		z, err := zip.NewReader(in, n)
		if err != nil {
			return fmt.Errorf("zip: %w", err)
		}
		for _, f := range z.File {
			if !f.Mode().IsRegular() || !isRules(f.Name) {
				continue
			}
			r, err := f.Open()
			if err == nil {
				err = take(f.Name, r)
				r.Close()
			}
			if err != nil {
				return fmt.Errorf("zip: %w", err)
			}
		}
		return nil
	}
	var r io.Reader = in
	if magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		r = z
	}
	t := tar.NewReader(io.LimitReader(r, 4*maxText))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := take(h.Name, t); err != nil {
				return err
			}
		}
	}
}

// folder makes ready what a folder of this machine holds.
func (u *run) folder(s *Source, where string) ([]string, error) {
	dir := where
	if l, err := url.Parse(where); err == nil && l.Scheme == "file" {
		dir = l.Path
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !isRules(e.Name()) || !e.Type().IsRegular() || e.Name()[0] == '.' {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("update: %w", err)
		}
		name := s.Name + "-" + flat(e.Name())
		err = u.f.stage(name, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("update: no rule file in %s", dir)
	}
	return out, nil
}
