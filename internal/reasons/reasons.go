// Package reasons says why the conditions of YARA rules hold that were found: of each
// finding a tree, every part with its value. What the findings do not tell themselves
// (what modules say of the layer, bytes of what is in a container) is asked of one more
// process in the jail, which derives the layers again, as the readers did.
package reasons

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
	"github.com/showcause/showcause/worker/wire"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
)

// Role is the word by which the program is started as the process that reads.
const Role = "explainer"

const (
	indent    = "             " // of a line of a tree
	maxAsked  = 256             // findings of one input that are asked about
	maxTree   = 32 << 10        // bytes of one tree
	maxTime   = 5 * time.Minute
	maxLength = 16 << 20 // bytes of what the process says
)

// Asker asks. Its fields are those of the scan that found.
type Asker struct {
	DB        *ruledb.DB
	Limits    showcause.Limits
	TopOnly   bool
	Passwords [][]byte
	NoUsual   bool
	Now       int64 // seconds since 1970, UTC
	Memory    int64 // bytes that the process may have; 0: the usual
	Scratch   func() (*os.File, error)
	// Open is nil, or gives the content of the file to this process, which then reads
	// it itself, without the jail.
	Open func(ctx context.Context, f *os.File) (showcause.Source, error)
}

// Of gives for each finding of a report the tree of its condition, or nothing where the
// rule is not one of YARA's. f is the input, externals are what the scan said of it.
func (a *Asker) Of(ctx context.Context, r *showcause.Report, f *os.File, externals map[string]module.Value) []string {
	out := make([]string, len(r.Findings))
	var q request
	var of []int
	for i := range r.Findings {
		x := author.Holding(a.DB, &r.Findings[i], r.Findings, sizeOf(r, i), bytesOf(r, i, f))
		if x != nil {
			out[i] = cut(x.Tree(indent))
		}
		if x != nil && x.Whole() || len(of) == maxAsked {
			continue
		}
		if o := author.OriginOf(a.DB, r.Findings[i].Index); o != nil {
			of = append(of, i)
			q.Findings = append(q.Findings, asked{r.Findings[i].Trail, o})
		}
	}
	if len(of) == 0 {
		return out
	}
	trees, err := a.ask(ctx, &q, f, externals)
	if err != nil { // what the findings tell stands: parts without a value say so
		return out
	}
	for k, i := range of {
		if k < len(trees) && trees[k] != "" && plain(trees[k]) {
			out[i] = trees[k]
		}
	}
	return out
}

// sizeOf is the size of the layer of a finding, -1 if it is not told.
func sizeOf(r *showcause.Report, i int) int64 {
	f := &r.Findings[i]
	if len(f.Trail) == 0 {
		return r.Size
	}
	if n := len(f.Chain); n > 0 && n == len(f.Trail)+1 {
		return f.Chain[n-1].Size
	}
	return -1
}

// bytesOf gives bytes of the layer of a finding; it is nil if that is not the input.
func bytesOf(r *showcause.Report, i int, f *os.File) func(off int64, n int) []byte {
	if len(r.Findings[i].Trail) > 0 {
		return nil
	}
	return func(off int64, n int) []byte {
		b := make([]byte, n)
		have, _ := f.ReadAt(b, off)
		return b[:have]
	}
}

// request is what the process is asked.
type request struct {
	Limits    showcause.Limits `json:"limits"`
	TopOnly   bool             `json:"top_only"`
	Passwords [][]byte         `json:"passwords"`
	NoUsual   bool             `json:"no_usual"`
	Now       int64            `json:"now"`
	Externals []byte           `json:"externals"` // wire.EncodeExternals
	Findings  []asked          `json:"findings"`
}

type asked struct {
	Trail showcause.Trail `json:"trail"`
	Rule  *author.Origin  `json:"rule"`
}

