// Package image reads images of disks: tables of partitions, and files that
// hold a disk that is larger than they are. A disk and a partition are layers
// that stand in the image as they are; nothing is copied out.
package image

import (
	"bytes"
	"fmt"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// extent is a partition, bytes.
type extent struct {
	off, size int64
	name      string
}

// partitions hands extents over in their order, each once. One that reaches
// past the layer's end is given as far as it goes, with a gap.
func partitions(src showcause.Source, out *unpack.Out, op string, list []extent) {
	seen := map[[2]int64]bool{}
	for _, e := range list {
		k := [2]int64{e.off, e.size}
		if seen[k] || e.size <= 0 {
			continue
		}
		seen[k] = true
		if e.off == 0 && (e.size >= src.Size() || isDisc(src)) {
			continue // the layer itself; the tables of a disc lie over it
		}
		if e.off < 0 || e.off >= src.Size() {
			out.Gap(showcause.Corrupt, src.Size(), -1)
			continue
		}
		if !out.Section(src, op, e.name, e.off, e.size) {
			return
		}
	}
}

// rest gives what stands from off on and is in no partition. An image of ISO 9660 that
// has a table of partitions as well gives that itself.
func rest(src showcause.Source, out *unpack.Out, op string, off int64) {
	if !isDisc(src) {
		out.Tail(src, off, op)
	}
}

// isDisc tells whether a layer is an image of ISO 9660.
func isDisc(src showcause.Source) bool {
	id, err := bound.ReadAt(src, 32769, 5, 5)
	return err == nil && string(id) == "CD001"
}

// A place is where a block of a disk stands.
type place struct {
	off    int64 // in the image
	kind   kind
	packed int64 // bytes, of a compressed block
}

type kind uint8

const (
	zeros  kind = iota
	stored      // as it is, at off
	packed      // compressed, packed bytes at off
	absent      // in another file
	broken      // its table says what cannot be
)

// disk is a disk as a Source, put together from blocks of an image.
type disk struct {
	src   showcause.Source
	size  int64 // bytes
	block int64 // bytes
	find  func(i int64) place
	// unpack fills dst, a block, from compressed bytes; nil if there are none such.
	unpack func(dst, packed []byte) error

	// room is how many blocks its tables have room for: those behind the end must be
	// none. 0 is as many as the disk has.
	room int64
	// all takes what of the image is used; meta has what is not for blocks. Both may be
	// nil.
	all, meta *usage
	own       *usage // of this disk

	cached int64 // number of the block in cache, plus 1
	cache  []byte
	end    int64 // of what is used of the image
	absent bool  // some blocks are in another file
	bad    bool  // some blocks are not where they should be, or do not unpack
}

func (d *disk) Size() int64 { return d.size }

// ReadAt gives zeros for what is absent or damaged; give says of that in gaps.
func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && off < d.size {
		i, within := off/d.block, off%d.block
		part := p[n:min(int64(len(p)), int64(n)+min(d.block-within, d.size-off))]
		if d.fill(part, i, within) != nil {
			d.bad = true
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill reads a part of block i; where that fails, zeros stand for what is missing.
func (d *disk) fill(part []byte, i, within int64) error {
	switch at := d.find(i); at.kind {
	case stored:
		if m, err := d.src.ReadAt(part, at.off+within); m < len(part) {
			clear(part[max(m, 0):]) // what is there counts
			return fmt.Errorf("block %d: %w", i, bound.CutShort(err))
		}
	case packed:
		b, err := d.unpacked(i, at)
		if err != nil {
			clear(part)
			return err
		}
		copy(part, b[within:])
	default:
		clear(part)
	}
	return nil
}

func (d *disk) unpacked(i int64, at place) ([]byte, error) {
	if d.cached == i+1 {
		return d.cache, nil
	}
	d.cached = 0
	b, err := bound.ReadAt(d.src, at.off, min(at.packed, d.src.Size()-at.off), 4<<20)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", i, bound.CutShort(err))
	}
	if d.cache == nil {
		d.cache = make([]byte, d.block)
	}
	if err := d.unpack(d.cache, b); err != nil {
		return nil, fmt.Errorf("block %d: %w", i, err)
	}
	d.cached = i + 1
	return d.cache, nil
}

// give hands the disk over as a child, and tells of what is not in the image:
// blocks in other files, and places that the image does not have or that do not
// unpack. It tells whether to go on.
func (d *disk) give(out *unpack.Out, op, name string, elsewhere showcause.Code) bool {
	if !d.survey(out) {
		return false
	}
	if d.absent {
		out.Gap(elsewhere, 0, -1)
	}
	if d.bad {
		out.Gap(showcause.Corrupt, 0, -1)
	}
	if d.size == 0 {
		return true
	}
	known := d.bad
	more := out.Child(unpack.Child{Op: op, Name: name, Source: d, Size: d.size})
	if d.bad && !known {
		out.Gap(showcause.Corrupt, 0, -1)
	}
	return more
}

// survey looks where each block is said to be. No two are in one place, nor where the
// image has its tables, and none is behind the end.
func (d *disk) survey(out *unpack.Out) bool {
	if d.all != nil {
		d.own = newUsage(d.src.Size())
	}
	n := d.size/d.block + min(d.size%d.block, 1)
	inside := int64(0) // blocks that the image has, each of them once
	for i := int64(0); i < max(n, d.room); i++ {
		if i%64 == 0 && !out.Work(64) {
			return false
		}
		at := d.find(i)
		if i >= n {
			d.bad = d.bad || at.kind == stored || at.kind == packed || at.kind == broken
			continue
		}
		d.note(at)
		switch at.kind {
		case absent:
			d.absent = true
		case broken:
			d.bad = true
		case stored:
			d.end = max(d.end, bound.Add(at.off, d.block))
			if inside++; inside > d.src.Size()/d.block+1 {
				d.bad = true
				return true // of a disk whose tables lead in circles nobody knows more
			}
			d.bad = d.bad || !bound.In(at.off, min(d.block, d.size-i*d.block), d.src.Size())
		case packed:
			d.end = max(d.end, bound.Add(at.off, at.packed))
			d.bad = d.bad || at.off < 0 || at.off >= d.src.Size()
		}
	}
	d.bad = d.bad || d.longer(n-1)
	return true
}

// longer tells whether block i, the last, has more than the disk.
func (d *disk) longer(i int64) bool {
	b := make([]byte, 32<<10)
	past := d.size % d.block
	for end := min(d.block, past+1<<20); past > 0 && past < end; past += int64(len(b)) {
		b = b[:min(int64(len(b)), end-past)]
		at := d.find(i)
		if at.kind == zeros || at.kind == absent {
			return false
		}
		// The image may end where the disk does, within a block.
		if err := d.fill(b, i, past); err != nil && at.kind != stored || len(bytes.Trim(b, "\x00")) > 0 {
			return true
		}
	}
	return false
}

// note marks what a block takes of the image.
func (d *disk) note(at place) {
	switch {
	case d.all == nil:
	case at.kind == stored:
		d.all.mark(at.off, d.block)
		if at.off%sector != 0 || !d.own.mark(at.off, d.block) || d.meta != nil && d.meta.any(at.off, d.block) {
			d.bad = true
		}
	case at.kind == packed:
		d.all.mark(at.off, at.packed)
	}
}

// left gives what stands in front of end and nothing in the image leads to, and says that
// it is damaged. It tells whether to go on.
func (d *disk) left(out *unpack.Out, op string, end int64) bool {
	for i := range d.all.bits {
		d.all.bits[i] |= d.meta.bits[i]
	}
	some, more := d.all.left(d.src, out, op, end, nil)
	if some && !d.bad {
		out.Gap(showcause.Corrupt, 0, -1)
	}
	return more
}
