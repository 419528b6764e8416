package scan

import (
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// spans returns where in the layer a match with that anchor may begin; none if
// the layer does not have what the anchor counts from (ClamAV documentation,
// "Body Signature Content Format", offsets).
func (l *layer) spans(a pattern.Anchor) []span {
	at := func(base int64) []span {
		lo := base + a.Offset
		return []span{{lo, lo + a.Shift}}
	}
	switch a.Base {
	case pattern.Start:
		return at(0)
	case pattern.End:
		lo := l.Source.Size() - a.Offset
		return []span{{lo, lo + a.Shift}}
	}
	if l.exe == nil {
		return nil
	}
	secs := l.exe.Sections
	switch a.Base {
	case pattern.Entry:
		if l.exe.Entry >= 0 {
			return at(l.exe.Entry)
		}
	case pattern.Section:
		if a.Number < len(secs) {
			return at(secs[a.Number].Offset)
		}
	case pattern.LastSection:
		if len(secs) > 0 {
			return at(secs[len(secs)-1].Offset)
		}
	case pattern.SectionEnd:
		if a.Number < len(secs) {
			s := secs[a.Number]
			return []span{{s.Offset, s.Offset + s.Size}}
		}
	case pattern.VersionInfo:
		var out []span
		for _, v := range l.exe.VersionInfo {
			out = append(out, span{v, v})
		}
		return out
	}
	return nil
}

// facts returns what guards ask of a layer.
func (l *layer) facts() rule.Facts {
	f := rule.Facts{Size: l.Source.Size(), Entry: -1, Ancestors: l.ancestors()}
	if l.exe != nil {
		f.Executable, f.Entry, f.Sections = true, l.exe.Entry, len(l.exe.Sections)
	}
	return f
}
