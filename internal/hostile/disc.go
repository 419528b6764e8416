package hostile

// isoSector is the size in bytes of a sector of ISO 9660 (ECMA-119).
const isoSector = 2048

// isoFile is a record of a directory: a file, or a folder if dir.
type isoFile struct {
	name    string
	content []byte
	at      int  // sector, set when written, unless fixed
	fixed   bool // at and size stand as they are
	size    int
	dir     bool
	flags   byte
}

func both32(v int) []byte {
	b := le.AppendUint32(nil, uint32(v))
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func (f isoFile) record() []byte {
	b := []byte{0, 0}
	b = append(b, both32(f.at)...)
	b = append(b, both32(f.size)...)
	flags := f.flags
	if f.dir {
		flags |= 2
	}
	b = append(b, 126, 1, 1, 0, 0, 0, 0, flags, 0, 0, 1, 0, 0, 1, byte(len(f.name)))
	b = append(b, f.name...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

// isoVolume is a volume descriptor; one of Joliet's if wide.
func isoVolume(root isoFile, sectors int, wide bool) []byte {
	b := make([]byte, isoSector)
	copy(b, "\x01CD001\x01")
	if wide {
		b[0] = 2
		copy(b[88:], "%/E")
	}
	copy(b[80:], both32(sectors))
	copy(b[120:], "\x01\x00\x00\x01\x01\x00\x00\x01\x00\x08\x08\x00")
	copy(b[156:], root.record())
	return b
}

// isoOf writes a disc whose root has the given files. If other is not nil, there is
// a second root, Joliet's, with those.
func isoOf(files, other []isoFile) []byte {
	next := 20
	var data []byte
	place := func(fs []isoFile, own int) []byte {
		self := isoFile{name: "\x00", at: own, size: isoSector, dir: true}
		up := self
		up.name = "\x01"
		dir := append(self.record(), up.record()...)
		for _, f := range fs {
			if !f.fixed {
				f.at, f.size = next, len(f.content)
				n := (f.size + isoSector - 1) / isoSector
				data = append(data, f.content...)
				data = append(data, make([]byte, n*isoSector-f.size)...)
				next += n
			}
			dir = append(dir, f.record()...)
		}
		return append(dir, make([]byte, isoSector-len(dir))...)
	}
	dirs := place(files, 18)
	dirs = append(dirs, place(other, 19)...)
	last := make([]byte, isoSector)
	copy(last, "\xffCD001\x01")
	second := last
	if other != nil {
		second = isoVolume(isoFile{name: "\x00", at: 19, size: isoSector, dir: true}, next, true)
	}
	// The two roots stand behind the descriptors; the sector 18 is the first's.
	head := append(make([]byte, 16*isoSector), isoVolume(isoFile{name: "\x00", at: 18, size: isoSector, dir: true}, next, false)...)
	head = append(head, second...)
	return join(head, dirs, data)
}
