package scan

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"path"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// A layer that occurs twice in an input in the same surroundings, as files of
// images and members of bombs do, is scanned once: what was found and not read the
// first time stands under the trail of the second too, and is charged as if it
// had been scanned. The report is the same.

// tagSize is the length of a tag in bytes.
const tagSize = 16

// Layers of more than alwaysTagged bytes get a tag only if another had their
// size. maxRecords is how many layers are remembered of an input.
const (
	alwaysTagged = 16 << 20
	maxRecords   = 1 << 16
	tagPiece     = 1 << 20
)

// tagger tells contents apart: a polynomial of the bytes at a random point
// (GHASH), three times as fast as a cryptographic digest. Two inputs made without
// the key, which never leaves the process, have one tag with a probability of
// less than 2^-90 (D. McGrew, J. Viega, "The Galois/Counter Mode of
// Operation", 2004, section 5).
type tagger struct {
	gcm   cipher.AEAD
	buf   []byte
	zeros []byte // the tag of a piece of zeros, once it was asked for
}

// newTagger returns nil where there is no cipher: nothing is remembered then. It
// asks the kernel for randomness, which a locked process cannot.
func newTagger() *tagger {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil
	}
	return &tagger{gcm: gcm}
}

// sum appends the tag of b.
func (g *tagger) sum(out, b []byte) []byte {
	var nonce [12]byte
	return g.gcm.Seal(out, nonce[:], nil, b)
}

// of returns the tag of all bytes of a source, false if they cannot be read.
func (g *tagger) of(src showcause.Source) (tag [tagSize]byte, ok bool) {
	var pieces []byte
	if b, is := src.(showcause.Bytes); is {
		for len(b) > tagPiece {
			pieces, b = g.sum(pieces, b[:tagPiece]), b[tagPiece:]
		}
		pieces = g.sum(pieces, b)
	} else {
		if g.buf == nil {
			g.buf = make([]byte, tagPiece)
		}
		for off := int64(0); off < src.Size(); {
			b := g.buf[:min(src.Size()-off, tagPiece)]
			if unpack.Zeros(src, off) >= tagPiece {
				pieces = append(pieces, g.ofZeros()...)
			} else if n, _ := src.ReadAt(b, off); n < len(b) {
				return tag, false
			} else {
				pieces = g.sum(pieces, b)
			}
			off += int64(len(b))
		}
	}
	copy(tag[:], g.sum(nil, pieces))
	return tag, true
}

// ofZeros returns the tag of a piece of zeros.
func (g *tagger) ofZeros() []byte {
	if g.zeros == nil {
		g.zeros = g.sum(nil, make([]byte, tagPiece))
	}
	return g.zeros
}

// tagOf returns the tag of a layer that is not empty, which is worked out once.
func (in *input) tagOf(l *layer) ([tagSize]byte, bool) {
	if !l.tagged {
		l.tagged = true
		l.tag, l.known = in.tags.of(l.Source)
	}
	return l.tag, l.known
}

// occurrence is all that the report on a layer and on what is in it follows from, but
// for limits.
type occurrence struct {
	tag     [tagSize]byte
	size    int64
	way     string // see way
	allowed string
	allower uint32
	name    string // where rules may ask for it
	hint    unpack.Hint
}

// record is what was said of a layer: stretches of the report.
type record struct {
	depth                              int
	findings, findingsTo, gaps, gapsTo int
	cost                               unpack.Cost
}

// repeats tells whether layers that occur twice are scanned once. Rules that
// write lines write them each time.
func (in *input) repeats() bool {
	return in.tags != nil && !in.options.EachTime && !in.options.TopOnly && in.options.Log == nil && in.visitor == nil
}

// ofImage tells whether what is in a layer is called by what the image around it
// says of it: the same bytes elsewhere are called otherwise.
func ofImage(t showcause.Trail) bool {
	for _, s := range t[max(len(t)-2, 0):] { // the layer as it is, or unpacked
		if s.Op == "oci.layer" {
			return true
		}
	}
	return false
}

// occurs returns what a layer is known by, false if it is not to be.
func (in *input) occurs(l *layer) (o occurrence, ok bool) {
	n := l.Source.Size()
	if l.parent == nil || n == 0 || strings.HasPrefix(l.Trail[len(l.Trail)-1].Op, asType) || !in.repeats() || ofImage(l.Trail) {
		return o, false
	}
	if n > alwaysTagged {
		if in.sizes == nil {
			in.sizes = map[int64]bool{}
		}
		if !in.sizes[n] {
			in.sizes[n] = true
			return o, false
		}
	}
	o = occurrence{size: n, way: l.way(), allowed: l.allowed, allower: l.allower, hint: unpack.Named(l.out.Name())}
	if _, asked := in.externals["filename"]; asked {
		o.name = path.Base(strings.ReplaceAll(l.Trail[len(l.Trail)-1].Name, `\`, "/"))
	}
	o.tag, ok = in.tagOf(l)
	return o, ok
}

// way is of the layers that a layer is in, outermost first, the types, which rules
// ask for, and the steps from each to the next, on which it depends what formats read: a script of a
// page is no page again.
func (l *layer) way() string {
	if l.parent == nil {
		return ""
	}
	if l.above == "" {
		l.above = l.parent.way() + l.parent.kind.ClamAV() + " " + l.Trail[len(l.Trail)-1].Op + "/"
	}
	return l.above
}

// again says of a layer what was said of the same layer before. It is false if
// there was none, or if a limit may be met on the way.
func (in *input) again(l *layer, o occurrence) bool {
	r, ok := in.records[o]
	if !ok || in.told.bytes > maxTold/4 || !in.budget.Repeat(r.cost, len(l.Trail)) {
		return false
	}
	for i := r.findings; i < r.findingsTo; i++ {
		f := in.report.Findings[i]
		f.Trail = l.under(f.Trail[r.depth:])
		if f.Chain != nil {
			f.Chain = append(in.chain(l), f.Chain[r.depth+1:]...)
		}
		in.keep(f)
	}
	for i := r.gaps; i < r.gapsTo; i++ {
		g := in.report.Gaps[i]
		g.Trail = l.under(g.Trail[r.depth:])
		in.gap(g)
	}
	return true
}

// under returns the trail of what is the given steps below a layer.
func (l *layer) under(steps showcause.Trail) showcause.Trail {
	t := make(showcause.Trail, 0, len(l.Trail)+len(steps))
	return append(append(t, l.Trail...), steps...)
}

// remember keeps what was said of a layer, if another one would get the same.
func (in *input) remember(l *layer, o occurrence, r record, lost int) {
	r.findingsTo, r.gapsTo = len(in.report.Findings), len(in.report.Gaps)
	if in.told.lost != lost || in.told.bytes > maxTold/4 || len(in.records) >= maxRecords {
		return
	}
	for i := r.gaps; i < r.gapsTo; i++ {
		g := &in.report.Gaps[i]
		if head, _, _ := strings.Cut(string(g.Code), "."); len(g.Trail) < r.depth {
			return // it stands for others
		} else if code := showcause.Code(head); code != showcause.Unsupported && code != showcause.Corrupt && code != showcause.Ambiguous {
			return // another time it may go otherwise
		}
	}
	if in.records == nil {
		in.records = map[occurrence]record{}
	}
	in.records[o] = r
}

// endless tells whether a layer is one that it is in: what is in it is known, and
// has no end. Digests are worked out only for layers of one size.
func (l *layer) endless() bool {
	n := l.Source.Size()
	if n == 0 || l.as {
		return false
	}
	for p := l.parent; p != nil; p = p.parent {
		if p.Source.Size() == n && l.digest(true) == p.digest(true) && l.digest(true).Digest != (showcause.SHA256{}) {
			return true
		}
	}
	return false
}
