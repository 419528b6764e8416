package yaracli

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

const (
	// MaxData is the most bytes of a match that are printed, and the greatest length
	// that -L tells: yara keeps no more (YR_CONFIG_MAX_MATCH_DATA).
	MaxData = 512
	// MaxMatches is the most matches of a string that yara takes in.
	MaxMatches = 1_000_000
	maxHex     = 64 // bytes of a hex string that are printed
)

// Printer prints what matched. It is not safe for concurrent use.
type Printer struct {
	o     *Options
	w     *bufio.Writer
	db    *ruledb.DB
	rules []*shown // by index, once asked for
	total int64    // rules that matched, of all files
	// Escape is applied to the names of files; nil leaves them as they are.
	Escape func(string) string
	// Warn is told of strings with too many matches.
	Warn func(line string)
}

// shown is a rule as it is printed.
type shown struct {
	about   *ruledb.About
	name    string
	strings []str
}

// str is a string of a rule.
type str struct {
	name string
	hex  bool
	text []byte // what an xor string is in the clear, else nil
	once bool   // the condition asks for no more than that it is there
	at   int64  // the only offset at which yara looks for it; less than 0: anywhere
}

// NewPrinter returns a Printer for the rules of db.
func NewPrinter(w *bufio.Writer, o *Options, db *ruledb.DB) *Printer {
	return &Printer{o: o, w: w, db: db, rules: make([]*shown, db.Rules())}
}

// rule is rule i, nil if it is none of YARA's.
func (p *Printer) rule(i uint32) (*shown, error) {
	if s := p.rules[i]; s != nil {
		return s, nil
	}
	info, err := p.db.Info(i)
	if err != nil || info.YARA == nil {
		return nil, err
	}
	s := &shown{about: info.YARA, name: info.Name, strings: stringsOf(info)}
	p.rules[i] = s
	return s, nil
}

// stringsOf are the strings of a rule, from its text.
func stringsOf(info ruledb.Info) []str {
	out := make([]str, len(info.YARA.Names))
	for i, n := range info.YARA.Names {
		out[i].name, out[i].at = n, -1
	}
	var set source.Sources
	src, err := set.Add("", info.Text)
	if err != nil {
		return out
	}
	tree, _ := syntax.Parse(src, source.Either)
	if len(tree.Rules) != 1 || len(tree.Rules[0].Patterns) != len(out) {
		return out
	}
	once, at := existence(tree.Rules[0]), fixed(tree.Rules[0])
	for i, pat := range tree.Rules[0].Patterns {
		out[i].once, out[i].at = once[i], at[i]
		out[i].hex = pat.Hex != nil
		if pat.Has("xor") != nil && pat.Text != nil {
			out[i].text = []byte(pat.Text.Text)
		}
	}
	return out
}

// existence says of each string of a rule whether its condition asks for no more
// than that it is there.
func existence(r *syntax.Rule) []bool {
	out := make([]bool, len(r.Patterns))
	for i := range out {
		out[i] = true
	}
	more := func(name string) { // of "$", and of a set, all are meant
		for i, p := range r.Patterns {
			if name == "$" || p.Name.Name == name {
				out[i] = false
			}
		}
	}
	syntax.Walk(r.Cond, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.Measure:
			more(e.Name.Name)
		case *syntax.Match:
			if e.At != nil || e.In != nil {
				more(e.Name.Name)
			}
		case *syntax.Of:
			if e.At != nil || e.In != nil {
				more("$")
			}
		}
		return true
	})
	return out
}

// Result is what is known of one file.
type Result struct {
	Path   string
	Listed bool // it is one of several: its count carries its name
	Report *showcause.Report
	// Read gives bytes of the file itself, nil if they are not there.
	Read func(off int64, n int) []byte
}

// File prints what is asked for of a file. It returns false where the number of
// rules that -l asks for is reached.
func (p *Printer) File(r Result) (more bool, err error) {
	findings := slices.Clone(r.Report.Findings)
	slices.SortStableFunc(findings, func(a, b showcause.Finding) int { return int(a.Index) - int(b.Index) })
	count := int64(0)
	next := 0
	for i := uint32(0); i < uint32(p.db.Rules()); i++ {
		if !p.o.Negate { // of many rules few match
			if next == len(findings) {
				break
			}
			i = max(i, findings[next].Index)
		}
		y, ok := p.db.YARA(i)
		if !ok || y.Private {
			continue
		}
		from := next
		for next < len(findings) && findings[next].Index <= i {
			next++
		}
		here := slices.DeleteFunc(findings[from:next], func(f showcause.Finding) bool { return f.Index != i })
		matching := len(here) > 0
		if matching != p.o.Negate && !p.o.Count {
			if err := p.print(i, r, here); err != nil {
				return false, err
			}
		}
		if matching {
			count++
			p.total++
		}
		if p.o.MaxRules != 0 && p.total >= p.o.MaxRules {
			break
		}
	}
	if p.o.Count {
		if r.Listed {
			p.w.WriteString(p.path(r.Path) + ": ")
		}
		p.w.WriteString(strconv.FormatInt(count, 10) + "\n")
	}
	return p.o.MaxRules == 0 || p.total < p.o.MaxRules, nil
}

func (p *Printer) path(path string) string {
	if p.Escape != nil {
		return p.Escape(path)
	}
	return path
}

// wanted says whether -t and -i leave a rule in. -i has the last word.
func (p *Printer) wanted(s *shown) bool {
	show := true
	if len(p.o.TagNames) > 0 {
		show = slices.ContainsFunc(p.o.TagNames, func(t string) bool { return slices.Contains(s.about.Tags, t) })
	}
	if len(p.o.Identifiers) > 0 {
		show = slices.Contains(p.o.Identifiers, s.name)
	}
	return show
}

