package author

import (
	"context"
	"fmt"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Input is a file as conditions see it: its bytes, what the modules say of it, and
// where the strings of some rules are, as the scanner finds them.
type Input struct {
	src     showcause.Source
	layer   *fields.Layer
	matches map[*check.Rule][][]eval.Match
	gaps    []showcause.Gap
	page    []byte
	at      int64
}

// NewInput searches src for the strings of rules. The patterns are compiled and
// searched for as in a scan, under a condition that is always true.
func NewInput(ctx context.Context, rules []*check.Rule, src showcause.Source, h fields.Host) (*Input, error) {
	in := &Input{src: src, matches: map[*check.Rule][][]eval.Match{}, at: -1}
	in.layer = fields.New(in, h)
	for _, d := range []source.Dialect{source.YARA, source.YARAX, source.Either} {
		if err := in.search(ctx, rules, d); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// search finds the strings of the rules of one dialect.
func (in *Input) search(ctx context.Context, rules []*check.Rule, d source.Dialect) error {
	var text strings.Builder
	var of []*check.Rule
	for _, r := range rules {
		if r.Dialect == d && len(r.Patterns) > 0 && !r.Bad {
			fmt.Fprintf(&text, "rule r%d { strings%s condition: for all of them : (# >= 0) }\n", len(of), stringsSection(r))
			of = append(of, r)
		}
	}
	if len(of) == 0 {
		return nil
	}
	compiled, err := yara.Compile(text.String(), yara.Options{Dialect: d, RelaxedRegexps: true})
	if err != nil {
		return err
	}
	res, err := compiled.NewScanner(yara.ScanOptions{MaxData: -1}).Scan(ctx, in.src)
	if err != nil {
		return err
	}
	in.gaps = append(in.gaps, res.Gaps...)
	for _, m := range res.Matches {
		var i int
		if _, err := fmt.Sscanf(m.Name, "r%d", &i); err != nil || i >= len(of) {
			continue
		}
		found := make([][]eval.Match, len(of[i].Patterns))
		for _, f := range m.Found {
			found[f.Index] = append(found[f.Index], eval.Match{Offset: f.Offset, Length: f.Length})
		}
		in.matches[of[i]] = found
	}
	return nil
}

// stringsSection is the text from behind the word "strings" up to the condition,
// with no string private, so that all are reported.
func stringsSection(r *check.Rule) string {
	sp := source.Span{Start: r.Strings.End, End: r.CondAt.Start}
	text := []byte(r.File.Source.Slice(sp))
	for _, p := range r.Patterns {
		if m := p.Has("private"); m != nil {
			for i := m.Start; i < m.End; i++ {
				text[i-sp.Start] = ' '
			}
		}
	}
	return string(text)
}

// Gaps are what was not searched.
func (in *Input) Gaps() []showcause.Gap { return in.gaps }

// Size is the number of bytes.
func (in *Input) Size() int64 { return in.src.Size() }

const pageSize = 64 << 10

// Read gives bytes off to off+n, nil if some of them are not there. They are good
// until the next Read.
func (in *Input) Read(off int64, n int) []byte {
	if off < 0 || n < 0 || off > in.src.Size()-int64(n) {
		return nil
	}
	if in.at >= 0 && off >= in.at && off+int64(n) <= in.at+int64(len(in.page)) {
		return in.page[off-in.at:][:n:n]
	}
	page := make([]byte, min(int64(max(n, pageSize)), in.src.Size()-off))
	have, _ := in.src.ReadAt(page, off)
	if have < n {
		return nil
	}
	in.page, in.at = page[:have], off
	return in.page[:n:n]
}

// Matches are the places of a string of a rule.
func (in *Input) Matches(r *check.Rule, pattern int) []eval.Match {
	if found := in.matches[r]; pattern < len(found) {
		return found[pattern]
	}
	return nil
}

// Module is the value of a module.
func (in *Input) Module(name string, d source.Dialect) module.Value {
	v, _ := in.layer.Module(name, d)
	return v
}

// Entry is the file offset of the entry point of a PE or ELF file.
func (in *Input) Entry() (int64, bool) {
	for _, name := range []string{"pe", "elf"} {
		if f, ok := in.Module(name, source.YARA).Ref.(module.Fields); ok {
			if v := f.Field("entry_point"); v.Kind == module.Int {
				return v.Int, true
			}
		}
	}
	return 0, false
}

// Needed are a rule and the rules that it needs, in the order of the result.
func Needed(res *check.Result, r *check.Rule) []*check.Rule {
	wanted := needed(res, r)
	var out []*check.Rule
	for _, o := range res.Rules {
		if wanted[o] {
			out = append(out, o)
		}
	}
	return out
}

// Bytes is an Input that no string was searched in.
func Bytes(src showcause.Source, h fields.Host) *Input {
	in := &Input{src: src, at: -1}
	in.layer = fields.New(in, h)
	return in
}
