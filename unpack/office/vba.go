package office

import (
	"bytes"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/vba"
	"github.com/showcause/showcause/unpack"
)

const (
	maxModule  = 16 << 20 // bytes of a stream that source is looked for in, and of source
	attributes = "\x00Attribut"
	// stomped is the note that what was compiled and the source differ.
	stomped = showcause.Ambiguous + ".vba.source"
)

// VBA reads macros in compound files ([MS-OVBA]): the source of each module is a child,
// "vba.source", in the code page of the project. Where what was
// compiled names what no source does, these names are "vba.names". Source that no project lists is looked
// for in the streams that stand beside a project's, and where its first words stand
// anywhere. What was compiled from it stands in the streams as it is.
func VBA() unpack.Format {
	return unpack.Format{Name: "vba", Match: isCompound, Walk: vbaWalk}
}

func vbaWalk(src showcause.Source, out *unpack.Out) {
	c := open(src, out)
	if c == nil {
		return // and the reader of compound files says so
	}
	w := vbaWalker{compound: c, read: map[int]bool{}}
	done := map[int]bool{}
	for i, e := range c.Entries {
		if !out.Work(1) {
			return
		}
		if e.Kind == cfb.Stream && strings.EqualFold(e.Name, "dir") && c.inside[i] >= 0 && !done[c.inside[i]] {
			if done[c.inside[i]] = true; !w.project(c.inside[i]) {
				return
			}
		}
	}
	w.others()
}

// vbaWalker gives the source of macros.
type vbaWalker struct {
	*compound
	read map[int]bool // streams whose source was given
	room int64        // bytes that source may still be looked for in
}

// project gives the modules of a storage that a project may be in.
func (w *vbaWalker) project(storage int) bool {
	p, ok := vba.At(w.File, storage, w.out.Work)
	if p == nil {
		return true
	}
	if !ok && w.in(storage, "_VBA_PROJECT") < 0 && len(p.Modules) == 0 {
		return true // something else is called so
	}
	if !ok || p.Short() {
		w.out.Gap(showcause.Corrupt, w.at(w.in(storage, "dir")), -1)
	}
	var sources []string
	names := []string{"ThisDocument", "ThisWorkbook"}
	for _, m := range p.Modules {
		w.read[m.Stream] = m.Whole
		sources, names = append(sources, m.Code), append(names, m.Name)
		if m.Code != "" && !w.give(m.Name, m.Code) {
			return false
		}
		if !m.Whole {
			w.out.Gap(showcause.Corrupt, w.at(m.Stream), -1)
		}
		if empty(m.Code) && compiled(w.compound.read(m.Stream, min(m.Offset, maxModule))) {
			w.out.Gap(stomped, w.at(m.Stream), -1)
		}
	}
	return w.stomped(storage, sources, names)
}

func (w *vbaWalker) give(name, code string) bool {
	return w.out.Child(unpack.Child{Op: "vba.source", Name: name, Source: showcause.Bytes(code), Size: int64(len(code))})
}

// others looks for source in streams that no project lists.
func (w *vbaWalker) others() {
	w.room = 8*w.src.Size() + 64<<20
	_, anywhere := w.out.Find(w.src, 0, []byte(attributes), nil)
	beside := map[int]bool{}
	for i, e := range w.Entries {
		if strings.EqualFold(e.Name, "_VBA_PROJECT") || strings.EqualFold(e.Name, "VBA") && e.Kind == cfb.Storage {
			beside[w.inside[i]] = e.Kind == cfb.Stream || beside[w.inside[i]]
			beside[i] = e.Kind == cfb.Storage
		}
	}
	for i, e := range w.Entries {
		if !w.out.Work(1) {
			return
		}
		known := strings.EqualFold(e.Name, "dir") || strings.EqualFold(e.Name, "_VBA_PROJECT")
		if (e.Kind == cfb.Stream || e.Kind == cfb.Unused && e.Size > 0) && !w.read[i] && !known && (anywhere || beside[w.inside[i]]) && !w.search(i, beside[w.inside[i]]) {
			return
		}
	}
}

// search gives source that stands anywhere in a stream. beside says that the stream is
// where source is expected.
func (w *vbaWalker) search(i int, beside bool) bool {
	b := w.compound.read(i, maxModule)
	w.room -= int64(len(b))
	if e := &w.Entries[i]; e.Kind == cfb.Stream && e.Size > maxModule {
		w.out.Gap(showcause.LimitSize, w.at(i), -1)
	}
	for at := 0; at < len(b); {
		k := bytes.IndexByte(b[at:], 1)
		if k < 0 {
			break
		}
		at += k
		if !w.out.Work(int64(k)/8 + 1) {
			return false
		}
		code, n := container(b[at:], beside)
		if !w.out.Work(int64(n) / 4) {
			return false
		}
		if w.room -= int64(n); w.room < 0 { // in streams over each other, and what could be source all over
			w.out.Gap(showcause.LimitWork, w.at(i), -1)
			return false
		}
		if code == nil {
			at++
			continue
		}
		if !w.give(w.path(i), string(code)) {
			return false
		}
		at += n
	}
	return true
}

// container decompresses a container that b begins with, if it has source. n is
// how many bytes it was tried on, or of which it is, in any case some.
func container(b []byte, beside bool) (code []byte, n int) {
	// The first chunk is compressed and begins with literals.
	if len(b) < 6 || le.Uint16(b[1:])>>12 != 0xb || !beside && !bytes.HasPrefix(b[3:], []byte(attributes)) {
		return nil, 1
	}
	for n = 1; n+2 < len(b) && le.Uint16(b[n:])>>12&7 == 3; { // what follows a container is nothing of it
		n += int(le.Uint16(b[n:])&0xfff) + 3
	}
	n = min(n, len(b))
	code, _, _ = vba.Decompress(b[:n], maxModule)
	if bytes.HasPrefix(code, []byte("Attribut")) || len(code) >= 32 && isText(code) {
		return code, n
	}
	return nil, n
}

// isText tells source from what only decompresses: no control characters but those of
// lines in its first bytes.
func isText(b []byte) bool {
	return !slices.ContainsFunc(b[:min(len(b), 512)], func(c byte) bool { return c < 0x20 && c != '\t' && c != '\r' && c != '\n' || c == 0x7f })
}
