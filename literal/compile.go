package literal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Literal is one byte string to look for.
type Literal struct {
	Bytes []byte // 1 to 64 bytes
	Fold  bool   // ASCII letters compare without case
}

// Compile makes the tables for the literals; Open takes them. The ID of a
// literal is its index. The same literals give the same blob on every machine.
func Compile(lits []Literal) ([]byte, error) {
	if len(lits) > math.MaxInt32/maxLen {
		return nil, fmt.Errorf("literals: %d are too many", len(lits))
	}
	c := compiler{blob: make([]byte, headerSize)}
	all := make([]literal, len(lits))
	longest := 0
	var pool []byte
	for i, l := range lits {
		if len(l.Bytes) == 0 || len(l.Bytes) > maxLen {
			return nil, fmt.Errorf("literal %d: length %d is not 1 to %d", i, len(l.Bytes), maxLen)
		}
		longest = max(longest, len(l.Bytes))
		m := member{id: uint32(i), off: uint32(len(pool)), what: uint32(len(l.Bytes)) << 8}
		text := l.Bytes
		if l.Fold {
			if low, letters := lowerCase(text); letters {
				text = low
				m.what |= 1 << 16
			}
		}
		pool = append(pool, text...)
		all[i] = literal{m, text}
	}
	hot, tiers := plan(all)
	c.blob = append(c.blob, make([]byte, tierSize*len(tiers))...)
	c.number(20, uint32(longest))
	c.number(16, uint32(len(lits)))
	c.number(24, uint32(len(tiers)))
	section(&c, 32, pool)
	if len(hot) > 0 {
		c.pairTier(hot)
	}
	for i := range tiers {
		c.strideTier(headerSize+i*tierSize, &tiers[i])
	}
	if c.large {
		return nil, fmt.Errorf("literals: tables of more than 4 GiB")
	}
	copy(c.blob, magic)
	binary.LittleEndian.PutUint64(c.blob[8:], uint64(len(c.blob)))
	return c.blob, nil
}

// compiler holds the blob as it grows.
type compiler struct {
	blob  []byte
	large bool // an offset did not fit
}

func (c *compiler) number(at int, v uint32) { binary.LittleEndian.PutUint32(c.blob[at:], v) }

// section appends a section, and writes where it is at the given place.
func section[T element](c *compiler, at int, s []T) {
	if uint64(len(c.blob)) > math.MaxUint32 || uint64(len(s)) > math.MaxUint32 {
		c.large = true
		return
	}
	c.number(at, uint32(len(c.blob)))
	c.number(at+4, uint32(len(s)))
	c.blob = encode(c.blob, s)
}

// entry is a key of a stride tier, and what it stands for.
type entry struct {
	bucket uint32
	key    uint32
	val    uint32
}

// strideTier appends the sections of t, and describes them at the given place.
func (c *compiler) strideTier(at int, t *strideTier) {
	t.place()
	starts, members, reach := t.group()
	var grams []uint32 // of each entry
	var entries []entry
	var room [16]uint32
	for _, first := range starts {
		l := &t.lits[first]
		for p := range t.stride {
			key := t.key(l, p)
			for _, gram := range t.grams(room[:0], l, p) {
				grams = append(grams, gram)
				entries = append(entries, entry{0, key, first<<phaseBits | uint32(p)})
			}
		}
	}
	indexBits := max(1, bits.Len(uint(len(entries)))-1)
	filter, salt := t.filter(grams)
	for i := range entries {
		entries[i].bucket = uint32(uint64(grams[i]) * factor(salt) >> (64 - indexBits))
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.key, b.key), cmp.Compare(a.val, b.val))
	})
	entries = slices.Compact(entries)
	index := make([]uint32, 1<<indexBits+1)
	keys := make([]uint32, len(entries))
	vals := make([]uint32, len(entries))
	for i, e := range entries {
		index[e.bucket+1]++
		keys[i], vals[i] = e.key, e.val
	}
	for i := range len(index) - 1 {
		index[i+1] += index[i]
	}
	lower := uint32(0)
	if t.lower {
		lower = 1
	}
	c.number(at, uint32(t.stride))
	c.number(at+4, lower)
	c.number(at+8, uint32(reach))
	c.number(at+12, salt)
	section(c, at+16, filter)
	section(c, at+24, index)
	section(c, at+32, keys)
	section(c, at+40, vals)
	section(c, at+48, members)
}

