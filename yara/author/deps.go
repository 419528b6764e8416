// Package author is what the author of YARA rules asks of them: which rule needs
// which, whether they find what they should, what they cost, and why one matched or
// did not.
package author

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/syntax"
)

// Deps says what each rule and file needs.
type Deps struct {
	Files []FileDeps `json:"files"`
	Rules []RuleDeps `json:"rules"`
}

// FileDeps is a file and the names of those that it includes.
type FileDeps struct {
	Path     string   `json:"path"`
	Includes []string `json:"includes,omitempty"`
}

// RuleDeps is a rule and what it needs: rules (as namespace:name), modules and
// external variables, each sorted. Global rules of its namespace are needed by
// every rule.
type RuleDeps struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Rules     []string `json:"rules,omitempty"`
	Globals   []string `json:"globals,omitempty"`
	Modules   []string `json:"modules,omitempty"`
	Externals []string `json:"externals,omitempty"`
}

// NewDeps finds out what the rules of a result need. externals says which names
// are external variables.
func NewDeps(res *check.Result, externals func(name string) bool) *Deps {
	d := &Deps{Files: []FileDeps{}, Rules: []RuleDeps{}}
	seen := map[*syntax.File]bool{}
	globals := map[string][]string{}
	for _, r := range res.Rules {
		if r.Flag("global") {
			globals[r.Namespace] = append(globals[r.Namespace], ruleName(r))
		}
	}
	for _, r := range res.Rules {
		if !seen[r.File] {
			seen[r.File] = true
			f := FileDeps{Path: r.File.Source.Name}
			for _, dir := range r.File.Directives {
				if dir.Include {
					f.Includes = append(f.Includes, dir.Name.Text)
				}
			}
			d.Files = append(d.Files, f)
		}
		d.Rules = append(d.Rules, ruleDeps(res, r, globals[r.Namespace], externals))
	}
	return d
}

func ruleDeps(res *check.Result, r *check.Rule, globals []string, externals func(string) bool) RuleDeps {
	line, _ := r.File.Source.Line(r.Name.Start)
	out := RuleDeps{Namespace: r.Namespace, Name: r.Name.Name, File: r.File.Source.Name, Line: line, Modules: slices.Clone(r.Modules)}
	set := func(s *syntax.Set) {
		for _, m := range res.Sets[s].Rules {
			out.Rules = append(out.Rules, ruleName(m))
		}
	}
	bound := map[string]bool{} // variables of loops, wherever: none is an external as well
	syntax.Walk(r.Cond, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.ForIn:
			for _, v := range e.Vars {
				bound[v.Name] = true
			}
			if s, ok := e.Iter.(*syntax.Set); ok {
				set(s)
			}
		case *syntax.With:
			for _, v := range e.Vars {
				bound[v.Name] = true
			}
		case *syntax.Of:
			set(e.Set)
		case *syntax.Name:
			if m := res.Refs[e]; m != nil {
				out.Rules = append(out.Rules, ruleName(m))
			} else if externals(e.Name) && !bound[e.Name] {
				out.Externals = append(out.Externals, e.Name)
			}
		}
		return true
	})
	for _, g := range globals {
		if g != ruleName(r) {
			out.Globals = append(out.Globals, g)
		}
	}
	for _, l := range []*[]string{&out.Rules, &out.Modules, &out.Externals} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return out
}

func ruleName(r *check.Rule) string { return r.Namespace + ":" + r.Name.Name }

// Text writes the dependencies as people read them.
func (d *Deps) Text(w io.Writer) error {
	var b strings.Builder
	for _, f := range d.Files {
		for _, i := range f.Includes {
			fmt.Fprintf(&b, "file %s includes %s\n", f.Path, strconv.Quote(i))
		}
	}
	for _, r := range d.Rules {
		fmt.Fprintf(&b, "rule %s:%s  %s:%d\n", r.Namespace, r.Name, r.File, r.Line)
		for _, l := range []struct {
			what  string
			names []string
		}{{"rule", r.Rules}, {"global rule", r.Globals}, {"module", r.Modules}, {"external", r.Externals}} {
			for _, n := range l.names {
				fmt.Fprintf(&b, "  needs %s %s\n", l.what, n)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes the dependencies as one object.
func (d *Deps) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(d)
}

// Dot writes the dependencies as a graph for dot(1).
func (d *Deps) Dot(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph rules {\n\trankdir=LR;\n\tnode [shape=box];\n")
	edge := func(from, to, shape string) {
		if shape != "box" {
			fmt.Fprintf(&b, "\t%s [shape=%s];\n", dotQuote(to), shape)
		}
		fmt.Fprintf(&b, "\t%s -> %s;\n", dotQuote(from), dotQuote(to))
	}
	for _, f := range d.Files {
		for _, i := range f.Includes {
			fmt.Fprintf(&b, "\t%s [shape=note];\n", dotQuote(f.Path))
			edge(f.Path, i, "note")
		}
	}
	for _, r := range d.Rules {
		name := r.Namespace + ":" + r.Name
		fmt.Fprintf(&b, "\t%s;\n", dotQuote(name))
		for _, n := range r.Rules {
			edge(name, n, "box")
		}
		for _, n := range r.Globals {
			edge(name, n, "box")
		}
		for _, n := range r.Modules {
			edge(name, "import "+n, "ellipse")
		}
		for _, n := range r.Externals {
			edge(name, "external "+n, "diamond")
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dotQuote is a name as dot takes it.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
}
