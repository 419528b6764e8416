package check

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// scope is what is known while one rule is read.
type scope struct {
	rule    *Rule
	names   *namespace
	vars    []variable
	used    []bool         // patterns
	index   map[string]int // patterns by name
	loops   int            // loops around here
	of      int            // loops over patterns around here
	effects int            // calls so far that write something
	turns   int64          // how often the loops around here go round; 0: not known
}

// variable is a variable of a loop or "with".
type variable struct {
	name syntax.Ident
	t    *module.Type
	c    module.Value
	used bool
}

// rule checks one rule and makes it known to those after it. Where both dialects
// are taken, a rule that is not in order is read once more as YARA 4 has it, and so
// is one that was written for what only YARA 4 says.
func (c *checker) rule(r *Rule) {
	n := c.namespace(r.Namespace)
	c.cur = scope{rule: r}
	defer func() { c.cur = scope{} }()
	c.declare(n, r)
	c.tags(r)
	c.lint(r)
	c.Rules = append(c.Rules, r)
	r.Dialect = c.o.Dialect
	before, bad, globs := len(c.Diags), r.Bad, len(n.globs)
	c.body(n, r)
	if c.o.Dialect != source.Either || r.Broken {
		return
	}
	escaped, only := escapedName(r.Cond)
	if r.Bad == bad && !only {
		return
	}
	wasBad, modules := r.Bad, r.Modules
	first := slices.Clone(c.Diags[before:])
	c.Diags, n.globs, r.Bad, r.Modules = c.Diags[:before], n.globs[:globs], bad, nil
	c.o.Dialect = source.YARA
	c.body(n, r)
	c.o.Dialect = source.Either
	if r.Bad == bad {
		r.Dialect = source.YARA
		if only && !wasBad {
			c.warn(source.DialectsDisagree, escaped, "name in a certificate is escaped",
				"YARA says so for bytes beyond ASCII, YARA-X says the bytes: the rule is read as YARA has it")
		}
		return
	}
	c.Diags, r.Bad, r.Modules = append(c.Diags[:before], first...), wasBad, modules
	if !wasBad { // what is known of its expressions is YARA-X's again
		c.Diags, n.globs = c.Diags[:before], n.globs[:globs]
		c.body(n, r)
	}
}

// escapedName finds a comparison of the subject or issuer of a certificate with a text
// that has \x and two digits: OpenSSL writes bytes beyond ASCII so
// (X509_NAME_oneline), and YARA 4 takes names from there.
func escapedName(cond syntax.Expr) (at source.Span, found bool) {
	if cond == nil {
		return at, false
	}
	syntax.Walk(cond, func(e syntax.Expr) bool {
		b, ok := e.(*syntax.Binary)
		if !ok || found {
			return !found
		}
		for _, side := range [][2]syntax.Expr{{b.X, b.Y}, {b.Y, b.X}} {
			name, ok := unwrapped(side[0]).(*syntax.Select)
			text, also := unwrapped(side[1]).(*syntax.Literal)
			if ok && also && text.Kind == syntax.TextLit && hasEscape(text.Text) && (name.Field.Name == "subject" || name.Field.Name == "issuer") {
				at, found = text.Span, true
			}
		}
		return !found
	})
	return at, found
}

