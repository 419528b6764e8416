// Package sevenzip reads 7z archives.
package sevenzip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

var magic = []byte("7z\xbc\xaf\x27\x1c")

const (
	signature = 32 // bytes of the first header
	// maxHeader is the size in bytes of the largest directory that is read; that
	// of 100,000 files is 10 MB or so.
	maxHeader = 32 << 20
)

// Format reads 7z archives (7-Zip, 7zFormat.txt), at the start of a layer, and
// anywhere in a program.
//
//	first header   magic, version, CRC-32 of what follows; offset, size and
//	               CRC-32 of the directory
//	folders        streams, each behind a graph of coders
//	directory      itself in a folder as a rule: where the streams stand, the
//	               coders, sizes, checksums, names
//
// The files of a folder are cut from one stream. Each is a child, "7z.lzma2" by
// what compresses the folder. What is encrypted is tried with each password
// (unpack.Out.Passwords): what opens has ".decrypted" behind its operation, and
// the rest is a gap for each file, and if the directory does not open, one gap.
// What stands behind an archive is a child, "7z.rest", and so is what stands in it
// and no folder has: streams that none names, what a coder leaves of its stream,
// space between. Where a coder could have gone on that is a gap as well.
func Format() unpack.Format {
	return unpack.Format{
		Name: "7z",
		Match: func(p *unpack.Probe) bool {
			return bytes.HasPrefix(p.Head, magic) || p.Source != nil && isProgram(p.Type)
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

// plausible checks the first header as readers do. 7-Zip looks for a directory
// also where all behind the version is zero.
func plausible(b []byte) bool {
	if len(b) < signature || !bytes.HasPrefix(b, magic) || b[6] != 0 {
		return false
	}
	sum := binary.LittleEndian.Uint32(b[8:])
	return crc32.ChecksumIEEE(b[12:signature]) == sum || sum == 0 && len(bytes.Trim(b[12:signature], "\x00")) == 0
}

func walk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	end := int64(-1) // of the archive that the layer begins with
	if head := bound.Head(src, signature); bytes.HasPrefix(head, magic) && !plausible(head) {
		// The checksum is wrong, or the version, or it is cut short. It may be
		// right all the same where the directory is.
		a := archive{src: src, layer: src, out: out}
		if len(head) < signature || !a.walk(true) {
			if len(head) < signature {
				out.Gap(showcause.Corrupt, 0, -1)
			}
			return
		}
		if off = max(a.end, 1); a.end > 0 {
			end = a.end
		}
	}
	defer func() {
		if end >= 0 {
			out.Tail(src, end, "7z.rest")
		}
	}()
	for {
		at, ok := out.Find(src, off, magic, plausible)
		if !ok {
			return
		}
		a := archive{src: bound.Section(src, at, -1), layer: src, base: at, out: out}
		if !a.walk(false) {
			return
		}
		off = at + max(a.end, int64(len(magic)))
		if !a.between() {
			return
		}
		if at == 0 && a.end > 0 {
			end = a.end
		}
	}
}

// archive is one archive while it is read. Offsets count from its start.
type archive struct {
	src   showcause.Source
	layer showcause.Source
	base  int64 // of src in the layer
	out   *unpack.Out
	end   int64
	main  *streams
	more  []*streams // others that the directory has
	last  *opener    // of what was opened last

	claimed []unpack.Span // by the directory, in order as a rule
	unread  bool          // a directory could not be read, so that nobody knows what is claimed

	model     *ppmd.Model // that of the last folder with PPMd
	modelSize int64       // bytes
	modelUsed bool        // by the folder that was opened last

	words [][]byte // passwords
	right []byte   // the one that opened a folder
}

// gap says that the archive could not be read.
func (a *archive) gap(err error) bool {
	code := showcause.Corrupt
	var e *unpack.Error
	if errors.As(err, &e) {
		code = e.Code
	}
	a.out.Gap(code, a.base, -1)
	a.unread = true
	return code != showcause.LimitWork
}

// claim says that [off, off+n) of the archive is part of it.
func (a *archive) claim(off, n int64) {
	to := min(bound.Add(off, n), a.src.Size())
	a.end = max(a.end, to)
	if k := len(a.claimed) - 1; k >= 0 && a.claimed[k].To == off {
		a.claimed[k].To = to
	} else if to > off {
		a.claimed = append(a.claimed, unpack.Span{From: off, To: to})
	}
}

// between gives what stands in the archive and is claimed by nothing. It tells whether to go on.
func (a *archive) between() bool {
	if a.unread {
		a.out.Cover(a.base, a.end)
		return true
	}
	a.out.Cover(a.base, min(signature, a.end))
	for _, s := range a.claimed {
		a.out.Cover(a.base+s.From, s.To-s.From)
	}
	if n := a.unnamed(); n > 0 { // coded by a folder that the directory keeps to itself, as likely as not
		a.out.Gap(showcause.Corrupt, a.base+signature, n)
	}
	return a.out.Between(a.layer, a.base, a.base+a.end, "7z.rest")
}

// unnamed is how many bytes behind the first header are packed, as it seems, by an
// archive whose directory names no folder at all.
func (a *archive) unnamed() int64 {
	if a.main != nil && len(a.main.folders) > 0 || len(a.more) > 0 {
		return 0
	}
	to := a.end
	for _, s := range a.claimed {
		to = min(to, s.From)
	}
	head, _ := bound.ReadAt(a.src, signature, min(to-signature, 64<<10), 64<<10)
	if len(bytes.Trim(head, "\x00")) == 0 {
		return 0
	}
	return to - signature
}

// walk reads the archive and tells whether to go on. damaged says that the
// checksum of the first header does not fit.
func (a *archive) walk(damaged bool) bool {
	defer a.dropModel()
	h, _ := bound.ReadAt(a.src, 0, signature, signature)
	if len(h) < signature || !a.out.Work(1<<10) {
		return false
	}
	off, n := int64(binary.LittleEndian.Uint64(h[12:])), int64(binary.LittleEndian.Uint64(h[20:]))
	if off < 0 || n < 0 || damaged {
		a.gap(nil)
	}
	if n == 0 && off == 0 && !damaged && binary.LittleEndian.Uint32(h[8:]) != 0 {
		a.end = signature
		a.orphans()
		return true // an empty archive
	}
	if off < 0 || n <= 0 || n > maxHeader || !a.out.Work(n/4) {
		if !damaged && off >= 0 {
			if n > maxHeader {
				return a.gap(unpack.Fail(showcause.LimitMemory))
			}
			a.gap(nil)
		}
		return true
	}
	b, err := bound.ReadAt(a.src, bound.Add(signature, off), n, maxHeader)
	if err != nil {
		return a.gap(nil)
	}
	a.claim(signature+off, n)
	if crc32.ChecksumIEEE(b) != binary.LittleEndian.Uint32(h[28:]) {
		a.gap(nil)
	}
	return a.directory(b)
}

// orphans says of an archive without a directory that something stands where its packed
// bytes would, if that is nothing by itself.
func (a *archive) orphans() {
	rest := bound.Section(a.src, signature, -1)
	head := bound.Head(rest, unpack.HeadSize)
	if a.base == 0 && len(bytes.Trim(head, "\x00")) > 0 && filetype.Detect(head, rest) == filetype.Unknown {
		a.out.Gap(showcause.Corrupt, signature, rest.Size())
	}
}

// directory reads the directory, through as many folders as it is in.
func (a *archive) directory(b []byte) bool {
	for range 4 {
		d := &directory{b: b, work: a.out.Work}
		switch d.byte() {
		case idHeader:
			all, err := a.header(d)
			if err != nil && !a.gap(err) {
				return false
			}
			return a.give(all)
		case idEncodedHeader:
			a.main = d.streams()
			if d.err != nil || len(a.main.folders) == 0 {
				return a.gap(d.err)
			}
			var err error
			a.claimFolder(a.main.folders[0])
			a.more = append(a.more, &streams{pos: a.main.pos, packs: a.main.packs, folders: a.main.folders[1:]})
			if b, err = a.encoded(a.main.folders[0]); err != nil {
				return a.gap(err)
			}
		default:
			return a.gap(nil)
		}
	}
	return a.gap(nil)
}

// encoded reads the directory from a folder.
func (a *archive) encoded(f *folder) ([]byte, error) {
	if f.encrypted() && !a.unlock(f) {
		return nil, unpack.Fail(showcause.Encrypted)
	}
	_, cost := f.op()
	size := f.size()
	if size > maxHeader {
		return nil, unpack.Fail(showcause.LimitMemory)
	}
	if !a.out.Work(cost*size + 1<<14) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	w := f.window()
	if !a.out.Hold(w) {
		return nil, unpack.Fail(showcause.LimitMemory)
	}
	defer a.out.Release(w)
	r, err := a.content(f)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, size))
	if err == nil && f.crc.known && crc32.ChecksumIEEE(b) != f.crc.v {
		err = errHeader
	}
	return b, err
}

