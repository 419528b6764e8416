// Package hostile writes hostile inputs: bombs, files that two readers read
// differently, damaged files, loops, and all that has made a scanner say
// "nothing found" of a file that holds what it looks for. Every input is made
// in code and is the same at every run. Its tests hold that the verdict on
// none of them is nothing-found, and what each may cost.
package hostile

import (
	"fmt"
	"strings"

	"github.com/showcause/showcause"
)

// Marker is what the inputs hide. It occurs nowhere else, and an input shows it
// in plain sight only where its Plain is set.
const Marker = "hostile-input marker 5f0e7a31 showcause."

// Want is the verdict that is due.
type Want uint8

const (
	Either     Want = iota // found, or incomplete with the reason
	Found                  // the marker is found
	Incomplete             // there is no marker, and what was not read is said
)

// String returns the words of a table.
func (w Want) String() string {
	return [...]string{"found or incomplete", "found", "incomplete"}[w]
}

// Input is one hostile input.
type Input struct {
	Row   int              // of the acceptance suite's table
	Name  string           // one line for a person
	Want  Want             // the verdict that is due
	Codes []showcause.Code // gaps and notes that must be in the report, each by its start
	Plain bool             // the marker stands in plain sight
	Big   bool             // for the full run only
	Make  func() showcause.Source
}

// All returns the inputs in the order of the rows. Those that are not full size
// are as the suite has them, but for bombs, which are made just large enough to
// go off.
func All(full bool) []Input {
	s := scale{full}
	var all []Input
	for _, part := range [][]Input{s.bombs(), s.streams(), s.nested(), s.long(), zips(), s.zipForms(), tars(), damaged(), unreadFormats(), archives(), s.mails(), programs(), s.texts(), s.scripts(), names(), s.variants(), tailForms(), volumeForms(), fieldForms(), rareForms(), s.pictures()} {
		all = append(all, part...)
	}
	return all
}

// scale makes inputs of two sizes.
type scale struct{ full bool }

func (s scale) pick(small, full int64) int64 {
	if s.full {
		return full
	}
	return small
}

// in returns an input whose bytes are made when asked for.
func in(row int, name string, want Want, f func() []byte, codes ...showcause.Code) Input {
	return Input{Row: row, Name: name, Want: want, Codes: codes, Make: func() showcause.Source { return showcause.Bytes(f()) }}
}

// plain is in for an input that shows the marker.
func plain(row int, name string, want Want, f func() []byte, codes ...showcause.Code) Input {
	i := in(row, name, want, f, codes...)
	i.Plain = true
	return i
}

// hidden is the content that the inputs hide: padding that compresses, then the marker.
func hidden() []byte {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "padding that compresses well, line %d of a benign text\n", i)
	}
	b.WriteString(Marker)
	return []byte(b.String())
}

// benign is content with nothing in it.
func benign() []byte { return []byte(strings.Repeat("a benign stream, nothing in it\n", 4)) }

// noise returns n bytes that do not compress, other ones for each seed.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 24)
	}
	return b
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// sparse is a source of n zeros but for what stands at its end.
type sparse struct {
	n   int64
	end []byte
}

func (s sparse) Size() int64 { return s.n + int64(len(s.end)) }

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < s.n {
		n = int(min(int64(len(p)), s.n-off))
		clear(p[:n])
		if n == len(p) {
			return n, nil
		}
	}
	m, err := showcause.Bytes(s.end).ReadAt(p[n:], off+int64(n)-s.n)
	return n + m, err
}
