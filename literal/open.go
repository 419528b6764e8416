package literal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"unsafe"
)

// Set is the literals of a blob, ready to be looked for. It may be used by many
// goroutines at once.
type Set struct {
	count, longest int

	pool       []byte
	short      shortTier
	tiers      []tier
	delta      bool      // of the tiers, one at least takes deltas
	deltaRooms sync.Pool // of *deltaRoom
	runs       sync.Pool // of *run
	placesOnce sync.Once
	placesOf   *places // see index
	vector     bool    // the machine has the instructions that the assembly is in
}

// tier is a stride tier.
type tier struct {
	hasher
	kind  kind
	reach int

	filter  []uint32
	windows []uint32 // a filter, too
	index   []uint32
	keys    []uint32
	members []member

	filterShift, windowShift, indexShift uint
	lanes                                [maxStride / 8]byte // see maskLanes
	vectors                              vectors
}

// shortTier is the tier of the shortest literals; links is nil without it.
type shortTier struct {
	reach   int      // greatest offset of a window
	starts  []uint32 // of each bucket, in links
	links   []link
	checks  []fit                    // of the links, if they are not too many
	masks   [shortPlaces][256]uint16 // buckets, by place and byte
	refuse  [256]uint64              // by byte: the buckets that are not in masks, 16 bits for each place
	vectors shortVectors
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
	s := &Set{count: int(o.number(16)), longest: int(o.number(20)), vector: hasVectors()}
	s.deltaRooms.New = func() any { return new(deltaRoom) }
	s.runs.New = func() any { return new(run) }
	tiers := o.number(24)
	if tiers > maxTiers || headerSize+int(tiers)*tierSize > len(blob) || o.number(28) != 0 || s.longest > maxLen {
		return nil, errCorrupt
	}
	s.pool = sectionAt[uint8](&o, 32)
	if !s.openShort(&o) {
		return nil, fmt.Errorf("%w: short tier", errCorrupt)
	}
	s.tiers = make([]tier, tiers)
	for i := range s.tiers {
		t := &s.tiers[i]
		if !t.open(&o, headerSize+i*tierSize) || !s.proveTier(t) {
			return nil, fmt.Errorf("%w: stride tier %d", errCorrupt, i)
		}
		s.delta = s.delta || t.kind == delta
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

// openShort reads and proves the short tier.
func (s *Set) openShort(o *opener) bool {
	t := &s.short
	table := sectionAt[uint32](o, 40)
	t.starts = sectionAt[uint32](o, 48)
	t.links = sectionAt[link](o, 56)
	if o.bad {
		return false
	}
	if len(t.links) == 0 {
		return len(table) == 0 && len(t.starts) == 0
	}
	if len(table) != shortTable || len(t.starts) != shortBuckets+1 || !ascends(t.starts, len(t.links)) {
		return false
	}
	for i := range t.links {
		m := &t.links[i].member
		if !s.proveMember(m) {
			return false
		}
		t.reach = max(t.reach, m.window())
	}
	for k := range t.masks {
		half := table[k*32:][:32]
		for b := range t.masks[k] {
			t.masks[k][b] = uint16(half[b&15] & half[16+b>>4])
			t.refuse[b] |= uint64(^t.masks[k][b]) << (16 * k)
		}
	}
	t.vectors.fill(table)
	t.fillChecks()
	return true
}

// fit has the bytes and masks of 8 links. The assembly knows the shape.
type fit struct{ bytes, mask [8]uint32 }

const mostChecks = 16 // that are cheaper than to look for the link

// fillChecks lays out the links as checks; the windows of many are the same.
func (t *shortTier) fillChecks() {
	seen := make(map[[2]uint32]bool)
	var checks []fit
	for i := range t.links {
		l := &t.links[i]
		if pair := [2]uint32{l.bytes, l.mask}; !seen[pair] {
			if len(seen)%8 == 0 {
				if len(checks) == mostChecks {
					return
				}
				checks = append(checks, fit{bytes: [8]uint32{1, 1, 1, 1, 1, 1, 1, 1}}) // fits nothing
			}
			checks[len(seen)/8].bytes[len(seen)%8], checks[len(seen)/8].mask[len(seen)%8] = l.bytes, l.mask
			seen[pair] = true
		}
	}
	t.checks = checks
}

// open reads the stride tier that is described at the given place.
func (t *tier) open(o *opener, at int) bool {
	stride, gram := o.number(at), o.number(at+4)
	t.kind, t.reach = kind(o.number(at+8)), int(o.number(at+12))
	if _, ok := log2(int(stride)); !ok || stride > maxStride || gram < 1 || gram > maxGram || t.kind >= kinds ||
		t.reach >= maxLen+maxStride || o.number(at+20) != 0 {
		return false
	}
	t.hasher = newHasher(int(stride), int(gram), t.kind, o.number(at+16))
	t.filter = sectionAt[uint32](o, at+24)
	t.windows = sectionAt[uint32](o, at+32)
	t.index = sectionAt[uint32](o, at+40)
	t.keys = sectionAt[uint32](o, at+48)
	t.members = sectionAt[member](o, at+56)
	if o.bad || len(t.index) == 0 {
		return false
	}
	// Of 1 to 30 bits each: shifts of 32-bit numbers are below 32, and the
	// vectors' indices do not reach the sign.
	var ok [3]bool
	for i, x := range []struct {
		n     int
		shift *uint
	}{{len(t.filter), &t.filterShift}, {len(t.windows), &t.windowShift}, {len(t.index) - 1, &t.indexShift}} {
		n, power := log2(x.n)
		*x.shift, ok[i] = 32-n, power && n >= 1 && n <= 30
	}
	if !ok[0] || !ok[1] || !ok[2] {
		return false
	}
	for j := range t.stride {
		t.lanes[j/8] |= 0x80 >> (j % 8)
	}
	t.vectors.fill(t)
	return true
}

// log2 returns the logarithm of a power of two.
func log2(n int) (uint, bool) {
	return uint(bits.Len(uint(n))) - 1, n > 0 && n&(n-1) == 0
}

// proveTier proves what resolve relies on.
func (s *Set) proveTier(t *tier) bool {
	if len(t.keys) != len(t.members) || !ascends(t.index, len(t.keys)) {
		return false
	}
	for i := range t.members {
		m := &t.members[i]
		if !s.proveMember(m) || m.window()+t.stride-1 > t.reach {
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