// header reads the directory's parts.
func (a *archive) header(d *directory) (files, error) {
	a.main = &streams{}
	var all files
	for d.err == nil {
		switch d.byte() {
		case idEnd:
			return all, d.err
		case idArchiveProperties:
			for d.err == nil && d.byte() != idEnd {
				d.skip()
			}
		case idAdditionalStreams:
			a.more = append(a.more, d.streams())
		case idMainStreams:
			a.main = d.streams()
		case idFiles:
			all = d.files()
		default:
			d.fail()
		}
	}
	return all, d.err
}

// give gives the files of each folder. Names are in the order of the files that
// are not empty.
func (a *archive) give(all files) bool {
	for _, f := range a.main.folders {
		a.claimFolder(f)
		next := func(s sub) string {
			name := all.next()
			a.out.Member(unpack.Member{Name: name, Size: s.size, Encrypted: f.encrypted(), Sum: s.crc.v, Number: all.at - 1})
			return name
		}
		if !a.folder(f, next) || !a.left(f) {
			return false
		}
	}
	for _, a.main = range a.more {
		for _, f := range a.main.folders {
			a.claimFolder(f)
			if !a.folder(f, func(sub) string { return "" }) || !a.left(f) {
				return false
			}
		}
	}
	return true
}

// claimFolder claims the packed streams of a folder.
func (a *archive) claimFolder(f *folder) {
	for k := range f.packed {
		if off, n, ok := a.main.packed(f.at + k); ok {
			a.claim(off, n)
		}
	}
}

