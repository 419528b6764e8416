package volume

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

const (
	ntfsSize     = showcause.Ambiguous + ".ntfs.size" // an attribute is shorter than its clusters
	ntfsBitmap   = 6                                  // the record of the list of clusters
	ntfsParts    = 1 << 20                            // records that are parts of others, at most, that are noted
	attrIndex    = 0x90
	attrIndexes  = 0xa0
	attrRecords  = 0xb0 // of the MFT: which of its records are in use
	attrLast     = 0x100
	flagSparse   = 0x8000
	recordInUse  = 1
	recordFolder = 2
)

// damaged says that something could not be read, once.
func (n *ntfs) damaged() {
	if !n.damage {
		n.damage = true
		n.Corrupt(n.Src.Size())
	}
}

// plain tells whether an attribute of a record can be what it says. last is the kind of
// the one in front.
func (n *ntfs) plain(b []byte, last uint32) bool {
	le := binary.LittleEndian
	kind := le.Uint32(b)
	if kind < last || kind&15 != 0 || kind > attrLast && kind != 0x1000 {
		return false
	}
	if (kind == attrIndex || kind == attrIndexes) && b[9] == 0 {
		return false // indexes have names
	}
	if b[8] == 0 {
		return kind != attrData || (int(le.Uint16(b[20:]))+int(le.Uint32(b[16:]))+7)&^7 == len(b)
	}
	if len(b) < 64 || le.Uint64(b[16:]) > 0 {
		return b[8] == 1 && len(b) >= 64
	}
	return b[8] == 1 && le.Uint64(b[40:])%uint64(n.cluster) == 0 && le.Uint64(b[48:]) <= le.Uint64(b[40:]) && le.Uint64(b[56:]) <= le.Uint64(b[48:])
}

// clustersOf notes where the attributes of a record are. first is the first cluster of each
// that the runs must begin with, and last the last.
func (n *ntfs) clustersOf(rec []byte) {
	le := binary.LittleEndian
	for at := int(le.Uint16(rec[20:])); at+24 <= len(rec) && n.Work(4); {
		kind, size := le.Uint32(rec[at:]), int(le.Uint32(rec[at+4:]))
		if kind == attrEnd || size < 24 || size > len(rec)-at {
			return
		}
		b := rec[at : at+size]
		at += size
		if b[8] == 0 || len(b) < 64 || int(le.Uint16(b[32:])) > len(b) {
			continue
		}
		var a attribute
		ok := n.runs(&a, b[le.Uint16(b[32:]):])
		if want := le.Uint64(b[24:]) - le.Uint64(b[16:]) + 1; !ok || uint64(a.clusters) != want {
			n.damaged()
		}
		for _, r := range a.runs {
			n.TookFile(r.Off, r.N)
		}
	}
}

// account holds the list of clusters against what was found.
func (n *ntfs) account() {
	n.Books = extent.NewBooks(0, n.cluster, n.size/n.cluster)
	for i := int64(0); i < n.mft.Size()/n.record && n.Work(16); i++ {
		if rec, err := n.fix(i*n.record, n.mft); err == nil && rec[22]&recordInUse != 0 {
			n.clustersOf(rec)
		}
	}
	rec, err := n.fix(ntfsBitmap*n.record, n.mft)
	if err != nil {
		n.damaged()
		return
	}
	var list *extent.Bitmap
	for _, a := range n.others(ntfsBitmap, n.attributes(rec, nil)) {
		if a.kind == attrData && a.name == "" {
			list = &extent.Bitmap{Src: n.content(a)}
		}
	}
	if list == nil || list.Src.Size() < (n.Books.Count+7)/8 {
		n.damaged()
		return
	}
	n.Lost("ntfs.lost", list)
}

// content is an attribute that is not compressed.
func (n *ntfs) content(a *attribute) showcause.Source {
	if a.isRes {
		return showcause.Bytes(a.resident)
	}
	return extent.NewFile(n.Src, a.size, a.runs)
}

// inUse is the MFT's own list of records in use, nil if there is none.
func (n *ntfs) inUse() *extent.Bitmap {
	rec, err := n.fix(0, n.mft)
	if err != nil {
		return nil
	}
	for _, a := range n.others(0, n.attributes(rec, nil)) {
		if a.kind == attrRecords {
			return &extent.Bitmap{Src: n.content(a)}
		}
	}
	return nil
}

// bootCopy covers the copy of the first sector, which stands behind the end.
func (n *ntfs) bootCopy(b []byte) (end int64) {
	last, err := bound.ReadAt(n.Src, n.size, 512, 512)
	if err == nil && bytes.Equal(last, b) {
		return n.size + n.sector
	}
	if n.Src.Size() >= n.size+n.sector {
		n.damaged()
	}
	return n.size
}

// longer gives an attribute with what its clusters have behind its end, where it is
// shorter than they are or has less that is valid.
func (n *ntfs) longer(a *attribute, op, name string) {
	var all int64
	for _, r := range a.runs {
		all += r.N
	}
	if a.flags&(flagPacked|flagSparse) != 0 || n.Stop {
		return
	}
	long := a.size+n.cluster <= all
	f := extent.NewFile(n.Src, all, a.runs)
	from := min(a.valid, a.size)
	if !long {
		if from >= a.size || n.Zeros(f, from, a.size) {
			return
		}
		all = a.size
	}
	n.Out.Gap(ntfsSize, n.Src.Size(), -1)
	n.Stop = !n.out.Child(unpack.Child{Op: op, Name: extent.Last(name), Source: extent.NewFile(n.Src, all, a.runs), Size: all})
}
