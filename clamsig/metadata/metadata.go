// Package metadata reads ClamAV's signatures of members of containers (.cdb, and .zmd and .rmd, the
// older forms for zip and RAR): what a container says of a member, whether or not that can be read.
// (ClamAV documentation, "Container metadata"; what that leaves open is as clamscan 1.4.6 does it.)
package metadata

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/regex/extended"
)

// Member is what a container says of a member: unpack.Member has the meaning of each field.
type Member struct {
	Name         string
	Packed, Size int64
	Encrypted    bool
	Sum          uint32
	Number       int
	At, Length   int64
}

// Entry is one signature.
type Entry struct {
	Name      string
	Container string // "CL_TYPE_ZIP"; anyType for all

	name          *extended.Regexp // nil: any
	size          span             // of the container
	packed, whole span
	number        span
	locked        string // "0", "1", or "*"
	sum           int64  // -1: any
}

const anyType = "CL_TYPE_ANY"

// span is a range as ClamAV has it: a bound of 0 is none, unless both are.
type span struct {
	any      bool
	min, max int64
}

func (s span) holds(n int64) bool {
	switch {
	case s.any:
		return true
	case s.min == s.max:
		return n == s.min
	}
	return (s.min == 0 || s.min <= n) && (s.max == 0 || n <= s.max)
}

// ErrForm is wrapped by errors about lines that clamscan refuses.
var ErrForm = errors.New("no signature of a member")

// Kinds tells whether files with an extension, "cdb", hold lines for Parse.
func Kinds(ext string) bool { return ext == "cdb" || ext == "zmd" || ext == "rmd" }

// Type tells whether a name of a type is known: clamsig has the list.
type Type func(name string) bool

// Parse reads a line of a file with the extension. The levels of a line are returned as they
// stand: none, the least, or the least and the greatest.
func Parse(ext, line string, known Type) (e *Entry, levels []string, err error) {
	f := strings.Split(line, ":")
	e = &Entry{sum: -1}
	if ext == "cdb" {
		if len(f) < 10 || len(f) > 12 {
			return nil, levels, fmt.Errorf("%d fields, 10 to 12 expected: %w", len(f), ErrForm)
		}
		levels = f[10:]
		err = e.cdb(f, known)
	} else {
		if len(f) != 9 {
			return nil, levels, fmt.Errorf("%d fields, 9 expected: %w", len(f), ErrForm)
		}
		e.Container = map[string]string{"zmd": "CL_TYPE_ZIP", "rmd": "CL_TYPE_RAR"}[ext]
		err = e.old(f)
	}
	if err != nil {
		return nil, levels, err
	}
	return e, levels, nil
}

// cdb reads "name:container:size:member:packed:whole:encrypted:number:-:-". What stands in the last
// two decides nothing in clamscan 1.4.6.
func (e *Entry) cdb(f []string, known Type) (err error) {
	if e.Container = f[1]; f[1] == "*" {
		e.Container = anyType
	} else if !known(f[1]) {
		return fmt.Errorf("file type %.40q: %w", f[1], ErrForm)
	}
	for i, s := range map[int]*span{2: &e.size, 4: &e.packed, 5: &e.whole, 7: &e.number} {
		if *s, err = spanOf(f[i]); err != nil {
			return err
		}
	}
	if e.locked = f[6]; !slices.Contains([]string{"0", "1", "*"}, e.locked) {
		return fmt.Errorf("encryption %.40q: %w", f[6], ErrForm)
	}
	return e.names(f[0], f[3])
}

// old reads "name:encrypted:member:whole:packed:crc:method:number:depth", of which method and depth
// decide nothing.
func (e *Entry) old(f []string) error {
	e.size.any = true
	for i, s := range map[int]*span{3: &e.whole, 4: &e.packed, 7: &e.number} {
		if s.any = f[i] == "*"; s.any {
			continue
		}
		n, ok := digits(f[i])
		if !ok {
			return fmt.Errorf("number %.40q: %w", f[i], ErrForm)
		}
		s.min, s.max = n, n
	}
	if e.locked = f[1]; f[1] != "*" {
		n, ok := digits(f[1])
		if !ok {
			return fmt.Errorf("encryption %.40q: %w", f[1], ErrForm)
		}
		e.locked = strconv.FormatInt(n, 10)
	}
	if f[5] != "*" {
		n, err := strconv.ParseUint(f[5], 16, 32)
		if err != nil || len(f[5])%2 != 0 {
			return fmt.Errorf("CRC %.40q: %w", f[5], ErrForm)
		}
		if e.sum = int64(n); n == 0 {
			e.sum = -1 // as in clamscan
		}
	}
	return e.names(f[0], f[2])
}

func (e *Entry) names(name, member string) (err error) {
	if e.Name = name; name == "" {
		return fmt.Errorf("no name: %w", ErrForm)
	}
	e.Name, _, _ = strings.Cut(name, " (Clam)") // a comment, with all behind it
	if member == "*" {
		return nil
	}
	if member == "" {
		return fmt.Errorf("no name of a member: %w", ErrForm)
	}
	if e.name, err = extended.Compile(member); err != nil {
		return fmt.Errorf("name of a member: %w", err)
	}
	return nil
}

// digits reads a number, of which there may be no digit.
func digits(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), 1<<53)
	}
	return n, true
}

// spanOf reads "*", "n" or "min-max".
func spanOf(s string) (span, error) {
	if s == "*" {
		return span{any: true}, nil
	}
	bad := fmt.Errorf("number %.40q: %w", s, ErrForm)
	low, high, two := strings.Cut(s, "-")
	a, okA := digits(strings.TrimLeft(low, " "))
	high = strings.TrimLeft(high, " ")
	if two { // what follows the number is not read
		if end := strings.IndexFunc(high, func(r rune) bool { return r < '0' || r > '9' }); end > 0 {
			high = high[:end]
		}
	} else if low != strings.TrimLeft(low, " ") {
		return span{}, bad
	}
	b, okB := digits(high)
	if !okA || !okB || two && (strings.TrimLeft(low, " ") == "" || high == "") {
		return span{}, bad
	}
	if !two {
		b = a
	}
	return span{min: a, max: b}, nil
}

// Holds tells whether the signature is of a member of a container, of so many bytes, that is of
// one of the types.
func (e *Entry) Holds(types []string, size int64, m *Member) bool {
	locked := map[bool]string{true: "1", false: "0"}[m.Encrypted]
	return (e.Container == anyType || slices.Contains(types, e.Container)) &&
		(e.locked == "*" || e.locked == locked) &&
		(e.sum < 0 || uint32(e.sum) == m.Sum) &&
		e.size.holds(size) && e.packed.holds(m.Packed) && e.whole.holds(m.Size) && e.number.holds(int64(m.Number)) &&
		(e.name == nil || e.name.Match(m.Name))
}
