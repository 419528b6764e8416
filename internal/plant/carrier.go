package plant

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/view"
)

var le = binary.LittleEndian

// carrier is a kind of file that has no parts to count from: some bytes at
// the start, of which the first hard ones must stay, and at the end.
type carrier struct {
	name       string
	target     rule.Target
	head, tail string
	hard       int
	words      bool // what is between is text
}

// carriers lists them. The first of each target is the usual one; an empty
// head leaves it to the bodies to make the type.
func carriers() []carrier {
	return []carrier{
		{name: "blob", target: rule.Any, head: "\x8f\x93\x00\x01", hard: 0},
		{name: "ole2", target: rule.OLE2, head: ole2Head(), hard: 8},
		{name: "html", target: rule.HTML, head: "<html><head><title>a page</title></head><body>\nsome words ", tail: " more words\n</body></html>\n", hard: 20, words: true},
		{name: "mail", target: rule.Mail, head: "From: a@example.org\nTo: b@example.org\nSubject: words\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nSome words ", tail: "\nthe end\n", hard: 40, words: true},
		{name: "gif", target: rule.Graphics, head: "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;", hard: 6},
		{name: "png", target: rule.Graphics, head: "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde", tail: "\x00\x00\x00\x00IEND\xaeB`\x82", hard: 8},
		{name: "text", target: rule.ASCII, head: "some words of a plain text ", tail: " the end\n", words: true},
		{name: "pdf", target: rule.PDF, head: "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", tail: "\n%%EOF\n", hard: 8},
		{name: "swf", target: rule.Flash, head: "FWS\x06\x00\x20\x00\x00\x78\x00\x05\x5f\x00\x00\x0f\xa0\x00\x00\x0c\x01\x00", hard: 3},
		{name: "java", target: rule.Java, head: "\xca\xfe\xba\xbe\x00\x00\x00\x34\x00\x10\x0a\x00\x03\x00\x0d", hard: 8},
	}
}

// ole2Head is the header of a compound file with 512-byte sectors, one of
// them for the table of sectors and one for the directory (Microsoft, MS-CFB).
func ole2Head() string {
	b := make([]byte, 512)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for i, v := range map[int]uint16{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6} {
		le.PutUint16(b[i:], v)
	}
	for i, v := range map[int]uint32{44: 1, 48: 1, 56: 4096, 60: 0xfffffffe, 68: 0xfffffffe} {
		le.PutUint32(b[i:], v)
	}
	for i := 80; i < 512; i += 4 {
		le.PutUint32(b[i:], 0xffffffff)
	}
	fat := bytes.Repeat([]byte{0xff}, 512)
	le.PutUint32(fat, 0xfffffffd)
	le.PutUint32(fat[4:], 0xfffffffe)
	dir := make([]byte, 512)
	for i, c := range "Root Entry" {
		dir[2*i] = byte(c)
	}
	le.PutUint16(dir[64:], 22)
	dir[66], dir[67] = 5, 1
	for _, i := range []int{68, 72, 76} {
		le.PutUint32(dir[i:], 0xffffffff)
	}
	le.PutUint32(dir[116:], 0xfffffffe)
	return string(b) + string(fat) + string(dir)
}

// carry makes the innermost file.
func (g *gen) carry(f *File) ([]byte, error) {
	switch g.r.Target {
	case rule.PE, rule.ELF, rule.MachO:
		return g.executable(f, g.r.Target)
	case rule.Any:
		if g.chance(1, 6) && !g.anchored0() {
			return g.executable(f, []rule.Target{rule.PE, rule.ELF, rule.MachO}[g.rng.IntN(3)])
		}
	}
	var fit []carrier
	for _, c := range carriers() {
		if c.target == g.r.Target || g.r.Target == rule.Any && !c.words {
			fit = append(fit, c)
		}
	}
	c := fit[0]
	if g.r.Target != rule.Any || g.chance(1, 4) {
		c = fit[g.rng.IntN(len(fit))]
	}
	if g.try > 0 && g.anchored0() && g.try%2 == 1 || g.r.Target == rule.Any && g.anchored0() {
		c.name, c.head, c.hard, c.tail = "bare", "", 0, ""
	}
	g.text = g.text || c.words && g.r.Target != rule.Mail
	f.Carrier = c.name
	return g.simple(f, &c)
}

