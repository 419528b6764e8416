// Package zipdir lists a zip file by its central directory, and reads single members
// of it. It is for those who ask what a zip file says of itself; whoever wants all
// that is in one, by every reading, takes package unpack/zip.
//
// Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.
package zipdir

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	maxEntries = 1 << 18
	maxNames   = 16 << 20 // bytes of all names
	endSize    = 22
	maxComment = 1<<16 - 1

	endMagic     = "PK\x05\x06"
	end64Magic   = "PK\x06\x06"
	locate64     = "PK\x06\x07"
	centralMagic = "PK\x01\x02"
	localMagic   = "PK\x03\x04"
)

// Methods that Read knows.
const (
	Stored   = 0
	Deflated = 8
)

// Entry is a member as the directory has it.
type Entry struct {
	Name         string // UTF-8; of code page 437 without the flag for UTF-8
	Flags        uint16
	Method       uint16
	Size, Packed uint64 // bytes
	header       uint64 // offset of the local header from the start of the archive
}

// Archive is a zip file.
type Archive struct {
	OK      bool // it is one; if not, nothing else counts but Short
	Entries []Entry

	p     *bound.Probe
	src   showcause.Source
	start int64 // of the archive in the file; what is before it is no part of it
}

// Open reads the directory; OK says whether there is one. work is asked for every
// read; nil is a bound of its own.
func Open(src showcause.Source, work func(steps int64) bool) *Archive {
	a := &Archive{p: bound.NewProbe(src, work), src: src}
	size := src.Size()
	tail := min(size, endSize+maxComment)
	b := bytes.Clone(a.p.Bytes(size-tail, tail))
	for i := len(b) - endSize; i >= 0; i-- {
		if i = bytes.LastIndex(b[:i+4], []byte(endMagic)); i < 0 {
			break
		}
		if i+endSize <= len(b) && a.directory(size-tail+int64(i), b[i:]) {
			a.OK = true
			break
		}
	}
	return a
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (a *Archive) Short() bool { return a.p.Short() || a.p.Err() != nil }

// directory reads the directory that the end record at end says there is.
func (a *Archive) directory(end int64, b []byte) bool {
	le := binary.LittleEndian
	count, size, off := uint64(le.Uint16(b[10:])), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	at := end // what the directory ends at
	if l := a.p.Bytes(end-20, 20); l != nil && string(l[:4]) == locate64 {
		where := le.Uint64(l[8:])
		if r := a.p.Bytes(int64(min(where, 1<<62)), 56); r != nil && string(r[:4]) == end64Magic {
			count, size, off = le.Uint64(r[32:]), le.Uint64(r[40:]), le.Uint64(r[48:])
			at = int64(where)
		}
	}
	if size > uint64(at) || off > 1<<62 {
		return false
	}
	// Offsets count from the start of the archive, which need not be that of the file.
	first := int64(off)
	if h := a.p.Bytes(first, 4); count > 0 && (h == nil || string(h) != centralMagic) {
		first = at - int64(size)
		a.start = first - int64(off)
		if h := a.p.Bytes(first, 4); a.start < 0 || h == nil || string(h) != centralMagic {
			a.start = 0
			return false
		}
	}
	return a.list(first, count)
}

// list reads count entries from at on, false if there are fewer.
func (a *Archive) list(at int64, count uint64) bool {
	le := binary.LittleEndian
	names := 0
	for n := range count {
		h := a.p.Bytes(at, 46)
		if h == nil || string(h[:4]) != centralMagic {
			if a.p.Short() {
				return true
			}
			a.Entries = nil
			return false
		}
		e := Entry{
			Flags: le.Uint16(h[8:]), Method: le.Uint16(h[10:]),
			Packed: uint64(le.Uint32(h[20:])), Size: uint64(le.Uint32(h[24:])), header: uint64(le.Uint32(h[42:])),
		}
		name, extra, comment := int64(le.Uint16(h[28:])), int64(le.Uint16(h[30:])), int64(le.Uint16(h[32:]))
		if names += int(name); n == maxEntries || names > maxNames || !a.p.Step(name) {
			a.p.Cut()
			return true
		}
		e.Name = decode(string(a.p.Bytes(at+46, name)), e.Flags)
		a.wide(&e, bytes.Clone(a.p.Bytes(at+46+name, extra)))
		a.Entries = append(a.Entries, e)
		at += 46 + name + extra + comment
	}
	return true
}

// wide takes lengths of 64 bits from the extra fields.
func (a *Archive) wide(e *Entry, extra []byte) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return
		}
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 1 {
			continue
		}
		for _, v := range []*uint64{&e.Size, &e.Packed, &e.header} {
			if *v == 1<<32-1 && len(field) >= 8 {
				*v, field = le.Uint64(field), field[8:]
			}
		}
	}
}

// Find is the first entry of that name, false if there is none.
func (a *Archive) Find(name string) (Entry, bool) {
	for _, e := range a.Entries {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// Data is the bytes of a member as they are packed. It is false where they are not there.
func (a *Archive) Data(e Entry) (showcause.Source, bool) {
	if e.Packed > uint64(a.src.Size()) || e.header > 1<<62 {
		return nil, false
	}
	at := bound.Add(a.start, int64(e.header))
	h := a.p.Bytes(at, 30)
	if h == nil || string(h[:4]) != localMagic {
		return nil, false
	}
	at += 30 + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	if !a.p.Has(at, int64(e.Packed)) {
		return nil, false
	}
	return bound.Section(a.src, at, int64(e.Packed)), true
}

// Read reads a member of at most max bytes. It is false if there is more, if the
// member is encrypted or of another method, or if it is damaged.
func (a *Archive) Read(e Entry, max int64) ([]byte, bool) {
	if e.Size > uint64(max) || e.Flags&1 != 0 {
		return nil, false
	}
	packed, ok := a.Data(e)
	if !ok || !a.p.Step(int64(e.Packed)+int64(e.Size)) {
		return nil, false
	}
	var r io.Reader = bound.Reader(packed, 0, -1)
	switch e.Method {
	case Stored:
	case Deflated:
		r = flate.NewReader(r)
	default:
		return nil, false
	}
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	return b, err == nil && int64(len(b)) <= max && uint64(len(b)) == e.Size
}

// upper are the characters of code page 437 from 0x80 on.
const upper = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
	"αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"

// decode makes UTF-8 of a name.
func decode(name string, flags uint16) string {
	const isUTF8 = 1 << 11
	if flags&isUTF8 != 0 {
		return strings.ToValidUTF8(name, "\uFFFD")
	}
	plain := true
	for i := range len(name) {
		plain = plain && name[i] < 0x80
	}
	if plain {
		return name
	}
	page := []rune(upper)
	var b strings.Builder
	for i := range len(name) {
		if name[i] < 0x80 {
			b.WriteByte(name[i])
		} else {
			b.WriteRune(page[name[i]-0x80])
		}
	}
	return b.String()
}
