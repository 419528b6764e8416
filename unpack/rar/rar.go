// Package rar reads RAR archives.
package rar

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	le     = binary.LittleEndian
	magic  = []byte("Rar!\x1a\x07")
	magic4 = []byte("Rar!\x1a\x07\x00")
	magic5 = []byte("Rar!\x1a\x07\x01\x00")
)

// Format reads RAR archives of versions 2.9 to 7 (RARLAB, "RAR 5.0 archive
// format"; for older ones, technote.txt of RAR 3), at the start of a layer and anywhere in a program.
//
//	version 4   blocks: checksum (2), type, flags, size (2), size of the data (4)
//	version 5   blocks: checksum (4), size, type, flags, sizes of the extra area and of the data
//
// Each file is a child, "rar.stored", "rar.lz3" or "rar.lz5" by its decoder, and
// services are as files ("rar.service"): comments, streams. What stands behind an
// archive is a child, "rar.rest", and so are data that belong to no file. The volumes of a set
// that stand in one layer are read as one archive, in the order of their numbers. What is encrypted,
// headers too, is tried with each password (unpack.Out.Passwords); what opens has
// ".decrypted" behind its operation. What does not open, stands in a volume that is not here, or was compressed by RAR before 2.9, is a gap each.
func Format() unpack.Format {
	return unpack.Format{
		Name: "rar",
		Match: func(p *unpack.Probe) bool {
			return p.Type.String() == "rar" || p.Source != nil && isProgram(p.Type)
		},
		Walk: walk,
	}
}

// isProgram tells in what files archives are looked for anywhere.
func isProgram(t filetype.Type) bool {
	switch t {
	case filetype.PE, filetype.DOS, filetype.ELF, filetype.MachO, filetype.Universal:
		return true
	}
	return false
}

// plausible checks the first header behind the signature: version 5 has a CRC of
// it; before, the type of the main header, and its length.
func plausible(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, magic4) && len(b) >= 20:
		return b[9] == 0x73 && le.Uint16(b[12:]) >= 13
	case bytes.HasPrefix(b, magic5) && len(b) >= 16:
		n, used := binary.Uvarint(b[12:])
		if used <= 0 || used > 3 || n == 0 || n > maxHeader {
			return false
		}
		end := 12 + used + int(n)
		if end > len(b) { // one of an archive, or of what encrypts it: code has the signature too
			return b[12+used] == 1 || b[12+used] == 4
		}
		return crc32.ChecksumIEEE(b[12:end]) == le.Uint32(b[8:])
	}
	return false
}

// maxHeader is the size in bytes of the largest header (RAR 5.0 archive format).
const maxHeader = 2 << 20

func walk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	end := int64(-1) // of the archive that the layer begins with
	read := func(at int64) bool {
		a := &archive{src: src, out: out}
		if !a.read(at) {
			return false
		}
		off = at + int64(len(magic))
		for _, v := range a.set {
			if off = max(off, v.end); v.at > 0 {
				out.Cover(v.at, v.end-v.at)
			} else if !v.broken {
				end = v.end
			}
		}
		return true
	}
	switch head := bound.Head(src, 64); {
	case bytes.HasPrefix(head, []byte("RE~^")):
		out.Gap(gapMethod, 0, -1) // RAR 1.4
	case bytes.HasPrefix(head, []byte("Rar!")) && !plausible(head):
		if !bytes.HasPrefix(head, magic4) && !bytes.HasPrefix(head, magic5) {
			out.Gap(showcause.Corrupt, 0, -1)
			break
		}
		if !read(0) {
			return
		}
	}
	defer func() {
		if end >= 0 {
			out.Tail(src, end, "rar.rest")
		}
	}()
	for {
		at, ok := out.Find(src, off, magic, plausible)
		if !ok || !read(at) {
			return
		}
	}
}

// archive is one archive while it is read: all its volumes that are here.
type archive struct {
	src    showcause.Source
	out    *unpack.Out
	set    []volume
	now    int            // index of the volume that is read
	joined map[int64]bool // headers whose data were given with the file's first part
	five   bool
	volume bool
	solid  bool
	first  bool // no file was read yet
	chain  *chain
	sealed *cipher  // of the headers, nil if they are not encrypted
	words  [][]byte // passwords
	right  []byte   // the one that opened something
	told   int      // files
}

// member is one file or service.
type member struct {
	name      string
	at        int64 // of its data in the layer
	packed    int64
	parts     []part // where that is
	size      int64  // -1 if unknown
	dir       bool
	link      bool
	service   bool
	encrypted bool
	before    bool // it begins in the volume before
	behind    bool // it goes on in the next
	solid     bool
	method    int // 0 stored
	version   int // of the decoder: 15, 20, 26, 29, 36; 50, 70
	dict      int64
	summed    bool
	crc       uint32
	cipher    *cipher          // nil if it is not encrypted, or not known how
	data      showcause.Source // deciphered, once a password is known
	tweak     []byte           // key of its checksum, nil for none
}
