package literal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// Set is the literals of a blob, ready to be looked for. It may be used by many
// goroutines at once.
type Set struct {
	count, longest int

	pool      []byte
	pairs     []uint32 // nil without a pair tier
	chains    []uint32
	links     []link
	pairReach int // greatest offset of a link's window
	tiers     []tier
}

// tier is a stride tier.
type tier struct {
	stride, reach int
	lower         uint32 // lower4 or 0
	factor        uint64 // of the hash of a gram
	filterMask    uint64 // eight times the greatest index
	indexShift    uint
	kinds         []uint32 // that keys have

	filter  []uint64
	index   []uint32
	keys    []uint32
	vals    []uint32
	members []member
}

var errCorrupt = errors.New("literal tables: corrupt")

// Open returns the Set of a blob that Compile made. The Set keeps the blob,
// which must not change, and which must begin at an address that is a multiple
// of 8. Everything that Scan relies on is proved here: on a blob that was
// tampered with, Scan may report wrong literals, but not panic or run on.
func Open(blob []byte) (*Set, error) {
	if len(blob) < headerSize || string(blob[:8]) != magic || binary.LittleEndian.Uint64(blob[8:]) != uint64(len(blob)) {
		return nil, errCorrupt
	}
	if uintptr(unsafe.Pointer(&blob[0]))%8 != 0 {
		return nil, errors.New("literal tables: address is not a multiple of 8")
	}
	o := opener{blob: blob}
	s := &Set{count: int(o.number(16)), longest: int(o.number(20))}
	if tiers := o.number(24); tiers > maxTiers || headerSize+int(tiers)*tierSize > len(blob) || o.number(28) != 0 || s.longest > maxLen {
		return nil, errCorrupt
	}
	s.pool = sectionAt[uint8](&o, 32)
	s.pairs = sectionAt[uint32](&o, 40)
	s.chains = sectionAt[uint32](&o, 48)
	s.links = sectionAt[link](&o, 56)
	if o.bad || !s.provePairs() {
		return nil, fmt.Errorf("%w: pair tier", errCorrupt)
	}
	for i := range int(o.number(24)) {
		t, ok := o.tier(headerSize + i*tierSize)
		if !ok || !s.proveTier(&t) {
			return nil, fmt.Errorf("%w: stride tier %d", errCorrupt, i)
		}
		s.tiers = append(s.tiers, t)
	}
	return s, nil
}

// Len returns the number of literals.
func (s *Set) Len() int { return s.count }

// MaxLen returns the length of the longest literal, 0 when there is none.
func (s *Set) MaxLen() int { return s.longest }

// opener reads sections; bad is set when one is not inside the blob.
type opener struct {
	blob []byte
	bad  bool
}

func (o *opener) number(at int) uint32 { return binary.LittleEndian.Uint32(o.blob[at:]) }

// sectionAt returns the section that is described at the given place.
func sectionAt[T element](o *opener, at int) []T {
	off, n := o.number(at), o.number(at+4)
	size := uint64(unsafe.Sizeof(*new(T)))
	if off%8 != 0 || uint64(off)+uint64(n)*size > uint64(len(o.blob)) {
		o.bad = true
		return nil
	}
	return view[T](o.blob, off, n)
}

// tier returns the stride tier that is described at the given place.
func (o *opener) tier(at int) (t tier, ok bool) {
	t.stride, t.reach = int(o.number(at)), int(o.number(at+8))
	lower := o.number(at + 4)
	if t.stride < 1 || t.stride > maxStride || lower > 1 || o.number(at+56)|o.number(at+60) != 0 || t.reach >= maxLen {
		return t, false
	}
	t.lower = lower * lower4
	t.factor = factor(o.number(at + 12))
	t.filter = sectionAt[uint64](o, at+16)
	t.index = sectionAt[uint32](o, at+24)
	t.keys = sectionAt[uint32](o, at+32)
	t.vals = sectionAt[uint32](o, at+40)
	t.members = sectionAt[member](o, at+48)
	if o.bad || len(t.index) == 0 {
		return t, false
	}
	_, ok1 := log2(len(t.filter))
	indexBits, ok2 := log2(len(t.index) - 1)
	t.filterMask, t.indexShift = uint64(len(t.filter)-1)*8, 64-indexBits
	seen := uint32(0)
	for _, key := range t.keys {
		seen |= 1 << (key % kinds)
	}
	for kind := range uint32(kinds) {
		if seen>>kind&1 != 0 {
			t.kinds = append(t.kinds, kind)
		}
	}
	return t, ok1 && ok2 && indexBits > 0
}

// log2 returns the logarithm of a power of two.
func log2(n int) (uint, bool) {
	return uint(bits.Len(uint(n))) - 1, n > 0 && n&(n-1) == 0
}

// provePairs proves what place and links rely on.
func (s *Set) provePairs() bool {
	if len(s.pairs) == 0 && len(s.chains) == 0 {
		return len(s.links) == 0
	}
	if len(s.pairs) != pairCount || len(s.chains) != pairCount+1 || !ascends(s.chains, len(s.links)) {
		return false
	}
	for i := range s.links {
		if !s.proveMember(&s.links[i].member) {
			return false
		}
		s.pairReach = max(s.pairReach, s.links[i].window())
	}
	return true
}

// proveTier proves what probe and resolve rely on.
func (s *Set) proveTier(t *tier) bool {
	if len(t.keys) != len(t.vals) || !ascends(t.index, len(t.keys)) {
		return false
	}
	// How many members there are from each on to the end of its group.
	left := make([]uint32, len(t.members)+1)
	for i := len(t.members) - 1; i >= 0; i-- {
		m := &t.members[i]
		if !s.proveMember(m) || m.window()+t.stride-1 > t.reach {
			return false
		}
		left[i] = 1
		if !m.last() {
			if i == len(t.members)-1 {
				return false
			}
			left[i] += left[i+1]
		}
	}
	// A member is under 16 spellings of 8 grams at most: the work of one place
	// is bounded by the members.
	work, most := uint64(0), uint64(len(t.members)*16*maxStride)
	for _, v := range t.vals {
		first := v >> phaseBits
		if int(first) >= len(t.members) {
			return false
		}
		if work += uint64(left[first]); work > most {
			return false
		}
	}
	return true
}

func (s *Set) proveMember(m *member) bool {
	return int(m.id) < s.count && m.length() >= 1 && m.length() <= s.longest &&
		uint64(m.off)+uint64(m.length()) <= uint64(len(s.pool)) && m.window() < m.length()
}

// ascends tells whether the numbers go from 0 up to last, never down.
func ascends(s []uint32, last int) bool {
	if len(s) == 0 || s[0] != 0 || int(s[len(s)-1]) != last {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < s[i-1] {
			return false
		}
	}
	return true
}
