package office

import (
	"cmp"
	"crypto/rc4"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	slidePassword = "/01Hannes Ruescher/01" // what PowerPoint tries before it asks ([MS-OFFCRYPTO] 2.4.2.3)
	lockedOp      = "cfb.encrypted"

	fibPlain   = 68  // bytes of a document of Word that are not encrypted ([MS-DOC] 2.2.6.2)
	wordBlock  = 512 // bytes under one key
	maxPersist = 1 << 16
	maxEdits   = 64
	maxSpans   = 1 << 20
)

// Sealed opens documents of Word and presentations of PowerPoint to 2003 that are encrypted by RC4 ([MS-DOC] 2.2.6,
// [MS-PPT] 2.3.7) with the password that PowerPoint itself tries, or one that is known: their streams,
// "office.decrypted", called as they are. What none opens is said, and so is the obfuscation of Word 95.
func Sealed() unpack.Format {
	return unpack.Format{Name: "office", Match: isCompound, Walk: sealedWalk}
}

// isLocked tells a stream of which it is known that it is encrypted.
func isLocked(p *unpack.Probe) bool {
	return len(p.Trail) > 0 && p.Trail[len(p.Trail)-1].Op == lockedOp
}

func sealedWalk(src showcause.Source, out *unpack.Out) {
	is := func(name string) bool {
		return strings.EqualFold(name, "WordDocument") || strings.EqualFold(name, "Current User")
	}
	eachStream(src, out, sealedMost, is, func(c *compound, i int) bool {
		if strings.EqualFold(c.Entries[i].Name, "WordDocument") {
			return c.word(i)
		}
		return c.slides(i)
	})
}

// locked are the streams of encrypted presentations.
func (c *compound) locked() map[int]bool {
	out := map[int]bool{}
	for i, e := range c.Entries {
		if e.Kind == cfb.Stream && len(e.Name) == len("Current User") && strings.EqualFold(e.Name, "Current User") && len(out) < 2*sealedMost {
			if doc, _ := c.lockedSlides(i); doc >= 0 {
				out[doc] = true
				if p := c.in(c.inside[doc], "Pictures"); p >= 0 {
					out[p] = true
				}
			}
		}
	}
	return out
}

// unlock is what a password opens that a description of RC4 tells, nil if none does: version, then what filepass has.
func (c *compound) unlock(b []byte, own ...string) keys {
	if len(b) < 4 {
		return nil
	}
	var all [][]byte
	for _, p := range own {
		all = append(all, []byte(p))
	}
	major, minor := le.Uint16(b), le.Uint16(b[2:])
	for _, p := range append(all, c.out.Passwords()...) {
		var k keys
		switch {
		case !c.out.Work(200):
			return nil
		case major == 1 && minor == 1:
			k = rc4Keys(b[4:], p)
		case major >= 2 && major <= 4 && minor == 2:
			k = cryptoAPI(b[4:], p)
		}
		if k != nil {
			return k
		}
	}
	return nil
}

// word opens the document whose stream is i, if it is encrypted, and tells whether to go on.
func (c *compound) word(i int) bool {
	const encrypted, obfuscated, otherTable = 0x100, 0x8000, 0x200
	b := c.read(i, 32)
	if len(b) < 18 || le.Uint16(b[10:])&encrypted == 0 {
		return true
	}
	flags, head := le.Uint16(b[10:]), int64(le.Uint32(b[14:]))
	name := "0Table"
	if flags&otherTable != 0 {
		name = "1Table"
	}
	table := c.in(c.inside[i], name)
	var key keys
	if flags&obfuscated == 0 {
		key = c.unlock(c.read(table, min(head, maxInfo)))
	}
	if key == nil {
		c.out.Gap(showcause.Encrypted, c.at(i), int64(c.Entries[i].Size))
		return true
	}
	for _, s := range []struct {
		stream int
		plain  int64
	}{{i, fibPlain}, {table, head}, {c.in(c.inside[i], "Data"), 0}} {
		if s.stream >= 0 && !c.plain(s.stream, &plainStream{cipher: blocks(key, wordBlock), plain: s.plain}) {
			return false
		}
	}
	return c.summary(i, key)
}

// plain gives a stream as a reader deciphers it.
func (c *compound) plain(i int, p *plainStream) bool {
	p.src, _, _ = c.stream(i)
	return c.out.Work(p.src.Size()/8+1) && c.out.Child(unpack.Child{Op: "office.decrypted", Name: c.path(i), Reader: p, Size: p.src.Size()})
}

// plainStream gives a stream without its encryption, but for the first bytes, which have none.
type plainStream struct {
	src    showcause.Source
	cipher decipher
	plain  int64
	at     int64
}

