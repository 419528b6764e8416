package installer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var be = binary.BigEndian

const (
	pyCookie = "MEI\x0c\x0b\x0a\x0b\x0e"
	pyTail   = 64 << 10 // how far from the end the cookie is looked for: a signature may follow
	pyzMagic = "PYZ\x00"
)

// PyInstaller is the format of programs that PyInstaller bundles with Python and what they import (PyInstaller,
// CArchive in PyInstaller/archive/writers.py; bootloader/src/pyi_archive.h). All numbers have their most significant byte first:
//
//	at the end: cookie "MEI\x0c\x0b\x0a\x0b\x0e", bytes of the whole u32, place of the list u32, bytes of the list u32,
//	version of Python u32, and from PyInstaller 2.1 on the name of its library [64]
//	list: of each file bytes of the entry u32, place u32, size in here u32, size u32, packed u8, kind u8, name
//
// Places are counted from the start of the archive, which its length tells. A packed file is a stream of zlib.
func PyInstaller() unpack.Format {
	return unpack.Format{
		Name: "pyinstaller",
		Match: func(p *unpack.Probe) bool {
			switch p.Type {
			case filetype.PE, filetype.ELF, filetype.MachO, filetype.Universal:
				return pyCookieAt(p.Source) >= 0
			}
			return false
		},
		Walk: walkPyInstaller,
	}
}

// pyCookieAt finds the last cookie, -1 if there is none.
func pyCookieAt(src showcause.Source) int64 {
	from := max(src.Size()-pyTail, 0)
	b, _ := bound.ReadAt(src, from, src.Size()-from, pyTail)
	if !bytes.Contains(b, []byte(pyCookie)) { // told ten times as fast as by LastIndex
		return -1
	}
	return from + int64(bytes.LastIndex(b, []byte(pyCookie)))
}

func walkPyInstaller(l showcause.Source, out *unpack.Out) {
	at := pyCookieAt(l)
	c, _ := bound.ReadAt(l, at, 24, 24)
	if at < 0 || len(c) < 24 {
		out.Gap(showcause.Corrupt, max(at, 0), -1)
		return
	}
	whole, list, n := int64(be.Uint32(c[8:])), int64(be.Uint32(c[12:])), int64(be.Uint32(c[16:]))
	start := int64(-1)
	for _, cookie := range []int64{88, 24} { // the list ends where the cookie begins
		if s := at + cookie - whole; s >= 0 && s+list+n == at {
			start = s
			break
		}
	}
	if start < 0 || n > 64<<20 {
		out.Gap(showcause.Corrupt, at, -1)
		return
	}
	for pos := start + list; pos < at; {
		h, _ := bound.ReadAt(l, pos, min(at-pos, 18+unpack.MaxName), 18+unpack.MaxName)
		if !out.Work(32) {
			return
		}
		if len(h) < 18 || int64(be.Uint32(h)) < 18 {
			out.Gap(showcause.Corrupt, pos, -1)
			return
		}
		entry := int64(be.Uint32(h))
		name, _, _ := bytes.Cut(h[18:min(int64(len(h)), entry)], []byte{0})
		off, size, real, packed := start+int64(be.Uint32(h[4:])), int64(be.Uint32(h[8:])), int64(be.Uint32(h[12:])), h[16]
		pos += entry
		if size == 0 { // an option for the program that starts it
			continue
		}
		if packed == 0 {
			if !out.Section(l, "pyinstaller.stored", string(name), off, size) {
				return
			}
			continue
		}
		child := unpack.Child{Name: string(name), Op: "pyinstaller.deflate", Size: real, Reader: &inflated{src: io.NewSectionReader(l, off, size)}, Deflate: true}
		if !out.Child(child) {
			return
		}
	}
}

// PYZ is the format of the modules in such a bundle: "PYZ", the magic of Python's compiled files, the place of the list u32.
// The list is what Python's marshal writes, of names with a kind, a place and a size; a module is a stream of
// zlib, and that a code object (PyInstaller, PyInstaller/archive/writers.py, ZlibArchiveWriter). Modules that are encrypted
// begin with 16 bytes of their own.
func PYZ() unpack.Format {
	return unpack.Format{
		Name:  "pyz",
		Match: func(p *unpack.Probe) bool { return len(p.Head) >= 17 && string(p.Head[:4]) == pyzMagic },
		Walk:  walkPYZ,
	}
}

