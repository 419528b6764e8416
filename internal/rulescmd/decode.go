package rulescmd

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
)

// targets are ClamAV's types of files, in words.
var targets = []string{
	"any file", "PE files (Windows programs)", "compound files (OLE2: older Office, msi)", "HTML, normalised", "mail", "images", "ELF files (Linux programs)",
	"text, normalised", "nothing (unused)", "Mach-O files (macOS programs)", "PDF", "Flash", "Java classes",
}

// keys are what a target description may ask for, in words; the value follows.
var keys = map[string]string{
	"FileSize": "size in bytes", "EntryPoint": "entry point at", "NumberOfSections": "number of sections", "Container": "directly inside of",
	"Intermediates": "inside of, from the outermost", "IconGroup1": "icon of group 1", "IconGroup2": "icon of group 2", "HandlerType": "read again, as if it were",
}

// describe writes a signature in words.
func describe(w io.Writer, s *signature) error {
	if _, ok := linesOf(s.kind); ok {
		describeFields(w, s)
		return nil
	}
	words := map[string]string{"ldb": "logical signature", "ndb": "body signature", "hash": "digest"}[s.kind]
	fmt.Fprintf(w, "%s: %s\n", showcause.Escape(s.name), words)
	if lo, hi, _ := strings.Cut(s.levels, "-"); lo != "" && s.kind != "" {
		if hi == "" || hi == "255" {
			fmt.Fprintf(w, "  engines of functionality level %s and up\n", lo)
		} else {
			fmt.Fprintf(w, "  engines of functionality levels %s to %s\n", lo, hi)
		}
	}
	if s.kind == "hash" {
		sum := map[int]string{32: "MD5", 40: "SHA-1", 64: "SHA-256"}[len(s.hash)]
		size := s.size + " bytes"
		if s.size == "*" {
			size = "any size"
		}
		fmt.Fprintf(w, "  %s of %s, of %s, is %s\n", sum, s.scope, size, showcause.Escape(s.hash))
		return nil
	}
	target := "target " + s.target + ", unknown"
	if n, err := strconv.Atoi(s.target); err == nil && n >= 0 && n < len(targets) {
		target = targets[n]
	}
	fmt.Fprintf(w, "  in %s\n", showcause.Escape(target))
	for _, kv := range s.tdb {
		k, v, _ := strings.Cut(kv, ":")
		if words, ok := keys[k]; ok {
			fmt.Fprintf(w, "  %s %s\n", words, showcause.Escape(strings.ReplaceAll(strings.ReplaceAll(v, "-", " to "), ">", " > ")))
		}
	}
	if s.kind == "ldb" {
		n, err := parseExpr(s.expr)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(w, "  when %s\n", n.words(true))
	}
	for i := range s.subs {
		fmt.Fprintf(w, "  %2d  %s\n", i, showcause.Escape(s.subs[i].words()))
	}
	return nil
}

// words is an expression in words.
func (n *node) words(outer bool) string {
	var s string
	if n.sub >= 0 {
		s = strconv.Itoa(n.sub)
	} else {
		op := map[byte]string{'&': " and ", '|': " or "}[n.op]
		var parts []string
		for i := range n.kids {
			parts = append(parts, n.kids[i].words(false))
		}
		if s = strings.Join(parts, op); !outer || n.cmp != 0 {
			s = "(" + s + ")"
		}
	}
	switch {
	case n.cmp == 0:
		return s
	case n.cmp == '=' && n.count == 0:
		return "not " + s
	}
	how := map[byte]string{'=': "exactly", '>': "more than", '<': "fewer than"}[n.cmp]
	s = fmt.Sprintf("%s %d matches of %s", how, n.count, s)
	if n.kinds > 0 && n.sub < 0 {
		s += fmt.Sprintf(", of %d different ones at least", n.kinds)
	}
	return s
}

// words is a subsignature in words.
func (s *sub) words() string {
	switch s.kind {
	case "pcre":
		out := at(s.offset) + "the regular expression /" + s.text + "/"
		if s.mods != "" {
			out += " with " + s.mods
		}
		return out + ", looked for when " + s.trigger + " holds"
	case "compare":
		return "behind a match of " + s.trigger + ": compares the number at " + s.text
	case "macro":
		return "one of the group of macro signatures " + s.text
	case "image":
		return "an image whose fuzzy hash is " + strings.TrimPrefix(s.text, "fuzzy_img#")
	}
	var mods []string
	for _, m := range s.mods {
		if w := map[rune]string{'i': "without case", 'w': "as UTF-16", 'f': "as a whole word", 'a': "as it stands"}[m]; w != "" {
			mods = append(mods, w)
		}
	}
	all, err := lex(s.text)
	if err != nil {
		return at(s.offset) + s.text
	}
	var parts []string
	for i := range all {
		parts = append(parts, all[i].words())
	}
	out := at(s.offset) + strings.Join(parts, " ")
	if len(mods) > 0 {
		out += " (" + strings.Join(mods, ", ") + ")"
	}
	return out
}

// at is an offset in words.
func at(o string) string {
	o, shift, _ := strings.Cut(o, ",")
	var s string
	switch {
	case o == "" || o == "*":
		return ""
	case strings.HasPrefix(o, "EOF-"):
		s = o[4:] + " bytes before the end"
	case strings.HasPrefix(o, "EP+"):
		s = o[3:] + " bytes behind the entry point"
	case strings.HasPrefix(o, "EP-"):
		s = o[3:] + " bytes before the entry point"
	case strings.HasPrefix(o, "SL+"):
		s = o[3:] + " bytes into the last section"
	case strings.HasPrefix(o, "SE"):
		s = "in section " + o[2:]
	case strings.HasPrefix(o, "VI"):
		s = "in the version information"
	case strings.HasPrefix(o, "S"):
		n, off, _ := strings.Cut(o[1:], "+")
		s = off + " bytes into section " + n
	case strings.Contains(o, "$"):
		s = "in macro group " + o
	default:
		s = "at byte " + o
	}
	if shift != "" {
		s += " or up to " + shift + " further"
	}
	return s + ": "
}

// words is a piece of a body in words.
func (e *elem) words() string {
	switch e.kind {
	case 'h':
		return quoted(e.bytes)
	case '?':
		return "any byte"
	case 'n':
		return "a byte " + e.text
	case '*':
		return "... anything ..."
	case 'b':
		not := ""
		if e.not {
			not = "no "
		}
		return "<" + not + map[string]string{"B": "word boundary", "L": "line boundary", "W": "no letter or digit"}[e.text] + ">"
	case 'j':
		switch {
		case e.hi < 0:
			return fmt.Sprintf("... %d or more bytes ...", e.lo)
		case e.lo == e.hi:
			return fmt.Sprintf("... %d bytes ...", e.lo)
		}
		return fmt.Sprintf("... %d to %d bytes ...", e.lo, e.hi)
	}
	var alts []string
	for _, a := range e.alts {
		if b, err := hex.DecodeString(a); err == nil {
			a = quoted(b)
		}
		alts = append(alts, a)
	}
	if e.not {
		return "none of (" + strings.Join(alts, ", ") + ")"
	}
	return "(" + strings.Join(alts, " or ") + ")"
}

// quoted shows bytes as text if they are, else as hexadecimal.
func quoted(b []byte) string {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return hex.EncodeToString(b)
		}
	}
	return strconv.Quote(string(b))
}