// Read implements io.Reader.
func (p *plainStream) Read(out []byte) (int, error) {
	n, err := p.src.ReadAt(out[:min(int64(len(out)), max(p.src.Size()-p.at, 0))], p.at)
	if p.at >= p.src.Size() {
		return 0, io.EOF
	}
	if n == 0 {
		return 0, bound.CutShort(err)
	}
	head := min(max(p.plain-p.at, 0), int64(n))
	p.cipher(out[head:n], p.at+head, 0)
	p.at += int64(n)
	return n, nil
}

// lockedSlides is the stream of the presentation that a stream "Current User" leads to, -1 if it is not encrypted, and where its last edit stands.
func (c *compound) lockedSlides(i int) (doc int, edit int64) {
	const token = 0xf3d1c4df // [MS-PPT] 2.3.2: headerToken
	b := c.read(i, 32)
	if len(b) < 20 || le.Uint32(b[12:]) != token {
		return -1, 0
	}
	return c.in(c.inside[i], "PowerPoint Document"), int64(le.Uint32(b[16:]))
}

// slides opens the presentation that the stream i leads to, if it is encrypted, and tells whether to go on.
func (c *compound) slides(i int) bool {
	doc, edit := c.lockedSlides(i)
	if doc < 0 {
		return true
	}
	src, _, _ := c.stream(doc)
	places, session := c.persisted(src, edit)
	var key keys
	if at, ok := places[session]; ok {
		if b := c.bytes(src, at, 8); len(b) == 8 && le.Uint16(b[2:]) == 0x2f14 { // [MS-PPT] 2.3.7
			key = c.unlock(c.bytes(src, at+8, min(int64(le.Uint32(b[4:])), maxInfo)), slidePassword)
		}
	}
	if key == nil {
		c.out.Gap(showcause.Encrypted, c.at(doc), src.Size())
		return true
	}
	delete(places, session)
	list, whole := c.objects(src, places, key)
	if !c.plain(doc, &plainStream{cipher: list.decipher(key)}) {
		return false
	}
	if p := c.in(c.inside[doc], "Pictures"); p >= 0 {
		pictures, _, _ := c.stream(p)
		list, all := c.pictures(pictures, key)
		if whole = whole && all; !c.plain(p, &plainStream{cipher: list.decipher(key)}) {
			return false
		}
	}
	if !whole {
		c.out.Gap(showcause.Encrypted, c.at(doc), -1)
	}
	return c.summary(doc, key)
}

// bytes reads n bytes of a stream, fewer at its end.
func (c *compound) bytes(src showcause.Source, at, n int64) []byte {
	if at < 0 || at > src.Size() || !c.out.Work(n/8+1) {
		return nil
	}
	b, _ := bound.ReadAt(src, at, min(n, src.Size()-at), n)
	return b
}

// persisted is where the objects of a presentation stand, by their numbers, and which of them tells of the encryption: what the
// edits say from the last one on ([MS-PPT] 2.1.2). An object that a later edit has counts.
func (c *compound) persisted(src showcause.Source, at int64) (places map[uint32]int64, session uint32) {
	const edit, directory = 0x0ff5, 0x1772
	places = map[uint32]int64{}
	for n := 0; n < maxEdits; n++ {
		b := c.bytes(src, at, 40)
		if len(b) < 36 || le.Uint16(b[2:]) != edit {
			break
		}
		if n == 0 && len(b) == 40 && le.Uint32(b[4:]) >= 32 {
			session = le.Uint32(b[36:])
		}
		head := c.bytes(src, int64(le.Uint32(b[20:])), 8)
		if len(head) == 8 && le.Uint16(head[2:]) == directory {
			list := c.bytes(src, int64(le.Uint32(b[20:]))+8, min(int64(le.Uint32(head[4:])), 8*maxPersist))
			for len(list) >= 4 && len(places) < maxPersist {
				first, count := le.Uint32(list)&0xfffff, int(le.Uint32(list)>>20)
				list = list[4:]
				for k := 0; k < count && len(list) >= 4; k++ {
					if id := first + uint32(k); places[id] == 0 {
						places[id] = int64(le.Uint32(list))
					}
					list = list[4:]
				}
			}
		}
		if at = int64(le.Uint32(b[16:])); at == 0 {
			break
		}
	}
	return places, session
}

// span is a stretch that is enciphered by itself, with the key of a block.
type span struct {
	from, to int64
	block    uint32
}

type spans []span

