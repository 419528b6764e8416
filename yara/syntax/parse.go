package syntax

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause/yara/source"
)

const (
	maxLevels = 1000            // of brackets and loops in each other
	maxDepth  = 2*maxLevels + 3 // what they count: a condition and a term each
	maxErrors = 100             // told of one file
	maxChain  = 10000           // arithmetic operators in a row
)

// Parse reads one source. The tree holds all that could be read; it is whole if
// no diagnostic is an error.
func Parse(src *source.Source, dialect source.Dialect) (*File, []*source.Diagnostic) {
	p := &parser{src: src, dialect: dialect, file: &File{Source: src}}
	p.lex = lexer{src: src, text: src.Text, dialect: dialect, report: p.report}
	p.utf8()
	p.next()
	for p.tok.kind != tEOF && len(p.diags) < maxErrors {
		p.item()
	}
	p.file.Comments = p.lex.comments
	return p.file, p.diags
}

// parser reads tokens into a tree. After an error, stop is set and every token is
// the end, until item goes on at the next rule.
type parser struct {
	src     *source.Source
	dialect source.Dialect
	lex     lexer
	file    *File
	diags   []*source.Diagnostic
	tok     token
	ahead   []token
	last    int // end of the token before tok
	depth   int
	loopAt  int // depth at which the quantifier of a loop is read
	stop    bool
	nodes   []Hex // room for parts of hex patterns
	resume  int   // offset where an error stopped the reading
}

// utf8 refuses text that YARA-X does not read.
func (p *parser) utf8() {
	if p.dialect != source.YARAX || utf8.ValidString(p.src.Text) {
		return
	}
	for i := 0; i < len(p.src.Text); {
		r, n := utf8.DecodeRuneInString(p.src.Text[i:])
		if r == utf8.RuneError && n == 1 {
			p.report(source.InvalidUTF8, i, i+1, "text that is not UTF-8", "this byte")
			p.stop, p.tok = false, token{}
			return
		}
		i += n
	}
}

// report tells of an error between two offsets and stops the reading.
func (p *parser) report(code source.Code, start, end int, title, label string) {
	p.tell(code, source.Span{Start: p.src.At(start), End: p.src.At(end)}, title, label)
}

// tell is report for a span; the diagnostic can be added to.
func (p *parser) tell(code source.Code, at source.Span, title, label string) *source.Diagnostic {
	d := &source.Diagnostic{Code: code, Title: title, Labels: []source.Label{{Span: at, Text: label}}}
	if p.stop {
		return d // one error a rule: what follows is likely its echo
	}
	p.diags = append(p.diags, d)
	p.stop = true
	p.resume = min(int(at.Start-p.src.Base()), p.tok.start)
	p.tok = token{kind: tEOF, start: p.resume, end: p.resume}
	p.ahead = nil
	return d
}

// next goes one token on.
func (p *parser) next() {
	if p.stop {
		return
	}
	p.last = p.tok.end
	if len(p.ahead) > 0 {
		p.tok, p.ahead = p.ahead[0], p.ahead[1:]
		return
	}
	t := p.lex.next()
	if !p.stop {
		p.tok = t
	}
}

// peek is the token n tokens after tok.
func (p *parser) peek(n int) token {
	for !p.stop && len(p.ahead) < n {
		t := p.lex.next()
		if p.stop {
			break
		}
		p.ahead = append(p.ahead, t)
	}
	if p.stop {
		return p.tok
	}
	return p.ahead[n-1]
}

// is says whether tok is a word or sign.
func (p *parser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tWord || p.tok.kind == tSign)
}

// accept takes a word or sign if it is there.
func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.next()
		return true
	}
	return false
}

// want takes a word or sign, or tells that it is missing, and gives its place.
func (p *parser) want(text string) source.Span {
	at := p.here()
	if !p.accept(text) {
		p.unexpected("`" + text + "`")
	}
	return at
}

// here is the place of tok.
func (p *parser) here() source.Span {
	return source.Span{Start: p.src.At(p.tok.start), End: p.src.At(p.tok.end)}
}

// since is the span from a place to the end of the token before tok.
func (p *parser) since(start source.Pos) source.Span {
	return source.Span{Start: start, End: max(start, p.src.At(p.last))}
}

// unexpected tells of tok in the place of what was expected.
func (p *parser) unexpected(expected string) {
	if p.stop {
		return
	}
	what := "end of text"
	if p.tok.kind != tEOF {
		what = "`" + clip(p.tok.text) + "`"
	}
	p.tell(source.SyntaxError, p.here(), "syntax error: unexpected "+what, "expected "+expected)
}

// clip is a short form of a token for a message.
func clip(text string) string {
	if len(text) > 40 {
		return strings.ToValidUTF8(text[:40], "") + "..."
	}
	return text
}

// reserved says whether a word is no identifier.
func (p *parser) reserved(word string) bool {
	switch word {
	case "all", "and", "any", "ascii", "at", "base64", "base64wide", "condition", "contains", "defined",
		"endswith", "entrypoint", "false", "filesize", "for", "fullword", "global", "icontains", "iendswith",
		"iequals", "import", "in", "include", "istartswith", "matches", "meta", "nocase", "none", "not", "of",
		"or", "private", "rule", "startswith", "strings", "them", "true", "wide", "xor":
		return true
	case "with":
		return p.dialect == source.YARAX
	}
	return p.dialect == source.YARA && readsInteger(word)
}