// group sorts the literals of the tier by window and returns where each group
// of the same window begins, the members, and the tier's reach.
func (t *strideTier) group() (starts []uint32, members []member, reach int) {
	window := func(l *literal) []byte { return l.text[l.window():][:t.width()] }
	slices.SortFunc(t.lits, func(a, b literal) int {
		return cmp.Or(bytes.Compare(window(&a), window(&b)), cmp.Compare(a.what>>16&1, b.what>>16&1), cmp.Compare(a.id, b.id))
	})
	for i := range t.lits {
		l := &t.lits[i]
		if i == 0 || !bytes.Equal(window(l), window(&t.lits[i-1])) || l.fold() != t.lits[i-1].fold() {
			starts = append(starts, uint32(i))
			if i > 0 {
				members[i-1].what |= 1 << 17
			}
		}
		l.setCheck(t.width())
		members = append(members, l.member)
		reach = max(reach, l.window()+t.stride-1)
	}
	members[len(members)-1].what |= 1 << 17
	return starts, members, reach
}

// setCheck chooses the check of l: the 4 bytes after its window, which has the
// given width, or where there are not as many, those before, or what there is.
func (l *literal) setCheck(width int) {
	at := l.window() + width
	if at+4 > len(l.text) {
		at = max(0, l.window()-4)
		if l.window() < len(l.text)-l.window()-width {
			at = len(l.text) - 4
		}
	}
	l.what |= uint32(at) << 24
	l.check = binary.LittleEndian.Uint32(l.text[at:])
	if l.fold() {
		l.check |= lower4
	}
}

// key returns the key of phase p of l.
func (t *strideTier) key(l *literal, p int) uint32 {
	kind := uint32(p)
	if l.fold() {
		kind |= foldKind
	}
	return keyOf(l.text, l.window(), t.stride, kind)
}

// filter returns a filter of the grams, 12 to 24 bits for each, up to 1 MiB, and
// the salt with which it passes the fewest common grams that are not among them.
func (t *strideTier) filter(grams []uint32) (words []uint64, salt uint32) {
	distinct := slices.Compact(slices.Sorted(slices.Values(grams)))
	size := min(17, max(8, bits.Len(uint(len(distinct)*12/64))))
	strangers := commonGrams()
	if t.lower {
		for i := range strangers {
			strangers[i].gram |= lower4
		}
	}
	strangers = slices.DeleteFunc(strangers, func(c commonGram) bool {
		_, found := slices.BinarySearch(distinct, c.gram)
		return found
	})
	least := uint64(1<<64 - 1)
	for try := range uint32(16) {
		w := bloom(distinct, size, factor(try))
		passed := uint64(0)
		for _, c := range strangers {
			h := uint64(c.gram) * factor(try)
			word := w[h>>filterShift&(1<<size-1)]
			if word>>(h>>32&63)&(word>>(h>>38&63))&1 != 0 {
				passed += c.weight
			}
		}
		if passed < least {
			words, salt, least = w, try, passed
		}
		if least == 0 {
			break
		}
	}
	return words, salt
}

// bloom returns a filter of 1<<size words.
func bloom(grams []uint32, size int, factor uint64) []uint64 {
	words := make([]uint64, 1<<size)
	for _, g := range grams {
		h := uint64(g) * factor
		words[h>>filterShift&(1<<size-1)] |= 1<<(h>>32&63) | 1<<(h>>38&63)
	}
	return words
}
