package clamsig

import (
	"errors"

	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/rule"
)

// member reads a signature of a member of a container.
func (f *file) member(line string) (string, *refusal) {
	var t [3]string
	split(line, ':', t[:])
	name := t[0]
	e, levels, err := metadata.Parse(f.kind, line, func(n string) bool { return fileTypes(n) == nil })
	if err != nil && !errors.Is(err, metadata.ErrForm) { // clamscan's library is not quite ours
		return name, unsupported(Pattern, "%v", err)
	}
	if err != nil {
		return name, malformed("%v", err)
	}
	for i, level := range levels {
		v, ok := number(level)
		switch {
		case !ok:
			return name, malformed("level %q", clip(level))
		case i == 0 && v > f.l.level:
			return name, outside(FunctionalityLevel, "level %d and up", v)
		case i == 1 && v < f.l.level:
			return name, outside(FunctionalityLevel, "up to level %d", v)
		}
	}
	if f.l.ignored(name, line) {
		return name, outside(Ignored, "by name")
	}
	if name = e.Name; name == "" {
		return "", malformed("no name")
	}
	if err := f.l.sink.Rule(rule.ByText(f.origin(name, line))); err != nil {
		return name, unsupported(Pattern, "%v", err)
	}
	return name, nil
}
