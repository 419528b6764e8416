package pattern

import (
	"errors"
	"fmt"
	"strings"
)

// Set is a set of bytes.
type Set [4]uint64

// Has tells whether the set has c.
func (s *Set) Has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

// Add puts c into the set.
func (s *Set) Add(c byte) { s[c>>6] |= 1 << (c & 63) }

// Form is one way in which a text may be spelled: with letters of either case,
// with a key on every byte, alone as a word, within base64.
type Form struct {
	Value []byte
	Fold  bool // ASCII letters compare without case
	// Full asks that the match is not next to an ASCII letter or digit; in wide
	// text, one with a zero byte behind it. Neighbours are looked at with the key
	// taken off, or, with Raw, as they stand.
	Full, Wide, Raw bool
	// Every byte is exclusive-or one key from XorLo to XorHi; no key if XorHi is 0.
	XorLo, XorHi byte
	// Before and After are what the bytes around must be, in the order of the
	// text, at most 8 of each; with Spread, every second byte only.
	Before, After []Set
	Spread        bool
}

// The heads of forms.
const (
	formFold = 1 << iota
	formFull
	formWide
	formRaw
	formKeyed
	formSpread
	formAll = 1<<iota - 1

	formHead  = 5 // bytes before the sets
	maxAround = 8
)

// compileForms is Compile for a pattern of forms.
func compileForms(forms []Form, score func([]byte, bool) int) (Program, []Atom, error) {
	if len(forms) > maxVariants {
		return nil, nil, fmt.Errorf("pattern: %d forms, at most %d", len(forms), maxVariants)
	}
	items := make([][]byte, 0, len(forms))
	atoms := make([]Atom, 0, len(forms))
	for i, f := range forms {
		if len(f.Value) == 0 {
			return nil, nil, errors.New("pattern: form without a byte")
		}
		if f.XorHi > 0 && f.Fold || f.XorLo > f.XorHi || len(f.Before) > maxAround || len(f.After) > maxAround {
			return nil, nil, errors.New("pattern: form with a key and without case, or keys out of order, or too many bytes around")
		}
		if f.plain() && len(forms) == 1 {
			return compileVariants([][]Elem{{{Kind: Bytes, Value: f.Value, Fold: f.Fold}}}, score)
		}
		item, seed := f.encode(score)
		items = append(items, item)
		atoms = append(atoms, Atom{Literal: seed.lit, Fold: seed.fold, XorLo: f.XorLo, XorHi: f.XorHi, Place: uint32(i)<<24 | uint32(seed.off)})
	}
	p := Program(appendItems([]byte{flagForms}, len(items), func(dst []byte, i int) []byte { return append(dst, items[i]...) }))
	if len(p) > maxProgram {
		return nil, nil, fmt.Errorf("pattern: program of %d bytes, at most %d", len(p), maxProgram)
	}
	return p, atoms, nil
}

func (f *Form) plain() bool {
	return !f.Full && f.XorHi == 0 && len(f.Before) == 0 && len(f.After) == 0
}

// encode returns the form as it stands in a program, and its best seed.
func (f *Form) encode(score func([]byte, bool) int) ([]byte, seed) {
	el := Elem{Kind: Bytes, Value: append([]byte(nil), f.Value...)}
	var head byte
	flag := func(bit byte, on bool) {
		if on {
			head |= bit
		}
	}
	flag(formFull, f.Full)
	flag(formWide, f.Wide)
	flag(formRaw, f.Raw)
	flag(formKeyed, f.XorHi > 0)
	flag(formSpread, f.Spread)
	if f.Fold && letters(f.Value) {
		head |= formFold
		el.Fold = true
		for i, c := range el.Value {
			el.Value[i] = lower(c)
		}
	}
	b := make([]byte, 0, formHead+32*(len(f.Before)+len(f.After))+len(el.Value))
	b = append(b, head, f.XorLo, f.XorHi, byte(len(f.Before)), byte(len(f.After)))
	for _, sets := range [2][]Set{f.Before, f.After} {
		for _, s := range sets {
			for _, w := range s {
				b = le.AppendUint64(b, w)
			}
		}
	}
	_, seed, _ := bestRun(&el, score) // it has a byte, and no mask
	return append(b, el.Value...), seed
}

// checkForms proves a program of forms, and places in it.
func (p Program) checkForms(places []uint32) bool {
	if p[0] != flagForms || !checkList(list(p[1:]), checkForm) || list(p[1:]).count() > maxVariants {
		return false
	}
	l := list(p[1:])
	for _, at := range places {
		if int(at>>24) >= l.count() || int(at&(1<<24-1)) >= len(formOf(l.item(int(at>>24))).value) {
			return false
		}
	}
	return true
}

func checkForm(b []byte) bool {
	return len(b) > formHead && b[0]&^formAll == 0 && b[1] <= b[2] && b[3] <= maxAround && b[4] <= maxAround &&
		len(b) > formHead+32*(int(b[3])+int(b[4]))
}