// readsInteger says whether a word is one of YARA's functions that read an
// integer, which are keywords there.
func readsInteger(word string) bool {
	word = strings.TrimPrefix(word, "u")
	return word == "int8" || word == "int16" || word == "int32" ||
		word == "int8be" || word == "int16be" || word == "int32be"
}

// ident takes an identifier.
func (p *parser) ident(what string) Ident {
	at := p.here()
	name := p.tok.text
	if p.tok.kind != tWord {
		p.unexpected(what)
		return Ident{Span: at}
	}
	if p.reserved(name) {
		p.tell(source.SyntaxError, at, "syntax error: `"+name+"` is a reserved word", "expected "+what)
		return Ident{Span: at}
	}
	p.next()
	return Ident{at, name}
}

// item reads an import, an include or a rule. After an error it goes on at the
// next word that begins one.
func (p *parser) item() {
	start := p.tok.start
	switch {
	case p.is("import"), p.is("include"):
		p.directive()
	case p.is("rule"), p.is("private"), p.is("global"):
		p.rule()
	default:
		p.unexpected("`rule`, `import` or `include`")
	}
	if !p.stop {
		return
	}
	// The comments from here on are read once more.
	for n := len(p.lex.comments); n > 0 && p.lex.comments[n-1].Start >= p.src.At(p.resume); n-- {
		p.lex.comments = p.lex.comments[:n-1]
	}
	p.lex.pos = p.resume
	p.skip(p.resume <= start)
}

// skip goes to the next word that begins an item, and over the one that tok is
// if it is to move. Errors of tokens on the way are not told.
func (p *parser) skip(move bool) {
	told := p.lex.report
	p.lex.report = func(source.Code, int, int, string, string) {}
	defer func() { p.lex.report = told }()
	p.stop = false
	for ; ; move = false {
		p.next()
		if p.tok.kind == tEOF {
			return
		}
		if move || p.tok.kind != tWord {
			continue
		}
		switch p.tok.text {
		case "rule", "import", "include", "private", "global":
			if p.tok.text != "private" || p.beginsRule() {
				return
			}
		}
	}
}

// beginsRule says whether "private" is that of a rule, not of a pattern.
func (p *parser) beginsRule() bool {
	next := p.peek(1)
	return next.kind == tWord && (next.text == "rule" || next.text == "global" || next.text == "private")
}

