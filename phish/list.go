// Package phish judges links by lists of what is imitated: does a link of a mail show one
// place and lead to another? The lists are ClamAV's: .pdb names hosts that are imitated, .wdb
// pairs that are in order, .gdb digests of addresses. What is decided is what clamscan 1.4.6
// decides (ClamAV documentation, "Phishing Signatures").
package phish

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/showcause/showcause/regex/extended"
)

// Options say what is looked for in links to anywhere, listed or not.
type Options struct {
	SSL   bool // shows https: and leads elsewhere
	Cloak bool // hides where it leads behind %00 or %01
}

// List is a list of phishing data. The zero value has none.
type List struct {
	Options
	imitated []pattern // of .pdb: a link that shows one of these is judged
	allowed  []pattern // of .wdb: pairs that are in order
	digests  map[[32]byte]digest
}

// pattern is one line, that of a host or an expression.
type pattern struct {
	entry int
	host  string         // "paypal.com/", of a pair "email.ebay.com:ebay.com/"; empty of an expression
	re    *regexp.Regexp // over "REAL:SHOWN/"
	must  string         // what every match of re has in it
}

// holds tells whether an expression is found in s.
func (p *pattern) holds(s string) bool { return strings.Contains(s, p.must) && p.re.MatchString(s) }

// digest is one line of a .gdb file.
type digest struct {
	entry int
	kind  byte // '1', '2', 0 or 'W', which is no reason
}

// maxLine is the length in bytes of the longest line that clamscan reads whole.
const maxLine = 8190

// ErrForm is all that is said of a line of no form. Other errors are about expressions.
var ErrForm = errors.New("no line of phishing data")

// Kinds tells whether files with an extension, "pdb", hold lines for Add.
func Kinds(ext string) bool { return ext == "pdb" || ext == "wdb" || ext == "gdb" }

// Add reads one line of a file of the kind "pdb", "wdb" or "gdb", without its levels, and
// calls it by the number entry in what Judge says.
func (l *List) Add(kind, line string, entry int) error {
	flags, rest, ok := strings.Cut(line, ":")
	if !ok || flags == "" || len(line) > maxLine {
		return ErrForm
	}
	allow := kind == "wdb"
	switch c := flags[0]; {
	case c == 'R' && !allow, (c == 'X' || c == 'Y') && allow:
		p, err := expression(rest)
		if err != nil {
			return err
		}
		p.entry = entry
		l.put(allow, p)
	case c == 'H' && !allow, c == 'M' && allow:
		l.put(allow, pattern{entry: entry, host: rest + "/"})
	case c == 'S' && (!allow || strings.HasPrefix(rest, "W")):
		return l.digest(flags, rest, entry)
	default:
		return ErrForm
	}
	return nil
}

func (l *List) put(allow bool, p pattern) {
	if allow {
		l.allowed = append(l.allowed, p)
	} else {
		l.imitated = append(l.imitated, p)
	}
}

// expression compiles a line's expression, which is extended as POSIX has it, and is searched
// for anywhere in "REAL:SHOWN/". An end that takes any path is cut, as links are cut behind
// their host.
func expression(s string) (p pattern, err error) {
	s = extended.Plain(s) + "/"
	for _, end := range []string{"([/?].*)?/", "([/?].*)/"} {
		if cut, ok := strings.CutSuffix(s, end); ok && cut != "" {
			s = cut + "/"
		}
	}
	tree, err := syntax.Parse(s, syntax.POSIX)
	if err != nil {
		return p, fmt.Errorf("expression: %w", err)
	}
	p.must = required(tree)
	p.re, err = regexp.CompilePOSIX(s)
	return p, err
}

// required returns the longest text that stands in every match.
func required(t *syntax.Regexp) (must string) {
	switch t.Op {
	case syntax.OpLiteral:
		if t.Flags&syntax.FoldCase == 0 {
			return string(t.Rune)
		}
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		for _, sub := range t.Sub {
			if s := required(sub); len(s) > len(must) {
				must = s
			}
		}
	}
	return must
}

// digest reads "P:PREFIX", which decides nothing, "F:DIGEST" or "W:DIGEST". One that is allowed
// is so whatever other lines say.
func (l *List) digest(flags, s string, entry int) error {
	if len(s) < 2 || s[1] != ':' || !strings.Contains("PFW", s[:1]) {
		return ErrForm
	}
	sum, err := hex.DecodeString(s[2:])
	want := 32
	if s[0] == 'P' {
		want = 4
	}
	if err != nil || len(sum) != want {
		return ErrForm
	}
	if s[0] == 'P' {
		return nil
	}
	d := digest{entry: entry}
	if len(flags) > 1 && (flags[1] == '1' || flags[1] == '2') {
		d.kind = flags[1]
	}
	if s[0] == 'W' {
		d.kind = 'W'
	}
	if l.digests == nil {
		l.digests = map[[32]byte]digest{}
	}
	if old, ok := l.digests[[32]byte(sum)]; ok && d.kind != 'W' {
		d = old
	}
	l.digests[[32]byte(sum)] = d
	return nil
}

// Cost is what judging a link costs at most, in steps.
func (l *List) Cost(k *Link) int64 {
	n := int64(len(k.Real) + len(k.Shown))
	return 64 + n + n*int64(len(l.imitated)+len(l.allowed))
}

// Names are the names of what Judge can find with a list.
func (l *List) Names() (out []string) {
	if len(l.imitated) > 0 {
		out = append(out, Spoofed)
	}
	if len(l.imitated) > 0 || l.SSL {
		out = append(out, SSLSpoof)
	}
	if len(l.imitated) > 0 || l.Cloak {
		out = append(out, Cloaked)
	}
	if len(l.digests) > 0 {
		out = append(out, Blocked, Malware, Phishing)
	}
	return out
}
