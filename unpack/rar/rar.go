// Package rar reads RAR archives.
package rar

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	le     = binary.LittleEndian
	magic  = []byte("Rar!\x1a\x07")
	magic4 = []byte("Rar!\x1a\x07\x00")
	magic5 = []byte("Rar!\x1a\x07\x01\x00")
)

// Format reads RAR archives of versions 2.9 to 7 (RARLAB, "RAR 5.0 archive
// format"; for older ones, technote.txt of RAR 3), at the start of a layer and anywhere in a program.
//
//	version 4   blocks: checksum (2), type, flags, size (2), size of the data (4)
//	version 5   blocks: checksum (4), size, type, flags, sizes of the extra area and of the data
//
// Each file is a child, "rar.stored", "rar.lz3" or "rar.lz5" by its decoder, and
// services are as files ("rar.service"): comments, streams. What stands behind an
// archive is a child, "rar.rest". What is encrypted,
// headers too, is tried with each password (unpack.Out.Passwords); what opens has
// ".decrypted" behind its operation. What does not open, stands in another volume, or was compressed by RAR before 2.9, is a gap each.
func Format() unpack.Format {
	return unpack.Format{
		Name: "rar",
		Match: func(p *unpack.Probe) bool {
			return p.Type.String() == "rar" || p.Source != nil && isProgram(p.Type)
		},
		Walk: walk,
	}
}

// isProgram tells in what files archives are looked for anywhere.
func isProgram(t filetype.Type) bool {
	switch t {
	case filetype.PE, filetype.DOS, filetype.ELF, filetype.MachO, filetype.Universal:
		return true
	}
	return false
}

// plausible checks the first header behind the signature: version 5 has a CRC of
// it; before, the type of the main header, and its length.
func plausible(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, magic4) && len(b) >= 20:
		return b[9] == 0x73 && le.Uint16(b[12:]) >= 13
	case bytes.HasPrefix(b, magic5) && len(b) >= 16:
		n, used := binary.Uvarint(b[12:])
		if used <= 0 || used > 3 || n == 0 || n > maxHeader {
			return false
		}
		end := 12 + used + int(n)
		return end > len(b) || crc32.ChecksumIEEE(b[12:end]) == le.Uint32(b[8:])
	}
	return false
}

// maxHeader is the size in bytes of the largest header (RAR 5.0 archive format).
const maxHeader = 2 << 20

func walk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	end := int64(-1) // of the archive that the layer begins with
	switch head := bound.Head(src, 64); {
	case bytes.HasPrefix(head, []byte("RE~^")):
		out.Gap(gapMethod, 0, -1) // RAR 1.4
	case bytes.HasPrefix(head, []byte("Rar!")) && !plausible(head):
		if !bytes.HasPrefix(head, magic4) && !bytes.HasPrefix(head, magic5) {
			out.Gap(showcause.Corrupt, 0, -1)
			break
		}
		a := &archive{src: src, out: out}
		if !a.walk(0) {
			return
		}
		if off = a.end; !a.broken {
			end = off
		}
	}
	defer func() {
		if end >= 0 {
			out.Tail(src, end, "rar.rest")
		}
	}()
	for {
		at, ok := out.Find(src, off, magic, plausible)
		if !ok {
			return
		}
		a := &archive{src: src, out: out}
		if !a.walk(at) {
			return
		}
		if off = max(a.end, at+int64(len(magic))); at > 0 {
			out.Cover(at, off-at)
		} else if !a.broken {
			end = off
		}
	}
}

// archive is one archive while it is read.
type archive struct {
	src    showcause.Source
	out    *unpack.Out
	end    int64
	volume bool
	solid  bool
	first  bool // no file was read yet
	broken bool // its end is not known
	chain  *chain
	sealed *cipher  // of the headers, nil if they are not encrypted
	words  [][]byte // passwords
	right  []byte   // the one that opened something
}

// member is one file or service.
type member struct {
	name      string
	at        int64 // of its data in the layer
	packed    int64
	size      int64 // -1 if unknown
	dir       bool
	link      bool
	service   bool
	encrypted bool
	before    bool // it begins in the volume before
	behind    bool // it goes on in the next
	solid     bool
	method    int // 0 stored
	version   int // of the decoder: 15, 20, 26, 29, 36; 50, 70
	dict      int64
	summed    bool
	crc       uint32
	cipher    *cipher          // nil if it is not encrypted, or not known how
	data      showcause.Source // deciphered, once a password is known
	tweak     []byte           // key of its checksum, nil for none
}

