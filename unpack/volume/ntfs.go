package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// NTFS reads NTFS (Linux-NTFS project, "NTFS Documentation"; Linux, fs/ntfs3).
//
//	boot sector   3 "NTFS    ", 11 bytes of a sector u16, 13 sectors of a cluster i8, 48 cluster of the MFT u64,
//	              56 of its copy u64, 64 clusters of a record i8 (below 0: log2 of its bytes)
//	a record      "FILE", 4 where the fix-ups are u16, 6 how many u16, 20 first attribute u16, 22 flags u16 (1 in use, 2 directory),
//	              32 the record that it belongs to u64
//	an attribute  kind u32, length u32, 8 not resident u8, 9 length of its name u8, 10 where that is u16, 12 flags u16;
//	              resident: 16 length u32, 20 where u16; else 16, 24 clusters from and to u64, 32 runs u16, 34 unit u8,
//	              48 bytes u64, 56 bytes that are valid u64
//
// The records are read one after the other, not through directories, so that
// a file is found whatever the indexes say. Each unnamed data attribute is a
// child "ntfs.file", each named one (an alternate stream) "ntfs.stream". Clusters that are
// in use, by the list of record 6, and in no record are children, "ntfs.lost".
func NTFS() unpack.Format {
	return unpack.Format{
		Name:  "ntfs",
		Match: func(p *unpack.Probe) bool { return p.Is("ntfs") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&ntfs{Giver: giverOf(src, out), out: out}).walk()
		},
	}
}

const (
	ntfsWOF    = showcause.Unsupported + ".method.ntfs-wof" // compressed by Windows' overlay filter
	ntfsFirst  = 24                                         // of the records that are files of people
	ntfsMaxRec = 64 << 10

	attrList     = 0x20
	attrFileName = 0x30
	attrData     = 0x80
	attrEnd      = 0xffffffff

	flagPacked = 0x00ff
	flagSecret = 0x4000
)

var errNTFS = errors.New("ntfs: damaged")

type ntfs struct {
	extent.Giver
	out                     *unpack.Out
	sector, cluster, record int64
	mft                     *extent.File
	size                    int64          // of the volume
	parts                   map[int64]bool // records that are parts of others, and whether these know
	damage                  bool           // was said
}

// attribute is one attribute of a record, or the parts of one that is spread
// over several records.
type attribute struct {
	kind     uint32
	name     string
	flags    uint16
	resident []byte
	isRes    bool
	size     int64
	valid    int64
	unit     uint
	runs     []extent.Run
	clusters int64 // that the runs so far are for
	bad      bool
}

func (n *ntfs) walk() {
	le := binary.LittleEndian
	b := bound.Head(n.Src, 512)
	if len(b) < 512 {
		n.Corrupt(0)
		return
	}
	n.sector = int64(le.Uint16(b[11:]))
	per := int64(b[13])
	if per > 0x80 {
		per = 1 << min(256-per, 30)
	}
	n.cluster = n.sector * per
	if r := int8(b[64]); r < 0 {
		n.record = 1 << min(-int(r), 30)
	} else {
		n.record = int64(r) * n.cluster
	}
	if n.sector < 256 || n.sector > 4096 || n.cluster < 256 || n.cluster > 2<<20 || n.record < 256 || n.record > ntfsMaxRec {
		n.Corrupt(0)
		return
	}
	n.size = bound.Mul(int64(min(le.Uint64(b[40:]), 1<<62)), n.sector)
	if n.size > n.Src.Size() {
		n.Corrupt(n.Src.Size())
	}
	for _, at := range []int{48, 56} {
		start := bound.Mul(int64(min(le.Uint64(b[at:]), 1<<62)), n.cluster)
		rec, err := n.fix(start, nil)
		if err != nil {
			continue
		}
		for _, a := range n.attributes(rec, nil) {
			if a.kind == attrData && a.name == "" && !a.isRes {
				n.mft = extent.NewFile(n.Src, a.size, a.runs)
			}
		}
		if n.mft != nil {
			if at == 56 {
				n.Corrupt(0) // the first record was not readable
			}
			break
		}
	}
	if n.mft == nil {
		n.Corrupt(0)
		return
	}
	end, used := n.bootCopy(b), n.inUse()
	if used == nil {
		n.damaged()
	}
	n.parts = map[int64]bool{}
	for i := int64(0); i < n.mft.Size()/n.record && n.Work(16); i++ {
		n.file(i, used != nil && used.Has(i))
	}
	for i, known := range n.parts {
		if !known {
			n.damaged()
			n.parts[i] = true
		}
	}
	n.account()
	n.Rest("ntfs.rest", end)
}

