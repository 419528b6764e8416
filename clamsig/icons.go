package clamsig

import (
	"strings"

	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// knownIcon is one line of an .idb file.
type knownIcon struct{ group1, group2, line string }

// maxGroups is how many groups of one kind the icons may have.
const maxGroups = 256

// icon reads "name:group1:group2:metrics" and remembers it for the signatures that ask for its
// groups, which are read later.
func (f *file) icon(line string) (string, *refusal) {
	var t [5]string
	if split(line, ':', t[:]) != 4 {
		return "", malformed("an icon has 4 fields")
	}
	if f.l.ignored(t[0], line) {
		return t[0], outside(Ignored, "by name")
	}
	if _, err := icon.Parse(t[3]); err != nil {
		return t[0], malformed("%v", err)
	}
	for i, g := range t[1:3] {
		if f.l.groups[i] == nil {
			f.l.groups[i] = map[string]bool{}
		}
		if f.l.groups[i][g] = true; len(f.l.groups[i]) > maxGroups {
			return t[0], malformed("more than %d groups of icons", maxGroups)
		}
	}
	f.l.icons = append(f.l.icons, knownIcon{strings.Clone(t[1]), strings.Clone(t[2]), strings.Clone(line)})
	return t[0], nil
}

// withIcons has a condition ask for an icon of the groups besides, "*" being all. Where none is
// known nothing can match, as in ClamAV.
func (l *loader) withIcons(cond rule.Node, groups [2]string) rule.Node {
	fits := func(group, want string) bool { return want == "" || want == "*" || group == want }
	var lines []string
	for _, i := range l.icons {
		if fits(i.group1, groups[0]) && fits(i.group2, groups[1]) {
			lines = append(lines, i.line)
		}
	}
	icons, err := rule.NewIcons(lines)
	if err != nil {
		panic("clamsig: " + err.Error()) // each was read
	}
	n := len(l.parser.patterns)
	l.parser.decided(pattern.Anchor{}, &rule.Later{Trigger: cond, Icons: icons})
	return rule.Node{Op: rule.And, Kids: []rule.Node{cond, {Op: rule.Count, Sub: n, Cmp: rule.Greater}}}
}
