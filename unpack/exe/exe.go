// Package exe reads executable files: where the sections and the entry point
// of a PE, ELF or Mach-O file stand, what packed or carries it, and the files
// inside a universal Mach-O file or after a program's start.
//
// The offsets are those that ClamAV's signatures count from (EP, Sx, SL, SEx,
// VI) and the sections those that its .mdb hashes are of: the roundings, the
// bounds and what makes it give a file up were measured with clamscan 1.4.6,
// and clamscan_test.go measures them again. Where it gives up, so does
// Parse, as no signature that counts from an executable's parts can match.
package exe

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Kind is a format of executable.
type Kind uint8

// The kinds.
const (
	PE Kind = iota
	ELF
	MachO
)

// Section is one section. Offset and Size are bytes in the file, and may lie
// beyond it but in a PE file; Virtual and VirtualSize are in memory.
type Section struct {
	Name                 string // the file's bytes; empty for ELF
	Offset, Size         int64
	Virtual, VirtualSize uint64
	Exec, Write          bool
}

// Info is what is known of an executable.
type Info struct {
	Kind Kind
	// Entry is the file offset of the entry point. It is 0 where there is none
	// (a library, an object) and where ClamAV does not work it out (Mach-O but
	// for PowerPC): signatures that count from EP then count from the start.
	Entry    int64
	Sections []Section
	// VersionInfo are the file offsets, ascending, of the keys ("CompanyName" in
	// UTF-16LE) of the strings of a PE file's version resources that have a
	// value. A signature at VI starts there: key, padding, value.
	VersionInfo []int64
	// Overlay is where the data after the image starts, -1 if there is none.
	// A PE file's certificates are data after the image too.
	Overlay int64
	// Packer names what packed the program or carries other files in it, from a
	// closed list of ours ("upx", "nsis"); "" if nothing known does. The function
	// Packer tells the same of files that Parse refuses.
	Packer string
	PE64   bool // PE32+
	Bits   int  // 32 or 64
	// Partial says that the resources were too many to look through, so that
	// VersionInfo may lack some.
	Partial bool
}

// Parse reads the headers of an executable of type t. It tells whether src is
// one; false means that no offset within it counts for ClamAV, among them
// files with more sections than it reads: 96 in PE, 256 in ELF, 255 in a
// segment of Mach-O. The work is bounded by constants, but for the search for
// installers, which passes once over src.
func Parse(src showcause.Source, t filetype.Type) (*Info, bool) { return ParseIn(src, t, nil) }

// ParseIn is Parse that is told where magics stand in src.
func ParseIn(src showcause.Source, t filetype.Type, near *unpack.Places) (*Info, bool) {
	f := file{src, near}
	var i *Info
	switch t {
	case filetype.PE, filetype.DOS:
		p := parsePE(f)
		if p == nil {
			return nil, false
		}
		p.versions()
		i = &p.Info
		i.Packer = packerPE(p)
	case filetype.ELF:
		if i = parseELF(f); i != nil {
			i.Packer = packerELF(f, i.Overlay)
		}
	case filetype.MachO:
		if i = parseMachO(f); i != nil {
			i.Packer = packerMachO(f)
		}
	}
	return i, i != nil
}

// Packer names what packed src or carries other files in it, as Info.Packer
// does, for the files that Parse does not read too: a system may run what
// ClamAV gives up.
func Packer(src showcause.Source, t filetype.Type) string { return PackerIn(src, t, nil) }

// PackerIn is Packer that is told where magics stand in src.
func PackerIn(src showcause.Source, t filetype.Type, near *unpack.Places) string {
	f := file{src, near}
	switch t {
	case filetype.PE, filetype.DOS:
		if p := readPE(f, false); p != nil {
			return packerPE(p)
		}
		return carrier(f, -1)
	case filetype.ELF:
		overlay := int64(-1)
		if i := parseELF(f); i != nil {
			overlay = i.Overlay
		}
		return packerELF(f, overlay)
	case filetype.MachO:
		return packerMachO(f)
	case filetype.Universal:
		return archiveIn(f)
	}
	return ""
}

// file reads small pieces of a source.
type file struct {
	src  showcause.Source
	near *unpack.Places // of src; nil where it is not known
}

// chunk is how much of a source is searched at a time, in bytes.
const chunk = 256 << 10

// stretch is a part of a source that is searched.
type stretch struct {
	b    []byte
	at   int            // where it is in the source
	near *unpack.Places // of the source, or nil
}

// stretch returns the chunk at a place, in buf if it has to be read.
func (f file) stretch(buf *[]byte, at int64) stretch {
	if b, ok := f.src.(showcause.Bytes); ok {
		at = min(at, int64(len(b)))
		return stretch{b[at:min(at+chunk, int64(len(b)))], int(at), f.near}
	}
	if *buf == nil {
		*buf = make([]byte, max(min(chunk, f.src.Size()-at), 0))
	}
	n, _ := f.src.ReadAt(*buf, at)
	return stretch{(*buf)[:n], int(at), f.near}
}

// index returns the first place from from on where a magic stands, -1 if there is none.
func (s stretch) index(magic string, from int) int {
	if i := s.near.Next(magic, s.b[from:], s.at+from); i >= 0 {
		return from + i
	}
	return -1
}

// upTo cuts what is behind the first n bytes off.
func (s stretch) upTo(n int) stretch {
	s.b = s.b[:min(n, len(s.b))]
	return s
}

// piece is the most that read returns.
const piece = 1 << 20

// read returns the n bytes at off, nil if src does not have them all. They may
// be the source's own, and must not be written to.
func (f file) read(off, n int64) []byte {
	if n <= 0 || n > piece || !bound.In(off, n, f.src.Size()) {
		return nil
	}
	if b, ok := f.src.(showcause.Bytes); ok {
		return b[off : off+n : off+n]
	}
	b, err := bound.ReadAt(f.src, off, n, piece)
	if err != nil {
		return nil
	}
	return b
}

// upTo returns up to n bytes at off.
func (f file) upTo(off, n int64) []byte {
	if off < 0 || off >= f.src.Size() {
		return nil
	}
	if b, ok := f.src.(showcause.Bytes); ok {
		return f.read(off, min(n, piece, int64(len(b))-off))
	}
	b, _ := bound.ReadAt(f.src, off, min(n, piece), piece)
	return b
}

// overlay returns where data after end starts, -1 if there is none.
func (f file) overlay(end int64) int64 {
	if end >= 0 && end < f.src.Size() {
		return end
	}
	return -1
}

// cstring returns b up to its first zero.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
