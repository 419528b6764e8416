package yaracli

import (
	"strings"

	"github.com/showcause/showcause/yara/syntax"
)

// fixed says of each string of a rule at which offset alone yara looks for it; less than
// 0: anywhere. That is so of a string of plain bytes that the condition asks for with
// "at" and one constant, and in no other way: of "$a at 0" yara prints no match at 6. Of
// strings with wildcards it prints all.
//
// Source: yara 4.2.3 as it behaves; libyara/parser.c, yr_parser_reduce_string_identifier.
func fixed(r *syntax.Rule) []int64 {
	const unused, anywhere = -2, -1
	out := make([]int64, len(r.Patterns))
	for i, p := range r.Patterns {
		out[i] = anywhere
		if plainBytes(p) {
			out[i] = unused
		}
	}
	set := func(name string, at int64) {
		for i, p := range r.Patterns {
			if name != "$" && p.Name.Name != name || out[i] == at {
				continue
			}
			if out[i] == unused {
				out[i] = at
			} else {
				out[i] = anywhere
			}
		}
	}
	all := func(s *syntax.Set) {
		if s.Them {
			set("$", anywhere)
			return
		}
		for _, item := range s.Items {
			g, ok := item.(*syntax.Glob)
			if !ok {
				continue
			}
			for i, p := range r.Patterns {
				if p.Name.Name == g.Name || g.Wild && strings.HasPrefix(p.Name.Name, g.Name) {
					out[i] = anywhere
				}
			}
		}
	}
	syntax.Walk(r.Cond, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.Measure:
			set(e.Name.Name, anywhere)
		case *syntax.Match:
			at, ok := constant(e.At)
			if e.In != nil || !ok || at < 0 {
				at = anywhere
			}
			set(e.Name.Name, at)
		case *syntax.Of:
			all(e.Set)
		case *syntax.ForOf:
			all(e.Set)
		}
		return true
	})
	return out
}

// plainBytes says whether a string is bytes, with no wildcard.
func plainBytes(p *syntax.Pattern) bool {
	switch {
	case p.Text != nil:
		return p.Has("base64") == nil && p.Has("base64wide") == nil
	case p.Regexp != nil:
		return plainRegexp(p.Regexp.Text)
	}
	return plainHex(p.Hex)
}

// plainRegexp says whether a regular expression is no more than characters, some of them
// escaped.
func plainRegexp(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case strings.IndexByte(`^$.|?*+()[]{`, c) >= 0:
			return false
		case c == '\\' && i+1 < len(text):
			i++
			if strings.IndexByte("wWsSdDbB", text[i]) >= 0 {
				return false
			}
		}
	}
	return true
}

func plainHex(h *syntax.Hex) bool {
	switch {
	case h == nil:
		return false
	case h.Kind == syntax.HexByte:
		return h.Mask == 0xFF && !h.Not
	case h.Kind == syntax.HexJump, h.Kind == syntax.HexAlternatives && len(h.Parts) > 1:
		return false
	}
	for _, p := range h.Parts {
		if !plainHex(p) {
			return false
		}
	}
	return true
}

// constant is the value of an integer that stands in the rule as a number, or a sum or
// difference of such.
func constant(e syntax.Expr) (int64, bool) {
	switch e := e.(type) {
	case *syntax.Literal:
		return e.Int, e.Kind == syntax.IntegerLit
	case *syntax.Paren:
		return constant(e.X)
	case *syntax.Binary:
		x, ok := constant(e.X)
		y, also := constant(e.Y)
		if !ok || !also {
			return 0, false
		}
		switch e.Op {
		case "+":
			return x + y, true
		case "-":
			return x - y, true
		case "*":
			return x * y, true
		}
	}
	return 0, false
}
