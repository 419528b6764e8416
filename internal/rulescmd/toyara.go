package rulescmd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
)

func (h Host) toYARA() *cobra.Command {
	var kind string
	c := &cobra.Command{
		Use:   "to-yara SIGNATURE|FILE|-",
		Short: "Write ClamAV signatures as YARA rules",
		Long: `Write ClamAV signatures as YARA rules, to standard output. What cannot be said in
YARA without changing what it hits is left out, each with the reason on standard
error: nothing is half translated. ClamAV searches text and HTML normalised, which
YARA does not: signatures for these are left out too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			y := &yaraWriter{seen: map[string]bool{}, imports: map[string]bool{}}
			left := 0
			err := each(args[0], kind, c.InOrStdin(), func(where, kind, line string) error {
				s, err := parse(line, kind)
				if err == nil {
					err = y.rule(s)
				}
				if err != nil {
					left++
					fmt.Fprintf(c.ErrOrStderr(), "showcause: %sleft out: %s\n", showcause.Escape(where), showcause.Escape(err.Error()))
				}
				return nil
			})
			if err != nil {
				return err
			}
			if y.n == 0 {
				return errors.New("rules to-yara: none could be written")
			}
			return y.write(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "the kind of the signature (ldb, ndb, hdb ...), where its look does not tell")
	return c
}

// yaraWriter collects rules.
type yaraWriter struct {
	b       strings.Builder
	seen    map[string]bool
	imports map[string]bool
	n       int
}

func (y *yaraWriter) write(w io.Writer) error {
	var head []string
	for m := range y.imports {
		head = append(head, fmt.Sprintf("import %q\n", m))
	}
	slices.Sort(head)
	_, err := io.WriteString(w, strings.Join(head, "")+y.b.String())
	return err
}

// magic is how YARA asks for a type of file that ClamAV has a target for.
var magic = map[string]string{
	"0": "", "1": "uint16(0) == 0x5A4D", "2": "uint32be(0) == 0xD0CF11E0", "6": "uint32be(0) == 0x7F454C46",
	"9": "(uint32(0) == 0xFEEDFACE or uint32(0) == 0xFEEDFACF or uint32be(0) == 0xFEEDFACE or uint32be(0) == 0xFEEDFACF)", "10": "uint32be(0) == 0x25504446",
}

// rule writes one signature.
func (y *yaraWriter) rule(s *signature) error {
	r := yaraRule{y: y, need: map[string]bool{}}
	if err := r.conditions(s); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	for m := range r.need {
		y.imports[m] = true
	}
	fmt.Fprintf(&y.b, "\nrule %s {\n  meta:\n    clamav = %s\n", y.name(s.name), text([]byte(s.name)))
	if len(r.strings) > 0 {
		fmt.Fprintf(&y.b, "  strings:\n%s", strings.Join(r.strings, ""))
	}
	fmt.Fprintf(&y.b, "  condition:\n    %s\n}\n", strings.Join(r.all, " and\n    "))
	y.n++
	return nil
}

// name makes a name that YARA takes, and that no other rule has.
func (y *yaraWriter) name(s string) string {
	b := []byte(s)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	out := "clamav_" + string(b[:min(len(b), 100)])
	for n := 2; y.seen[out]; n++ {
		out = fmt.Sprintf("clamav_%s_%d", b[:min(len(b), 100)], n)
	}
	y.seen[out] = true
	return out
}

// yaraRule is one being written.
type yaraRule struct {
	y       *yaraWriter
	need    map[string]bool // modules
	strings []string
	all     []string // of the condition
}

func (r *yaraRule) conditions(s *signature) error {
	if s.kind == "hash" {
		return r.digest(s)
	}
	if l, is := linesOf(s.kind); is {
		return fmt.Errorf("a %s has no like in YARA", l.what)
	}
	m, ok := magic[s.target]
	if !ok {
		return fmt.Errorf("target %s has no like in YARA", s.target)
	}
	if m != "" {
		r.all = append(r.all, m)
	}
	for _, kv := range s.tdb {
		k, v, _ := strings.Cut(kv, ":")
		lo, hi, span := strings.Cut(v, "-")
		if !span {
			hi = lo
		}
		switch k {
		case "Engine", "Target":
		case "FileSize":
			r.all = append(r.all, fmt.Sprintf("filesize >= %s and filesize <= %s", lo, hi))
		case "NumberOfSections":
			if s.target != "1" {
				return errors.New("NumberOfSections of another type than PE")
			}
			r.need["pe"] = true
			r.all = append(r.all, fmt.Sprintf("pe.number_of_sections >= %s and pe.number_of_sections <= %s", lo, hi))
		default:
			return fmt.Errorf("%s has no like in YARA", k)
		}
	}
	expr := node{sub: 0}
	if s.kind == "ldb" {
		var err error
		if expr, err = parseExpr(s.expr); err != nil {
			return err
		}
	}
	anchors := make([]string, len(s.subs))
	used := expr.subs()
	for i := range s.subs {
		if !slices.Contains(used, i) {
			continue
		}
		str, err := s.subs[i].yara()
		if err != nil {
			return fmt.Errorf("subsignature %d: %w", i, err)
		}
		if anchors[i], err = r.anchor(s.subs[i].offset, s.target); err != nil {
			return fmt.Errorf("subsignature %d: %w", i, err)
		}
		r.strings = append(r.strings, fmt.Sprintf("    $s%d = %s\n", i, str))
	}
	c, err := expr.yara(anchors, true)
	r.all = append(r.all, c)
	return err
}

// digest is a condition over a digest of the whole file.
func (r *yaraRule) digest(s *signature) error {
	sum, ok := map[int]string{32: "md5", 40: "sha1", 64: "sha256"}[len(s.hash)]
	if !ok || s.scope != "the whole file" {
		return fmt.Errorf("a digest of %s has no like in YARA", s.scope)
	}
	if s.size != "*" {
		if _, err := strconv.ParseUint(s.size, 10, 63); err != nil {
			return errors.New("size is no number")
		}
		r.all = append(r.all, "filesize == "+s.size)
	}
	r.need["hash"] = true
	r.all = append(r.all, fmt.Sprintf("hash.%s(0, filesize) == \"%s\"", sum, strings.ToLower(s.hash)))
	return nil
}

// anchor is where a match must be: "at" or "in", or nothing.
func (r *yaraRule) anchor(o, target string) (string, error) {
	o, shift, _ := strings.Cut(o, ",")
	var at string
	switch {
	case o == "" || o == "*":
		return "", nil
	case strings.HasPrefix(o, "EOF-"):
		at = "filesize - " + o[4:]
	case (strings.HasPrefix(o, "EP+") || strings.HasPrefix(o, "EP-")) && target == "1":
		r.need["pe"] = true
		at = "pe.entry_point " + o[2:3] + " " + o[3:]
	case strings.Trim(o, "0123456789") == "":
		at = o
	default:
		return "", fmt.Errorf("offset %s has no like in YARA", o)
	}
	if shift == "" {
		return " at " + at, nil
	}
	return fmt.Sprintf(" in (%s..%s + %s)", at, at, shift), nil
}

// yara is a subsignature as a string of YARA's.
func (s *sub) yara() (string, error) {
	if s.kind != "body" {
		return "", errors.New(map[string]string{"pcre": "a regular expression of PCRE", "compare": "a byte comparison", "macro": "a macro group", "image": "a fuzzy image hash"}[s.kind])
	}
	all, err := lex(s.text)
	if err != nil {
		return "", err
	}
	fold := s.mods == "i" || s.mods == "ia"
	if strings.ContainsAny(s.mods, "iwf") && (!fold || len(all) == 1 && all[0].kind == 'h') {
		if len(all) != 1 || all[0].kind != 'h' {
			return "", errors.New("modifiers of a pattern that is no plain text")
		}
		if strings.Contains(s.mods, "w") && slices.Contains(all[0].bytes, 0) {
			return "", errors.New("UTF-16 of text that holds zeros")
		}
		out := text(all[0].bytes)
		for _, m := range []struct{ mod, word string }{{"i", " nocase"}, {"w", " wide"}, {"a", " ascii"}, {"f", " fullword"}} {
			if strings.Contains(s.mods, m.mod) {
				out += m.word
			}
		}
		return out, nil
	}
	var parts []string
	for i := range all {
		p, err := all[i].yara(fold)
		if err != nil {
			return "", err
		}
		parts = append(parts, p)
	}
	if first, last := all[0].kind, all[len(all)-1].kind; first == '*' || first == 'j' || last == '*' || last == 'j' {
		return "", errors.New("begins or ends with a jump")
	}
	return "{ " + strings.Join(parts, " ") + " }", nil
}

// yara is a piece of a body; with fold, letters are of either case.
func (e *elem) yara(fold bool) (string, error) {
	switch e.kind {
	case 'h':
		return spaced(e.bytes, fold), nil
	case '?':
		return "??", nil
	case 'n':
		return e.text, nil
	case '*':
		return "[-]", nil
	case 'j':
		if e.hi < 0 {
			return fmt.Sprintf("[%d-]", e.lo), nil
		}
		return fmt.Sprintf("[%d-%d]", e.lo, e.hi), nil
	case 'a':
		var alts []string
		for _, a := range e.alts {
			b, err := hex.DecodeString(a)
			if err != nil || len(b) == 0 {
				return "", errors.New("alternatives with wildcards")
			}
			alts = append(alts, spaced(b, fold))
		}
		if !e.not {
			return "( " + strings.Join(alts, " | ") + " )", nil
		}
		if len(alts) == 1 && len(alts[0]) == 2 {
			return "~" + alts[0], nil
		}
		return "", errors.New("negated alternatives")
	}
	return "", errors.New("a boundary")
}

// spaced is hexadecimal with blanks between the bytes; with fold, letters are of
// either case.
func spaced(b []byte, fold bool) string {
	var parts []string
	for _, c := range b {
		p := fmt.Sprintf("%02X", c)
		if l := c | 0x20; fold && l >= 'a' && l <= 'z' {
			p = fmt.Sprintf("( %02X | %02X )", l&^0x20, l)
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, " ")
}

// text is a text string of YARA's.
func text(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&s, "\\x%02x", c)
		default:
			s.WriteByte(c)
		}
	}
	return `"` + s.String() + `"`
}

// yara is an expression as a condition of YARA's.
func (n *node) yara(anchors []string, outer bool) (string, error) {
	if n.cmp == 0 && n.sub >= 0 {
		return fmt.Sprintf("$s%d%s", n.sub, anchors[n.sub]), nil
	}
	if n.cmp == 0 {
		var parts []string
		for i := range n.kids {
			p, err := n.kids[i].yara(anchors, false)
			if err != nil {
				return "", err
			}
			parts = append(parts, p)
		}
		s := strings.Join(parts, map[byte]string{'&': " and ", '|': " or "}[n.op])
		if !outer || n.op == '|' {
			s = "(" + s + ")"
		}
		return s, nil
	}
	for i := range n.kids { // of what does not hold, ClamAV counts nothing
		if k := &n.kids[i]; k.sub < 0 || k.cmp != 0 || n.op == '&' && n.cmp != '>' {
			return "", errors.New("counts the matches of an expression")
		}
	}
	var sum, set []string
	for _, i := range n.subs() {
		if strings.HasPrefix(anchors[i], " at ") {
			return "", errors.New("counts matches at one place")
		}
		sum = append(sum, fmt.Sprintf("#s%d%s", i, anchors[i]))
		set = append(set, fmt.Sprintf("$s%d", i))
	}
	op := map[byte]string{'=': "==", '>': ">", '<': "<"}[n.cmp]
	s := fmt.Sprintf("(%s %s %d)", strings.Join(sum, " + "), op, n.count)
	if n.sub < 0 && n.op == '&' {
		n.kinds = max(n.kinds, len(n.kids))
	}
	if n.sub < 0 && n.kinds > 1 {
		if strings.Contains(strings.Join(anchors, ""), " in ") {
			return "", errors.New("counts different ones at places")
		}
		s = fmt.Sprintf("(%s and %d of (%s))", s, n.kinds, strings.Join(set, ", "))
	}
	return s, nil
}
