package author

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// Text writes an explanation as people read it.
func (x *Explanation) Text(w io.Writer) error {
	var b strings.Builder
	x.text(&b)
	for _, n := range x.Needs {
		b.WriteString("\nneeded: ")
		n.text(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *Explanation) text(b *strings.Builder) {
	verdict := "does not match"
	switch {
	case x.Stopped:
		verdict = "is not known: its condition takes too many steps"
	case x.Matches:
		verdict = "matches"
	}
	if x.Layer != "" {
		verdict += " in " + x.Layer
	}
	fmt.Fprintf(b, "rule %s:%s %s  (%s:%d)\n", x.Namespace, x.Rule, verdict, x.File, x.Line)
	if x.Barred != "" {
		fmt.Fprintf(b, "  the global rule %s does not hold\n", x.Barred)
	}
	x.because(b, "")
	if len(x.Strings) > 0 {
		b.WriteString("strings\n")
	}
	for _, f := range x.Strings {
		fmt.Fprintf(b, "  %s: %s\n", f.Text, plural(f.Count, "match", "matches"))
		for _, p := range f.Places {
			fmt.Fprintf(b, "    0x%x, %s: %s\n", p.Offset, plural(int(p.Length), "byte", "bytes"), p.Data)
		}
		if n := f.Count - len(f.Places); n > 0 {
			fmt.Fprintf(b, "    and %d more\n", n)
		}
	}
	if x.Cond != nil {
		b.WriteString("condition\n")
		x.Cond.tree(b, "  ")
	}
}

// Because writes only the parts of the condition that decided it.
func (x *Explanation) Because(w io.Writer, indent string) error {
	var b strings.Builder
	if x.Barred != "" {
		fmt.Fprintf(&b, "%sthe global rule %s does not hold\n", indent, x.Barred)
	}
	x.because(&b, indent)
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *Explanation) because(b *strings.Builder, indent string) {
	if len(x.Why) == 0 || x.Stopped {
		return
	}
	word := "because"
	if x.Cond.Truth && !x.Matches {
		word = "though"
	}
	fmt.Fprintf(b, "%s%s\n", indent, word)
	for _, n := range x.Why[:min(len(x.Why), 16)] {
		fmt.Fprintf(b, "%s  line %d: %s\n", indent, n.Line, n.describe())
		n.operands(b, indent+"    ")
	}
	if n := len(x.Why) - 16; n > 0 {
		fmt.Fprintf(b, "%s  and %d more\n", indent, n)
	}
}

// describe is a node in one line.
func (n *Node) describe() string {
	s := n.Text
	switch {
	case n.blank:
		s += "  is not told: rules explain does"
	case n.Value == "":
		s += "  not asked for"
	default:
		s += "  is " + n.Value
	}
	if n.Note != "" {
		s += "  (" + n.Note + ")"
	}
	return s
}

// dull says whether the value of a node tells nothing: constants, structures.
func (n *Node) dull() bool {
	_, ok := n.expr.(*syntax.Literal)
	_, name := n.expr.(*syntax.Name)
	return ok || n.kind == module.Struct || n.kind == module.Func || n.blank && name
}

// operands writes the values of what a comparison compares.
func (n *Node) operands(b *strings.Builder, indent string) {
	for _, k := range n.Kids {
		if !k.dull() {
			fmt.Fprintf(b, "%s%s\n", indent, k.describe())
		}
	}
}

func (n *Node) tree(b *strings.Builder, indent string) {
	if _, ok := n.expr.(*syntax.Paren); ok && len(n.Kids) == 1 {
		n.Kids[0].tree(b, indent)
		return
	}
	if l, ok := n.expr.(*syntax.Logic); ok {
		value := "  is " + n.Value
		if n.blank {
			value = ""
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, l.Op, value)
	} else {
		fmt.Fprintf(b, "%s%s\n", indent, n.describe())
	}
	indent += "  "
	if n.blank && len(n.Rounds) == 0 && !slices.ContainsFunc(n.Kids, func(k *Node) bool { return !k.blank && !k.dull() }) {
		if _, ok := n.expr.(*syntax.Logic); !ok {
			return // nothing is known of its parts either
		}
	}
	for _, k := range n.Kids {
		if !k.dull() {
			k.tree(b, indent)
		} else if k.kind == module.Struct { // its index may tell something
			for _, kk := range k.Kids {
				if !kk.dull() {
					kk.tree(b, indent)
				}
			}
		}
	}
	for _, r := range n.Rounds {
		fmt.Fprintf(b, "%swith %s: %v\n", indent, r.Of, r.Truth)
		r.Body.tree(b, indent+"  ")
	}
	if rest := n.went - len(n.Rounds); rest > 0 && len(n.Rounds) > 0 {
		fmt.Fprintf(b, "%sand %s\n", indent, plural(rest, "round", "rounds"))
	}
}
