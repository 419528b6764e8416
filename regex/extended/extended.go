// Package extended compiles POSIX's extended regular expressions over bytes as ClamAV's own library
// takes them, in its signatures of containers and its phishing data. They are linear in the text.
package extended

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Regexp is an expression that is searched for anywhere in a text.
type Regexp struct{ re *regexp.Regexp }

// fold begins an expression for which upper case and lower case are one.
const fold = "(?i)"

// Compile compiles an expression. (IEEE 1003.1, 9.4; "(?i)" at its start is ClamAV's.)
func Compile(s string) (*Regexp, error) {
	flags := syntax.POSIX | syntax.OneLine | syntax.DotNL | syntax.ClassNL
	s, anyCase := strings.CutPrefix(s, fold)
	if anyCase {
		flags |= syntax.FoldCase
	}
	tree, err := syntax.Parse(latin(Plain(s)), flags)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(tree.String())
	if err != nil {
		return nil, err
	}
	return &Regexp{re}, nil
}

// Match tells whether the expression is found in a text.
func (r *Regexp) Match(s string) bool { return r.re.MatchString(latin(s)) }

// latin makes each byte a character, so that an expression is of bytes.
func latin(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			out := make([]rune, len(s))
			for i := range out {
				out[i] = rune(s[i])
			}
			return string(out)
		}
	}
	return s
}

// Plain writes an expression as package regexp/syntax takes it: a backslash means nothing before
// letters and digits, and nothing at all in brackets, where a character may stand as [.x.] or [=x=].
func Plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '[':
			n := bracket(&b, s[i:])
			i += n - 1
		case s[i] == '\\' && i+1 < len(s):
			if i++; !alnum(s[i]) {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// bracket writes the brackets that s begins with, and returns how long they are.
func bracket(b *strings.Builder, s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	if b.WriteString(s[:i]); i < len(s) && s[i] == ']' {
		b.WriteString(`\]`)
		i++
	}
	for ; i < len(s); i++ {
		switch {
		case s[i] == ']':
			b.WriteByte(']')
			return i + 1
		case s[i] == '\\':
			b.WriteString(`\\`)
		case len(s) >= i+5 && s[i] == '[' && (s[i+1] == '.' || s[i+1] == '=') && s[i+3] == s[i+1] && s[i+4] == ']':
			if c := s[i+2]; !alnum(c) && c < 0x80 {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i+2])
			i += 4
		case s[i] == '[' && i+1 < len(s) && s[i+1] == ':':
			end := strings.Index(s[i:], ":]")
			if end < 0 {
				b.WriteByte('[')
				continue
			}
			b.WriteString(s[i : i+end+2])
			i += end + 1
		case s[i] == '[':
			b.WriteString(`\[`)
		default:
			b.WriteByte(s[i])
		}
	}
	return len(s)
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