// print prints a rule, for each layer that it matched, or once where it did not.
func (p *Printer) print(i uint32, r Result, here []showcause.Finding) error {
	s, err := p.rule(i)
	if err != nil || s == nil || !p.wanted(s) {
		return err
	}
	if len(here) == 0 {
		here = []showcause.Finding{{}}
	}
	for _, f := range here {
		p.head(s)
		p.w.WriteString(p.path(r.Path))
		if len(f.Trail) > 0 {
			p.w.WriteString(" / " + f.Trail.String())
		}
		p.w.WriteByte('\n')
		if p.o.Strings || p.o.Length || p.o.XorKey {
			p.matches(s, f, r.Read)
		}
	}
	return nil
}

// head prints what stands before the name of the file.
func (p *Printer) head(s *shown) {
	if p.o.Namespace {
		p.w.WriteString(s.about.Namespace + ":")
	}
	p.w.WriteString(s.name + " ")
	if p.o.Tags {
		p.w.WriteByte('[')
		for i, t := range s.about.Tags {
			if i > 0 {
				p.w.WriteByte(',')
			}
			p.w.WriteString(t)
		}
		p.w.WriteString("] ")
	}
	if p.o.Meta {
		p.w.WriteByte('[')
		for i, m := range s.about.Metas {
			if i > 0 {
				p.w.WriteByte(',')
			}
			p.meta(m)
		}
		p.w.WriteString("] ")
	}
}

func (p *Printer) meta(m rule.Meta) {
	p.w.WriteString(m.Name)
	switch v := m.Value.(type) {
	case int64:
		fmt.Fprintf(p.w, " =%d", v)
	case bool:
		fmt.Fprintf(p.w, "=%v", v)
	case float64:
		p.w.WriteString("=" + strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		p.w.WriteString(`="`)
		p.w.Write(escaped(v))
		p.w.WriteByte('"')
	}
}

// escaped is text as yara prints metadata: as C would spell it, up to the first zero.
func escaped(s string) (out []byte) {
	const letters = "abtnvfr" // for bytes 7 to 13
	for _, c := range []byte(s) {
		switch {
		case c == 0:
			return out
		case c == '"' || c == '\'' || c == '\\':
			out = append(out, '\\', c)
		case c >= 7 && c <= 13:
			out = append(out, '\\', letters[c-7])
		case c < ' ' || c >= 127:
			out = fmt.Appendf(out, `\%03o`, c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// matches prints the matches of a finding: string after string, by offset.
func (p *Printer) matches(s *shown, f showcause.Finding, read func(off int64, n int) []byte) {
	counts := make([]int, len(s.strings))
	line := make([]byte, 0, 4*MaxData)
	order := func(a, b showcause.Match) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Offset, b.Offset))
	}
	all := f.Matches
	if !slices.IsSortedFunc(all, order) {
		all = slices.Clone(all)
		slices.SortStableFunc(all, order)
	}
	for _, m := range all {
		if m.Pattern >= len(s.strings) || slices.Contains(s.about.Hidden, m.Pattern) {
			continue
		}
		st := &s.strings[m.Pattern]
		if st.at >= 0 && m.Offset != st.at {
			continue
		}
		if counts[m.Pattern]++; p.o.Fast && st.once && counts[m.Pattern] > 1 {
			continue
		}
		n := int(min(m.Length, MaxData))
		var data []byte
		if p.o.Strings || p.o.XorKey {
			if len(f.Trail) == 0 && read != nil {
				data = read(m.Offset, n)
			} else {
				data = fromHex(m.Excerpt)
			}
		}
		line = append(line[:0], "0x"...)
		line = strconv.AppendInt(line, m.Offset, 16)
		if p.o.Length {
			line = append(line, ':')
			line = strconv.AppendInt(line, int64(n), 10)
		}
		line = append(append(line, ':'), st.name...)
		if p.o.XorKey {
			key := st.key(data)
			line = fmt.Appendf(line, ":xor(0x%02x,", key)
			line = append(appendText(line, data, key), ')')
		}
		if p.o.Strings {
			line = append(line, ": "...)
			if st.hex {
				line = appendHex(line, data)
			} else {
				line = appendText(line, data, 0)
			}
		}
		p.w.Write(append(line, '\n'))
	}
	if p.Warn != nil && !p.o.NoWarnings {
		for i, n := range counts {
			if n >= MaxMatches {
				p.Warn(fmt.Sprintf("warning: rule %q: too many matches for %s, results for this rule may be incorrect", s.name, s.strings[i].name))
			}
		}
	}
}

// key is the key of a match of an xor string, 0 of another.
func (s *str) key(data []byte) byte {
	if len(s.text) == 0 || len(data) == 0 {
		return 0
	}
	return data[0] ^ s.text[0]
}

const hexDigits = "0123456789ABCDEF"

func appendText(out, data []byte, key byte) []byte {
	for _, c := range data {
		c ^= key
		if c >= ' ' && c <= '~' {
			out = append(out, c)
		} else {
			out = append(out, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return out
}

func appendHex(out, data []byte) []byte {
	for i, c := range data[:min(len(data), maxHex)] {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, hexDigits[c>>4], hexDigits[c&15])
	}
	if len(data) > maxHex {
		out = append(out, " ..."...)
	}
	return out
}

// fromHex is the bytes of an excerpt.
func fromHex(s string) []byte {
	out := make([]byte, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		n, err := strconv.ParseUint(s[i:i+2], 16, 8)
		if err != nil {
			return out
		}
		out = append(out, byte(n))
	}
	return out
}
