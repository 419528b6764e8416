package rar

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// kind is what a block is.
type kind uint8

const (
	otherBlock kind = iota
	mainBlock
	fileBlock // or a service
	sealBlock // headers are encrypted from here on
	endBlock
	noBlock // the signature of the next volume
)

// block is one block of an archive, its header read.
type block struct {
	kind   kind
	at     int64 // in the layer
	data   int64 // where its data begin
	size   int64 // of them
	sum    bool  // the checksum of the header fits
	skip   bool  // of a kind that those who do not know it pass over
	member member
	volume bool // of the main block: it is one of a set
	solid  bool
	sealed *cipher
	number int64          // of the volume, -1 if the block does not say
	code   showcause.Code // why it cannot be read, "" if it can
	spent  bool           // limits are
}

// next is where the next block begins.
func (b *block) next() int64 { return bound.Add(b.data, b.size) }

// block reads the header of the block at at.
func (a *archive) block(at int64) block {
	b := block{at: at, number: -1}
	if !a.out.Work(512) {
		b.spent = true
		return b
	}
	if sign, _ := bound.ReadAt(a.src, at, 64, 64); plausible(sign) {
		b.kind, b.data = noBlock, at
		return b
	}
	hd, ok := a.header(at)
	switch {
	case !ok:
		b.code = showcause.Encrypted
	case a.five:
		a.block5(hd, &b)
	default:
		a.block4(hd, &b)
	}
	return b
}

// block4 reads one of version 4.
func (a *archive) block4(hd head, b *block) {
	b.code = showcause.Corrupt
	h, _ := bound.ReadAt(hd.src, hd.off, 7, 7)
	if len(h) < 7 { // RAR before 3 wrote no end block; its compression is not read anyway
		return
	}
	flags, size := le.Uint16(h[3:]), int64(le.Uint16(h[5:]))
	if size < 7 {
		return
	}
	all, err := bound.ReadAt(hd.src, hd.off, size, 1<<16)
	if err != nil {
		return
	}
	b.data = b.at + hd.span(size)
	b.sum = crc32.ChecksumIEEE(all[2:])&0xffff == uint32(le.Uint16(all))
	if flags&0x8000 != 0 || h[2] == 0x74 || h[2] == 0x7a {
		if len(all) < 11 {
			return
		}
		b.size = int64(le.Uint32(all[7:]))
	}
	switch h[2] {
	case 0x73: // a comment in it has a block of its own inside
		b.kind, b.volume, b.solid = mainBlock, flags&1 != 0, flags&8 != 0
		if flags&0x100 != 0 {
			b.number = 0
		}
		if flags&0x80 != 0 {
			b.sealed = &cipher{}
		}
	case 0x74, 0x7a:
		m, ok := file4(all, flags)
		if !ok {
			return
		}
		b.kind, b.member, b.size = fileBlock, m, m.packed
		b.member.at = b.data
	case 0x7b:
		b.kind = endBlock
		at := 7
		if flags&2 != 0 { // a checksum of the volume
			at += 4
		}
		if flags&8 != 0 && len(all) >= at+2 {
			b.number = int64(le.Uint16(all[at:]))
		}
	case 0x72, 0x75, 0x76, 0x77, 0x78, 0x79: // old comments, authenticity, recovery
		b.skip = true
	default:
		return
	}
	b.code = ""
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

// block5 reads one of version 5.
func (a *archive) block5(hd head, b *block) {
	b.code = showcause.Corrupt
	h, _ := bound.ReadAt(hd.src, hd.off, min(7, max(hd.src.Size()-hd.off, 0)), 7)
	if len(h) < 6 {
		return
	}
	size, used := binary.Uvarint(h[4:])
	if used <= 0 || size == 0 || size > maxHeader {
		return
	}
	full := int64(used) + int64(size)
	if !a.out.Work(full / 8) {
		b.spent = true
		return
	}
	all, err := bound.ReadAt(hd.src, hd.off+4, full, maxHeader+8)
	if err != nil {
		return
	}
	b.data = b.at + hd.span(4+full)
	b.sum = crc32.ChecksumIEEE(all) == le.Uint32(h)
	n := &numbers{b: all[used:]}
	what, flags := n.next(), n.next()
	extra := int64(0)
	if flags&1 != 0 {
		extra = n.next()
	}
	if flags&2 != 0 {
		b.size = n.next()
	}
	if n.bad || extra > int64(len(n.b)) {
		return
	}
	tail := n.b[int64(len(n.b))-extra:]
	n.b = n.b[:int64(len(n.b))-extra]
	b.skip = flags&4 != 0
	switch what {
	case 1:
		f := n.next()
		b.kind, b.volume, b.solid = mainBlock, f&1 != 0, f&4 != 0
		if b.number = 0; f&2 != 0 {
			b.number = n.next()
		}
	case 2, 3:
		m := file5(n, tail)
		if n.bad {
			return
		}
		m.service = what == 3
		m.before, m.behind = flags&8 != 0, flags&16 != 0
		m.at, m.packed = b.data, b.size
		b.kind, b.member = fileBlock, m
	case 4:
		b.kind, b.sealed = sealBlock, cipher5(n, true)
	case 5:
		b.kind = endBlock
	}
	b.code = ""
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