// walk reads the archive that begins at off, and tells whether to go on.
func (a *archive) walk(off int64) bool {
	defer a.drop()
	a.first = true
	head, _ := bound.ReadAt(a.src, off, 8, 8)
	five := bytes.HasPrefix(head, magic5)
	at := off + int64(len(magic4))
	if five {
		at++
	}
	a.end = at
	for a.out.Work(512) {
		var next int64
		var more bool
		if five {
			next, more = a.block5(at)
		} else {
			next, more = a.block4(at)
		}
		a.end = max(a.end, min(next, a.src.Size()))
		if next < 0 {
			return false
		}
		if !more {
			return true
		}
		at = next
	}
	return false
}

// corrupt says that nothing can be read from off on; it ends the archive.
func (a *archive) corrupt(off int64) (int64, bool) {
	a.out.Gap(showcause.Corrupt, min(off, a.src.Size()), -1)
	a.broken = true
	return off, false
}

// block4 reads one block of version 4. It returns where the next begins, and
// whether there is one; -1 when limits are spent.
func (a *archive) block4(at int64) (next int64, more bool) {
	hd, ok := a.header(at)
	if !ok {
		a.out.Gap(showcause.Encrypted, at, -1)
		return a.src.Size(), false
	}
	h, _ := bound.ReadAt(hd.src, hd.off, 7, 7)
	if len(h) < 7 { // RAR before 3 wrote no end block; its compression is not read anyway
		return a.corrupt(at)
	}
	flags, size := le.Uint16(h[3:]), int64(le.Uint16(h[5:]))
	if size < 7 {
		return a.corrupt(at)
	}
	b, err := bound.ReadAt(hd.src, hd.off, size, 1<<16)
	if err != nil {
		return a.corrupt(at)
	}
	end := at + hd.span(size)
	data := int64(0)
	if flags&0x8000 != 0 || h[2] == 0x74 || h[2] == 0x7a {
		if len(b) < 11 {
			return a.corrupt(at)
		}
		data = int64(le.Uint32(b[7:]))
	}
	switch h[2] {
	case 0x73:
		a.volume, a.solid = flags&1 != 0, flags&8 != 0
		if flags&0x80 != 0 {
			a.sealed = &cipher{}
		}
		return end, true // a comment in it has a block of its own inside
	case 0x74, 0x7a:
		m, ok := file4(b, flags)
		if !ok {
			return a.corrupt(at)
		}
		if crc32.ChecksumIEEE(b[2:])&0xffff != uint32(le.Uint16(b)) {
			a.out.Gap(showcause.Corrupt, at, end-at)
		}
		m.at = end
		if m.solid = m.solid || a.solid && !a.first && m.version < 20; m.packed > 0 || m.size > 0 {
			if !a.member(m) {
				return -1, false
			}
		}
		data = m.packed
	case 0x7b:
		return end, false
	case 0x72, 0x75, 0x76, 0x77, 0x78, 0x79:
		// Old comments, authenticity, recovery.
	default:
		return a.corrupt(at)
	}
	return bound.Add(end, data), true
}

// file4 reads a file's header.
func file4(b []byte, flags uint16) (m member, ok bool) {
	if len(b) < 32 {
		return m, false
	}
	m = member{
		packed: int64(le.Uint32(b[7:])), size: int64(le.Uint32(b[11:])), crc: le.Uint32(b[16:]), summed: true,
		version: int(b[24]), method: int(b[25]) - 0x30, service: b[2] == 0x7a, dict: 4 << 20,
		before: flags&1 != 0, behind: flags&2 != 0, encrypted: flags&4 != 0, solid: flags&0x10 != 0, dir: flags&0xe0 == 0xe0,
	}
	n, at := int(le.Uint16(b[26:])), 32
	if flags&0x100 != 0 {
		if len(b) < 40 {
			return m, false
		}
		m.packed |= int64(le.Uint32(b[32:])&0x7fffffff) << 32
		m.size |= int64(le.Uint32(b[36:])&0x7fffffff) << 32
		at = 40
	} else if m.size == 1<<32-1 {
		m.size = -1
	}
	if at+n > len(b) {
		return m, false
	}
	name := b[at : at+n]
	if i := bytes.IndexByte(name, 0); i >= 0 { // what follows is the same in Unicode
		name = name[:i]
	}
	m.name = string(name)
	if m.encrypted {
		m.cipher = &cipher{}
		if at += n; flags&0x400 != 0 && at+saltSize3 <= len(b) {
			m.cipher.salt = bytes.Clone(b[at : at+saltSize3])
		}
	}
	return m, m.method >= 0 && m.method <= 5
}