// form is an encoded form.
type form struct {
	head, lo, hi  byte
	before, after []byte // sets, 32 bytes each
	value         []byte
}

func formOf(b []byte) form {
	f := form{head: b[0], lo: b[1], hi: b[2]}
	x, y := 32*int(b[3]), 32*int(b[4])
	b = b[formHead:]
	f.before, f.after, f.value = b[:x], b[x:x+y], b[x+y:]
	return f
}

// verifyForm is Verify for a program of forms.
func (m *Matcher) verifyForm(p Program, place uint32, at int64, emit func(off, n int64) bool) bool {
	f := formOf(list(p[1:]).item(int(place >> 24)))
	within := int64(place & (1<<24 - 1))
	off, n := at-within, int64(len(f.value))
	if off < 0 || off > m.in.Size()-n || !m.spend(n) {
		return false
	}
	key := byte(0)
	if f.head&formKeyed != 0 {
		c, ok := m.in.byteAt(at)
		if key = c ^ f.value[within]; !ok || key < f.lo || key > f.hi || !m.keyed(f.value, key, off) {
			return false
		}
	} else if !m.equal(f.value, nil, f.head&formFold != 0, off) {
		return false
	}
	if f.head&formRaw != 0 {
		key = 0
	}
	if f.head&formFull != 0 && m.touches(off, off+n, f.head&formWide != 0, key) {
		return false
	}
	step := int64(1)
	if f.head&formSpread != 0 {
		step = 2
	}
	if !m.fits(f.before, off-step*int64(len(f.before)/32), step) || !m.fits(f.after, off+n, step) {
		return false
	}
	emit(off, n)
	return true
}

// keyed compares the value under a key with the bytes at off.
func (m *Matcher) keyed(val []byte, key byte, off int64) bool {
	for i := 0; i < len(val); {
		v := m.in.View(off+int64(i), int64(len(val)-i))
		if len(v) == 0 {
			return false
		}
		for j, b := range v {
			if b^key != val[i+j] {
				return false
			}
		}
		i += len(v)
	}
	return true
}

// touches tells whether a letter or digit is next to the bytes from off to end:
// libyara/scan.c of YARA 4.5, fullword.
func (m *Matcher) touches(off, end int64, wide bool, key byte) bool {
	alnum := func(at int64) bool {
		c, ok := m.in.byteAt(at)
		return ok && isAlnum(c^key)
	}
	if !wide {
		return alnum(off-1) || alnum(end)
	}
	zero := func(at int64) bool {
		c, ok := m.in.byteAt(at)
		return ok && c^key == 0
	}
	return zero(off-1) && alnum(off-2) || zero(end+1) && alnum(end)
}

// fits tells whether the bytes at off are in the sets.
func (m *Matcher) fits(sets []byte, off, step int64) bool {
	for ; len(sets) > 0; sets = sets[32:] {
		c, ok := m.in.byteAt(off)
		if !ok || le.Uint64(sets[8*(c>>6):])>>(c&63)&1 == 0 {
			return false
		}
		off += step
	}
	return true
}

// writeForm writes a form for people.
func writeForm(b *strings.Builder, f form) {
	writeBytes(b, f.value, nil, f.head&formFold != 0)
	if f.head&formKeyed != 0 {
		fmt.Fprintf(b, " xor(%d-%d)", f.lo, f.hi)
	}
	if f.head&formFull != 0 {
		b.WriteString(" fullword")
	}
	if len(f.before)+len(f.after) > 0 {
		b.WriteString(" in base64")
	}
}

// Literal returns the bytes that stand at a place of a program, MaxAtom at most,
// for a search that looks for little else; not ok for those with a key.
func (p Program) Literal(place uint32) (lit []byte, fold, ok bool) {
	switch {
	case p.plain():
		lit, fold = p[1+place:], p[0]&flagFold != 0
	case p[0]&flagForms != 0:
		f := formOf(list(p[1:]).item(int(place >> 24)))
		if f.head&formKeyed != 0 {
			return nil, false, false
		}
		lit, fold = f.value[place&(1<<24-1):], f.head&formFold != 0
	default:
		path, off := p.seedPath(place)
		alts := p.variants()
		for {
			el := list(alts.item(int(le.Uint16(path)))).item(int(le.Uint16(path[2:])))
			if path = path[4:]; len(path) > 0 {
				alts = list(el[1:])
				continue
			}
			var mask []byte
			lit, mask, fold = value(el)
			lit = lit[off:]
			for i := range lit {
				if mask != nil && mask[off+int64(i)] != 0xff {
					lit = lit[:i]
					break
				}
			}
			break
		}
	}
	lit = lit[:min(len(lit), MaxAtom)]
	return lit, fold && letters(lit), len(lit) > 0
}
