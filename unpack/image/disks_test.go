package image

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// Small images of six blocks by hand: as it is, not there, as it is, zeros, ...; in the
// image in the opposite order.

const handBlock = 4096

func handDisk() []byte {
	disk := make([]byte, 6*handBlock)
	copy(disk, unpacktest.Mixed(handBlock))
	copy(disk[2*handBlock:], bytes.Repeat([]byte("the third block. "), 200))
	copy(disk[5*handBlock:], unpacktest.Mixed(3000))
	return disk
}

func vdiOf(kind uint32) []byte {
	le, disk := binary.LittleEndian, handDisk()
	b := make([]byte, 1024, 1024+3*handBlock)
	copy(b, "<<< a disk >>>\n")
	copy(b[64:], "\x7f\x10\xda\xbe\x01\x00\x01\x00")
	le.PutUint32(b[76:], kind)
	le.PutUint32(b[340:], 512)
	le.PutUint32(b[344:], 1024)
	le.PutUint64(b[368:], uint64(len(disk)))
	le.PutUint32(b[376:], handBlock)
	le.PutUint32(b[384:], 6)
	le.PutUint32(b[388:], 3)
	for i, at := range []uint32{2, 0xffffffff, 1, 0xfffffffe, 0xffffffff, 0} {
		le.PutUint32(b[512+4*i:], at)
	}
	return append(append(append(b, disk[5*handBlock:]...), disk[2*handBlock:3*handBlock]...), disk[:handBlock]...)
}

func parallelsOf(newer bool) []byte {
	le, disk := binary.LittleEndian, handDisk()
	b := make([]byte, handBlock)
	copy(b, "WithoutFreeSpace")
	unit := uint32(handBlock / sector)
	if newer {
		copy(b, "WithouFreSpacExt")
		unit = 1
	}
	le.PutUint32(b[16:], 2)
	le.PutUint32(b[28:], handBlock/sector)
	le.PutUint32(b[32:], 6)
	le.PutUint64(b[36:], uint64(len(disk)/sector))
	for i, at := range []uint32{3, 0, 2, 0, 0, 1} {
		le.PutUint32(b[64+4*i:], at*unit)
	}
	return append(append(append(b, disk[5*handBlock:]...), disk[2*handBlock:3*handBlock]...), disk[:handBlock]...)
}

func qedOf(features uint64) []byte {
	le, disk := binary.LittleEndian, handDisk()
	b := make([]byte, 3*handBlock)
	copy(b, "QED\x00")
	le.PutUint32(b[4:], handBlock)
	le.PutUint32(b[8:], 1)
	le.PutUint32(b[12:], 1)
	le.PutUint64(b[16:], features)
	le.PutUint64(b[40:], handBlock)
	le.PutUint64(b[48:], uint64(len(disk)))
	le.PutUint64(b[handBlock:], 2*handBlock)
	for i, at := range []uint64{5 * handBlock, 0, 4 * handBlock, 1, 0, 3 * handBlock} {
		le.PutUint64(b[2*handBlock+8*i:], at)
	}
	return append(append(append(b, disk[5*handBlock:]...), disk[2*handBlock:3*handBlock]...), disk[:handBlock]...)
}

func TestHandDisks(t *testing.T) {
	oldVDI := vdiOf(1)
	oldVDI[70] = 0
	for _, c := range []struct {
		name, format string
		b            []byte
		code         showcause.Code
	}{
		{"vdi", "vdi", vdiOf(1), ""},
		{"vdi, differencing", "vdi", vdiOf(4), vdiParent},
		{"vdi, old", "vdi", oldVDI, vdiMethod},
		{"vdi, cut", "vdi", vdiOf(1)[:9000], showcause.Corrupt},
		{"parallels", "parallels", parallelsOf(true), ""},
		{"parallels, older", "parallels", parallelsOf(false), ""},
		{"parallels, cut", "parallels", parallelsOf(true)[:9000], showcause.Corrupt},
		{"qed", "qed", qedOf(0), ""},
		{"qed, backing file", "qed", qedOf(1), qedBacking},
		{"qed, a feature", "qed", qedOf(8), qedFeature},
		{"qed, cut", "qed", qedOf(2)[:14_000], showcause.Corrupt},
	} {
		f := byName(t, c.format)
		if !f.Match(unpacktest.Probe(showcause.Bytes(c.b))) {
			t.Errorf("%s: no match", c.name)
		}
		r := unpacktest.Walk(t, f, c.b, showcause.Limits{})
		if c.code != "" {
			if !r.Has(c.code) {
				t.Errorf("%s: %s", c.name, r)
			}
		} else if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, handDisk()) {
			t.Errorf("%s: %s", c.name, r)
		}
	}
}

func TestHandDisksConform(t *testing.T) {
	unpacktest.Conform(t, VDI(), map[string][]byte{"vdi": vdiOf(1)})
	unpacktest.Conform(t, Parallels(), map[string][]byte{"newer": parallelsOf(true), "older": parallelsOf(false)})
	unpacktest.Conform(t, QED(), map[string][]byte{"qed": qedOf(0)})
}

func FuzzVDI(f *testing.F) { unpacktest.Fuzz(f, VDI(), vdiOf(1), vdiOf(4)) }
func FuzzParallels(f *testing.F) {
	unpacktest.Fuzz(f, Parallels(), parallelsOf(true), parallelsOf(false))
}
func FuzzQED(f *testing.F) { unpacktest.Fuzz(f, QED(), qedOf(0), qedOf(1)) }