// numbers reads the variable-length integers of version 5.
type numbers struct {
	b   []byte
	bad bool
}

func (n *numbers) next() int64 {
	v, used := binary.Uvarint(n.b)
	if used <= 0 || v>>63 != 0 {
		n.bad = true
		n.b = nil
		return 0
	}
	n.b = n.b[used:]
	return int64(v)
}

func (n *numbers) take(k int64) []byte {
	if k < 0 || k > int64(len(n.b)) {
		n.bad = true
		return nil
	}
	p := n.b[:k]
	n.b = n.b[k:]
	return p
}

func (n *numbers) u32() uint32 {
	if p := n.take(4); len(p) == 4 {
		return le.Uint32(p)
	}
	return 0
}

// block5 reads one block of version 5, as block4 does.
func (a *archive) block5(at int64) (next int64, more bool) {
	hd, ok := a.header(at)
	if !ok {
		a.out.Gap(showcause.Encrypted, at, -1)
		return a.src.Size(), false
	}
	h, _ := bound.ReadAt(hd.src, hd.off, min(7, max(hd.src.Size()-hd.off, 0)), 7)
	if len(h) < 6 {
		return a.corrupt(at)
	}
	size, used := binary.Uvarint(h[4:])
	if used <= 0 || size == 0 || size > maxHeader {
		return a.corrupt(at)
	}
	full := int64(used) + int64(size)
	if !a.out.Work(full / 8) {
		return -1, false
	}
	b, err := bound.ReadAt(hd.src, hd.off+4, full, maxHeader+8)
	if err != nil {
		return a.corrupt(at)
	}
	end := at + hd.span(4+full)
	if crc32.ChecksumIEEE(b) != le.Uint32(h) {
		a.out.Gap(showcause.Corrupt, at, end-at)
	}
	n := &numbers{b: b[used:]}
	kind, flags := n.next(), n.next()
	extra, data := int64(0), int64(0)
	if flags&1 != 0 {
		extra = n.next()
	}
	if flags&2 != 0 {
		data = n.next()
	}
	if n.bad || extra > int64(len(n.b)) {
		return a.corrupt(at)
	}
	tail := n.b[int64(len(n.b))-extra:]
	n.b = n.b[:int64(len(n.b))-extra]
	next = bound.Add(end, data)
	switch kind {
	case 1:
		f := n.next()
		a.volume, a.solid = f&1 != 0, f&4 != 0
	case 2, 3:
		m := file5(n, tail)
		if n.bad {
			return a.corrupt(at)
		}
		m.service = kind == 3
		m.before, m.behind = flags&8 != 0, flags&16 != 0
		m.at, m.packed = end, data
		if (m.packed > 0 || m.size > 0 && !m.dir && !m.link) && !a.member(m) {
			return -1, false
		}
	case 4:
		a.sealed = cipher5(n, true)
	case 5:
		return next, false
	default:
		if data > 0 && flags&4 == 0 {
			a.out.Gap(gapMethod, at, -1)
		}
	}
	return next, true
}

// file5 reads a file's header behind its flags.
func file5(n *numbers, extra []byte) member {
	m := member{}
	flags := n.next()
	m.size = n.next()
	n.next() // attributes
	if flags&2 != 0 {
		n.u32() // time
	}
	if flags&4 != 0 {
		m.crc, m.summed = n.u32(), true
	}
	if flags&8 != 0 {
		m.size = -1
	}
	m.dir = flags&1 != 0
	c := n.next()
	m.version = 50
	switch c & 63 {
	case 0:
		m.dict = 128 << 10 << min(c>>10&15, 15)
	case 1:
		m.version = 70
		m.dict = 128 << 10 << (c >> 10 & 31)
		m.dict += m.dict / 32 * (c >> 15 & 31)
	default:
		m.version = 99
	}
	m.solid = c&64 != 0
	m.method = int(c >> 7 & 7)
	n.next() // system
	m.name = string(n.take(n.next()))
	for e := (&numbers{b: extra}); len(e.b) > 0 && !e.bad; {
		r := &numbers{b: e.take(e.next())}
		switch kind := r.next(); {
		case r.bad:
		case kind == 1:
			m.encrypted, m.cipher = true, cipher5(r, false)
		case kind == 5: // a link, whose content is another file
			m.link = true
		}
	}
	return m
}
