// Package hive reads hives of the Windows registry offline.
//
//	0     "regf", 4 and 8 sequence numbers u32, equal unless a log has more, 36 root cell u32, 40 bytes of the bins u32
//	4096  bins; offsets count from here. A cell: size i32, below 0 when it is in use
//	nk    key: 2 flags u16 (0x20: name of one byte a letter), 4 time u64, 20 subkeys u32, 28 their list u32, 36 values u32,
//	      40 their list u32, 72 length of the name u16, 76 name
//	lf lh 2 count u16, 4 {key u32, hash u32}; li: {key u32}; ri: {list u32}
//	vk    value: 2 length of the name u16, 4 bytes u32 (top bit: in the next field), 8 data u32, 12 type u32, 16 flags u16, 20 name
//	db    long data: 2 count u16, 4 list u32 of stretches of 16,344 bytes
//
// Source: the format as documented by the projects that read it (Maxim Suhanov, "Windows
// registry file format specification"; libregf). What is damaged is left out, and Short says so.
package hive

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	base      = 4096
	segment   = 16344
	maxName   = 512
	maxValues = 1 << 16
	maxKeys   = 1 << 20 // visited in one file
	maxNested = 4       // lists in lists
)

// Hive is a hive.
type Hive struct {
	OK bool // it is one; if not, nothing else counts but Short
	// Dirty says that a log beside the file has changes that are not in it.
	Dirty bool

	p    *bound.Probe
	root int64
	keys int
	bad  bool
}

// Open reads the header; OK says whether src is a hive. work is asked for every
// read; nil is a bound of its own.
func Open(src showcause.Source, work func(steps int64) bool) *Hive {
	h := &Hive{p: bound.NewProbe(src, work)}
	head := h.p.Bytes(0, 48)
	if head == nil || string(head[:4]) != "regf" {
		return h
	}
	h.OK = true
	h.Dirty = le.Uint32(head[4:]) != le.Uint32(head[8:])
	h.root = int64(le.Uint32(head[36:]))
	return h
}

var le = binary.LittleEndian

// Short says that something was left out, because the work was stopped, a bound of this package
// was reached, or the hive is damaged there.
func (h *Hive) Short() bool { return h.bad || h.p.Short() || h.p.Err() != nil }

// cell returns the content of a cell, at least least bytes and no more than most; nil if it is none.
func (h *Hive) cell(off int64, least, most int64) []byte {
	var size int64
	if b := h.p.Bytes(base+off, 4); b != nil {
		size = -int64(int32(le.Uint32(b))) - 4
	}
	if off < 0 || size < least {
		h.bad = true
		return nil
	}
	b := h.p.Bytes(base+off+4, min(size, most))
	if b == nil {
		h.bad = true
		return nil
	}
	return append([]byte(nil), b...)
}

// Key is a key. The zero Key has nothing in it.
type Key struct {
	h    *Hive
	Name string
	// Offset is where the key's cell begins in the file, and Time when it was last changed: a FILETIME.
	Offset int64
	Time   uint64
	sub    int64
	nsub   uint32
	val    int64
	nval   uint32
}

// Root is the key that all others are in.
func (h *Hive) Root() (Key, bool) {
	if !h.OK {
		return Key{}, false
	}
	return h.key(h.root)
}

func (h *Hive) key(off int64) (k Key, ok bool) {
	if h.keys++; h.keys > maxKeys {
		h.p.Cut()
		return k, false
	}
	b := h.cell(off, 76, 76+2*maxName)
	if b == nil {
		return k, false
	}
	n := int(le.Uint16(b[72:]))
	if string(b[:2]) != "nk" || 76+n > len(b) {
		h.bad = true
		return k, false
	}
	k = Key{
		h: h, Offset: base + off, Time: le.Uint64(b[4:]), nsub: le.Uint32(b[20:]), sub: int64(le.Uint32(b[28:])),
		nval: le.Uint32(b[36:]), val: int64(le.Uint32(b[40:])), Name: name(b[76:76+n], le.Uint16(b[2:])&0x20 != 0),
	}
	return k, true
}

