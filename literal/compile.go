package literal

import (
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

	// The literal is looked for under each key from XorLo to XorHi, that is with
	// every byte exclusive-or the key; under 0 alone where both are zero. Where
	// it is under another, Fold must not be set. The key of a Hit is the byte at
	// its place exclusive-or the first of Bytes.
	XorLo, XorHi byte
}

// Compile makes the tables for the literals; Open takes them. The ID of a
// literal is its index. The same literals give the same blob on every machine.
func Compile(lits []Literal) ([]byte, error) { return CompileLike(lits, new(Plan)) }

// Plan is how the literals of a Compile are dealt out to tiers; the zero value is
// none yet.
type Plan struct {
	choice choice
	open   [2][]shape
	made   bool
}

// CompileLike is Compile by a plan, which it makes if there is none yet: for a set
// that is most of another one it is as good, and not to be found once more.
func CompileLike(lits []Literal, p *Plan) ([]byte, error) {
	if len(lits) > math.MaxInt32/maxLen {
		return nil, fmt.Errorf("literals: %d are too many", len(lits))
	}
	c := compiler{blob: make([]byte, headerSize)}
	all := make([]literal, 0, len(lits))
	c.spell = spellKeys(lits)
	longest := 0
	for i := range lits {
		l := &lits[i]
		switch {
		case len(l.Bytes) == 0 || len(l.Bytes) > maxLen:
			return nil, fmt.Errorf("literal %d: length %d is not 1 to %d", i, len(l.Bytes), maxLen)
		case l.XorLo > l.XorHi:
			return nil, fmt.Errorf("literal %d: keys %d to %d", i, l.XorLo, l.XorHi)
		case l.XorHi > 0 && l.Fold:
			return nil, fmt.Errorf("literal %d: keys, and case is ignored", i)
		}
		longest = max(longest, len(l.Bytes))
		all = c.enter(all, uint32(i), l)
	}
	if c.large || len(c.pool) > math.MaxInt32 {
		return nil, errLarge
	}
	short, tiers := plan(all, p)
	c.blob = append(c.blob, make([]byte, tierSize*len(tiers))...)
	c.number(20, uint32(longest))
	c.number(16, uint32(len(lits)))
	c.number(24, uint32(len(tiers)))
	section(&c, 32, c.pool)
	if len(short) > 0 {
		c.shortTier(short)
	}
	for i := range tiers {
		c.strideTier(headerSize+i*tierSize, &tiers[i])
	}
	if c.large {
		return nil, errLarge
	}
	copy(c.blob, magic)
	binary.LittleEndian.PutUint64(c.blob[8:], uint64(len(c.blob)))
	return c.blob, nil
}

var errLarge = fmt.Errorf("literals: tables of more than 4 GiB")

const (
	keysApart   = 4 // as many keys are as many literals
	keyedLength = 5 // of a literal below, each key makes a literal
)

// spellKeys tells whether the literals of all keys are so few, beside the others,
// that a tier for them costs more.
func spellKeys(lits []Literal) bool {
	keyed, plain := 0, 0
	for i := range lits {
		if n := int(lits[i].XorHi) - int(lits[i].XorLo); n > 0 {
			keyed += n + 1
		} else {
			plain++
		}
	}
	return keyed <= spellMost && keyed <= plain/2
}

const spellMost = 4096

// enter appends what the tiers know l as: one literal, or one for each key.
func (c *compiler) enter(all []literal, id uint32, l *Literal) []literal {
	m := member{id: id, what: uint32(len(l.Bytes)) << 8}
	add := func(text []byte) {
		m.off = uint32(len(c.pool))
		c.pool = append(c.pool, text...)
		all = append(all, literal{m, text})
	}
	switch {
	case l.Fold:
		text, letters := lowerCase(l.Bytes)
		if letters {
			m.what |= isFold << 16
			add(text)
			return all
		}
		add(l.Bytes)
	case c.spell || int(l.XorHi)-int(l.XorLo) < keysApart || len(l.Bytes) < keyedLength:
		for key := int(l.XorLo); key <= int(l.XorHi); key++ {
			text := slices.Clone(l.Bytes)
			for i := range text {
				text[i] ^= byte(key)
			}
			add(text)
		}
	default:
		m.what |= isXor << 16
		m.check = uint32(l.XorLo) | uint32(l.XorHi)<<8
		add(l.Bytes)
	}
	return all
}