// anchored0 tells whether a body stands where a file's head does.
func (g *gen) anchored0() bool {
	for _, it := range g.items {
		if it.anchor.Base == pattern.Start && it.anchor.Offset < 512 {
			return true
		}
	}
	return false
}

func (g *gen) simple(f *File, c *carrier) ([]byte, error) {
	need := len(c.head) + len(c.tail) + 64
	for _, it := range g.items {
		n := len(it.data) + 2*margin
		switch it.anchor.Base {
		case pattern.Start:
			need = max(need, int(min(it.anchor.Offset+it.anchor.Shift, maxSize))+n+2)
		case pattern.Anywhere:
			need += 2 * n
		}
	}
	size, err := g.size(need + g.rng.IntN(1500))
	if err != nil {
		return nil, err
	}
	cv := g.canvas(size)
	if c.words && !g.text {
		g.words(cv.data)
	}
	cv.soft(0, []byte(c.head))
	cv.header(0, []byte(c.head[:c.hard]))
	cv.soft(size-len(c.tail), []byte(c.tail))
	if err := g.lay(cv); err != nil {
		return nil, err
	}
	if f.View = g.r.Target == rule.HTML || g.r.Target == rule.ASCII; f.View && !g.survives(cv.data) {
		return nil, NotNormal
	}
	return cv.data, nil
}

// size returns a file size that the rule's guard takes, need bytes or more,
// with the room that bodies at the end ask for.
func (g *gen) size(need int) (int, error) {
	end := 0
	for _, it := range g.items {
		if it.anchor.Base == pattern.End {
			end = max(end, int(min(it.anchor.Offset, maxSize))+margin)
			if over := len(it.data) - int(it.anchor.Offset); over > 0 {
				return 0, Collision // would end beyond the file
			}
		}
	}
	need += end
	if r := g.r.Guard.Size; r != nil {
		lo, hi := max(int64(r.Min), int64(need)), int64(min(r.Max, maxSize))
		if g.flaw.kind == "size" {
			switch {
			case int64(r.Min)-1 >= int64(need):
				return int(r.Min) - 1, nil
			case int64(r.Max) < maxSize && int64(r.Max)+1 >= int64(need):
				return int(r.Max) + 1, nil
			}
			return 0, NoFlaw
		}
		if lo > hi {
			if r.Min > maxSize {
				return 0, TooLarge
			}
			return 0, NoSize
		}
		if g.chance(2, 3) {
			hi = min(hi, lo+2000)
		}
		return int(g.within(lo, hi)), nil
	}
	if need > maxSize {
		return 0, TooLarge
	}
	return need, nil
}

// survives tells whether the stretch that every body asks for is in one and the
// same normalised view.
func (g *gen) survives(data []byte) bool {
	for _, v := range views(data, g.r.Target) {
		all := true
		for _, it := range g.items {
			all = all && bytes.Contains(v.Bytes, data[it.off:it.off+len(it.data)])
		}
		if all {
			g.viewed = int64(len(v.Bytes))
			return true
		}
	}
	return false
}

// views returns what signatures for HTML, or for text, are matched on.
func views(data []byte, t rule.Target) []view.View {
	src := showcause.Bytes(data)
	if t == rule.HTML {
		vs, _ := view.HTML(src, 1<<30)
		return vs
	}
	b, err := io.ReadAll(view.Text(bound.Reader(src, 0, -1)))
	must(err)
	return []view.View{{Op: view.OpText, Bytes: b}}
}

// parse reads what was laid out as the scanner will.
func parse(data []byte) *exe.Info {
	src := showcause.Bytes(data)
	for _, t := range exeTypes {
		if bytes.HasPrefix(bound.Head(src, 4), []byte(t.magic)) {
			if info, ok := exe.Parse(src, t.typ); ok {
				return info
			}
		}
	}
	return nil
}
