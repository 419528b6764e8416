package clamsig

import (
	"strings"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

const maxOffset = 64 // characters of an offset

// offset reads where a body may begin: "*", "n", "EOF-n", "EP+n", "EP-n",
// "Sx+n", "SEx", "SL+n" or "VI", each but the first with ",shift".
func offset(s string, t rule.Target) (a pattern.Anchor, r *refusal) {
	if s == "*" {
		return a, nil
	}
	bad := func() (pattern.Anchor, *refusal) { return a, malformed("offset %q", clip(s)) }
	if len(s) > maxOffset {
		return bad()
	}
	at, shift, _ := strings.Cut(s, ",")
	ok := true
	if a.Shift, ok = number(shift); !ok {
		return bad()
	}
	var n int64
	switch {
	case strings.HasPrefix(at, "EP+"):
		a.Base = pattern.Entry
		a.Offset, ok = number(at[3:])
	case strings.HasPrefix(at, "EP-"):
		a.Base = pattern.Entry
		a.Offset, ok = number(at[3:])
		a.Offset = -a.Offset
	case strings.HasPrefix(at, "SE"):
		a.Base = pattern.SectionEnd
		n, ok = number(at[2:])
	case strings.HasPrefix(at, "SL+"):
		a.Base = pattern.LastSection
		a.Offset, ok = number(at[3:])
	case strings.HasPrefix(at, "S"):
		a.Base = pattern.Section
		n, a.Offset, ok = sectionOffset(at[1:])
	case strings.HasPrefix(at, "EOF-"):
		a.Base = pattern.End
		a.Offset, ok = number(at[4:])
	case strings.HasPrefix(at, "VI"):
		a.Base = pattern.VersionInfo
	case strings.Contains(at, "$"):
		_, r := groupOf(at)
		if r == nil {
			r = unsupported(Macro, "offset of a member of a macro group")
		}
		return a, r
	default:
		a.Base = pattern.Start
		a.Offset, ok = number(at)
	}
	if !ok {
		return bad()
	}
	if n > maxSection {
		n = maxSection
	}
	a.Number = int(n)
	if a.Base != pattern.Start && a.Base != pattern.End && t != rule.PE && t != rule.ELF && t != rule.MachO {
		return a, malformed("offset %q: target %d has no sections", clip(s), t)
	}
	return a, nil
}

// maxSection is more sections than any executable has.
const maxSection = 1<<31 - 1

// sectionOffset reads "x+n". What follows does not matter.
func sectionOffset(s string) (section, off int64, ok bool) {
	section, s, ok = leading(s)
	if !ok || !strings.HasPrefix(s, "+") {
		return 0, 0, false
	}
	off, _, ok = leading(s[1:])
	return section, off, ok
}
