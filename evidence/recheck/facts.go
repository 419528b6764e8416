package recheck

import (
	"slices"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/document"
)

// stretch is an inclusive range of offsets.
type stretch struct{ first, last int64 }

func (s stretch) has(off int64) bool { return off >= s.first && off <= s.last }

// anchored returns where a match may begin: all is true where it may anywhere,
// and the stretches are none where the layer has not what the anchor counts
// from (ClamAV documentation, "Body Signature Content Format", offsets).
func (l *layer) anchored(a pattern.Anchor) (all bool, out []stretch) {
	from := func(base int64) []stretch { return []stretch{{base + a.Offset, base + a.Offset + a.Shift}} }
	size := l.Source.Size()
	switch {
	case a.Base == pattern.Anywhere:
		return true, nil
	case a.Base == pattern.Start:
		return false, from(0)
	case a.Base == pattern.End:
		return false, []stretch{{size - a.Offset, size - a.Offset + a.Shift}}
	case l.exe == nil:
		return false, nil
	}
	sections := l.exe.Sections
	switch {
	case a.Base == pattern.Entry && l.exe.Entry >= 0:
		return false, from(l.exe.Entry)
	case a.Base == pattern.Section && a.Number < len(sections):
		return false, from(sections[a.Number].Offset)
	case a.Base == pattern.LastSection && len(sections) > 0:
		return false, from(sections[len(sections)-1].Offset)
	case a.Base == pattern.SectionEnd && a.Number < len(sections):
		s := sections[a.Number]
		return false, []stretch{{s.Offset, s.Offset + s.Size}}
	case a.Base == pattern.VersionInfo:
		for _, v := range l.exe.VersionInfo {
			out = append(out, stretch{v, v})
		}
	}
	return false, out
}

// facts are what a rule's guard asks of a layer.
func (l *layer) facts() *rule.Facts {
	f := &rule.Facts{Size: l.Source.Size(), Entry: -1}
	for c, p := l, l.parent; p != nil; c, p = p, p.parent {
		if c.as || document.InMailbox(p.Trail) { // the same bytes, read otherwise; a mail, which counts with its mailbox
			continue
		}
		f.Ancestors = append(f.Ancestors, p.kind.ClamAV())
	}
	slices.Reverse(f.Ancestors)
	if l.exe != nil {
		f.Executable, f.Entry, f.Sections = true, l.exe.Entry, len(l.exe.Sections)
	}
	return f
}
