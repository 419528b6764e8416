package unpack

import (
	"bytes"
	"reflect"
	"slices"
	"sync"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/literal"
)

// sought are the magics that formats look for anywhere in a program, so that one
// pass finds the places of all. What is asked for and is not among them is looked
// for by itself: the list decides nothing but time.
var sought = [...]string{
	"7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07", "MSCF", "hsqs", "-lh", "-lz", "-pm", "\x60\xea", "ALZ\x01", "EGGA", "07070", "\xc7\x71", "\x71\xc7", "ustar", "CD001",
	// streams
	"\x1f\x8b\x08", "\x1f\x9e\x08", "\xfd7zXZ\x00", "1AY&SY", "\x17\x72\x45\x38\x50\x90", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "LZIP", "\x89LZO\x00\r\n\x1a\n",
	"\n\x1f\x9d", "\n\x5d\x00",
	"PK\x03\x04", "PK\x05\x06",
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

// Places knows where magics stand in a layer. It is not safe for concurrent use.
type Places struct {
	src   showcause.Source
	known int // before it all places are in at
	at    [len(sought)][]int
}

// placesFrom is from which size of a layer on, in bytes, its places are worth a pass.
const placesFrom = 4 << 10

// placesStep is how much is read at a time of what is not in memory.
const placesStep = 256 << 10

// mostPlaced is how far into a layer that is not in memory its places are looked
// for, in bytes: the pass is not charged for. What is behind is searched, at its price.
const mostPlaced = 4 << 30

// Places returns the places of a layer, which is that of o; nil where it is so
// small that one may as well look.
func (o *Out) Places(src showcause.Source) *Places {
	if src.Size() < placesFrom {
		return nil
	}
	if o.places == nil || !sameSource(o.places.src, src) {
		o.places = &Places{src: src}
		o.places.fill(o.budget)
	}
	return o.places
}

// Known returns the places of a layer that were looked for already; nil where they were not.
func (o *Out) Known(src showcause.Source) *Places {
	if o.places == nil || !sameSource(o.places.src, src) {
		return nil
	}
	return o.places
}

// sameSource tells whether two sources are known to have the same bytes.
func sameSource(a, b showcause.Source) bool {
	x, isX := a.(showcause.Bytes)
	y, isY := b.(showcause.Bytes)
	if isX && isY {
		return len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	}
	return isX == isY && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// fill goes through the layer once, to its end or to where it cannot be read.
func (p *Places) fill(budget *Budget) {
	kept := 0
	if b, ok := p.src.(showcause.Bytes); ok {
		p.scan(budget, b, 0, len(b), &kept)
	} else {
		buf := make([]byte, min(placesStep, p.src.Size()))
		keep := seeker().MaxLen() - 1
		for kept < maxPlaces && p.known < mostPlaced {
			if z := Zeros(p.src, int64(p.known)); z > placesStep { // no magic is of zeros
				p.known += int(z) - keep
				continue
			}
			n, _ := p.src.ReadAt(buf[:min(int64(len(buf)), p.src.Size()-int64(p.known))], int64(p.known))
			base, last := p.known, int64(p.known)+int64(n) >= p.src.Size()
			to := n
			if !last {
				to -= keep
			}
			if to > 0 {
				p.scan(budget, buf[:n], base, to, &kept)
			}
			if last || n < len(buf) {
				break
			}
		}
	}
	for i := range p.at {
		slices.Sort(p.at[i])
	}
}

// scan takes the places in the first to bytes of b, which stand at base.
func (p *Places) scan(budget *Budget, b []byte, base, to int, kept *int) {
	for from := 0; from < to && *kept < maxPlaces; {
		budget.scratch.hits, from = seeker().ScanN(b, from, to, budget.scratch.hits[:0], maxPlaces/4)
		for _, h := range budget.scratch.hits {
			p.at[h.ID] = append(p.at[h.ID], base+h.At)
		}
		*kept += len(budget.scratch.hits)
		p.known = base + from
	}
}

// next returns the first place from from on at which a magic stands, false where
// it is not known of all from there on, or of any.
func (p *Places) next(magic string, from int) (at int, ok bool) {
	id := slices.Index(sought[:], magic)
	if id < 0 || from >= p.known {
		return 0, false
	}
	i, _ := slices.BinarySearch(p.at[id], from)
	if i < len(p.at[id]) {
		return p.at[id][i], true
	}
	return 0, false
}

// Next returns the first place in b, the bytes at at of the layer, where magic
// stands whole, -1 if there is none. A nil Places looks for it.
func (p *Places) Next(magic string, b []byte, at int) int {
	skip := 0
	if p != nil {
		if i, ok := p.next(magic, at); ok {
			if i -= at; i+len(magic) > len(b) {
				return -1
			}
			return i
		}
		if slices.Contains(sought[:], magic) {
			skip = min(max(p.known-at, 0), len(b))
		}
	}
	if i := bytes.Index(b[skip:], []byte(magic)); i >= 0 {
		return skip + i
	}
	return -1
}

// Free tells whether it is known that none of the magics begins in [from, to) of
// the layer.
func (p *Places) Free(from, to int64, magics ...string) bool {
	if p == nil || min(to, p.src.Size()) > int64(p.known) {
		return false
	}
	for _, magic := range magics {
		if i, ok := p.next(magic, int(from)); ok && int64(i) < to || !slices.Contains(sought[:], magic) {
			return false
		}
	}
	return true
}