// name is a name of one or two bytes a letter.
func name(b []byte, narrow bool) string {
	if !narrow {
		return text(b)
	}
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// text is UTF-16LE up to the first zero.
func text(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		c := le.Uint16(b[i:])
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// Each gives the keys in a key, in order, until visit returns false.
func (k Key) Each(visit func(Key) bool) {
	if k.h != nil && k.nsub > 0 {
		k.h.list(k.sub, maxNested, visit)
	}
}

func (h *Hive) list(off int64, depth int, visit func(Key) bool) bool {
	b := h.cell(off, 4, 4+8*(1<<16))
	if b == nil {
		return true
	}
	width := int64(4)
	switch string(b[:2]) {
	case "lf", "lh":
		width = 8
	case "li", "ri":
	default:
		h.bad = true
		return true
	}
	for n, i := int64(le.Uint16(b[2:])), int64(0); i < n; i++ {
		at := 4 + i*width
		if at+4 > int64(len(b)) {
			h.bad = true
			break
		}
		to := int64(le.Uint32(b[at:]))
		if string(b[:2]) == "ri" {
			if depth == 0 {
				h.bad = true
				break
			}
			if !h.list(to, depth-1, visit) {
				return false
			}
			continue
		}
		if h.keys > maxKeys {
			return false
		}
		if k, ok := h.key(to); ok && !visit(k) {
			return false
		}
	}
	return true
}

// Sub is the key in a key with that name, in any case of ASCII letters.
func (k Key) Sub(name string) (out Key, ok bool) {
	k.Each(func(s Key) bool {
		if strings.EqualFold(s.Name, name) {
			out, ok = s, true
		}
		return !ok
	})
	return out, ok
}

// Find goes down a path, names with "\" between.
func (k Key) Find(path string) (Key, bool) {
	ok := k.h != nil
	for _, n := range strings.Split(path, `\`) {
		if !ok {
			break
		}
		k, ok = k.Sub(n)
	}
	return k, ok
}

// Value is a value of a key.
type Value struct {
	Name   string
	Type   uint32 // 1 and 2 text, 3 binary, 4 u32, 7 list of texts, 11 u64
	Data   []byte // MaxData bytes at most
	Offset int64  // of its cell in the file
	Cut    bool   // there is more data
}

// MaxData is how many bytes of a value are read.
const MaxData = 64 << 10

// Text is the value of a text, up to the first zero; "" for other types.
func (v Value) Text() string {
	if v.Type != 1 && v.Type != 2 && v.Type != 7 {
		return ""
	}
	return text(v.Data)
}

// Number is the value of a number, false for other types.
func (v Value) Number() (uint64, bool) {
	switch {
	case v.Type == 4 && len(v.Data) >= 4:
		return uint64(le.Uint32(v.Data)), true
	case v.Type == 11 && len(v.Data) >= 8:
		return le.Uint64(v.Data), true
	}
	return 0, false
}

// Values are the values of a key.
func (k Key) Values() (out []Value) {
	if k.h == nil || k.nval == 0 {
		return nil
	}
	n := int64(min(k.nval, maxValues))
	b := k.h.cell(k.val, 4, 4*n)
	for i := 0; i+4 <= len(b); i += 4 {
		if v, ok := k.h.value(int64(le.Uint32(b[i:]))); ok {
			out = append(out, v)
		}
	}
	if int64(len(b)) < 4*n || k.nval > maxValues {
		k.h.bad = true
	}
	return out
}

func (h *Hive) value(off int64) (v Value, ok bool) {
	b := h.cell(off, 20, 20+2*maxName)
	if b == nil {
		return v, false
	}
	n := int(le.Uint16(b[2:]))
	if string(b[:2]) != "vk" || 20+n > len(b) {
		h.bad = true
		return v, false
	}
	v = Value{Name: name(b[20:20+n], le.Uint16(b[16:])&1 != 0), Type: le.Uint32(b[12:]), Offset: base + off}
	size := le.Uint32(b[4:])
	if size&0x80000000 != 0 {
		v.Data = append([]byte(nil), b[8:8+min(size&0x7fffffff, 4)]...)
		return v, true
	}
	if size == 0 {
		return v, true
	}
	want := min(int64(size), MaxData)
	v.Cut = int64(size) > want
	v.Data = h.data(int64(le.Uint32(b[8:])), int64(size), want)
	if int64(len(v.Data)) < want {
		h.bad = true
	}
	return v, true
}

// data reads the first want bytes of data of the given size.
func (h *Hive) data(off, size, want int64) []byte {
	if size <= segment {
		return h.cell(off, min(size, want), want)
	}
	head := h.cell(off, 8, 8)
	if head == nil || string(head[:2]) != "db" {
		return h.cell(off, want, want)
	}
	n := int64(le.Uint16(head[2:]))
	list := h.cell(int64(le.Uint32(head[4:])), 4, 4*n)
	var out []byte
	for i := 0; i+4 <= len(list) && int64(len(out)) < want; i += 4 {
		out = append(out, h.cell(int64(le.Uint32(list[i:])), 1, min(segment, want-int64(len(out))))...)
	}
	return out
}

// Lookup is the value of that name, in any case of ASCII letters; false if there is none.
func (k Key) Lookup(name string) (Value, bool) {
	for _, v := range k.Values() {
		if strings.EqualFold(v.Name, name) {
			return v, true
		}
	}
	return Value{}, false
}

// Text is the text of the value of that name, "" if there is none.
func (k Key) Text(name string) string {
	v, _ := k.Lookup(name)
	return v.Text()
}