// unwrapped is an expression without the parentheses around it.
func unwrapped(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// hasEscape tells whether a text has \x and two hexadecimal digits in it.
func hasEscape(s string) bool {
	digit := func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
	for i := 0; i+4 <= len(s); i++ {
		if s[i] == '\\' && s[i+1] == 'x' && digit(s[i+2]) && digit(s[i+3]) {
			return true
		}
	}
	return false
}

// body checks the patterns and the condition of a rule.
func (c *checker) body(n *namespace, r *Rule) {
	c.cur = scope{rule: r, names: n, used: make([]bool, len(r.Patterns)), index: map[string]int{}, turns: 1}
	c.patterns(r)
	if r.Cond == nil || r.Broken {
		return
	}
	c.condition(r.Cond)
	c.unused(r)
	c.ignored(r)
}

// declare makes the name of a rule known.
func (c *checker) declare(n *namespace, r *Rule) {
	name := r.Name.Name
	if first := n.rules[name]; first != nil {
		c.err(source.DuplicateRule, r.Name.Span, "rule `"+name+"` stands twice", "again").
			also(first.Name.Span, "first here")
		return
	}
	if _, ok := c.o.Externals[name]; ok {
		c.err(source.ConflictingName, r.Name.Span, "rule `"+name+"` is named as an external variable", "the name is taken")
	} else if n.modules[name] {
		c.err(source.ConflictingName, r.Name.Span, "rule `"+name+"` is named as a module", "the name is taken")
	}
	for _, g := range n.globs {
		if strings.HasPrefix(name, g.prefix) {
			c.err(source.RuleInSet, r.Name.Span, "rule `"+name+"` would be in a set of rules before it", "its name begins as the set says").
				also(g.at, "the set holds the rules before this place only")
			break
		}
	}
	n.rules[name] = r
}

// tags refuses a tag that stands twice.
func (c *checker) tags(r *Rule) {
	seen := map[string]source.Span{}
	for _, t := range r.Tags {
		if first, ok := seen[t.Name]; ok {
			c.err(source.DuplicateTag, t.Span, "tag `"+t.Name+"` stands twice", "again").also(first, "first here")
		}
		seen[t.Name] = t.Span
	}
}

// condition checks the condition of a rule.
func (c *checker) condition(e syntax.Expr) {
	v := c.boolean(e)
	if v.known() && c.o.Dialect != source.YARA {
		text := "always false"
		if v.c.Truth() {
			text = "always true"
		}
		c.warn(source.InvariantExpr, e.Range(), "condition that does not depend on what is scanned", "it is "+text)
	}
	c.sets(e)
}

// unused refuses patterns that the condition does not use. YARA lets those be
// whose names begin with an underscore.
func (c *checker) unused(r *Rule) {
	for i, p := range r.Patterns {
		if c.cur.used[i] || strings.HasPrefix(p.Name.Name, "$_") {
			continue
		}
		c.err(source.UnusedPattern, p.Name.Span, "pattern `"+p.Name.Name+"` is not used", "the condition does not name it").
			note("a pattern whose name begins with $_ may be unused")
	}
}

// ignored leaves a rule out that needs a module that is to be ignored.
func (c *checker) ignored(r *Rule) {
	for _, m := range r.Modules {
		for _, name := range c.o.Ignored {
			if m == name && r.Ignored == "" {
				r.Ignored = m
				c.warn(source.UnsupportedModule, r.Name.Span, "module `"+m+"` is not supported", "this rule is left out")
			}
		}
	}
}

// use marks a module as used by the rule.
func (s *scope) use(name string) {
	if name == "console" {
		s.effects++
	}
	for _, m := range s.rule.Modules {
		if m == name {
			return
		}
	}
	s.rule.Modules = append(s.rule.Modules, name)
}

// find is the variable of that name, the innermost first.
func (s *scope) find(name string) *variable {
	for i := len(s.vars) - 1; i >= 0; i-- {
		if s.vars[i].name.Name == name {
			return &s.vars[i]
		}
	}
	return nil
}

// pattern is the index of the pattern that a name means. It tells of a name that
// means none. loop says whether "$" stands for the pattern of a loop; -1 is that.
func (c *checker) pattern(name syntax.Ident) (index int, ok bool) {
	if name.Name == "$" {
		if c.cur.of == 0 {
			c.err(source.MisplacedAnonymous, name.Span, "`"+c.text(name.Span)+"` outside a loop over patterns",
				"it means the pattern of `for ... of`")
			return -1, false
		}
		return -1, true
	}
	if i, ok := c.cur.index[name.Name]; ok {
		c.cur.used[i] = true
		return i, true
	}
	d := c.err(source.UnknownPattern, name.Span, "unknown pattern `"+name.Name+"`", "the strings section has none of that name")
	var names []string
	for _, p := range c.cur.rule.Patterns {
		names = append(names, p.Name.Name)
	}
	if near := nearest(name.Name, names); near != "" {
		sign := c.text(name.Span)[:1]
		d.fix(name.Span, sign+near[1:], "did you mean `"+near+"`?")
	}
	return -1, false
}

// text is the text of a span in the file of the rule.
func (c *checker) text(at source.Span) string { return c.cur.rule.File.Source.Slice(at) }

// patternSet finds the members of a set of patterns and marks them as used.
func (c *checker) patternSet(s *syntax.Set) []int {
	var out []int
	in := map[int]bool{}
	take := func(i int) {
		c.cur.used[i] = true
		if !in[i] {
			in[i] = true
			out = append(out, i)
		}
	}
	if s.Them {
		for i := range c.cur.rule.Patterns {
			take(i)
		}
		if len(out) == 0 {
			c.err(source.EmptySet, s.Span, "set without patterns", "the rule has no strings section")
		}
	}
	for _, item := range s.Items {
		g, ok := item.(*syntax.Glob)
		switch {
		case !ok:
		case !g.Wild && g.Name == "$":
			c.err(source.MisplacedAnonymous, g.Span, "`$` in a set of patterns", "it is the name of none")
		case !g.Wild:
			if i, ok := c.pattern(syntax.Ident{Span: g.Span, Name: g.Name}); ok && i >= 0 {
				take(i)
			}
		default:
			n := len(in)
			any := false
			for i, p := range c.cur.rule.Patterns {
				if strings.HasPrefix(p.Name.Name, g.Name) {
					take(i)
					any = true
				}
			}
			if !any && len(in) == n {
				c.err(source.EmptySet, g.Span, "set without patterns", "no pattern has a name that begins so")
			}
		}
	}
	c.Sets[s] = Members{Patterns: out}
	return out
}

// ruleSet finds the members of a set of rules.
func (c *checker) ruleSet(s *syntax.Set) []*Rule {
	var out []*Rule
	in := map[*Rule]bool{c.cur.rule: true}
	for _, item := range s.Items {
		var name string
		wild := false
		switch item := item.(type) {
		case *syntax.Glob:
			name, wild = item.Name, item.Wild
		case *syntax.Name:
			name = item.Name
		}
		if !wild {
			if r := c.cur.names.rules[name]; r != nil && r != c.cur.rule {
				if !in[r] {
					out = append(out, r)
				}
				in[r] = true
				c.globalUse(r, item.Range())
			} else {
				c.unknown(syntax.Ident{Span: item.Range(), Name: name})
			}
			continue
		}
		any := false
		for _, r := range c.Rules {
			if r.Namespace == c.cur.rule.Namespace && strings.HasPrefix(r.Name.Name, name) {
				any = true
				if !in[r] {
					out = append(out, r)
				}
				in[r] = true
			}
		}
		c.cur.names.globs = append(c.cur.names.globs, glob{name, item.Range()})
		if !any {
			c.err(source.UnknownIdentifier, item.Range(), "set without rules", "no rule before this one has a name that begins so")
		}
	}
	c.Sets[s] = Members{Rules: out}
	return out
}

// unknown tells of a name that means nothing.
func (c *checker) unknown(name syntax.Ident) {
	d := c.err(source.UnknownIdentifier, name.Span, "unknown identifier `"+name.Name+"`", "nothing of that name is known here")
	if c.module(name.Name) != nil {
		d.note(fmt.Sprintf("to use the module of that name, import it: import %q", name.Name))
		return
	}
	names := strings.Fields("filesize entrypoint defined true false int8 int16 int32 uint8 uint16 uint32 int8be int16be int32be uint8be uint16be uint32be")
	for _, v := range c.cur.vars {
		names = append(names, v.name.Name)
	}
	for n := range c.o.Externals {
		names = append(names, n)
	}
	for n := range c.cur.names.modules {
		names = append(names, n)
	}
	if len(c.cur.names.rules) < 5000 {
		for n := range c.cur.names.rules {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	if near := nearest(name.Name, names); near != "" {
		d.fix(name.Span, near, "did you mean `"+near+"`?")
	}
}