// directive reads an import or include.
func (p *parser) directive() {
	start := p.here()
	d := Directive{Include: p.is("include"), Before: len(p.file.Rules)}
	p.next()
	if p.tok.kind != tText {
		p.unexpected("a text in double quotes")
		return
	}
	d.Name = p.text()
	if d.Name == nil {
		return
	}
	if p.dialect != source.YARA && strings.Contains(d.Name.Raw, `\`) && !d.Include {
		if p.dialect == source.YARAX {
			p.tell(source.InvalidEscape, d.Name.Span, "escape sequence in the name of a module", "plain text expected")
		}
	}
	d.Span = p.since(start.Start)
	p.file.Directives = append(p.file.Directives, d)
}

// rule reads one rule.
func (p *parser) rule() {
	r := &Rule{Span: p.here()}
	start := r.Start
	for p.is("private") || p.is("global") {
		if p.dialect == source.YARAX && r.Flag(p.tok.text) {
			p.tell(source.SyntaxError, p.here(), "syntax error: `"+p.tok.text+"` stands twice", "once is enough")
			return
		}
		r.Flags = append(r.Flags, Ident{p.here(), p.tok.text})
		p.next()
	}
	p.want("rule")
	r.Name = p.ident("the name of the rule")
	if p.stop {
		return
	}
	// Kept though broken, so that its name is known to the rules after it.
	p.file.Rules = append(p.file.Rules, r)
	p.body(r)
	r.Span = p.since(start)
	r.Broken = p.stop
}

// body reads a rule from its tags on.
func (p *parser) body(r *Rule) {
	if p.accept(":") {
		for {
			r.Tags = append(r.Tags, p.ident("a tag"))
			if p.stop || p.tok.kind != tWord {
				break
			}
		}
	}
	r.Open = p.want("{").Start
	if at := p.here(); p.accept("meta") {
		r.Meta = Section{at}
		p.want(":")
		for {
			r.Metas = append(r.Metas, p.meta())
			if p.stop || p.tok.kind != tWord || p.is("strings") || p.is("condition") {
				break
			}
		}
	}
	if at := p.here(); p.accept("strings") {
		r.Strings = Section{at}
		p.want(":")
		for {
			pat := p.pattern()
			if p.stop {
				return
			}
			r.Patterns = append(r.Patterns, pat)
			if p.tok.kind != tName {
				break
			}
		}
	}
	r.CondAt = Section{p.here()}
	p.want("condition")
	p.want(":")
	r.Cond = p.condition()
	r.Close = p.want("}").Start
}

// meta reads one line of metadata.
func (p *parser) meta() Meta {
	start := p.here().Start
	m := Meta{Name: p.ident("the name of a metadata entry")}
	p.want("=")
	switch {
	case p.tok.kind == tText:
		m.Value = p.text()
	case p.is("true"), p.is("false"):
		m.Value = p.bool()
	default:
		m.Value = p.signed()
	}
	m.Span = p.since(start)
	return m
}

// signed reads a number that may have a minus, as metadata has it.
func (p *parser) signed() *Literal {
	start := p.here().Start
	minus := p.accept("-")
	var n *Literal
	switch {
	case p.tok.kind == tInt:
		n = p.integer()
	case p.tok.kind == tFloat && p.dialect != source.YARA:
		n = p.float()
	case p.tok.kind == tFloat:
		p.tell(source.OtherDialect, p.here(), "float as metadata", "YARA-X only")
	default:
		p.unexpected("a text, a number, `true` or `false`")
	}
	if n == nil || p.stop {
		return nil
	}
	if minus {
		n.Int, n.Float, n.Raw = -n.Int, -n.Float, "-"+n.Raw
		n.Span = p.since(start)
	}
	return n
}

// bool reads true or false.
func (p *parser) bool() *Literal {
	l := &Literal{Span: p.here(), Kind: BoolLit, Raw: p.tok.text}
	if p.tok.text == "true" {
		l.Int = 1
	}
	p.next()
	return l
}

// text reads a text.
func (p *parser) text() *Literal {
	l := &Literal{Span: p.here(), Kind: TextLit, Raw: p.tok.text}
	quote := 1
	if strings.HasPrefix(l.Raw, `"""`) && len(l.Raw) >= 6 {
		quote = 3
	}
	text, bad := unescape(l.Raw[quote:len(l.Raw)-quote], p.dialect)
	if bad >= 0 {
		at := p.tok.start + quote + bad
		p.report(source.InvalidEscape, at, at+2, "invalid escape sequence", `one of \" \\ \t \n \r \xHH`)
		return nil
	}
	l.Text = text
	p.next()
	return l
}

// integer reads an integer literal.
func (p *parser) integer() *Literal {
	l := &Literal{Span: p.here(), Kind: IntegerLit, Raw: p.tok.text}
	n, ok := parseInteger(l.Raw)
	if !ok {
		p.tell(source.InvalidInteger, l.Span, "integer out of range", "the greatest is 0x7FFFFFFFFFFFFFFF")
		return nil
	}
	l.Int = n
	p.next()
	return l
}

// parseInteger is the value of an integer literal. There is none above 2^63-1: both
// refuse it.
func parseInteger(raw string) (int64, bool) {
	unit := int64(1)
	digits := strings.ReplaceAll(raw, "_", "")
	if s, ok := strings.CutSuffix(digits, "KB"); ok {
		digits, unit = s, 1<<10
	} else if s, ok := strings.CutSuffix(digits, "MB"); ok {
		digits, unit = s, 1<<20
	}
	base := 10
	if s, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = s, 16
	} else if s, ok := strings.CutPrefix(digits, "0o"); ok {
		digits, base = s, 8
	}
	n, err := strconv.ParseUint(digits, base, 63)
	if err != nil {
		return 0, false
	}
	return int64(n) * unit, int64(n) <= math.MaxInt64/unit
}

// float reads a float literal.
func (p *parser) float() *Literal {
	l := &Literal{Span: p.here(), Kind: FloatLit, Raw: p.tok.text}
	f, err := strconv.ParseFloat(strings.ReplaceAll(l.Raw, "_", ""), 64)
	if err != nil {
		p.tell(source.InvalidInteger, l.Span, "float out of range", "it does not fit in 64 bits")
		return nil
	}
	l.Float = f
	p.next()
	return l
}

// regexp reads a regular expression.
func (p *parser) regexp() *Literal {
	l := &Literal{Span: p.here(), Kind: RegexpLit, Raw: p.tok.text}
	end := strings.LastIndexByte(l.Raw, '/')
	l.Flags = l.Raw[end+1:]
	l.Text = unslash(l.Raw[1:end])
	at := p.tok.start + end + 1
	if bad := strings.Trim(l.Flags, "is"); bad != "" || len(l.Flags) > 2 || l.Flags == "ii" || l.Flags == "ss" {
		p.report(source.SyntaxError, at, p.tok.end, "invalid letters after a regular expression", "only i and s, each once")
		return nil
	}
	if l.Text == "" {
		p.tell(source.InvalidRegexp, l.Span, "empty regular expression", "it has nothing to find")
		return nil
	}
	p.next()
	return l
}

// unslash turns \/ into / and leaves all other escapes alone.
func unslash(raw string) string {
	if !strings.Contains(raw, `\/`) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && i+1 < len(raw) {
			if raw[i+1] != '/' {
				b.WriteByte('\\')
			}
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// enter counts a bracket or loop and says whether it may be entered.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.tell(source.NestingTooDeep, p.here(), "nesting too deep", fmt.Sprintf("more than %d levels", maxLevels))
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }
