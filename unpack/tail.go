package unpack

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
)

const (
	tailChunk  = 64 << 10 // bytes that are read at a time
	tailPieces = 64       // stretches that are told apart
	tailFill   = 16       // bytes 0xff from which on they are padding
)

// Tail gives what stands from end on in the layer src, which is behind what a format
// says is all of it: a child of the given op for each stretch that is in no child
// (Covered) and is more than padding, zeros or bytes 0xff. It tells whether to go on.
//
// A format that knows where it ends calls it last. What stands there gets a type of
// its own, so that an archive behind another is read as what it is.
func (o *Out) Tail(src showcause.Source, end int64, op string) bool {
	return o.Between(src, end, src.Size(), op)
}

// Between is Tail for what stands in [from, to), parts of which no header claims.
func (o *Out) Between(src showcause.Source, from, to int64, op string) bool {
	from, to = max(from, 0), min(to, src.Size())
	if from >= to {
		return !o.spent
	}
	for _, s := range o.uncovered(from, to) {
		from, ok := o.content(src, s)
		if o.spent {
			return false
		}
		if ok && !o.Section(src, op, "", from, s.To-from) {
			return false
		}
	}
	return true
}

// uncovered returns the stretches of [from, to) that are in no child; the last of
// them goes to the end where they are many.
func (o *Out) uncovered(from, to int64) (out []Span) {
	for _, s := range o.Covered() {
		if s.To <= from {
			continue
		}
		if s.From > from {
			if len(out) == tailPieces-1 {
				break
			}
			out = append(out, Span{from, min(s.From, to)})
		}
		if from = s.To; from >= to {
			return out
		}
	}
	return append(out, Span{from, to})
}

// content returns where in a stretch what is no padding begins. What begins with
// zeros, as a disc does, and has a type by what follows begins with them.
func (o *Out) content(src showcause.Source, s Span) (int64, bool) {
	at, ok := o.padding(src, s)
	if !ok {
		return 0, false
	}
	for _, from := range []int64{s.From, s.From + (at-s.From)/512*512, at / 512 * 512} {
		if from < s.From || from == at {
			continue
		}
		part := bound.Section(src, from, s.To-from)
		head := bound.Head(part, HeadSize)
		if !o.Work(1 << 10) {
			return 0, false
		}
		if filetype.Detect(head, part) != filetype.Unknown || len(filetype.Also(head, part)) > 0 {
			return from, true
		}
	}
	return at, true
}

// padding returns where the padding that a stretch begins with ends, false if it is
// all there is.
func (o *Out) padding(src showcause.Source, s Span) (int64, bool) {
	buf := make([]byte, min(tailChunk, s.To-s.From))
	fill := int64(0) // bytes 0xff that end at off
	for off := s.From; off < s.To; {
		n, _ := src.ReadAt(buf[:min(int64(len(buf)), s.To-off)], off)
		if !o.Work(int64(n)/64 + 1) {
			return 0, false
		}
		if n <= 0 {
			return off - fill, true // it cannot be read, and its reader says so
		}
		for i, c := range buf[:n] {
			switch {
			case c == 0xff:
				fill++
				continue
			case fill > 0 && fill < tailFill:
				return off + int64(i) - fill, true
			case c != 0:
				return off + int64(i), true
			}
			fill = 0
		}
		off += int64(n)
	}
	return s.To - fill, fill > 0 && fill < tailFill
}
