package author

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Expectation is one line that says what a rule shall do:
//
//	// test: match samples/a.bin, samples/b*
//	// test: match "text with \x00 escapes"
//	// test: match { 4D 5A 90 } with $a, #b = 2, @c = 0x10
//	// test: no match /usr/bin/true, ""
//
// It stands in the rule or before it. After "match" or "no match" come samples,
// separated by commas: files, by names relative to the file of rules (* and ? as in
// a shell; all that are meant must do it); text in quotes, as a string of the
// language; bytes in braces. After "with" comes what must be true of the strings:
// that one was found, how often, or where first.
type Expectation struct {
	Rule    *check.Rule
	Line    int
	Match   bool
	Samples []Sample
	With    []Demand
}

// Sample is what a rule is tried on: a file, or bytes if Path is empty.
type Sample struct {
	Path string
	Data []byte
	Text string // as it stands
}

// Demand is something that must be true of a string of the rule. Kind is '$' (it
// was found), '#' (so often) or '@' (first there).
type Demand struct {
	Kind  byte
	Name  string // "$a"
	Value int64
}

// mark begins an expectation within a comment.
const mark = "test:"

// Expectations reads the expectations of all rules.
func Expectations(res *check.Result) ([]Expectation, error) {
	var out []Expectation
	var errs []error
	seen := map[*syntax.File]bool{}
	for _, r := range res.Rules {
		if seen[r.File] {
			continue
		}
		seen[r.File] = true
		for _, c := range r.File.Comments {
			line, _ := r.File.Source.Line(c.Start)
			for i, text := range strings.Split(commentText(c.Text), "\n") {
				rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \t*"), mark)
				if !ok {
					continue
				}
				e, err := expectation(rest)
				e.Line = line + i
				e.Rule = ruleAt(res, r.File, c.Span)
				if err == nil && e.Rule == nil {
					err = errors.New("no rule follows")
				}
				if err == nil {
					err = e.check()
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s:%d: test: %w", r.File.Source.Name, e.Line, err))
					continue
				}
				out = append(out, e)
			}
		}
	}
	return out, errors.Join(errs...)
}

// commentText is a comment without its marks.
func commentText(s string) string {
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		return strings.TrimLeft(rest, "/ \t")
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "/*"), "*/")
}

// ruleAt is the rule that a comment is in, or the next.
func ruleAt(res *check.Result, f *syntax.File, at source.Span) *check.Rule {
	i := slices.IndexFunc(res.Rules, func(r *check.Rule) bool { return r.File == f && r.End > at.Start })
	if i < 0 {
		return nil
	}
	return res.Rules[i]
}

// expectation reads what stands behind the mark.
func expectation(s string) (e Expectation, err error) {
	s = strings.TrimSpace(s)
	if rest, ok := cutWord(s, "no"); ok {
		s = rest
	} else {
		e.Match = true
	}
	s, ok := cutWord(s, "match")
	if !ok {
		return e, errors.New(`want "match" or "no match"`)
	}
	for {
		var sample Sample
		if sample, s, err = nextSample(s); err != nil {
			return e, err
		}
		e.Samples = append(e.Samples, sample)
		s = strings.TrimSpace(s)
		rest, comma := strings.CutPrefix(s, ",")
		if comma {
			s = strings.TrimSpace(rest)
			continue
		}
		if rest, with := cutWord(s, "with"); with {
			e.With, err = demands(rest)
			return e, err
		}
		if s != "" {
			return e, fmt.Errorf("want a comma or with at %q", s)
		}
		return e, nil
	}
}

// cutWord takes a word off the front.
func cutWord(s, word string) (string, bool) {
	rest, ok := strings.CutPrefix(s, word)
	if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return s, false
	}
	return strings.TrimSpace(rest), true
}

// nextSample takes a sample off the front.
func nextSample(s string) (Sample, string, error) {
	switch {
	case s == "":
		return Sample{}, "", errors.New("want a sample: a file, text in quotes, or bytes in braces")
	case s[0] == '"':
		data, n, err := quoted(s)
		if err != nil {
			return Sample{}, "", err
		}
		return Sample{Data: data, Text: s[:n]}, s[n:], nil
	case s[0] == '{':
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return Sample{}, "", errors.New("bytes without a closing brace")
		}
		data, err := hex.DecodeString(strings.Join(strings.Fields(s[1:end]), ""))
		if err != nil {
			return Sample{}, "", fmt.Errorf("bytes %s: want pairs of hexadecimal digits", s[:end+1])
		}
		return Sample{Data: data, Text: s[:end+1]}, s[end+1:], nil
	}
	end := len(s)
	if i := strings.IndexByte(s, ','); i >= 0 {
		end = i
	}
	if i := strings.Index(s+" ", " with "); i >= 0 && i < end {
		end = i
	}
	name := strings.TrimSpace(s[:end])
	if name == "" {
		return Sample{}, "", errors.New("a sample without a name")
	}
	return Sample{Path: name, Text: name}, s[end:], nil
}

