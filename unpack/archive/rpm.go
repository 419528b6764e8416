package archive

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	rpmMagic  = []byte("\xed\xab\xee\xdb")
	rpmHeader = []byte("\x8e\xad\xe8\x01")
)

const rpmLead = 96

// RPM reads RPM packages (rpm.org, "RPM V4 Package format"): a lead, two headers
// of tags, and the payload, a cpio archive that is compressed as a rule.
//
//	header   magic (8), number of entries (4), size of the data (4), entries of 16
//	         bytes, data; the first header is padded to eight bytes
//
// The payload is a child, "rpm.payload". What the headers hold, scripts among it,
// stands raw in the layer.
func RPM() unpack.Format {
	return unpack.Format{
		Name:  "rpm",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, rpmMagic) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			at := int64(rpmLead)
			for i := range 2 {
				b, _ := bound.ReadAt(src, at, 16, 16)
				if !out.Work(1 << 10) {
					return
				}
				if len(b) < 16 || !bytes.HasPrefix(b, rpmHeader) {
					rpmLost(src, out, at)
					return
				}
				at += 16 + 16*int64(binary.BigEndian.Uint32(b[8:])) + int64(binary.BigEndian.Uint32(b[12:]))
				if i == 0 {
					at = (at + 7) &^ 7
				}
			}
			if at >= src.Size() {
				out.Gap(showcause.Corrupt, src.Size(), -1)
				return
			}
			// The sizes of the payload are in tags that readers do not look at.
			out.Section(src, "rpm.payload", "", at, src.Size()-at)
		},
	}
}

// rpmLost looks for a payload behind a header that is not what it should be.
func rpmLost(src showcause.Source, out *unpack.Out, at int64) {
	out.Gap(showcause.Corrupt, min(at, src.Size()), -1)
	best := int64(-1)
	for _, magic := range []string{"\x1f\x8b\x08", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "BZh", "070701"} {
		if p, ok := out.Find(src, min(at, src.Size()), []byte(magic), nil); ok && (best < 0 || p < best) {
			best = p
		}
	}
	if best >= 0 {
		out.Section(src, "rpm.payload", "", best, src.Size()-best)
	}
}
