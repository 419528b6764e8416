package exe

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// universalFiles is the most files in a universal Mach-O file that ClamAV
// reads. What has a larger count is a Java class, as a rule.
const universalFiles = 32

// Universal is the format of universal ("fat") Mach-O files: a table of
// programs for several processors (Apple, mach-o/fat.h). Each is a child. A
// universal file in a universal file is refused; programs that overlap are
// children all the same, with a note.
func Universal() unpack.Format {
	return unpack.Format{
		Name: "macho",
		Match: func(p *unpack.Probe) bool {
			_, ok := fatTable(p.Head)
			return ok
		},
		Walk: walkUniversal,
	}
}

// fat is the head of a universal file.
type fat struct {
	order binary.ByteOrder
	count uint32
	wide  bool // offsets and sizes of 64 bits
}

func fatTable(b []byte) (fat, bool) {
	if len(b) < 8 {
		return fat{}, false
	}
	t := fat{order: binary.BigEndian}
	switch binary.BigEndian.Uint32(b) {
	case 0xcafebabe:
	case 0xcafebabf:
		t.wide = true
	case 0xbebafeca:
		t.order = binary.LittleEndian
	case 0xbfbafeca:
		t.order, t.wide = binary.LittleEndian, true
	default:
		return fat{}, false
	}
	t.count = t.order.Uint32(b[4:])
	// A class has its version there; the first is 45.0. The wide magic is
	// no class's.
	return t, t.wide || t.count&0xffff < 39
}

func walkUniversal(l showcause.Source, out *unpack.Out) {
	f := file{src: l}
	t, ok := fatTable(f.read(0, 8))
	if !ok {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	n := t.count
	if n > universalFiles {
		out.Gap(showcause.LimitObject, 8, -1)
		n = universalFiles
	}
	size := int64(20)
	if t.wide {
		size = 32
	}
	type stretch struct{ off, n int64 }
	var seen []stretch
	for i := range int64(n) {
		e := f.read(8+i*size, size)
		if !out.Work(1) {
			return
		}
		if e == nil {
			out.Gap(showcause.Corrupt, min(8+i*size, l.Size()), -1)
			return
		}
		at, n := int64(t.order.Uint32(e[8:])), int64(t.order.Uint32(e[12:]))
		if t.wide {
			at, n = int64(t.order.Uint64(e[8:])), int64(t.order.Uint64(e[16:]))
		}
		if at <= 0 || n < 0 || at >= l.Size() {
			out.Gap(showcause.Corrupt, 8+i*size, size)
			continue
		}
		if !bound.In(at, n, l.Size()) {
			out.Gap(showcause.Corrupt, l.Size(), -1) // cut, and read as far as it goes
			n = l.Size() - at
		}
		for _, s := range seen {
			if at < bound.Add(s.off, s.n) && s.off < at+n {
				out.Gap(showcause.Ambiguous+".overlap", at, n)
				break
			}
		}
		seen = append(seen, stretch{at, n})
		c := unpack.Child{Op: "macho.slice", Source: bound.Section(l, at, n), Size: n}
		if _, nested := fatTable(file{src: c.Source}.read(0, 8)); nested {
			if !out.ChildGap(c, showcause.Unsupported+".format.macho-universal-nested") {
				return
			}
			continue
		}
		if !out.Child(c) {
			return
		}
	}
}

// Embedded is the format of what stands in other files as it is. PE files in PE
// files, in a section or behind the image: droppers, and programs put in one
// file by a joiner; and in text, OLE2 and data of no known type, where
// clamscan 1.4.6 was seen to find them too. Each such child, "exe.embedded",
// goes from one PE file's start to the next's, the last to the end of the
// layer, as ClamAV takes them. And what a script carries behind its text, or a
// picture or other data as an archive,
// "exe.payload", or a program right behind its image, "exe.overlay", compressed
// or as an archive: one child, from there to the end of the layer.
func Embedded(measure Measure) unpack.Format {
	return unpack.Format{
		Name: "exe",
		Match: func(p *unpack.Probe) bool {
			switch {
			case p.Source == nil:
				return false
			case isProgram(p.Type):
				return true
			}
			return holdsPE(p.Type) && p.Source.Size() > smallestPE || (!p.Type.Hides() || apart(p.Type)) && p.Source.Size() > smallestPayload
		},
		Walk: func(l showcause.Source, out *unpack.Out) {
			head := bound.Head(l, unpack.HeadSize)
			t := filetype.Detect(head, l)
			if holdsPE(t) {
				walkEmbedded(l, out)
			}
			walkPayload(l, t, head, out, measure)
		},
	}
}

func isProgram(t filetype.Type) bool {
	return t == filetype.PE || t == filetype.DOS || t == filetype.ELF || t == filetype.MachO
}

// holdsPE tells in what PE files are looked for.
func holdsPE(t filetype.Type) bool {
	switch t {
	case filetype.PE, filetype.DOS, filetype.OLE2, filetype.Unknown, filetype.Text, filetype.UTF8, filetype.UTF16LE,
		filetype.UTF16BE, filetype.Script, filetype.HTML, filetype.RTF:
		return true
	}
	return false
}

// smallestPE is the length in bytes of the headers of a PE file of one section.
const smallestPE = 64 + 24 + 96 + 40

// maxLfanew is how far after a file's start its PE header may stand to be
// found, and lookAhead how much of a chunk is left to the next for that.
const (
	maxLfanew = 1024
	lookAhead = maxLfanew + 64
)

func walkEmbedded(l showcause.Source, out *unpack.Out) {
	last := int64(-1) // the start of the file that is not handed over yet
	var room []byte
	for at := int64(0); at < l.Size(); at += chunk - lookAhead {
		if unpack.Zeros(l, at) >= chunk && out.Work(chunk>>10+1) {
			continue
		}
		buf := file{src: l}.stretch(&room, at).b
		n := len(buf)
		if !out.Work(int64(n)>>10 + 1) {
			return
		}
		end := n
		if n == chunk {
			end -= lookAhead
		}
		for i := 0; i < end; i++ {
			j := bytes.Index(buf[i:end], []byte("MZ"))
			if j < 0 {
				break
			}
			i += j
			start := at + int64(i)
			if start == 0 || !peAt(buf[i:n]) || !out.Work(4096) || parsePE(file{src: bound.Section(l, start, -1)}) == nil {
				continue
			}
			if last > 0 && !embedded(l, out, last, start) {
				return
			}
			last = start
		}
		if n < chunk {
			break
		}
	}
	if last > 0 {
		embedded(l, out, last, l.Size())
	}
}

// peAt tells whether b starts with a DOS header that leads to a PE header.
func peAt(b []byte) bool {
	if len(b) < 64 {
		return false
	}
	n := int64(le.Uint32(b[60:]))
	return n > 0 && n <= maxLfanew && n+4 <= int64(len(b)) && string(b[n:n+4]) == "PE\x00\x00"
}

func embedded(l showcause.Source, out *unpack.Out, from, to int64) bool {
	return out.Child(unpack.Child{Op: "exe.embedded", Source: bound.Section(l, from, to-from), Size: to - from})
}