// objects are the stretches of the objects of a presentation. Their heads are enciphered too. What lies over another one
// is cut; whole tells that nothing was.
func (c *compound) objects(src showcause.Source, places map[uint32]int64, key keys) (list spans, whole bool) {
	for id, at := range places {
		list = append(list, span{from: at, to: src.Size(), block: id})
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.block, b.block)) })
	whole = true
	for i := range list {
		s := &list[i]
		b := c.bytes(src, s.from, 8)
		if len(b) < 8 {
			s.to, whole = s.from, false
			continue
		}
		spans{*s}.decipher(key)(b, s.from, 0)
		s.to = min(s.from+8+int64(le.Uint32(b[4:])), src.Size())
		if i+1 < len(list) && list[i+1].from < s.to {
			s.to, whole = list[i+1].from, false
		}
	}
	return list, whole
}

// pictures are the stretches of a stream of pictures: the head of each, its identifiers, what metafiles have in front of
// their data or a byte, and the data, each enciphered by itself as block 0 ([MS-OFFCRYPTO] 2.3.5.5, [MS-ODRAW] 2.2.23).
func (c *compound) pictures(src showcause.Source, key keys) (list spans, whole bool) {
	const emf, pict, last = 0xf01a, 0xf01c, 0xf117
	for at := int64(0); at < src.Size(); {
		b := c.bytes(src, at, 8)
		if len(b) < 8 || len(list) > maxSpans || !c.out.Work(64) {
			return list, false
		}
		head := span{from: at, to: at + 8}
		spans{head}.decipher(key)(b, at, 0)
		kind, end := le.Uint16(b[2:]), at+8+int64(le.Uint32(b[4:]))
		if kind < emf || kind > last || end > src.Size() {
			return list, false
		}
		list = append(list, head)
		parts := []int64{16, 1}
		if kind <= pict {
			parts[1] = 34
		}
		if le.Uint16(b)>>4&1 != 0 { // which is odd where there are two identifiers
			parts = append([]int64{16}, parts...)
		}
		for at += 8; at < end; {
			n := end - at
			if len(parts) > 0 {
				n, parts = min(parts[0], n), parts[1:]
			}
			list = append(list, span{from: at, to: at + n})
			at += n
		}
	}
	return list, true
}

// decipher deciphers what is read from the first byte on, in order.
func (list spans) decipher(key keys) decipher {
	var c *rc4.Cipher
	return func(b []byte, off int64, _ int) {
		for len(b) > 0 && len(list) > 0 {
			s := list[0]
			if off >= s.to {
				list, c = list[1:], nil
				continue
			}
			if off < s.from {
				n := min(s.from-off, int64(len(b)))
				b, off = b[n:], off+n
				continue
			}
			if c == nil {
				c, _ = rc4.NewCipher(key(s.block))
			}
			n := min(s.to-off, int64(len(b)))
			c.XORKeyStream(b[:n], b[:n])
			b, off = b[n:], off+n
		}
	}
}

// summary gives the streams of properties that are encrypted in one ([MS-OFFCRYPTO] 2.3.5.4), beside the stream i.
//
//	u32 where the list of them stands, u32 its length; the streams; u32 count and, of each, u32 offset, u32 length, u16 block, u8 letters of the
//	name, u8, u32, the name and a zero
func (c *compound) summary(i int, key keys) bool {
	const entry, most = 16, 1 << 10
	k := c.in(c.inside[i], "EncryptedSummary")
	if k < 0 {
		if k = c.in(c.inside[i], "encryption"); k < 0 {
			return true
		}
	}
	src, _, _ := c.stream(k)
	head := c.bytes(src, 0, 8)
	if len(head) < 8 {
		return true
	}
	at := int64(le.Uint32(head))
	b := c.bytes(src, at, maxInfo)
	spans{{from: 0, to: int64(len(b))}}.decipher(key)(b, 0, 0)
	if len(b) < 4 {
		c.out.Gap(showcause.Encrypted, c.at(k), src.Size())
		return true
	}
	count := int(le.Uint32(b))
	b = b[4:]
	for n := 0; n < count; n++ {
		if len(b) < entry || n >= most {
			c.out.Gap(showcause.Encrypted, c.at(k), -1)
			return true
		}
		off, size, block, letters := int64(le.Uint32(b)), int64(le.Uint32(b[4:])), uint32(le.Uint16(b[8:])), 2*int(b[10])
		name := utf8of(b[entry : entry+min(letters, (len(b)-entry)&^1)])
		b = b[min(entry+letters+2, len(b)):]
		if !bound.In(off, size, src.Size()) {
			c.out.Gap(showcause.Encrypted, c.at(k), size)
			continue
		}
		r := &plainStream{src: bound.Section(src, off, size), cipher: spans{{from: 0, to: size, block: block}}.decipher(key)}
		if !c.out.Work(size/8+1) || !c.out.Child(unpack.Child{Op: "office.decrypted", Name: name, Reader: r, Size: size}) {
			return false
		}
	}
	return true
}
