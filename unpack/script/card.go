package script

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// Card reads vCards and iCalendar files (RFC 6350, RFC 5545, vCard 2.1): what a property has in base64, its lines
// joined, "card.base64"; and in quoted-printable, "card.text".
//
//	name; parameters: value, a line; what begins with a space or a tab belongs to the line before
func Card() unpack.Format {
	return unpack.Format{
		Name: "card",
		Match: func(p *unpack.Probe) bool {
			return isText(p.Type) && isCard(p.Head) || wide(p.Type) && isCard(bytes.ReplaceAll(p.Head[:min(len(p.Head), 256)], []byte{0}, nil))
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			text, own := narrowed(src, out)
			c := &card{finder: newFinder(text, out), own: own}
			for at := int64(0); at >= 0 && at < c.size && out.Work(8); {
				at = c.property(at, c.line(at))
			}
		},
	}
}

// isCard tells whether a text begins as one, blank lines left out.
func isCard(head []byte) bool {
	b := bytes.TrimLeft(bytes.TrimPrefix(head[:min(len(head), 256)], []byte("\xef\xbb\xbf")), "\xff\xfe \t\r\n")
	return hasFold(b, "begin:vcard") || hasFold(b, "begin:vcalendar")
}

// card is a file that is read.
type card struct {
	*finder
	own bool
}

// line returns where the line at at ends, with those that belong to it.
func (c *card) line(at int64) int64 {
	for {
		i, ok := c.find(at, "\n")
		if !ok {
			return c.size
		}
		at = i + 1
		if next := c.finder.at(at, 1); len(next) == 0 || next[0] != ' ' && next[0] != '\t' {
			return at
		}
	}
}

// maxParameters is how much of a property may stand in front of its value, in bytes.
const maxParameters = 4 << 10

// property gives the value of the property that stands in [at, end), if it is encoded. It returns where the next one
// stands, -1 not to go on.
func (c *card) property(at, end int64) int64 {
	head := bytes.Clone(c.finder.at(at, min(end-at, maxParameters)))
	i := colon(head)
	if i < 0 {
		return end
	}
	params := string(bytes.ToLower(unfolded.ReplaceAll(head[:i], nil)))
	from := at + int64(i) + 1
	value := unfolded.ReplaceAll(head[i+1:], nil)
	_, packed, _ := strings.Cut(params, ";")
	switch {
	case base64Parameter.MatchString(";" + packed + ";"):
		for end < c.size { // lines of vCard 2.1 need not begin with a space
			next := c.line(end)
			if b := c.finder.at(end, min(next-end, 1<<10)); len(bytes.TrimSpace(b)) == 0 || bytes.IndexByte(b, ':') >= 0 {
				break
			}
			end = next
		}
	case strings.Contains(packed, "quoted-printable"):
		for end < c.size && softEnd(c.finder.at(end-3, 3)) {
			end = c.line(end)
		}
		in := mailcode.NewReader(bound.Reader(c.src, from, end-from), &mailcode.Quoted{}, make([]byte, 4<<10))
		return c.child(unpack.Child{Op: "card.text", Reader: in, Size: -1}, from, end)
	case hasFold(value, "data:") && bytes.Contains(bytes.ToLower(value), []byte(";base64,")):
		at := bytes.IndexByte(head[i+1:], ',')
		from += int64(at) + 1
	default:
		return end
	}
	name := ""
	if m := fileParameter.FindSubmatch(unfolded.ReplaceAll(head[:i], nil)); m != nil {
		name = string(bytes.Trim(m[1], `"`))
	}
	return c.child(unpack.Child{Op: "card.base64", Name: name, Reader: c.open(stretch{from: from, to: end, coding: coding{kind: base64Digits}}), Size: -1}, from, end)
}

// child gives what stands in [from, to) of the text.
func (c *card) child(child unpack.Child, from, to int64) int64 {
	if !c.out.Work((to-from)/8+16) || !c.out.Child(child) {
		return -1
	}
	if c.own {
		c.out.Cover(from, to-from)
	}
	return to
}

// unfolded is what lines are parted by that belong together; base64Parameter the parameters that say base64,
// within semicolons, fileParameter what programs write a file's name with (FILENAME of RFC 8607, section 4.1; X-FILENAME,
// X-APPLE-FILENAME).
var (
	unfolded        = regexp.MustCompile(`\r?\n[ \t]`)
	base64Parameter = regexp.MustCompile(`;(encoding=)?"?(b|base64)"?;`)
	fileParameter   = regexp.MustCompile(`(?i);(?:x-(?:[a-z]+-)?)?file-?name=("[^"]*"|[^;:"]*)`)
)

// colon returns where the colon in front of a value stands, -1 if there is none.
func colon(b []byte) int {
	quoted := false
	for i, x := range b {
		switch {
		case x == '"':
			quoted = !quoted
		case x == ':' && !quoted:
			return i
		}
	}
	return bytes.IndexByte(b, ':')
}

// softEnd tells whether a line that b ends goes on in quoted-printable.
func softEnd(b []byte) bool { return bytes.HasSuffix(bytes.TrimRight(b, "\r\n"), []byte("=")) }
