package clamsig

import (
	"errors"
	"strings"

	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/settings"
	"github.com/showcause/showcause/clamsig/trust"
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
	if r := f.levelsOf(levels); r != nil {
		return name, r
	}
	if f.l.ignored(name, line) {
		return name, outside(Ignored, "by name")
	}
	if name = e.Name; name == "" {
		return "", malformed("no name")
	}
	return name, known(f.byText(f.origin(name, line)), true)
}

// byText hands over a rule that its text decides.
func (f *file) byText(o rule.Origin) *refusal {
	if err := f.l.sink.Rule(rule.ByText(o)); err != nil {
		return outside(Pattern, "%v", err)
	}
	return nil
}

// setting reads what is set beside signatures.
func (f *file) setting(line string) (string, *refusal) {
	s, err := settings.Parse(f.kind, line, func(n string) bool { return fileTypes(n) == nil })
	switch {
	case errors.Is(err, settings.ErrOthers):
		return "", outside(Setting, "%v", err)
	case err != nil:
		return "", malformed("%v", err)
	}
	if r := f.levelsOf(s.Levels); r != nil {
		return s.Name, r
	}
	if s.Password != nil {
		tdb := s.Condition
		if !strings.Contains(tdb, "Target:") {
			tdb += ",Target:0"
		}
		if _, r := description(tdb, f.l.level); r != nil {
			return s.Name, r
		}
	}
	return s.Name, f.byText(f.origin(s.Name, line))
}

// levelsOf refuses levels that do not admit this engine: none, the least, or the least and the greatest.
func (f *file) levelsOf(levels []string) *refusal {
	for i, level := range levels {
		v, ok := number(level)
		switch {
		case !ok:
			return malformed("level %q", clip(level))
		case i == 0 && v > f.l.level:
			return outside(FunctionalityLevel, "level %d and up", v)
		case i == 1 && v < f.l.level:
			return outside(FunctionalityLevel, "up to level %d", v)
		}
	}
	return nil
}

// certificate reads a certificate that is trusted or revoked. Its name is said as it stands.
func (f *file) certificate(line string) (string, *refusal) {
	e, err := trust.Parse(line)
	if err != nil {
		return "", malformed("%v", err)
	}
	if r := f.levelsOf(e.Levels); r != nil {
		return e.Name, r
	}
	return e.Name, f.byText(rule.Origin{Name: e.Name, File: f.name, Line: f.line, Text: line})
}
