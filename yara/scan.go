package yara

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// ScanOptions say how to scan. The zero value scans the bytes given and nothing that
// is in them, as YARA does.
type ScanOptions struct {
	// Externals are values of external variables for this scan, in place of those
	// that the rules were compiled with. See Compiler.Define. One that the rules were not
	// compiled with, or with a value of another type, is an error of Scan.
	Externals map[string]any
	// Containers has what is inside archives, mails and the like scanned too. Each
	// match then has the trail to its layer.
	Containers bool
	// Limits bound what a scan may cost.
	Limits showcause.Limits
	// MaxMatches is how many places of one string are returned; 0: a million.
	MaxMatches int
	// MaxData is how many bytes of a match are returned; 0: 512, less than 0: none.
	// Of all matches of an input together no more than 64 MiB are.
	MaxData int
	// Console takes the lines that rules write with the console module. It is called
	// by the goroutine that scans.
	Console func(line string)
	// ModuleData is data for modules by their names: a report for cuckoo.
	ModuleData map[string][]byte
	// Modules are modules of the caller's own that the rules were compiled with.
	Modules map[string]Module
	// Now is the time that the time module tells; the zero value is that of the clock.
	Now time.Time
}

// defaults of ScanOptions.
const (
	maxMatches = 1_000_000
	maxData    = 512
	maxAllData = 64 << 20
)

// Result is what a scan found.
type Result struct {
	// Matches are the rules that matched, in the order of the rules; private ones
	// are not among them.
	Matches []Match
	// Gaps are what was not looked at, and why. With one, a rule that is not among
	// the matches may match all the same.
	Gaps []showcause.Gap
	// Type is the type of the input, as the types of package filetype are named.
	Type string
	// Work is what the scan took, in steps of verifying, parsing and evaluating: the
	// same on every machine.
	Work int64
}

// Complete says whether all was looked at.
func (r *Result) Complete() bool {
	for _, g := range r.Gaps {
		if g.Code.Unread() {
			return false
		}
	}
	return true
}

// Match is a rule that matched, and where.
type Match struct {
	*Rule
	// Trail leads to the layer that the rule matched; of the input itself it is empty.
	Trail showcause.Trail
	// Found are the places of the rule's strings: string after string in their order
	// in the rule, each by offset. Those of private strings are not among them.
	Found []Found
}

// Found is one place of a string.
type Found struct {
	Pattern string // "$a"
	Index   int    // of the string in the rule
	Offset  int64  // in the layer, bytes
	Length  int64  // bytes
	// Data are the first bytes of the match. They are not read for matches in
	// containers, of which showcause.MaxExcerpt are given.
	Data []byte
	// XORKey is the key of a string with the xor modifier.
	XORKey byte
}

// Scan scans bytes. It reads them in this process: for files that nobody vouches for
// prefer the command, whose readers are locked in by the kernel.
func (r *Rules) Scan(data []byte, o ScanOptions) (*Result, error) {
	return r.NewScanner(o).Scan(context.Background(), showcause.Bytes(data))
}

// ScanReader scans size bytes.
func (r *Rules) ScanReader(ctx context.Context, ra io.ReaderAt, size int64, o ScanOptions) (*Result, error) {
	return r.NewScanner(o).Scan(ctx, sized{ra, size})
}

// sized is a reader as a Source.
type sized struct {
	io.ReaderAt
	size int64
}

// Size is the number of bytes.
func (s sized) Size() int64 { return s.size }

// ScanFile scans a regular file. The external variables filename, filepath and
// extension are filled in.
func (r *Rules) ScanFile(ctx context.Context, path string, o ScanOptions) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("scan: %s: not a regular file", path)
	}
	named := map[string]any{"filename": filepath.Base(path), "filepath": path, "extension": strings.ToLower(filepath.Ext(path))}
	for k, v := range named {
		if FitsExternal(r.db, k, module.TextValue(v.(string))) != nil {
			delete(named, k) // the rules do not ask for it, or call something else so
		}
	}
	for k, v := range o.Externals {
		named[k] = v
	}
	o.Externals = named
	return r.ScanReader(ctx, f, st.Size(), o)
}

// Scanner scans one input after the other, and keeps what it needs for that. It is
// not safe for concurrent use; many of them share Rules.
type Scanner struct {
	rules *Rules
	o     ScanOptions
	s     *scan.Scanner
	err   error
	seen  map[uint32]*known
	data  int64 // bytes of matches that may still be read
}

// known is a rule with the texts of its xor strings.
type known struct {
	rule   *Rule
	xor    [][]byte
	hidden []int // indexes of private strings
}

