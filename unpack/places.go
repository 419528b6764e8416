package unpack

import (
	"bytes"
	"slices"
	"sync"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/literal"
)

// sought are the magics that formats look for anywhere in a program, so that one
// pass finds the places of all. What is asked for and is not among them is looked
// for by itself: the list decides nothing but time.
var sought = [...]string{
	"7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07", "MSCF", "hsqs", "-lh", "\x60\xea", "ALZ\x01", "EGGA",
	// marks of installers
	"\xef\xbe\xad\xdeNullsoftInst", "\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7dAU3!EA0", "rDlPtS",
}

// seeker returns what finds them.
var seeker = sync.OnceValue(func() *literal.Set {
	lits := make([]literal.Literal, len(sought))
	for i, s := range sought {
		lits[i].Bytes = []byte(s)
	}
	blob, err := literal.Compile(lits)
	if err != nil {
		panic(err)
	}
	set, err := literal.Open(blob)
	if err != nil {
		panic(err)
	}
	return set
})

// maxPlaces is how many places of all magics together are kept of a layer.
const maxPlaces = 1 << 14

// Places knows where magics stand in a layer that is in memory. It is not safe for
// concurrent use.
type Places struct {
	b     []byte
	known int // before it all places are in at
	at    [len(sought)][]int
}

// placesFrom is from which size of a layer on, in bytes, its places are worth a pass.
const placesFrom = 4 << 10

// Places returns the places of a layer, which is that of o; nil where it is not in
// memory, or so small that one may as well look.
func (o *Out) Places(src showcause.Source) *Places {
	b, ok := src.(showcause.Bytes)
	if !ok || len(b) < placesFrom {
		return nil
	}
	if p := o.places; p == nil || len(p.b) != len(b) || &p.b[0] != &b[0] {
		o.places = &Places{b: b}
		o.places.fill(o.budget)
	}
	return o.places
}

// fill goes through the layer once.
func (p *Places) fill(budget *Budget) {
	set, kept := seeker(), 0
	for p.known < len(p.b) && kept < maxPlaces {
		budget.hits, p.known = set.ScanN(p.b, p.known, len(p.b), budget.hits[:0], maxPlaces/4)
		for _, h := range budget.hits {
			p.at[h.ID] = append(p.at[h.ID], h.At)
		}
		kept += len(budget.hits)
	}
	for i := range p.at {
		slices.Sort(p.at[i])
	}
}

func isSought(magic []byte) bool {
	return slices.ContainsFunc(sought[:], func(s string) bool { return s == string(magic) })
}

// Next returns the first place from from on at which magic stands before to, -1
// if there is none.
func (p *Places) Next(magic string, from, to int) int {
	from, to = max(from, 0), min(to, len(p.b))
	if id := slices.Index(sought[:], magic); id >= 0 && from < p.known {
		at := p.at[id]
		if i, _ := slices.BinarySearch(at, from); i < len(at) {
			if at[i]+len(magic) > to {
				return -1
			}
			return at[i]
		}
		from = p.known
	}
	if from >= to {
		return -1
	}
	if i := bytes.Index(p.b[from:to], []byte(magic)); i >= 0 {
		return from + i
	}
	return -1
}