func (a *Asker) ask(ctx context.Context, q *request, f *os.File, externals map[string]module.Value) ([]string, error) {
	q.Limits, q.TopOnly, q.Passwords, q.NoUsual, q.Now = a.Limits, a.TopOnly, a.Passwords, a.NoUsual, a.Now
	if a.Open != nil {
		src, err := a.Open(ctx, f)
		if err != nil {
			return nil, err
		}
		return q.trees(ctx, src, externals, func() (unpack.File, error) { return a.Scratch() }), nil
	}
	values, err := wire.EncodeExternals(externals, wire.MaxExternals)
	if err != nil {
		return nil, err
	}
	q.Externals = []byte(values)
	b, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("reader: request: %w", err)
	}
	b, _, err = once.Run(ctx, b, f, once.Options{Args: []string{"showcause", Role}, Scratch: a.Scratch, Memory: a.Memory, Timeout: maxTime, MaxAnswer: maxLength})
	if err != nil {
		return nil, err
	}
	var trees []string
	if err := json.Unmarshal(b, &trees); err != nil {
		return nil, fmt.Errorf("reader: answer: %w", err)
	}
	return trees, nil
}

// Read is the process that reads. It returns the exit code.
func Read() int {
	_ = jail.Hide()
	err := once.Read(func(j once.Job) []byte {
		var q request
		var trees []string
		if json.Unmarshal(j.Request, &q) == nil {
			if externals, err := wire.DecodeExternals(string(q.Externals)); err == nil {
				trees = q.trees(context.Background(), j.Source, externals, j.Spill)
			}
		}
		b, err := json.Marshal(trees)
		if err != nil || len(b) > maxLength {
			return []byte("[]")
		}
		return b
	}, once.Reading{})
	if err != nil {
		fmt.Fprintf(os.Stderr, "showcause explainer: %v\n", err)
		return 2
	}
	return 0
}

// trees derives the layers and explains the findings in them; what cannot be explained is
// empty.
func (q *request) trees(ctx context.Context, src showcause.Source, externals map[string]module.Value, spill func() (unpack.File, error)) []string {
	out := make([]string, len(q.Findings))
	left := maxLength / 2
	explain := func(l showcause.Layer, t filetype.Type) (int64, error) {
		for i, f := range q.Findings {
			if f.Rule == nil || out[i] != "" || left <= 0 || !same(f.Trail, l.Trail) {
				continue
			}
			x := f.Rule.Explain(ctx, l.Source, scan.Externals(externals, l, t, f.Rule.Asks), fields.Host{Now: q.Now})
			if x != nil {
				out[i] = cut(x.Tree(indent))
				left -= len(out[i])
			}
		}
		return l.Source.Size(), nil
	}
	o := scan.Options{Limits: q.Limits, Passwords: q.Passwords, NoUsual: q.NoUsual, Spill: spill}
	if q.TopOnly {
		head := make([]byte, 64<<10)
		n, _ := src.ReadAt(head, 0)
		_, _ = explain(showcause.Layer{Source: src}, filetype.Detect(head[:n], src))
		return out
	}
	scan.Walk(src, o, scan.Visitor{Layer: explain})
	return out
}

// same says whether two trails lead to one layer: the names on them decide nothing.
func same(a, b showcause.Trail) bool {
	return slices.EqualFunc(a, b, func(x, y showcause.Step) bool { return x.Index == y.Index && x.Op == y.Op })
}

// cut keeps of a tree what a person may read, in whole lines.
func cut(tree string) string {
	if len(tree) <= maxTree {
		return tree
	}
	tree = tree[:maxTree]
	return tree[:strings.LastIndexByte(tree, '\n')+1] + indent + "...\n"
}

// plain says whether what a reader said is a tree as a sound one writes it: printable
// lines, each behind the indent. One that was taken over shall not write on a terminal
// what it likes, nor a line that looks like another part of the answer.
func plain(tree string) bool {
	if len(tree) > maxTree+64 || !utf8.ValidString(tree) {
		return false
	}
	for line := range strings.Lines(tree) {
		text, ok := strings.CutSuffix(line, "\n")
		if !ok || !strings.HasPrefix(text, indent) {
			return false
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				return false
			}
		}
	}
	return true
}
