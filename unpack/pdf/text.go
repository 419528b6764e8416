package pdf

import (
	"bytes"
	"crypto/sha256"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// texts are strings that are joined in one child.
type texts struct {
	actions bytes.Buffer
	strings bytes.Buffer
	scripts map[[32]byte]bool // given already
	lines   map[[32]byte]bool
}

const (
	maxText  = 4 << 20 // bytes of joined strings that are held
	maxSeen  = 1 << 16 // strings that are told apart
	maxParts = 1 << 10 // of a form
	fewest   = 4       // bytes of a string
)

// survey reads all objects for what they say of each other.
func (f *file) survey() {
	f.texts.scripts, f.texts.lines = map[[32]byte]bool{}, map[[32]byte]bool{}
	locked := int64(-1)
	if f.lock != nil {
		locked = f.lock.num
	}
	for _, h := range f.heads {
		if f.stop {
			return
		}
		if h.num >= 0 && h.num == locked || f.nested[h.body] {
			continue
		}
		if v, _ := f.object(h); v.kind != kindWord && v.kind != kindNone {
			if f.lock != nil && f.lock.doubt {
				f.note(v, h, "")
			}
			f.open(&v, h)
			f.note(v, h, "")
		}
	}
	for _, s := range f.packs {
		f.eachPacked(s, func(num int64, v value) { f.note(v, head{num: num}, "") })
	}
	for _, v := range f.dicts {
		f.note(v, head{num: -1}, "")
	}
	f.flush(&f.texts.actions, "pdf.actions", 1)
	f.flush(&f.texts.strings, "pdf.strings", 1)
}

// flush gives joined strings from a size on.
func (f *file) flush(b *bytes.Buffer, op string, from int) {
	if b.Len() >= from {
		f.text(op, "", b.Bytes())
		b.Reset()
	}
}

// line adds a line, once.
func (f *file) line(b *bytes.Buffer, op, what string, text []byte) {
	text = plainText(text)
	if len(text) == 0 || len(text) > maxObject {
		return
	}
	key := sha256.Sum256(append([]byte(op+what+" "), text...))
	if f.texts.lines[key] || !f.work(int64(len(text))) {
		return
	}
	if len(f.texts.lines) < maxSeen {
		f.texts.lines[key] = true
	}
	if what != "" {
		b.WriteString(what + " ")
	}
	b.Write(text)
	b.WriteByte('\n')
	f.flush(b, op, maxText)
}

// note reads what a value, in the object h, says.
func (f *file) note(v value, h head, key string) {
	if f.stop {
		return
	}
	switch v.kind {
	case kindString:
		if !v.plain && key != "ID" && len(v.b) >= fewest {
			f.line(&f.texts.strings, "pdf.strings", "", v.b)
		}
	case kindArray:
		for _, e := range v.list {
			f.note(e, h, key)
		}
	case kindDict:
		f.noteDict(v, h)
		for i := 0; i+1 < len(v.list); i += 2 {
			f.note(v.list[i+1], h, string(v.list[i].b))
		}
	}
}

// noteDict reads the keys of a dictionary by which something is run or opened.
func (f *file) noteDict(v value, h head) {
	action := v.get("S")
	for i := 0; i+1 < len(v.list) && !f.stop; i += 2 {
		e := v.list[i+1]
		switch key := string(v.list[i].b); key {
		case "EF":
			f.noteFiles(v, e)
		case "RF":
			f.noteRelated(e)
		case "JS":
			f.noteScript(e, h)
		case "XFA":
			f.noteForm(e, h)
		case "URI":
			f.noteStrings(e, key)
		case "F", "UF", "Win", "Unix", "Mac", "DOS":
			switch {
			case action.kind == kindName:
				f.noteTarget(e, string(action.b[:min(len(action.b), 32)]))
			case v.is("FS", "URL"):
				f.noteTarget(e, "URL")
			}
		}
	}
}

// strings returns the strings that a value may be.
func (f *file) stringsOf(v value) (out [][]byte) {
	for _, e := range f.resolve(v, 0) {
		if e.kind == kindString {
			out = append(out, e.b)
		}
	}
	return out
}

func (f *file) noteStrings(v value, what string) {
	for _, s := range f.stringsOf(v) {
		f.line(&f.texts.actions, "pdf.actions", what, s)
	}
}

// noteTarget reads a file specification (7.11), or the parameters of a program.
func (f *file) noteTarget(v value, what string) {
	for _, e := range f.resolve(v, 0) {
		switch e.kind {
		case kindString:
			f.line(&f.texts.actions, "pdf.actions", what, e.b)
		case kindDict:
			for _, k := range []string{"F", "UF", "Unix", "Mac", "DOS", "P", "D", "O"} {
				f.noteStrings(e.get(k), what)
			}
		}
	}
}

// noteFiles reads which streams are the file of a specification (7.11.4).
func (f *file) noteFiles(spec, ef value) {
	r := role{op: "pdf.file"}
	for _, k := range []string{"UF", "F", "Unix", "Mac", "DOS"} {
		if s := f.stringsOf(spec.get(k)); len(s) > 0 && r.name == "" {
			r.name = string(plainText(s[0]))
		}
	}
	r.name = r.name[:min(len(r.name), unpack.MaxName)]
	for _, e := range f.resolve(ef, 0) {
		for i := 1; i < len(e.list); i += 2 {
			if e.list[i].kind == kindRef {
				f.use(e.list[i].n, r)
			}
		}
	}
}

// noteRelated reads related files: arrays of names and streams (7.11.4.3).
func (f *file) noteRelated(v value) {
	for _, e := range f.resolve(v, 0) {
		for i := 1; i < len(e.list); i += 2 {
			for _, a := range f.resolve(e.list[i], 1) {
				for k := 1; a.kind == kindArray && k < len(a.list); k += 2 {
					if name := f.stringsOf(a.list[k-1]); a.list[k].kind == kindRef && len(name) > 0 {
						f.use(a.list[k].n, role{"pdf.file", string(plainText(name[0][:min(len(name[0]), unpack.MaxName)]))})
					}
				}
			}
		}
	}
}

// noteScript gives a script that is a string, or says of a stream that it is one.
func (f *file) noteScript(v value, h head) {
	if v.kind == kindRef {
		f.use(v.n, role{op: "pdf.javascript"})
	}
	for _, s := range f.stringsOf(v) {
		key := sha256.Sum256(s)
		if f.texts.scripts[key] || len(s) == 0 || !f.work(int64(len(s))) {
			continue
		}
		if len(f.texts.scripts) < maxSeen {
			f.texts.scripts[key] = true
		}
		f.text("pdf.javascript", h.identity(), plainText(s))
	}
}

// noteForm reads a form in XML (12.7.8): a stream, or parts that are one when joined.
func (f *file) noteForm(v value, h head) {
	if v.kind == kindRef {
		f.use(v.n, role{op: "pdf.xfa"})
	}
	for _, e := range f.resolve(v, 0) {
		if e.kind != kindArray {
			continue
		}
		var parts []io.Reader
		if len(e.list) > 2*maxParts {
			f.say(showcause.LimitObject, max(h.at, 0), -1)
		}
		for i := 1; i < len(e.list) && len(parts) < maxParts; i += 2 {
			if e.list[i].kind == kindRef {
				if r := f.part(e.list[i].n); r != nil {
					parts = append(parts, r)
				}
			}
		}
		if len(parts) > 1 {
			f.stop = f.stop || !f.out.Child(unpack.Child{Op: "pdf.xfa", Name: h.identity(), Reader: io.MultiReader(parts...), Size: -1})
		}
	}
}

// part returns the content of the last stream with a number.
func (f *file) part(num int64) io.Reader {
	if f.byNumber == nil {
		f.byNumber = map[int64]*stream{}
		for _, s := range f.streams {
			if !s.bare {
				f.byNumber[s.num] = s
			}
		}
	}
	s := f.byNumber[num]
	if f.room -= 1 << 10; s == nil || f.room < 0 {
		return nil // each is a stream by itself, too
	}
	v := f.dict(s)
	ends, _ := f.bounds(s, v)
	chain := f.chains(v)[0]
	c, sealed := f.cipherOf(s, v, chain, role{})
	if sealed {
		return failing{showcause.Encrypted}
	}
	return &lazy{open: func() io.Reader { return f.run(s, ends[0], chain, c) }}
}

// lazy opens what it reads when it is read.
type lazy struct {
	open func() io.Reader
	r    io.Reader
}

// Read implements io.Reader.
func (l *lazy) Read(p []byte) (int, error) {
	if l.r == nil {
		l.r = l.open()
	}
	return l.r.Read(p)
}

// plainText returns a text string (7.9.2.2) as UTF-8 where it is UTF-16, and else as
// it is.
func plainText(b []byte) []byte {
	var wide func(i int) uint16
	switch {
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		wide = func(i int) uint16 { return uint16(b[i])<<8 | uint16(b[i+1]) }
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		wide = func(i int) uint16 { return uint16(b[i+1])<<8 | uint16(b[i]) }
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return b[3:]
	default:
		return b
	}
	out := make([]byte, 0, len(b)/2)
	for i := 2; i+1 < len(b); i += 2 {
		r := rune(wide(i))
		if utf16.IsSurrogate(r) && i+3 < len(b) {
			if d := utf16.DecodeRune(r, rune(wide(i+2))); d != utf8.RuneError {
				r = d
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
