package installer

import (
	"bufio"
	"compress/zlib"
	"io"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	sisUID   = 0x10000419
	sisPlain = 8 // the flag that nothing is compressed
	sisCode  = showcause.Unsupported + ".format.sis"
)

// SIS is the format of installers of Symbian before version 9 (EPOC; "SIS file format" of the psifs documents):
//
//	8 u32 0x10000419, 18 languages u16, 20 records u16, 36 flags u16, 52 records u32
//	record of files = 0 (one) or 1 (one for each language), kind u32, option u32, source and target, each as bytes u32
//	and place u32; sizes in here, places and sizes, each u32 for each file; u32, u32
//	5, 6: ends of conditions
//
// A file is a stream of zlib, or stands as it is.
func SIS() unpack.Format {
	return unpack.Format{
		Name:  "sis",
		Match: func(p *unpack.Probe) bool { return p.Is("sis") && len(p.Head) >= 12 && le.Uint32(p.Head[8:]) == sisUID },
		Walk:  walkSIS,
	}
}

func walkSIS(l showcause.Source, out *unpack.Out) {
	const header = 84
	h, _ := bound.ReadAt(l, 0, header, header)
	if len(h) < header {
		out.Gap(showcause.Corrupt, l.Size(), -1)
		return
	}
	languages, plain := int(le.Uint16(h[18:])), le.Uint16(h[36:])&sisPlain != 0
	at := int64(le.Uint32(h[52:]))
	word := func() int64 {
		b, _ := bound.ReadAt(l, at, 4, 4)
		at += 4
		if len(b) < 4 {
			return -1
		}
		return int64(le.Uint32(b))
	}
	for range le.Uint16(h[20:]) {
		if !out.Work(64) {
			return
		}
		n := 1
		switch kind := word(); kind {
		case 5, 6:
			continue
		case 1:
			n = languages
		case 0:
		case -1:
			out.Gap(showcause.Corrupt, l.Size(), -1)
			return
		default: // options and conditions
			out.Gap(sisCode, at-4, -1)
			return
		}
		at += 16
		length, place := word(), word()
		name := sisText(l, place, length)
		b, err := bound.ReadAt(l, at, int64(n)*12, 12<<16)
		at += int64(n)*12 + 8
		if err != nil || !out.Work(int64(n)) {
			out.Gap(showcause.Corrupt, l.Size(), -1)
			return
		}
		for i := range n {
			size, from, whole := int64(le.Uint32(b[4*i:])), int64(le.Uint32(b[4*(n+i):])), int64(le.Uint32(b[4*(2*n+i):]))
			if size == 0 {
				continue
			}
			c := unpack.Child{Name: name, Op: "sis.deflate", Size: whole, Reader: &inflated{src: io.NewSectionReader(l, from, size)}}
			if plain {
				if !out.Section(l, "sis.stored", name, from, size) {
					return
				}
			} else if !out.Child(c) {
				return
			}
		}
	}
}

// sisText is a name in UTF-16.
func sisText(l showcause.Source, at, n int64) string {
	b, err := bound.ReadAt(l, at, min(max(n, 0), unpack.MaxName), unpack.MaxName)
	if err != nil {
		return ""
	}
	wide := make([]uint16, len(b)/2)
	for i := range wide {
		wide[i] = le.Uint16(b[2*i:])
	}
	return string(utf16.Decode(wide))
}

// inflated is a stream of zlib that is opened when it is read.
type inflated struct {
	src io.Reader
	z   io.Reader
	err error
}

// Read implements io.Reader.
func (i *inflated) Read(p []byte) (int, error) {
	if i.z == nil && i.err == nil {
		i.z, i.err = zlib.NewReader(bufio.NewReader(i.src))
	}
	if i.err == io.EOF {
		i.err = io.ErrUnexpectedEOF
	}
	if i.err != nil {
		return 0, i.err
	}
	return i.z.Read(p)
}