// NewScanner returns a Scanner. An external variable that is no value is told by Scan.
func (r *Rules) NewScanner(o ScanOptions) *Scanner {
	if o.MaxMatches <= 0 {
		o.MaxMatches = maxMatches
	}
	if o.MaxData == 0 {
		o.MaxData = maxData
	}
	s := &Scanner{rules: r, o: o, seen: map[uint32]*known{}}
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	so := scan.Options{
		Limits: o.Limits, TopOnly: !o.Containers, MaxMatches: o.MaxMatches, Log: o.Console, Now: now.Unix(),
		Excerpts: o.Containers, Spill: func() (unpack.File, error) { return spill() },
	}
	so.Modules = func(name string, d source.Dialect, in calc.Input) (module.Value, bool) {
		if m, ok := o.Modules[name]; ok {
			return m.Value(in, d), true
		}
		if o.ModuleData[name] == nil {
			return module.Value{}, false
		}
		return fields.Module(name, in, d, fields.Host{Files: o.ModuleData})
	}
	so.Externals, s.err = r.externals(o.Externals)
	s.s = scan.New(r.db, so)
	return s
}

// externals are Go values as external variables.
func (r *Rules) externals(values map[string]any) (map[string]module.Value, error) {
	out := make(map[string]module.Value, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		x, _, err := external(values[name])
		if err == nil {
			err = FitsExternal(r.db, name, x)
		}
		if err != nil {
			return nil, fmt.Errorf("external %s: %w", name, err)
		}
		out[name] = x
	}
	return out, nil
}

// spill opens an unlinked temporary file.
func spill() (unpack.File, error) {
	f, err := os.CreateTemp("", "showcause-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// stopped is a Source that cannot be read any more once ctx is done.
type stopped struct {
	showcause.Source
	ctx context.Context
}

// ReadAt implements io.ReaderAt.
func (s stopped) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Source.ReadAt(p, off)
}

// Scan scans an input. The error is that of ctx, or says that the options or the
// rules are not in order; whatever the input does is a gap.
func (s *Scanner) Scan(ctx context.Context, src showcause.Source) (*Result, error) {
	if s.err != nil {
		return nil, s.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.rules.enter(); err != nil {
		return nil, err
	}
	defer s.rules.leave()
	report := s.s.Scan(stopped{src, ctx})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &Result{Gaps: report.Gaps, Type: report.Type, Work: report.Spent.Work}
	if !s.o.Containers {
		out.Gaps = topGaps(out.Gaps)
	}
	s.data = maxAllData
	for _, f := range report.Findings {
		k, err := s.rule(f.Index)
		if err != nil {
			return nil, err
		}
		m := Match{Rule: k.rule, Trail: f.Trail, Found: make([]Found, 0, len(f.Matches))}
		for _, at := range f.Matches {
			if slices.Contains(k.hidden, at.Pattern) {
				continue
			}
			m.Found = append(m.Found, s.found(k, src, len(f.Trail) == 0, at))
		}
		out.Matches = append(out.Matches, m)
	}
	return out, nil
}

// topGaps are gaps but for the one that says that what is in the input was not
// looked at, which nobody asked for.
func topGaps(gaps []showcause.Gap) (out []showcause.Gap) {
	for _, g := range gaps {
		if g.Code != showcause.LimitDepth {
			out = append(out, g)
		}
	}
	return out
}

// rule is what is known of a rule, kept for the next input.
func (s *Scanner) rule(i uint32) (*known, error) {
	if k := s.seen[i]; k != nil {
		return k, nil
	}
	r, hidden, err := s.rules.rule(i)
	if err != nil {
		return nil, err
	}
	k := &known{rule: r, xor: xorTexts(r), hidden: hidden}
	s.seen[i] = k
	return k, nil
}

// xorTexts are the texts of a rule's xor strings, nil for all others.
func xorTexts(r *Rule) [][]byte {
	if !strings.Contains(r.Text, "xor") {
		return nil
	}
	var set source.Sources
	src, err := set.Add("", r.Text)
	if err != nil {
		return nil
	}
	tree, _ := syntax.Parse(src, source.Either)
	if len(tree.Rules) != 1 || len(tree.Rules[0].Patterns) != len(r.Patterns) {
		return nil
	}
	out := make([][]byte, len(r.Patterns))
	for i, p := range tree.Rules[0].Patterns {
		if p.Text != nil && p.Has("xor") != nil {
			out[i] = []byte(p.Text.Text)
		}
	}
	return out
}

// found is a match with its bytes.
func (s *Scanner) found(k *known, src showcause.Source, top bool, m showcause.Match) Found {
	f := Found{Index: m.Pattern, Offset: m.Offset, Length: m.Length}
	if m.Pattern < len(k.rule.Patterns) {
		f.Pattern = k.rule.Patterns[m.Pattern]
	}
	switch {
	case !top:
		f.Data, _ = hex.DecodeString(m.Excerpt)
	case s.o.MaxData > 0:
		n := min(m.Length, int64(s.o.MaxData))
		if b, ok := src.(showcause.Bytes); ok {
			f.Data = b[m.Offset : m.Offset+n : m.Offset+n]
		} else if s.data -= n; s.data >= 0 {
			f.Data = make([]byte, n)
			have, _ := src.ReadAt(f.Data, m.Offset)
			f.Data = f.Data[:have]
		}
	}
	if m.Pattern < len(k.xor) && len(k.xor[m.Pattern]) > 0 && len(f.Data) > 0 {
		f.XORKey = f.Data[0] ^ k.xor[m.Pattern][0]
	}
	return f
}