// leftMost is how many bytes of a stream coders may leave that have all they want:
// the end of a range coder, padding of a cipher, the size of an index.
const leftMost = 64

// left gives what the coders of a folder, which is read to its end, left of its
// packed streams. It tells whether to go on.
func (a *archive) left(f *folder) bool {
	o := a.last
	if a.last = nil; o == nil && f.size() > 0 || o != nil && !o.finished() {
		return true // its gap is told
	}
	for k := range f.packed {
		off, n, ok := a.main.packed(f.at + k)
		used := int64(0)
		if o != nil {
			used = o.packed[k].used()
		}
		if n = min(n, a.src.Size()-off); !ok || n-used <= leftMost {
			continue
		}
		if !f.copied() {
			a.out.Gap(showcause.Corrupt, a.base+off+used, n-used)
		}
		if !a.out.Section(a.layer, "7z.rest", "", a.base+off+used, n-used) {
			return false
		}
	}
	return true
}

func (a *archive) folder(f *folder, name func(sub) string) bool {
	op, cost := f.op()
	a.last = nil
	if f.encrypted() && a.unlock(f) {
		op += opened
	} else if f.encrypted() {
		for _, s := range f.subs {
			if !a.out.ChildGap(unpack.Child{Op: op, Name: name(s), Size: s.size}, showcause.Encrypted) {
				return false
			}
		}
		if len(f.subs) == 0 && f.size() > 0 {
			a.out.Gap(showcause.Encrypted, a.base, -1)
		}
		return true
	}
	a.last = nil
	s := unpack.Solid{Out: a.out, Open: func() (io.Reader, error) { return a.content(f) }, Cost: cost, Window: f.window()}
	defer s.Close()
	pos, size := int64(0), f.size()
	for i, m := range f.subs {
		last := i == len(f.subs)-1
		n := name(m)
		if m.size == 0 {
			continue
		}
		if !s.Member(unpack.Child{Op: op, Name: n, Size: m.size}, unpack.Piece{Off: pos, Size: m.size, Summed: m.crc.known, CRC: m.crc.v, Last: last}) {
			return false
		}
		pos = bound.Add(pos, m.size)
	}
	if pos < size { // no file has it
		op := "7z.rest"
		if f.password != nil {
			op += opened
		}
		return s.Member(unpack.Child{Op: op, Size: size - pos}, unpack.Piece{Off: pos, Size: size - pos, Last: true})
	}
	return true
}
