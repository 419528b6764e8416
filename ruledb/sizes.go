package ruledb

import (
	"math"
	"slices"
)

// anySize stands for every size, and anyHigh for it in a set.
const anySize, anyHigh = math.MaxUint64, math.MaxUint64

// sizeRow is the sizes that share all but their lowest 16 bits. 16 bytes.
type sizeRow struct {
	High uint64 // size >> 16
	At   uint32 // in sizelows
	N    uint32 // of them; of more than sizeMost there is a bit for each that may be
}

// A run of lowest bits is a list, ascending, or 65,536 bits: sizeMost words.
const sizeMost = 1 << 16 / 16

func (r *sizeRow) words() uint32 { return min(r.N, sizeMost) }

// sizeSet tells which sizes occur, exactly: a size that none has costs no digest.
type sizeSet struct {
	any  bool
	rows []sizeRow
	lows []uint16
}

func (s *sizeSet) has(size uint64) bool {
	if s.any {
		return true
	}
	high, low := size>>16, uint16(size)
	// Most sets have some of every height that they have any of.
	i := int(min(high, uint64(len(s.rows))))
	if i == len(s.rows) || s.rows[i].High != high {
		found := false
		if i, found = slices.BinarySearchFunc(s.rows[:i], high, func(r sizeRow, h uint64) int {
			if r.High < h {
				return -1
			}
			return int(min(r.High-h, 1))
		}); !found {
			return false
		}
	}
	r := &s.rows[i]
	lows := s.lows[r.At : r.At+r.words()]
	if r.N > sizeMost {
		return lows[low/16]>>(low%16)&1 != 0
	}
	_, found := slices.BinarySearch(lows, low)
	return found
}

// prove proves that rows lead into lows, and ascend.
func (s *sizeSet) prove() bool {
	for i := range s.rows {
		r := &s.rows[i]
		if !within(r.At, r.words(), len(s.lows)) || r.N == 0 || r.N > 1<<16 || i > 0 && s.rows[i-1].High >= r.High {
			return false
		}
	}
	return true
}

// newSizeSet lays out the set of some sizes, which it sorts.
func newSizeSet(sizes []uint64) (s sizeSet) {
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	if n := len(sizes); n > 0 && sizes[n-1] == anySize {
		s.any, sizes = true, sizes[:n-1]
	}
	for len(sizes) > 0 {
		r := sizeRow{High: sizes[0] >> 16, At: uint32(len(s.lows))}
		for int(r.N) < len(sizes) && sizes[r.N]>>16 == r.High {
			r.N++
		}
		if r.N <= sizeMost {
			for _, size := range sizes[:r.N] {
				s.lows = append(s.lows, uint16(size))
			}
		} else {
			s.lows = append(s.lows, make([]uint16, sizeMost)...)
			for _, size := range sizes[:r.N] {
				s.lows[r.At+uint32(uint16(size)/16)] |= 1 << (size % 16)
			}
		}
		s.rows = append(s.rows, r)
		sizes = sizes[r.N:]
	}
	if s.any {
		s.rows = append(s.rows, sizeRow{High: anyHigh, At: uint32(len(s.lows)), N: 1})
		s.lows = append(s.lows, 0)
	}
	return s
}

// loadSizeSet returns the set of what was laid out.
func loadSizeSet(rows []sizeRow, lows []uint16) (s sizeSet, ok bool) {
	s = sizeSet{rows: rows, lows: lows}
	s.any = len(rows) > 0 && rows[len(rows)-1].High == anyHigh
	return s, s.prove()
}
