// Package office reads documents of the old kind: compound files (OLE2), and what
// Office and others keep in them: macros, workbooks, objects, messages.
package office

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

var le = binary.LittleEndian

// Format is all formats of this package as one: compound files, what is read of them
// as a whole, and their streams.
func Format() unpack.Format {
	all := []unpack.Format{CFB(), Package(), Sealed(), HWP(), VBA(), Message(), PowerPoint(), Pictures(), Workbook(), Visio(), HWP3Objects()}
	return unpack.Format{
		Name: "cfb",
		Match: func(p *unpack.Probe) bool {
			return slices.ContainsFunc(all, func(f unpack.Format) bool { return f.Match(p) })
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			p := &unpack.Probe{Head: bound.Head(src, unpack.HeadSize), Source: src, Name: out.Name()}
			for _, f := range all {
				if f.Match(p) {
					f.Walk(src, out)
				}
			}
		},
	}
}

const magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// isCompound tells the layers in which streams are.
func isCompound(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte(magic)) }

// compound is a compound file that is read.
type compound struct {
	*cfb.File
	src    showcause.Source
	out    *unpack.Out
	paths  []string
	inside []int // the storage that an entry is in, -1 for none
	names  map[place]int
	broken bool
}

// place is a name in a storage, in small letters.
type place struct {
	storage int
	name    string
}

// open reads the directory, nil where there is none.
func open(src showcause.Source, out *unpack.Out) *compound {
	f := cfb.Open(src, out.Work)
	if !f.OK {
		return nil
	}
	c := &compound{File: f, src: src, out: out}
	c.inside, c.broken = f.Parents()
	c.paths = make([]string, len(f.Entries))
	return c
}

// eachStream hands over the streams of a compound file that have a name, so many at most, until give says to stop.
func eachStream(src showcause.Source, out *unpack.Out, most int, is func(name string) bool, give func(c *compound, i int) bool) {
	c := open(src, out)
	if c == nil {
		return // and the reader of compound files says so
	}
	n := 0
	for i, e := range c.Entries {
		if !out.Work(1) {
			return
		}
		if e.Kind != cfb.Stream || !is(e.Name) {
			continue
		}
		if n++; n > most {
			out.Gap(showcause.LimitObject, c.at(i), -1)
			return
		}
		if !give(c, i) {
			return
		}
	}
}

// path is the name of an entry with those of the storages that it is in.
func (c *compound) path(i int) string {
	var parts []string
	n := 0
	for k := i; k > 0 && len(parts) < extent.Depth; k = c.inside[k] {
		name := c.name(k)
		if n += len(name) + 1; n > unpack.MaxName {
			break
		}
		parts = append(parts, name)
	}
	c.out.Work(int64(len(parts)))
	for a, b := 0, len(parts)-1; a < b; a, b = a+1, b-1 {
		parts[a], parts[b] = parts[b], parts[a]
	}
	return strings.Join(parts, "/")
}

// name is what an entry is called. In installers it is packed.
func (c *compound) name(i int) string {
	if string(c.Entries[0].Class[1:]) == "\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46" {
		return installerName(c.Entries[i].Name)
	}
	return c.Entries[i].Name
}

// installerName is a name of a stream of an installer, which has two letters of its
// names in one code unit, from U+3800 on, and one from U+4800 on. U+4840 stands in front of
// those of tables.
//
// Source: what msitools and Wine write.
func installerName(s string) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 0x3800 && r < 0x4800:
			b.WriteByte(letters[(r-0x3800)&63])
			b.WriteByte(letters[(r-0x3800)>>6])
		case r >= 0x4800 && r < 0x4840:
			b.WriteByte(letters[r-0x4800])
		case r == 0x4840:
			b.WriteByte('!')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// stream is the bytes of an entry as they can be read, and whether that is all of them.
func (c *compound) stream(i int) (src showcause.Source, runs []cfb.Stretch, whole bool) {
	runs, whole = c.Place(i)
	if len(runs) == 1 {
		return bound.Section(c.src, runs[0].At, runs[0].Size), runs, whole
	}
	list := make([]extent.Run, len(runs))
	size := int64(0)
	for k, r := range runs {
		list[k] = extent.Run{Off: r.At, N: r.Size}
		size += r.Size
	}
	return extent.NewFile(c.src, size, list), runs, whole
}

// read is the first bytes of a stream, max at most.
func (c *compound) read(i int, max int64) []byte {
	if i < 0 {
		return nil
	}
	src, _, _ := c.stream(i)
	n := min(src.Size(), max)
	if !c.out.Work(n/8 + 1) {
		return nil
	}
	b, _ := bound.ReadAt(src, 0, n, max)
	return b
}

// at is the offset of a stream in the layer.
func (c *compound) at(i int) int64 {
	if runs, _ := c.Place(i); len(runs) > 0 {
		return runs[0].At
	}
	return 0
}

// in is the stream or storage of that name in a storage, -1 if there is none. Case
// does not count.
func (c *compound) in(storage int, name string) int {
	if !c.out.Work(8) {
		return -1
	}
	if c.names == nil {
		c.names = map[place]int{}
		for i := len(c.Entries) - 1; i >= 0; i-- { // the first one counts
			c.names[place{c.inside[i], strings.ToLower(c.Entries[i].Name)}] = i
		}
	}
	if i, ok := c.names[place{storage, strings.ToLower(name)}]; ok {
		return i
	}
	return -1
}

// utf8of is UTF-16LE as UTF-8, without the zeros at its end.
func utf8of(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = le.Uint16(b[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}