// fix reads a record and puts back the ends of its sectors: each ends with a
// number that the list of fix-ups has the true bytes for. From is the MFT; nil
// is the volume itself.
func (n *ntfs) fix(off int64, from showcause.Source) ([]byte, error) {
	if from == nil {
		from = n.Src
	}
	b, err := bound.ReadAt(from, off, n.record, ntfsMaxRec)
	if err != nil || string(b[:4]) != "FILE" {
		return nil, errNTFS
	}
	le := binary.LittleEndian
	at, count := int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	if count < 1 || at+2*count > len(b) || at%2 != 0 {
		return nil, errNTFS
	}
	const stride = 512
	for i := 1; i < count && i*stride <= len(b); i++ {
		end := b[i*stride-2:]
		if end[0] != b[at] || end[1] != b[at+1] {
			return nil, errNTFS
		}
		copy(end[:2], b[at+2*i:])
	}
	return b, nil
}

// attributes reads those of a record, adding to those that are known.
func (n *ntfs) attributes(rec []byte, to []*attribute) []*attribute {
	le := binary.LittleEndian
	last, ended := uint32(0), false
	at := int(le.Uint16(rec[20:]))
	for at+8 <= len(rec) && n.Work(4) {
		kind, size := le.Uint32(rec[at:]), int(le.Uint32(rec[at+4:]))
		if ended = kind == attrEnd; ended {
			break
		}
		if size < 24 || size > len(rec)-at {
			n.Corrupt(n.Src.Size())
			break
		}
		if !n.plain(rec[at:at+size], last) {
			n.damaged()
		}
		last = kind
		to = n.attribute(rec[at:at+size], to)
		at += size
	}
	if used := int(le.Uint32(rec[24:])); !ended || used < at+4 || used > at+8 {
		n.damaged()
	}
	return to
}

func (n *ntfs) attribute(b []byte, to []*attribute) []*attribute {
	le := binary.LittleEndian
	a := &attribute{kind: le.Uint32(b), flags: le.Uint16(b[12:])}
	if k, at := int(b[9]), int(le.Uint16(b[10:])); k > 0 && at+2*k <= len(b) {
		a.name = utf16String(b[at : at+2*k])
	}
	if b[8] == 0 {
		k, at := int(le.Uint32(b[16:])), int(le.Uint16(b[20:]))
		if at > len(b) || k > len(b)-at {
			a.bad = true
			k, at = 0, 0
		}
		a.isRes, a.resident, a.size = true, b[at:at+k], int64(k)
		return append(to, a)
	}
	if len(b) < 64 {
		n.Corrupt(n.Src.Size())
		return to
	}
	from := int64(min(le.Uint64(b[16:]), 1<<50))
	if from == 0 {
		a.size, a.valid = int64(min(le.Uint64(b[48:]), 1<<62)), int64(min(le.Uint64(b[56:]), 1<<62))
		a.unit = uint(min(le.Uint16(b[34:]), 16))
		to = append(to, a)
	} else { // it goes on from another record
		first := find(to, a.kind, a.name)
		if first == nil || first.clusters != from {
			n.Corrupt(n.Src.Size())
			return to
		}
		a = first
	}
	at := int(le.Uint16(b[32:]))
	if at > len(b) || !n.runs(a, b[at:]) {
		a.bad = true
	}
	return to
}

func find(list []*attribute, kind uint32, name string) *attribute {
	for _, a := range list {
		if a.kind == kind && a.name == name && !a.isRes {
			return a
		}
	}
	return nil
}

// runs reads where the clusters are: each a byte of two lengths, how many, and
// how far from the last.
func (n *ntfs) runs(a *attribute, b []byte) bool {
	at := int64(0)
	for len(b) > 0 && b[0] != 0 {
		k, d := int(b[0]&15), int(b[0]>>4)
		if k == 0 || k > 8 || d > 8 || 1+k+d > len(b) || len(a.runs) >= extent.MaxRuns || !n.Work(1) {
			return false
		}
		count, delta := signed(b[1:1+k]), signed(b[1+k:1+k+d])
		b = b[1+k+d:]
		if count <= 0 || count > 1<<40 {
			return false
		}
		r := extent.Run{Off: -1, N: count * n.cluster}
		if d > 0 {
			at += delta
			if at < 0 || at > 1<<40 {
				return false
			}
			r.Off = at * n.cluster
		}
		a.runs = append(a.runs, r)
		a.clusters += count
	}
	return true
}

