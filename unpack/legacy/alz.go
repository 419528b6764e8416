package legacy

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

const (
	alzMethodGap = showcause.Unsupported + ".method.alz"
	alzVolume    = showcause.Unsupported + ".format.alz-volume"

	alzHead  = 8 // bytes of the archive's header
	alzFixed = 13

	decrypted = ".decrypted" // behind the operation of what a password opened
)

var (
	alzMagic = []byte("ALZ\x01")
	alzFile  = []byte("BLZ\x01")
)

// ALZ reads ALZip's archives (no description is published; the fields are those
// that The Unarchiver and unalz read), at the start of a layer and behind a
// program. Each file is a child: "alz.stored", "alz.bzip2", "alz.deflate", and
// "alz.obfuscated", which is Deflate with the lengths of its codes in another order.
//
//	header    "ALZ\x01", 4 bytes
//	file      "BLZ\x01", length of the name (2), attributes (1), time (4), flags (1), 1 byte,
//	          and if the flags' upper half, the width of the sizes, is not 0:
//	          method (1), 1 byte, CRC-32, packed size, size; the name; 12 bytes if it is
//	          encrypted; the data
//	end       "CLZ\x01" ... "CLZ\x02"; "CLZ\x03" where another volume follows; "ELZ\x01" comments
//
// What stands behind is a child, "alz.rest".
func ALZ() unpack.Format {
	return unpack.Format{
		Name: "alz",
		Match: func(p *unpack.Probe) bool {
			return bytes.HasPrefix(p.Head, alzMagic) || p.Source != nil && isProgram(p.Type)
		},
		Walk: alzWalk,
	}
}

func alzWalk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	if bytes.HasPrefix(bound.Head(src, 4), alzMagic) {
		if off = alzArchive(src, out, 0); off < 0 {
			return
		}
		defer out.Tail(src, off, "alz.rest")
	}
	for {
		at, ok := out.Find(src, off, alzMagic, func(b []byte) bool { return len(b) >= 12 && bytes.Equal(b[8:12], alzFile) })
		if !ok {
			return
		}
		if off = alzArchive(src, out, at); off < 0 {
			return
		}
		out.Cover(at, off-at)
	}
}

// alzEnd is the length in bytes of the record that ends an archive or a volume.
const alzEnd = 16

// alzArchive reads the archive at off, and returns where it ends; -1 where
// limits are spent.
func alzArchive(src showcause.Source, out *unpack.Out, off int64) int64 {
	off += alzHead
	for out.Work(1024) {
		sig, _ := bound.ReadAt(src, off, min(4, max(src.Size()-off, 0)), 4)
		switch string(sig) {
		case string(alzFile):
			next, ok := alzMember(src, out, off)
			if !ok {
				return -1
			}
			off = next
		case "CLZ\x01", "CLZ\x02", "ELZ\x01":
			tail, _ := bound.ReadAt(src, off, min(alzEnd, src.Size()-off), alzEnd)
			if bytes.HasSuffix(tail, []byte("CLZ\x03")) {
				out.Gap(alzVolume, off, -1)
			}
			if len(tail) == alzEnd && string(tail[alzEnd-4:alzEnd-1]) == "CLZ" {
				return off + alzEnd
			}
			return off + 4
		case "CLZ\x03":
			out.Gap(alzVolume, off, -1)
			return off + 4
		default: // the next file is looked for
			off = min(off, src.Size())
			next, ok := out.Find(src, off, alzFile, nil)
			if !out.Lost(src, off, next, ok) {
				return src.Size()
			}
			off = next
		}
	}
	return -1
}

// alzEntry is one file.
type alzEntry struct {
	method       byte
	sealed       bool
	crc          uint32
	packed, size int64
	name         string
	data         int64 // offset
}

// alzRead reads a file's header. It is false where the layer ends before it does.
func alzRead(src showcause.Source, off int64) (e alzEntry, ok bool) {
	h, err := bound.ReadAt(src, off, alzFixed, alzFixed)
	if err != nil {
		return e, false
	}
	names, width := int64(le.Uint16(h[4:])), int64(h[11]>>4)
	e.sealed = h[11]&1 != 0
	at := off + alzFixed
	if width > 0 {
		b, err := bound.ReadAt(src, at, 6+2*width, 64)
		if err != nil || width > 8 || width&(width-1) != 0 {
			return e, false
		}
		e.method, e.crc = b[0], le.Uint32(b[2:])
		number := func(b []byte) int64 {
			v := uint64(0)
			for i := len(b) - 1; i >= 0; i-- {
				v = v<<8 | uint64(b[i])
			}
			return int64(v & (1<<63 - 1))
		}
		e.packed, e.size = number(b[6:6+width]), number(b[6+width:])
		at += 6 + 2*width
	}
	name, err := bound.ReadAt(src, at, names, 1<<16)
	e.name, e.data = string(name), at+names
	return e, err == nil
}

