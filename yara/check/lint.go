package check

import (
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Lint are demands of an organisation on its rules. The zero value makes none.
type Lint struct {
	RuleName *regexp.Regexp // of every rule
	TagForm  *regexp.Regexp // of every tag
	Tags     []string       // that are known; empty: all
	Metadata []Metadata
}

// Metadata is a demand on one entry.
type Metadata struct {
	Name     string
	Required bool
	Kind     module.Kind    // of its value; Undefined: any
	Form     *regexp.Regexp // of its value if it is a text
}

// lint holds a rule against the demands.
func (c *checker) lint(r *Rule) {
	l := &c.o.Lint
	if l.RuleName != nil && !l.RuleName.MatchString(r.Name.Name) {
		c.warn(source.InvalidRuleName, r.Name.Span, "name of a rule not of the form that is asked for", "it does not match "+l.RuleName.String())
	}
	for _, t := range r.Tags {
		if l.TagForm != nil && !l.TagForm.MatchString(t.Name) {
			c.warn(source.InvalidTag, t.Span, "tag not of the form that is asked for", "it does not match "+l.TagForm.String())
		}
		if len(l.Tags) > 0 && !slices.Contains(l.Tags, t.Name) {
			c.warn(source.UnknownTag, t.Span, "unknown tag", "it is not one of those that are known").
				note("known tags: " + strings.Join(l.Tags, ", "))
		}
	}
	for i := range l.Metadata {
		c.metadata(r, &l.Metadata[i])
	}
}

// metadata holds the entries of one name against a demand.
func (c *checker) metadata(r *Rule, want *Metadata) {
	found := false
	for _, m := range r.Metas {
		if m.Name.Name != want.Name || m.Value == nil {
			continue
		}
		found = true
		switch {
		case want.Kind != module.Undefined && metaKind(m.Value) != want.Kind:
			c.warn(source.InvalidMetadata, m.Value.Span, "metadata `"+want.Name+"` not valid", want.Kind.String()+" expected")
		case want.Form != nil && m.Value.Kind == syntax.TextLit && !want.Form.MatchString(m.Value.Text):
			c.warn(source.InvalidMetadata, m.Value.Span, "metadata `"+want.Name+"` not valid", "it does not match "+want.Form.String())
		}
	}
	if want.Required && !found {
		c.warn(source.MissingMetadata, r.Name.Span, "metadata missing", "`"+want.Name+"` is asked for")
	}
}

func metaKind(l *syntax.Literal) module.Kind {
	switch l.Kind {
	case syntax.IntegerLit:
		return module.Int
	case syntax.FloatLit:
		return module.Float
	case syntax.BoolLit:
		return module.Bool
	}
	return module.String
}