func signed(b []byte) int64 {
	v := int64(0)
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | int64(b[i])
	}
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 && len(b) < 8 {
		v -= 1 << (8 * len(b))
	}
	return v
}

func utf16String(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// file gives the data of record i, which the MFT says is in use or not. Of the first
// records, which are the file system's own, none are given.
func (n *ntfs) file(i int64, used bool) {
	le := binary.LittleEndian
	rec, err := n.fix(i*n.record, n.mft)
	if err != nil {
		if b, _ := bound.ReadAt(n.mft, i*n.record, 24, 24); used || len(b) == 24 && string(b[:4]) == "BAAD" || len(b) == 24 && string(b[:4]) == "FILE" && b[22]&1 == 1 {
			n.Corrupt(n.Src.Size())
		}
		return
	}
	if live := rec[22]&recordInUse != 0; live != used {
		n.damaged()
	}
	if rec[22]&recordInUse == 0 && !used || i < ntfsFirst {
		return
	}
	if le.Uint64(rec[32:])&(1<<48-1) != 0 { // a part of another
		if !n.parts[i] && len(n.parts) < ntfsParts {
			n.parts[i] = false
		}
		return
	}
	list := n.attributes(rec, nil)
	list = n.others(i, list)
	if rec[22]&recordFolder == 0 && !slices.ContainsFunc(list, func(a *attribute) bool { return a.kind == attrData || a.kind == attrIndex }) {
		n.damaged() // each file has data, if only none
	}
	name := n.name(list)
	wof := false
	for _, a := range list {
		wof = wof || a.kind == attrData && a.name == "WofCompressedData"
	}
	for _, a := range list {
		if a.kind != attrData || wof && a.name == "" {
			continue
		}
		full, op := name, "ntfs.file"
		if a.name != "" {
			full, op = name+":"+a.name, "ntfs.stream"
		}
		if wof && a.name == "WofCompressedData" {
			n.Stop = n.Stop || !n.out.ChildGap(unpack.Child{Op: "ntfs.file", Name: extent.Last(name), Size: a.size}, ntfsWOF)
			continue
		}
		n.data(a, op, full)
	}
}

// others adds the attributes that stand in other records.
func (n *ntfs) others(i int64, list []*attribute) []*attribute {
	var table []byte
	for _, a := range list {
		switch {
		case a.kind != attrList:
		case a.isRes:
			table = a.resident
		default:
			b, err := bound.ReadAt(extent.NewFile(n.Src, a.size, a.runs), 0, min(a.size, 1<<20), 1<<20)
			if err != nil || a.size > 1<<20 {
				n.Corrupt(n.Src.Size())
			}
			table = b
		}
	}
	le := binary.LittleEndian
	seen := map[int64]bool{i: true}
	for len(table) >= 26 {
		size := int(le.Uint16(table[4:]))
		ref := int64(le.Uint64(table[16:]) & (1<<48 - 1))
		if size < 26 || size > len(table) {
			n.Corrupt(n.Src.Size())
			break
		}
		table = table[size:]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		rec, err := n.fix(bound.Mul(ref, n.record), n.mft)
		if err != nil || !n.Work(16) {
			n.Corrupt(n.Src.Size())
			continue
		}
		if n.parts != nil && len(n.parts) < ntfsParts {
			n.parts[ref] = true
		}
		list = n.attributes(rec, list)
	}
	return list
}

// name is a file's path by the names that its record and those above have.
func (n *ntfs) name(list []*attribute) string {
	var path string
	for range extent.Depth {
		best, parent := "", int64(-1)
		for _, a := range list {
			if a.kind != attrFileName || len(a.resident) < 66 {
				continue
			}
			b := a.resident
			k := int(b[64])
			if 66+2*k > len(b) || best != "" && b[65] == 2 { // the short name, of DOS
				continue
			}
			best, parent = utf16String(b[66:66+2*k]), int64(binary.LittleEndian.Uint64(b)&(1<<48-1))
		}
		if best == "" || len(path) > unpack.MaxName {
			return path
		}
		if path == "" {
			path = best
		} else {
			path = best + "/" + path
		}
		if parent == 5 || !n.Work(8) { // the root
			return path
		}
		rec, err := n.fix(bound.Mul(parent, n.record), n.mft)
		if err != nil {
			return path
		}
		list = n.attributes(rec, nil)
	}
	return path
}

// data gives one data attribute.
func (n *ntfs) data(a *attribute, op, name string) {
	if a.bad {
		n.Corrupt(n.Src.Size())
	}
	switch {
	case n.Stop || a.size == 0 && len(a.runs) == 0:
	case a.flags&flagSecret != 0:
		n.Stop = !n.out.ChildGap(unpack.Child{Op: op, Name: extent.Last(name), Size: a.size}, showcause.Encrypted)
	case a.isRes:
		n.Stop = !n.out.Child(unpack.Child{Op: op, Name: extent.Last(name), Source: showcause.Bytes(a.resident), Size: a.size})
	case a.flags&flagPacked != 0 && a.unit > 0:
		r := &lznt1{src: n.Src, cluster: n.cluster, unit: 1 << a.unit, runs: a.runs, left: a.size}
		n.Stop = !n.out.Child(unpack.Child{Op: op, Name: extent.Last(name), Reader: r, Size: a.size})
	default:
		f := extent.NewFile(n.Src, min(a.valid, a.size), a.runs)
		n.Give(op, name, a.size, f.Runs)
		n.longer(a, op, name)
	}
}

// lznt1 reads a compressed attribute: units of clusters, each as it is, a hole,
// or compressed and followed by a hole up to its length ([MS-XCA] 2.5).
type lznt1 struct {
	src     showcause.Source
	cluster int64
	unit    int64 // clusters
	runs    []extent.Run
	left    int64
	data    []byte
}

func (l *lznt1) Read(p []byte) (int, error) {
	for len(l.data) == 0 {
		if l.left <= 0 {
			return 0, io.EOF
		}
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.data)
	l.data = l.data[n:]
	return n, nil
}

// next reads one unit.
func (l *lznt1) next() error {
	size := l.unit * l.cluster
	var packed []byte
	hole := int64(0)
	for need := size; need > 0; {
		if len(l.runs) == 0 {
			return errNTFS
		}
		r := &l.runs[0]
		k := min(r.N, need)
		if r.Off < 0 {
			hole += k
		} else {
			b, err := bound.ReadAt(l.src, r.Off, k, 4<<20)
			if err != nil {
				return fmt.Errorf("ntfs: %w", bound.CutShort(err))
			}
			packed = append(packed, b...)
			r.Off += k
		}
		r.N -= k
		need -= k
		if r.N == 0 {
			l.runs = l.runs[1:]
		}
	}
	want := min(size, l.left)
	l.left -= want
	switch {
	case len(packed) == 0:
		l.data = make([]byte, want)
	case hole == 0:
		l.data = packed[:want]
	default:
		out := unLZNT1(packed, size)
		if int64(len(out)) < want {
			return errNTFS
		}
		l.data = out[:want]
	}
	return nil
}

// unLZNT1 unpacks chunks of 4 KiB: a header of 16 bits (the length less 3 in 12,
// and 1<<15 if it is compressed), and what they hold.
func unLZNT1(b []byte, size int64) []byte {
	le := binary.LittleEndian
	out := make([]byte, 0, min(size, int64(len(b))*4+4096))
	for len(b) >= 2 {
		h := le.Uint16(b)
		n := int(h&0xfff) + 1
		if h == 0 || 2+n > len(b) {
			break
		}
		chunk := b[2 : 2+n]
		b = b[2+n:]
		if h&0x8000 == 0 {
			out = append(out, chunk...)
			continue
		}
		start := len(out)
		for len(chunk) > 0 {
			flags := chunk[0]
			chunk = chunk[1:]
			for i := 0; i < 8 && len(chunk) > 0; i++ {
				if flags>>i&1 == 0 {
					out = append(out, chunk[0])
					chunk = chunk[1:]
					continue
				}
				if len(chunk) < 2 {
					return out
				}
				v := int(le.Uint16(chunk))
				chunk = chunk[2:]
				bits := 4 // of the distance, by what came before in the chunk
				for at := len(out) - start - 1; at >= 16; at >>= 1 {
					bits++
				}
				count, dist := v&(1<<(16-bits)-1)+3, v>>(16-bits)+1
				if dist > len(out)-start || len(out)-start+count > 4096 {
					return out
				}
				for range count {
					out = append(out, out[len(out)-dist])
				}
			}
		}
		if int64(len(out)) >= size {
			break
		}
		// A chunk that is not the last holds 4 KiB.
		for len(out)-start < 4096 && len(b) >= 2 && le.Uint16(b) != 0 {
			out = append(out, 0)
		}
	}
	return out
}
