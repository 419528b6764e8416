package pe

import (
	"hash"
	"math/bits"

	"github.com/showcause/showcause/internal/bound"
)

const (
	block           = 64 << 10
	maxCertificates = 64
	maxTable        = 16 << 20 // bytes of all certificates
)

// walk gives the bytes from off up to end in order, false if some cannot be read.
// Each 64 bytes are a step that only Options.Work counts.
func (f *File) walk(off, end int64, visit func([]byte)) bool {
	buf := make([]byte, min(block, max(end-off, 0)))
	for off < end {
		b := buf[:min(block, end-off)]
		if f.o.Work != nil && !f.o.Work(int64(len(b))>>6+1) {
			f.cut = true
			return false
		}
		if n, _ := f.src.ReadAt(b, off); n < len(b) {
			return false
		}
		visit(b)
		off += int64(len(b))
	}
	return true
}

// ComputeChecksum is the checksum that the header should have: the sum of the file
// in words of 16 bits with the carries, without the header's, and the file's size.
func (f *File) ComputeChecksum() (int64, bool) {
	at := f.optional + 64
	var sum, carry uint32
	add := func(v uint32) {
		sum, carry = bits.Add32(sum, v, carry)
	}
	pos := int64(0)
	ok := f.walk(0, f.size, func(b []byte) {
		for ; len(b) >= 4; b = b[4:] {
			if f.o.Reading == YARAX || pos != at {
				add(le.Uint32(b))
			}
			pos += 4
		}
		f.tail(b, add)
	})
	if !ok {
		return 0, false
	}
	// YARA-X loses the last carry, and is off by one where there is one.
	sum, carry = bits.Add32(sum, 0, carry)
	sum += carry
	if f.o.Reading == YARAX {
		var borrow uint32
		sum, borrow = bits.Sub32(sum, f.Checksum, 0)
		sum -= borrow
	}
	sum = sum&0xffff + sum>>16
	sum += sum >> 16
	n := int64(sum&0xffff) + f.size
	if f.o.Reading == YARAX {
		n = int64(uint32(n))
	}
	return n, true
}

// tail adds the last bytes of a file. YARA-X takes three as a word and a byte.
func (f *File) tail(b []byte, add func(uint32)) {
	if len(b) == 0 {
		return
	}
	if f.o.Reading == YARAX {
		if len(b) >= 2 {
			add(uint32(le.Uint16(b)))
			b = b[2:]
		}
		if len(b) > 0 {
			add(uint32(b[0]))
		}
		return
	}
	var v uint32
	for i, c := range b {
		v |= uint32(c) << (8 * i)
	}
	add(v)
}

// Certificate is an entry of the certificate table (WIN_CERTIFICATE).
type Certificate struct {
	Offset   int64 // of Data in the file
	Revision uint16
	Type     uint16 // 2: PKCS#7 SignedData
	Data     []byte
}

// security is the certificate table. Its address is a file offset.
func (f *File) security() (off, n int64, ok bool) {
	d, ok := f.Directory(DirSecurity)
	if !ok || d.Address == 0 || int64(d.Address) > f.size {
		return 0, 0, false
	}
	off, n = int64(d.Address), int64(d.Size)
	if f.o.Reading == YARA4 && off+n > f.size {
		return 0, 0, false
	}
	return off, min(n, f.size-off), true
}

// Certificates are the entries of the certificate table. YARA 4 reads the first,
// however long the table is.
func (f *File) Certificates() []Certificate {
	off, n, ok := f.security()
	if !ok {
		return nil
	}
	if f.o.Reading == YARA4 {
		n = f.size - off
	}
	var out []Certificate
	total := int64(0)
	for n >= 8 && f.step(1) {
		if len(out) == maxCertificates {
			f.cut = true
			break
		}
		h := f.bytes(off, 8)
		if h == nil {
			break
		}
		c := Certificate{Offset: off + 8, Revision: le.Uint16(h[4:]), Type: le.Uint16(h[6:])}
		length := int64(le.Uint32(h))
		if length < 8 || length > n {
			break
		}
		if total += length; total > maxTable {
			f.cut = true
			break
		}
		data, err := bound.ReadAt(f.src, off+8, length-8, maxTable)
		if err != nil {
			break
		}
		c.Data = data
		out = append(out, c)
		if f.o.Reading == YARA4 {
			break
		}
		step := (length + 7) &^ 7
		off, n = off+step, n-step
	}
	return out
}

// Digest writes to h the bytes that an Authenticode signature is made of: all but
// the checksum, the directory of the certificate table and the table itself
// (Microsoft, "Windows Authenticode Portable Executable Signature Format").
// YARA 4 leaves out what is behind the table, too. It is false if the file has no
// such ranges.
func (f *File) Digest(h hash.Hash) bool {
	sum, dir := f.optional+64, f.dirs+8*DirSecurity
	end, rest := f.size, f.size
	if off, n, ok := f.security(); ok {
		end, rest = off, off+n
	}
	if dir+8 > end {
		return false
	}
	write := func(b []byte) { _, _ = h.Write(b) }
	return f.walk(0, sum, write) && f.walk(sum+4, dir, write) && f.walk(dir+8, end, write) &&
		(f.o.Reading == YARA4 || f.walk(rest, f.size, write))
}

// SectionDigest writes to h the bytes of section i in the file. It is false if
// they are not there.
func (f *File) SectionDigest(i int, h hash.Hash) bool {
	if i < 0 || i >= len(f.Sections) {
		return false
	}
	s := &f.Sections[i]
	off, n := int64(s.RawOffset), int64(s.RawSize)
	return bound.In(off, n, f.size) && f.walk(off, off+n, func(b []byte) { _, _ = h.Write(b) })
}
