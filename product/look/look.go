// Package look is what readers of software's traces have in common: a File, which
// is a layer with a path in its tree; a Reader, which tells by path and first bytes whether it
// wants a file and says what is in it; and Out, which takes that.
//
// Readers get hostile bytes. What they cannot read they say (Out.Unread); they return no errors.
package look

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/product"
)

// HeadSize is how many bytes of a file Match is given, where it has them.
const HeadSize = 64

// File is a file in a tree.
type File struct {
	Path   string // "/" between names and in front; the tree's own spelling
	Lower  string // Path with small letters (ASCII)
	Head   []byte
	Source showcause.Source
}

// NewFile returns a File. A name as archives have it, without a slash in front or with
// "./", is put into one form.
func NewFile(name string, src showcause.Source) *File {
	name = path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))
	return &File{Path: name, Lower: Lower(name), Head: bound.Head(src, HeadSize), Source: src}
}

// Lower folds ASCII letters.
func Lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// Base is the last part of the path.
func (f *File) Base() string { return path.Base(f.Path) }

// Part is the part of the path behind the first part that has this name in small letters,
// "" if there is none.
func (f *File) Part(after string) string {
	parts := strings.Split(f.Path, "/")
	i := slices.IndexFunc(parts, func(p string) bool { return Lower(p) == after })
	if i < 0 || i+1 >= len(parts) {
		return ""
	}
	return parts[i+1]
}

// Magic tells whether the file begins with one of these.
func (f *File) Magic(magics ...string) bool {
	return slices.ContainsFunc(magics, func(m string) bool { return strings.HasPrefix(string(f.Head), m) })
}

// Bytes is the whole file if it has at most max bytes. If not, or if it cannot be read, that is said.
func (f *File) Bytes(o *Out, max int64) ([]byte, bool) {
	n := f.Source.Size()
	if n > max {
		o.Unread(showcause.LimitSize, max, n-max, "larger than its reader takes")
		return nil, false
	}
	if !o.Work(1 + n/64) {
		return nil, false
	}
	b, err := bound.ReadAt(f.Source, 0, n, max)
	if err != nil {
		o.Unread(showcause.Unreadable, int64(len(b)), n-int64(len(b)), "")
		return nil, false
	}
	return b, true
}

// Reader reads one kind of trace.
type Reader struct {
	Name string // Observation.Source
	// Method says in a few words what is looked at, for reports.
	Method string
	// Match tells by path and first bytes alone whether the file is to be read. It may
	// be called outside of the jail, so that it compares bytes and does no more; the Source may be nil.
	Match func(*File) bool
	Read  func(*File, *Out)
}

// Out takes what one Reader says of one file.
type Out struct {
	Reader       string
	Observations []product.Observation
	Gaps         []product.Gap // of the file, without a place
	// Trust tells whether a chain of certificates in DER, the signer's first, leads to a root that is trusted; nil: none does.
	Trust func(chain [][]byte) bool
	// Charge is asked for each step, nil: no bound.
	Charge func(steps int64) bool
	spent  bool
}

// MaxObservations is how many observations a file may give.
const MaxObservations = 200_000

// Work charges steps and tells whether to go on; a spent limit is said once.
func (o *Out) Work(n int64) bool {
	if !o.spent && o.Charge != nil && !o.Charge(n) {
		o.spent = true
		o.Unread(showcause.LimitWork, 0, -1, "")
	}
	return !o.spent
}

// Unread says that a stretch of the file was not read; n is -1 when it is not known how much.
func (o *Out) Unread(code showcause.Code, off, n int64, why string) {
	o.Gaps = append(o.Gaps, product.Gap{Code: code, Offset: off, Length: n, Why: why})
}

// Short says so if a parser left something out.
func (o *Out) Short(short bool) {
	if short && !o.spent {
		o.Unread(showcause.Corrupt, 0, -1, "damaged, or a bound was reached")
	}
}

// Add takes an observation. Facts with an empty value are left out; an observation without facts is none.
func (o *Out) Add(ob product.Observation) {
	if len(o.Observations) >= MaxObservations {
		if len(o.Observations) == MaxObservations && !o.spent {
			o.spent = true
			o.Unread(showcause.LimitObject, 0, -1, "")
		}
		return
	}
	for i := range ob.Facts {
		ob.Facts[i].Value = Text(ob.Facts[i].Value)
	}
	ob.Facts = slices.DeleteFunc(ob.Facts, func(f product.Fact) bool { return f.Value == "" })
	if len(ob.Facts) == 0 {
		return
	}
	ob.Evidence.Record = Text(ob.Evidence.Record)
	ob.Source = o.Reader
	if ob.Class == "" {
		ob.Class = product.Installed
	}
	o.Observations = append(o.Observations, ob)
}

// Text is bytes of a file as a value: valid UTF-8, product.MaxValue bytes at most, without space around.
func Text(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= product.MaxValue {
		return s
	}
	n := product.MaxValue
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Facts are facts from pairs of kind and value.
func Facts(pairs ...string) (out []product.Fact) {
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, product.Fact{Kind: product.Kind(pairs[i]), Value: pairs[i+1]})
	}
	return out
}
