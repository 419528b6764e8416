package image

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	usageUnits  = 1 << 23 // at most: a bit of each is held
	usagePieces = 64      // stretches that are told apart
	usageChunk  = 64 << 10
)

// usage says what of an image something leads to, in units of a sector or more.
type usage struct {
	unit, size int64 // bytes
	bits       []uint64
}

func newUsage(size int64) *usage {
	u := &usage{unit: sector, size: size}
	for size/u.unit >= usageUnits {
		u.unit *= 2
	}
	u.bits = make([]uint64, size/u.unit/64+1)
	return u
}

// mark notes n bytes at off. It tells whether they were free; where they are not whole
// units, that is not known, and true.
func (u *usage) mark(off, n int64) bool {
	if off < 0 || n <= 0 || off >= u.size {
		return true
	}
	n = min(n, u.size-off)
	free, whole := true, off%u.unit == 0 && (n%u.unit == 0 || off+n == u.size)
	for i, end := off/u.unit, (off+n+u.unit-1)/u.unit; i < end; {
		k := min(64-i%64, end-i)
		bits := ^uint64(0) >> (64 - k) << (i % 64)
		free = free && u.bits[i/64]&bits == 0
		u.bits[i/64] |= bits
		i += k
	}
	return free || !whole
}

func (u *usage) has(i int64) bool { return u.bits[i/64]>>(i%64)&1 == 1 }

// any tells whether something of n bytes at off is marked, in whole units.
func (u *usage) any(off, n int64) bool {
	for i, end := max(off, 0)/u.unit, min(bound.Add(off, n), u.size)/u.unit; i < end; i++ {
		if u.has(i) {
			return true
		}
	}
	return false
}

// left gives what stands in front of end, is more than zeros and nothing leads to. It
// tells whether there is such, other than what spare says may be there.
func (u *usage) left(src showcause.Source, out *unpack.Out, op string, end int64, spare func(off int64) bool) (some, more bool) {
	end = min(end, src.Size())
	pieces := 0
	for i := int64(0); i*u.unit < end; i++ {
		if i%4096 == 0 && !out.Work(64) {
			return some, false
		}
		if u.has(i) {
			continue
		}
		from := i * u.unit
		for (i+1)*u.unit < end && (!u.has(i+1) || pieces >= usagePieces) {
			i++
		}
		to := min((i+1)*u.unit, end)
		if from = filled(src, out, from, to); from >= to {
			continue
		}
		pieces++
		some = some || spare == nil || !spare(from)
		if !out.Section(src, op, "", from, to-from) {
			return some, false
		}
	}
	return some, true
}

// filled is the sector where something but zeros begins.
func filled(src showcause.Source, out *unpack.Out, off, end int64) int64 {
	for off < end && out.Work(64) {
		b, _ := bound.ReadAt(src, off, min(usageChunk, end-off), usageChunk)
		for i, c := range b {
			if c != 0 {
				return max((off+int64(i))&^(sector-1), off&^(sector-1))
			}
		}
		if len(b) == 0 {
			break
		}
		off += int64(len(b))
	}
	return end
}
