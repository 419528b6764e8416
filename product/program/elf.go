package program

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/elf"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// Of an ELF file: its name, its SONAME (System V ABI, DT_SONAME), the note of the package that it was
// built for (systemd, "Package Metadata for Executable Files"), the Go module (section .go.buildinfo, since Go 1.18),
// and of a kernel module what .modinfo says.
const (
	dtStrings   = 5
	dtName      = 14
	maxSection  = 1 << 20 // of a section that is read, bytes
	maxSections = 2000
	noteType    = 0xcafe1a7e
	ptLoad      = 1
	shtNoBits   = 8
	// moduleSigned ends kernel modules that are signed (Linux, scripts/sign-file.c).
	moduleSigned = "~Module signature appended~\n"
)

func readELF(f *look.File, o *look.Out) {
	e := elf.Parse(f.Source, elf.Options{X: true, Work: o.Work})
	if e == nil {
		o.Add(product.Observation{Platform: product.Linux, Facts: look.Facts("file", f.Base())}) // it only begins so
		return
	}
	facts := look.Facts("file", f.Base(), "original", soname(f.Source, e))
	for i := range min(e.SectionCount(), maxSections) {
		s, ok := e.Section(i)
		if !ok {
			break
		}
		read := sections[s.Name]
		if read == nil || s.Type == shtNoBits {
			continue
		}
		b, err := bound.ReadAt(f.Source, int64(s.Offset), int64(min(s.Size, maxSection)), maxSection)
		if err != nil {
			o.Short(true)
			continue
		}
		facts = append(facts, read(b)...)
	}
	o.Add(product.Observation{Platform: product.Linux, Facts: facts})
	o.Short(e.Short())
}

// sections are those that tell what a program is.
var sections = map[string]func([]byte) []product.Fact{".note.package": packageNote, ".go.buildinfo": goModule, ".modinfo": modinfo}

// soname is the name that a shared library is linked by.
func soname(src showcause.Source, e *elf.File) string {
	var table, name uint64
	has := false
	for _, d := range e.Dynamic() {
		switch d.Tag {
		case dtStrings:
			table = d.Value
		case dtName:
			name, has = d.Value, true
		}
	}
	if !has {
		return ""
	}
	for i := range min(e.SegmentCount(), maxSections) {
		s, ok := e.Segment(i)
		if !ok || s.Type != ptLoad || table < s.Virtual || table-s.Virtual >= s.FileSize {
			continue
		}
		off := s.Offset + (table - s.Virtual) + name
		if off < s.Offset || off >= uint64(src.Size()) {
			return ""
		}
		b, _ := bound.ReadAt(src, int64(off), min(product.MaxValue, src.Size()-int64(off)), product.MaxValue)
		return cstring(b)
	}
	return ""
}

// cstring is what stands before the first zero.
func cstring(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

func packageNote(b []byte) []product.Fact {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if len(b) < 16 || order.Uint32(b[8:]) != noteType || order.Uint32(b) != 4 || string(b[12:16]) != "FDO\x00" {
			continue
		}
		desc := b[16:]
		desc = desc[:min(uint64(order.Uint32(b[4:])), uint64(len(desc)))]
		var note struct{ Name, Version string }
		if json.Unmarshal(bytes.TrimRight(desc, "\x00"), &note) == nil {
			return look.Facts("program", note.Name, "version", note.Version)
		}
	}
	return nil
}

func goModule(b []byte) []product.Fact {
	const magic = "\xff Go buildinf:"
	if len(b) < 32 || !bytes.HasPrefix(b, []byte(magic)) || b[15]&2 == 0 { // before 1.18: places in memory, and none of a module
		return nil
	}
	b = b[32:]
	for range 2 { // the version of Go, then the module
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil
		}
		text := string(b[w : uint64(w)+n])
		b = b[uint64(w)+n:]
		for line := range strings.Lines(text) {
			if part := strings.Split(strings.TrimSpace(line), "\t"); len(part) >= 3 && part[0] == "mod" {
				return look.Facts("program", part[1], "version", part[2])
			}
		}
	}
	return nil
}

func modinfo(b []byte) (out []product.Fact) {
	kinds := map[string]string{"name": "driver", "version": "version"}
	for part := range bytes.SplitSeq(b, []byte{0}) {
		if k, v, ok := strings.Cut(string(part), "="); ok && kinds[k] != "" && len(out) < len(kinds) {
			out = append(out, look.Facts(kinds[k], v)...)
		}
	}
	return out
}

// Behind tells whether something stands behind what an ELF file's tables name, or the file is packed, so that what it
// holds is to be unpacked: file systems and archives of applications in one file, installers.
func Behind(src showcause.Source) bool {
	e := elf.Parse(src, elf.Options{X: true})
	if e == nil {
		return true
	}
	end := uint64(64) // of the header
	reach := func(off, n uint64) {
		if off+n >= off {
			end = max(end, off+n)
		}
	}
	reach(e.ProgramOff, uint64(e.Programs)*uint64(e.ProgramEnt))
	reach(e.SectionOff, uint64(e.Sections)*uint64(e.SectionEnt))
	for i := range e.SegmentCount() {
		if s, ok := e.Segment(i); ok {
			reach(s.Offset, s.FileSize)
		}
	}
	for i := range e.SectionCount() {
		if s, ok := e.Section(i); ok && s.Type != shtNoBits {
			reach(s.Offset, s.Size)
		}
	}
	if bytes.Contains(bound.Head(src, 4<<10), []byte("UPX!")) || e.Short() {
		return true
	}
	const slack = 16 // of linkers that fill up
	if uint64(src.Size()) <= end+slack {
		return false
	}
	tail, err := bound.ReadAt(src, src.Size()-int64(len(moduleSigned)), int64(len(moduleSigned)), int64(len(moduleSigned)))
	return err != nil || string(tail) != moduleSigned
}