// quoted reads a text in quotes and says how long it is.
func quoted(s string) (data []byte, n int, err error) {
	data = []byte{}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return data, i + 1, nil
		case c != '\\' || i+1 == len(s):
			data = append(data, c)
		case s[i+1] == 'x' && i+3 < len(s):
			v, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				return nil, 0, fmt.Errorf("escape %s: want two hexadecimal digits", s[i:i+4])
			}
			data = append(data, byte(v))
			i += 3
		default:
			v, ok := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\'}[s[i+1]]
			if !ok {
				return nil, 0, fmt.Errorf("escape %s: one of \\\" \\\\ \\t \\n \\r \\xHH", s[i:i+2])
			}
			data = append(data, v)
			i++
		}
	}
	return nil, 0, errors.New("text without a closing quote")
}

// demands reads what stands behind "with".
func demands(s string) (out []Demand, err error) {
	for part := range strings.SplitSeq(s, ",") {
		left, right, valued := strings.Cut(part, "=")
		left, right = strings.TrimSpace(left), strings.TrimSpace(right)
		if len(left) < 2 || !strings.ContainsRune("$#@", rune(left[0])) {
			return nil, fmt.Errorf("%q: want $name, #name = N or @name = N", strings.TrimSpace(part))
		}
		d := Demand{Kind: left[0], Name: "$" + left[1:]}
		if valued != (d.Kind != '$') {
			return nil, fmt.Errorf("%q: want $name, #name = N or @name = N", strings.TrimSpace(part))
		}
		if valued {
			if d.Value, err = strconv.ParseInt(right, 0, 64); err != nil {
				return nil, fmt.Errorf("%q: %q is no integer", strings.TrimSpace(part), right)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// check holds that the strings exist that the expectation names.
func (e *Expectation) check() error {
	for _, d := range e.With {
		if !slices.ContainsFunc(e.Rule.Patterns, func(p *syntax.Pattern) bool { return p.Name.Name == d.Name }) {
			return fmt.Errorf("rule %s has no string %s", e.Rule.Name.Name, d.Name)
		}
	}
	if len(e.With) > 0 && !e.Match {
		return errors.New(`"with" goes with "match" only`)
	}
	return nil
}

// Expand gives the samples with the files that the names mean, relative to dir. A
// name that means no file is an error.
func (e *Expectation) Expand(dir string) (out []Sample, err error) {
	for _, s := range e.Samples {
		if s.Path == "" {
			out = append(out, s)
			continue
		}
		path := s.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		found := []string{path}
		if strings.ContainsAny(s.Path, "*?[") {
			if found, err = filepath.Glob(path); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Path, err)
			}
			sort.Strings(found)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no such file", s.Path)
		}
		for _, f := range found {
			out = append(out, Sample{Path: f, Text: f})
		}
	}
	return out, nil
}

// Judge says in which way an explanation is not what is expected, empty if it is.
func (e *Expectation) Judge(x *Explanation) string {
	switch {
	case x.Stopped:
		return "its condition takes too many steps"
	case e.Match && !x.Matches:
		return "does not match"
	case !e.Match && x.Matches:
		return "matches"
	}
	for _, d := range e.With {
		for _, f := range x.Strings {
			if f.Name != d.Name {
				continue
			}
			switch {
			case d.Kind == '$' && f.Count == 0:
				return d.Name + " is not found"
			case d.Kind == '#' && int64(f.Count) != d.Value:
				return fmt.Sprintf("%s is found %d times, not %d", d.Name, f.Count, d.Value)
			case d.Kind == '@' && len(f.Places) == 0:
				return d.Name + " is not found"
			case d.Kind == '@' && f.Places[0].Offset != d.Value:
				return fmt.Sprintf("%s is first at 0x%x, not 0x%x", d.Name, f.Places[0].Offset, d.Value)
			}
		}
	}
	return ""
}
