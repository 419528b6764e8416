// Package settings reads what ClamAV's databases set beside signatures: file types by their first
// bytes (.ftm), passwords of archives (.pwdb) and switches of ClamAV's own readers (.cfg). (ClamAV
// documentation, "File types", "Passwords for archives", "Dynamic configuration"; what these leave open is as clamscan 1.4.6
// does it.)
package settings

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/filetype"
)

// Kinds tells whether files with an extension, "ftm", hold lines for Parse.
func Kinds(ext string) bool { return ext == "ftm" || ext == "pwdb" || ext == "cfg" }

// Setting is one line.
type Setting struct {
	Name      string
	Magic     *Magic // of .ftm
	Password  []byte // of .pwdb
	Condition string // of .pwdb: the target description that says which engines it is for
	// Levels are the functionality levels that it is for, as they stand: none, the least, or the least
	// and the greatest.
	Levels []string
}

// Magic makes a layer of which nothing is known otherwise one of a type, by bytes that stand in it.
type Magic struct {
	Offset int64
	Bytes  []byte
	Type   filetype.Type
}

// Errors that Parse wraps.
var (
	ErrForm   = errors.New("no such setting")                             // clamscan refuses the line
	ErrOthers = errors.New("of ClamAV's own readers, which are not here") // there is nothing that it could set
)

// Parse reads one line.
func Parse(ext, line string, known func(string) bool) (*Setting, error) {
	switch ext {
	case "ftm":
		return magic(line, known)
	case "pwdb":
		return password(line)
	}
	return nil, switches(line)
}

// magic reads "how:offset:bytes:name:needed:type[:min[:max]]".
func magic(line string, known func(string) bool) (*Setting, error) {
	f := strings.Split(line, ":")
	if len(f) < 6 || len(f) > 8 {
		return nil, fmt.Errorf("%d fields, 6 to 8 expected: %w", len(f), ErrForm)
	}
	s := &Setting{Name: f[3], Levels: f[6:]}
	for _, t := range f[4:6] {
		if !known(t) {
			return nil, fmt.Errorf("file type %.40q: %w", t, ErrForm)
		}
	}
	switch f[0] {
	case "0":
	case "1", "4": // bodies anywhere, partitions: what is in the midst of a layer is found by its format
		return s, fmt.Errorf("what stands in the midst of a file: %w", ErrOthers)
	default:
		return nil, fmt.Errorf("kind %.40q: %w", f[0], ErrForm)
	}
	off, err := strconv.ParseUint(f[1], 10, 31)
	if err != nil {
		return nil, fmt.Errorf("offset %.40q: %w", f[1], ErrForm)
	}
	b, err := hex.DecodeString(f[2])
	if err != nil {
		return nil, fmt.Errorf("bytes %.40q: %w", f[2], ErrForm)
	}
	t, ok := filetype.Parse(f[5])
	if !ok || f[5] == "CL_TYPE_IGNORED" || f[5] == "CL_TYPE_ANY" {
		return s, fmt.Errorf("file type %s: %w", f[5], ErrOthers)
	}
	s.Magic = &Magic{Offset: int64(off), Bytes: b, Type: t}
	return s, nil
}

// In tells whether the bytes stand in a layer that begins with head.
func (m *Magic) In(head []byte) bool {
	return m.Offset <= int64(len(head)) && bytes.HasPrefix(head[m.Offset:], m.Bytes)
}

// password reads "name;condition;form;password", which is plain or in hexadecimal digits.
func password(line string) (*Setting, error) {
	f := strings.Split(line, ";")
	if len(f) != 4 {
		return nil, fmt.Errorf("%d fields, 4 expected: %w", len(f), ErrForm)
	}
	s := &Setting{Name: f[0], Condition: f[1], Password: []byte(f[3])}
	if f[2] == "1" {
		var err error
		if s.Password, err = hex.DecodeString(f[3]); err != nil {
			return nil, fmt.Errorf("password: %w", ErrForm)
		}
	} else if f[2] != "0" {
		return nil, fmt.Errorf("form %.40q: %w", f[2], ErrForm)
	}
	return s, nil
}

// Categories of switches in ClamAV 1.4.6.
func categories() []string {
	return []string{"PE", "ELF", "MACHO", "ARCHIVE", "DOCUMENT", "MAIL", "OTHER", "PHISHING", "BYTECODE", "STATS", "PCRE"}
}

// switches reads "category:0xflags[:min[:max]]".
func switches(line string) error {
	category, rest, _ := strings.Cut(line, ":")
	flags, _, _ := strings.Cut(rest, ":")
	digits, ok := strings.CutPrefix(flags, "0x")
	if !slices.Contains(categories(), category) {
		return fmt.Errorf("switch of %.40q: %w", category, ErrOthers)
	}
	if _, err := strconv.ParseUint(digits, 16, 32); !ok || err != nil {
		return fmt.Errorf("flags %.40q: %w", flags, ErrForm)
	}
	return fmt.Errorf("switch of %s: %w", category, ErrOthers)
}