func walkPYZ(l showcause.Source, out *unpack.Out) {
	h, _ := bound.ReadAt(l, 0, 12, 12)
	if len(h) < 12 {
		return
	}
	list := int64(be.Uint32(h[8:]))
	if list < 12 || list >= l.Size() {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	m := marshal{in: bufio.NewReader(io.NewSectionReader(l, list, l.Size()-list)), work: out.Work}
	entries := m.entries()
	if m.bad {
		out.Gap(showcause.Corrupt, list, -1)
	}
	for _, e := range entries {
		if e.size == 0 {
			continue
		}
		b, _ := bound.ReadAt(l, e.at, min(2, e.size), 2)
		c := unpack.Child{Name: e.name, Op: "pyz.deflate", Size: -1}
		if len(b) == 2 && be.Uint16(b)%31 != 0 {
			if !out.ChildGap(c, showcause.Encrypted) {
				return
			}
			continue
		}
		c.Reader, c.Deflate = &inflated{src: io.NewSectionReader(l, e.at, e.size)}, true
		if !out.Child(c) {
			return
		}
	}
}

// module is an entry of the list.
type module struct {
	name     string
	at, size int64
}

// marshal reads what Python's marshal writes (Python/marshal.c, versions 2 to 4), as much of it as such a list is made of: a
// dictionary or a list of tuples.
type marshal struct {
	in   *bufio.Reader
	work func(int64) bool
	refs []any
	bad  bool
	n    int // values
}

const (
	mostValues = 1 << 20 // 50 MB of them, at most; Python's own library is of 10,000
	mostNested = 4
)

type pyNull struct{}

func (m *marshal) byte() byte {
	c, err := m.in.ReadByte()
	if err != nil {
		m.bad = true
	}
	return c
}

func (m *marshal) long() int64 {
	var b [4]byte
	if _, err := io.ReadFull(m.in, b[:]); err != nil {
		m.bad = true
	}
	return int64(int32(le.Uint32(b[:])))
}

func (m *marshal) text(n int64) any {
	if n < 0 || n > 1<<16 {
		m.bad = true
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.in, b); err != nil {
		m.bad = true
	}
	return string(b)
}

// value reads one: a number as int64, a text as string, a tuple or a list as []any, a dictionary as a list of
// its keys and values.
func (m *marshal) value(depth int) (v any) {
	if m.n++; m.n > mostValues || depth > mostNested || m.bad || !m.work(1) {
		m.bad = true
		return nil
	}
	c := m.byte()
	at := -1
	if c&0x80 != 0 { // it may be referred to
		at = len(m.refs)
		m.refs = append(m.refs, nil)
	}
	switch c & 0x7f {
	case '0':
		v = pyNull{}
	case 'N', 'T', 'F', '.':
	case 'i':
		v = m.long()
	case 'I':
		low := m.long() & 0xffffffff
		v = m.long()<<32 | low
	case 'l': // digits of 15 bits
		n, sum := m.long(), int64(0)
		m.bad = m.bad || n < 0 || n > 4
		for i := int64(0); i < n && !m.bad; i++ {
			lo := int64(m.byte())
			sum |= (lo | int64(m.byte())<<8) << (15 * i)
		}
		v = sum
	case 'z', 'Z':
		v = m.text(int64(m.byte()))
	case 's', 't', 'u', 'a', 'A':
		v = m.text(m.long())
	case 'r':
		if i := m.long(); i >= 0 && i < int64(len(m.refs)) {
			v = m.refs[i]
		} else {
			m.bad = true
		}
	case ')':
		v = m.list(int64(m.byte()), depth)
	case '(', '[':
		v = m.list(m.long(), depth)
	case '{':
		var all []any
		for !m.bad {
			k := m.value(depth + 1)
			if _, end := k.(pyNull); end {
				break
			}
			all = append(all, k, m.value(depth+1))
		}
		v = all
	default:
		m.bad = true
	}
	if at >= 0 {
		m.refs[at] = v
	}
	return v
}

func (m *marshal) list(n int64, depth int) any {
	if n < 0 || n > mostValues {
		m.bad = true
		return nil
	}
	var all []any
	for i := int64(0); i < n && !m.bad; i++ {
		all = append(all, m.value(depth+1))
	}
	return all
}

// entries are (name, (kind, place, size)) as a list of tuples or a dictionary. What was read before it broke counts, and
// what is none of these breaks it.
func (m *marshal) entries() (out []module) {
	all, list := m.value(0).([]any)
	m.bad = m.bad || !list
	add := func(k, v any) {
		name, _ := k.(string)
		t, _ := v.([]any)
		if len(t) == 3 {
			at, ok := t[1].(int64)
			size, ok2 := t[2].(int64)
			if ok && ok2 && at >= 0 && size >= 0 {
				out = append(out, module{name, at, size})
				return
			}
		}
		m.bad = true
	}
	for i := 0; i < len(all); i++ {
		if pair, ok := all[i].([]any); ok && len(pair) == 2 {
			add(pair[0], pair[1])
		} else if i+1 < len(all) {
			add(all[i], all[i+1])
			i++
		} else {
			m.bad = true
		}
	}
	return out
}