// compiler holds the blob as it grows.
type compiler struct {
	blob  []byte
	pool  []byte
	large bool // an offset did not fit
	spell bool // each key makes a literal
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

// strideTier appends the sections of t, and describes them at the given place.
func (c *compiler) strideTier(at int, t *strideTier) {
	t.place()
	type entry struct {
		key uint32
		i   int
	}
	entries := make([]entry, len(t.lits))
	windows := make([]uint32, len(t.lits))
	grams := make([]uint64, 0, len(t.lits)*t.stride)
	reach := 0
	for i := range t.lits {
		l := &t.lits[i]
		l.setCheck(t.width())
		windows[i] = t.windowHash(l, l.window())
		entries[i] = entry{spread(windows[i]), i}
		for p := range t.stride {
			grams = append(grams, (t.load(l, l.window()+p)|t.or)&t.gramMask)
		}
		reach = max(reach, l.window()+t.stride-1)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(t.lits[a.i].id, t.lits[b.i].id), cmp.Compare(a.i, b.i))
	})
	size := max(1, bits.Len(uint(len(entries)))-1)
	index := make([]uint32, 1<<size+1)
	keys := make([]uint32, len(entries))
	members := make([]member, len(entries))
	for i, e := range entries {
		index[e.key>>(32-size)+1]++
		keys[i], members[i] = e.key, t.lits[e.i].member
	}
	for i := range len(index) - 1 {
		index[i+1] += index[i]
	}
	filter, salt := t.filter(grams)
	windowBits := min(filterMost, max(filterLeast, bits.Len(uint(len(windows)*24/32))))
	c.number(at, uint32(t.stride))
	c.number(at+4, uint32(t.gram))
	c.number(at+8, uint32(t.kind))
	c.number(at+12, uint32(reach))
	c.number(at+16, salt)
	section(c, at+24, filter)
	section(c, at+32, bloom(windows, windowBits))
	section(c, at+40, index)
	section(c, at+48, keys)
	section(c, at+56, members)
}

// setCheck chooses the check of l: the 4 bytes after its window, which has the
// given width, or where there are not as many, those before, or what there is.
func (l *literal) setCheck(width int) {
	if l.xor() || len(l.text) < 4 {
		return
	}
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

// filter returns the filter of the grams, and the salt with which it passes the
// fewest common grams that are not among them.
func (t *strideTier) filter(grams []uint64) (words []uint32, salt uint32) {
	slices.Sort(grams)
	grams = slices.Compact(grams)
	size, _ := filterSize(uint64(len(grams)), t.stride)
	strangers := commonGrams(t.gram)
	if t.kind == delta {
		strangers = nil
	}
	for i := range strangers {
		strangers[i].bytes |= t.or & t.gramMask
	}
	strangers = slices.DeleteFunc(strangers, func(c commonGram) bool {
		_, found := slices.BinarySearch(grams, c.bytes)
		return found
	})
	hashes := make([]uint32, len(grams))
	least := uint64(math.MaxUint64)
	tries := max(1, min(8, (4<<20)/max(1, len(grams))))
	for try := range uint32(tries) {
		h := newHasher(t.stride, t.gram, t.kind, try)
		for i, g := range grams {
			hashes[i] = h.ofGram(g)
		}
		w := bloom(hashes, size)
		passed := uint64(0)
		for _, c := range strangers {
			v := h.ofGram(c.bytes)
			if bits := bitsOf(v); w[spread(v)>>(32-size)]&bits == bits {
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