// alzMember gives the file at off and returns where the next record begins.
func alzMember(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	e, ok := alzRead(src, off)
	if !ok {
		out.Gap(showcause.Corrupt, off, -1)
		return src.Size(), true
	}
	end := bound.Add(e.data, e.packed)
	out.Member(unpack.Member{Name: e.name, Packed: e.packed, Size: e.size, Encrypted: e.sealed, At: off, Length: e.data - off})
	if e.sealed && e.packed+e.size > 0 {
		// Whether the packed size has the 12 bytes is told by what stands behind it.
		if sig, _ := bound.ReadAt(src, bound.Add(end, crypt.PKWAREHeader), 4, 4); len(sig) == 4 && bytes.HasSuffix(sig[:3], []byte("LZ")) {
			end += crypt.PKWAREHeader
		}
	}
	if e.packed == 0 && e.size == 0 {
		return e.data, true // a folder, or an empty file
	}
	return end, alzGive(src, out, e, min(end, src.Size())-e.data)
}

// alzGive gives a file whose n bytes stand where its header ends.
func alzGive(src showcause.Source, out *unpack.Out, e alzEntry, n int64) bool {
	ops := []string{"alz.stored", "alz.bzip2", "alz.deflate", "alz.obfuscated"}
	c := unpack.Child{Op: "alz.unknown", Name: e.name, Size: e.size}
	if int(e.method) < len(ops) {
		c.Op = ops[e.method]
	}
	data := bound.Section(src, e.data, n)
	switch {
	case int(e.method) >= len(ops):
		return out.ChildGap(c, alzMethodGap)
	case e.sealed:
		if data = e.unseal(data, out); data == nil {
			return out.ChildGap(c, showcause.Encrypted)
		}
		c.Op += decrypted
	}
	if !out.Work(1 << 16) {
		return false
	}
	c.Reader = e.open(data, out)
	return out.Child(c)
}

// unseal opens a file that is encrypted with PKWARE's cipher; nil where no
// password does.
func (e *alzEntry) unseal(data showcause.Source, out *unpack.Out) showcause.Source {
	const most = 32 << 20 // bytes that are decoded to see whether a password is right
	if data.Size() < crypt.PKWAREHeader || e.size > most {
		return nil
	}
	buf := make([]byte, 32<<10)
	for _, p := range out.Passwords() {
		c := crypt.NewPKWARE(data, p, out.Work)
		if !out.Guess(1<<16) || c.Check() != byte(e.crc>>24) {
			continue
		}
		r, n, err := e.open(c, out), 0, error(nil)
		for err == nil && out.Guess(int64(16*n)) {
			n, err = r.Read(buf)
		}
		if err == io.EOF {
			return c
		}
	}
	return nil
}

// open decodes a file.
func (e *alzEntry) open(data showcause.Source, out *unpack.Out) io.Reader {
	in := newInput(data, 0)
	var r io.Reader
	switch e.method {
	case 0:
		r = in
	case 1:
		var err error
		if r, err = codec.NewBunzip(in.sec, in.Reader, e.size, out.Work); err != nil {
			r = failing{err}
		}
	case 2:
		r = flate.NewReader(in)
	case 3:
		r = codec.NewInflateOrder(in, alzOrder(e.size))
	}
	add := func(sum uint32, p []byte) uint32 { return crc32.Update(sum, crc32.IEEETable, p) }
	return &summed{r: &most{r, e.size}, size: e.size, add: add, want: e.crc, left: in.left}
}

// alzOrder is the order of the lengths of the code length code in a stream of the given size.
func alzOrder(size int64) (order [19]int) {
	for i := range order {
		order[i] = i
	}
	for i := range order {
		j := i%6*3 + int(size%16)
		if j > 18 {
			j %= 18
		}
		order[i], order[j] = order[j], order[i]
	}
	return order
}

var errLonger = errors.New("longer than its header says")

// most fails where more comes than left bytes.
type most struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (m *most) Read(p []byte) (int, error) {
	n, err := m.r.Read(p[:min(int64(len(p)), m.left+1)])
	if int64(n) > m.left {
		n, err = int(m.left), errLonger
	}
	m.left -= int64(n)
	return n, err
}

type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }
