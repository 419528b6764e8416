package richtext

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Identifiers of OneNote's files ([MS-ONESTORE] 2.3.1, 2.6.13).
const (
	oneNoteMagic  = "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"
	oneNoteStore  = "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8"
	oneNoteHeader = "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac"
	oneNoteFooter = "\x22\xa7\xfb\x71\x79\x0f\x0b\x4a\xbb\x13\x89\x92\x56\x42\x6b\x24"

	ambiguousOneNote = showcause.Ambiguous + ".onenote.length"
	packedOneNote    = showcause.Unsupported + ".method.onenote"
)

// OneNote reads a section of OneNote ([MS-ONESTORE]): the files in it, "onenote.file", wherever
// the identifier in front of one stands. Text and the rest stand there as they are. Where a file's length
// does not lead to what ends it, the bytes up to there are a child as well, with a note. Sections as a server
// packs them ([MS-ONESTORE] 2.8) are told.
//
//	identifier, u64 length, u32, u64, the file to a multiple of 8, identifier
func OneNote() unpack.Format {
	return unpack.Format{
		Name:  "onenote",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte(oneNoteMagic)) },
		Walk:  oneNoteWalk,
	}
}

const oneNoteHead = 16 + 8 + 4 + 8

func oneNoteWalk(src showcause.Source, out *unpack.Out) {
	head := bound.Head(src, 1024)
	if !out.Work(64) {
		return
	}
	if len(head) < 1024 || le.Uint64(head[196:]) > uint64(src.Size()) { // its length
		out.Gap(showcause.Corrupt, src.Size(), -1)
	}
	if len(head) >= 64 && string(head[48:64]) != oneNoteStore {
		out.Gap(packedOneNote, 0, src.Size())
	}
	for off := int64(0); ; {
		at, ok := out.Find(src, off, []byte(oneNoteHeader), nil)
		if !ok {
			return
		}
		if off, ok = oneNoteFile(src, out, at); !ok {
			return
		}
	}
}

// oneNoteFile gives the file at at and returns from where on to look for others: they may
// stand in this one if its length is wrong.
func oneNoteFile(src showcause.Source, out *unpack.Out, at int64) (next int64, ok bool) {
	data := at + oneNoteHead
	b, _ := bound.ReadAt(src, at+16, 8, 8)
	if len(b) < 8 || data > src.Size() {
		out.Gap(showcause.Corrupt, at, src.Size()-at)
		return at + 16, true
	}
	n := int64(min(le.Uint64(b), 1<<62))
	end := bound.Add(data, bound.Add(n, (8-n&7)&7))
	if foot, _ := bound.ReadAt(src, end, 16, 16); string(foot) == oneNoteFooter {
		return end, out.Section(src, "onenote.file", "", data, n)
	}
	if n > 0 && bound.In(data, n, src.Size()) && !out.Section(src, "onenote.file", "", data, n) {
		return 0, false
	}
	foot, found := out.Find(src, data, []byte(oneNoteFooter), nil)
	if !found {
		out.Gap(showcause.Corrupt, at, -1)
		foot = src.Size()
	} else {
		out.Gap(ambiguousOneNote, at, foot-at)
	}
	return data, out.Section(src, "onenote.file", "", data, foot-data)
}
