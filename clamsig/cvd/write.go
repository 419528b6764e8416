package cvd

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteCLD writes an unpacked database as a .cld file, whose header is the first
// line of its .info file, as freshclam does. It is not compressed.
func WriteCLD(w io.Writer, s Set) error {
	info, err := s.info()
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(s[info]), "\n")
	if _, err := ParseHeader([]byte(line)); err != nil {
		return fmt.Errorf("%s: %w", info, err)
	}
	if len(line) > HeaderSize {
		return errors.New("header: too long")
	}
	if _, err := w.Write(pad(line)); err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, name := range s.order(info) {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(s[name])), Format: tar.FormatUSTAR}); err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		if _, err := t.Write(s[name]); err != nil {
			return err
		}
	}
	return t.Close()
}

// info finds the .info file.
func (s Set) info() (string, error) {
	found := ""
	for name := range s {
		if strings.HasSuffix(name, ".info") {
			if found != "" {
				return "", errors.New("database: two .info files")
			}
			found = name
		}
	}
	if found == "" {
		return "", errors.New("database: no .info file")
	}
	return found, nil
}

// order is that of the members: the licence, what proves the others, and these.
func (s Set) order(info string) []string {
	rank := func(n string) int {
		return slices.Index([]string{"", info, "COPYING"}, n)
	}
	var all []string
	for n := range s {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return rb - ra
		}
		return strings.Compare(a, b)
	})
	return all
}
