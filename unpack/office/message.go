package office

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// Streams of properties in Outlook's messages ([MS-OXMSG] 2.1.2): the number of the
// property and its type.
const (
	propertyRTF  = "__substg1.0_10090102"
	propertyData = "__substg1.0_37010102" // of an attachment
)

// Message reads what Outlook's messages compress: the text as RTF ([MS-OXRTFCP]), "msg.rtf".
// Texts, pages and attachments are streams as they are; those of attachments are called
// as the attachment is.
func Message() unpack.Format {
	return unpack.Format{Name: "msg", Match: isCompound, Walk: messageWalk}
}

func messageWalk(src showcause.Source, out *unpack.Out) {
	is := func(name string) bool { return strings.EqualFold(name, propertyRTF) }
	eachStream(src, out, rtfMost, is, func(c *compound, i int) bool {
		s, _, _ := c.stream(i)
		if s.Size() < 16 {
			return true
		}
		r, err := mailcode.CompressedRTF(bound.Reader(s, 0, -1))
		if err != nil {
			out.Gap(showcause.Corrupt, c.at(i), s.Size())
			return true
		}
		return out.Child(unpack.Child{Op: "msg.rtf", Name: c.path(i), Size: -1, Reader: r})
	})
}

// attachment is the file name of an attachment whose data are stream i, "" if it is none.
func (c *compound) attachment(i int) string {
	if !strings.EqualFold(c.Entries[i].Name, propertyData) {
		return ""
	}
	for _, p := range []string{"__substg1.0_3707001F", "__substg1.0_3707001E", "__substg1.0_3704001F", "__substg1.0_3704001E"} {
		if k := c.in(c.inside[i], p); k >= 0 {
			b := c.read(k, 2*unpack.MaxName)
			if name := strings.TrimRight(string(b), "\x00"); strings.HasSuffix(p, "E") && name != "" {
				return name
			}
			if name := utf8of(b); strings.HasSuffix(p, "F") && name != "" {
				return name
			}
		}
	}
	return ""
}
