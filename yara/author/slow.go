package author

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/source"
)

// Cost is what one rule costs on a corpus, beside what it costs to read it.
type Cost struct {
	Namespace string        `json:"namespace"`
	Rule      string        `json:"rule"`
	File      string        `json:"file"`
	Line      int           `json:"line"`
	Time      time.Duration `json:"nanoseconds"`
	Steps     int64         `json:"steps"` // the same on every machine
	// Search is the part of Time that goes into finding strings; the rest is the
	// condition.
	Search time.Duration `json:"search_nanoseconds"`
	Why    []string      `json:"why,omitempty"`
}

// Profile says what rules cost on a corpus.
type Profile struct {
	Files int           `json:"files"`
	Bytes int64         `json:"bytes"`
	Rules int           `json:"rules"`
	Whole time.Duration `json:"whole_nanoseconds"`   // with all rules
	Read  time.Duration `json:"reading_nanoseconds"` // with a rule that asks nothing
	Steps int64         `json:"steps"`               // with all rules
	Costs []Cost        `json:"costs"`               // the dearest first; rules that cost next to nothing are not among them
}

// profiler measures.
type profiler struct {
	ctx     context.Context
	comp    *yara.Compiler
	res     *check.Result
	diags   yara.Diagnostics
	corpus  []showcause.Source
	base    measure                       // of reading
	needed  map[*check.Rule][]*check.Rule // as Needed says
	least   time.Duration
	lsteps  int64
	profile *Profile
}

// measure is what a scan of the corpus took.
type measure struct {
	time  time.Duration
	steps int64
}

const (
	fewShare = 100 // a rule that takes less than a part in so many is not told
	noise    = 2 * time.Millisecond
	// readNoise is the part of the time for reading, one in so many, by which two
	// scans with the same rules differ.
	readNoise = 20
	runs      = 3 // the quickest counts
)

// NewProfile measures what the rules of a result cost on a corpus. It scans the corpus
// with all of them, then with halves of those that cost something, down to single
// rules.
func NewProfile(ctx context.Context, comp *yara.Compiler, res *check.Result, diags yara.Diagnostics, corpus []showcause.Source) (*Profile, error) {
	p := &profiler{ctx: ctx, comp: comp, res: res, diags: diags, corpus: corpus, needed: map[*check.Rule][]*check.Rule{}, profile: &Profile{Files: len(corpus), Rules: len(res.Rules), Costs: []Cost{}}}
	for _, s := range corpus {
		p.profile.Bytes += s.Size()
	}
	idle, err := yara.Compile("rule idle { condition: filesize < 0 }", yara.Options{})
	if err != nil {
		return nil, err
	}
	if p.base, err = p.scan(idle); err != nil {
		return nil, err
	}
	all, err := p.rules(res.Rules)
	if err != nil {
		return nil, err
	}
	p.profile.Whole, p.profile.Read, p.profile.Steps = all.time, p.base.time, all.steps
	p.least = max(noise, p.base.time/readNoise, (all.time-p.base.time)/fewShare)
	p.lsteps = max(1000, (all.steps-p.base.steps)/fewShare)
	if err := p.split(res.Rules, all); err != nil {
		return nil, err
	}
	slices.SortFunc(p.profile.Costs, func(a, b Cost) int { return int(b.Time - a.Time) })
	return p.profile, nil
}

// rules measures some rules, with those that they need.
func (p *profiler) rules(rules []*check.Rule) (measure, error) {
	wanted := map[*check.Rule]bool{}
	for _, r := range rules {
		need, ok := p.needed[r]
		if !ok {
			need = Needed(p.res, r)
			p.needed[r] = need
		}
		for _, n := range need {
			wanted[n] = true
		}
	}
	sub := *p.res
	sub.Rules = slices.DeleteFunc(slices.Clone(p.res.Rules), func(r *check.Rule) bool { return !wanted[r] })
	compiled, err := p.comp.Build(&sub)
	if err != nil {
		return measure{}, err
	}
	return p.scan(compiled)
}

// scan scans the corpus some times.
func (p *profiler) scan(rules *yara.Rules) (best measure, err error) {
	s := rules.NewScanner(yara.ScanOptions{MaxData: -1, MaxMatches: 16})
	for i := range runs {
		var m measure
		started := time.Now()
		for _, src := range p.corpus {
			r, err := s.Scan(p.ctx, src)
			if err != nil {
				return best, err
			}
			m.steps += r.Work
		}
		if m.time = time.Since(started); i == 0 || m.time < best.time {
			best = m
		}
	}
	return best, nil
}

// dear says whether a measure is worth a closer look.
func (p *profiler) dear(m measure) bool {
	return m.time-p.base.time >= p.least || m.steps-p.base.steps >= p.lsteps
}

// split looks into rules that cost so much together.
func (p *profiler) split(rules []*check.Rule, m measure) error {
	switch {
	case len(rules) == 0 || !p.dear(m):
		return nil
	case len(rules) == 1:
		return p.one(rules[0], m)
	}
	for _, half := range [][]*check.Rule{rules[:len(rules)/2], rules[len(rules)/2:]} {
		m, err := p.rules(half)
		if err == nil {
			err = p.split(half, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one says of one rule what it costs, and why.
func (p *profiler) one(r *check.Rule, m measure) error {
	line, _ := r.File.Source.Line(r.Name.Start)
	c := Cost{
		Namespace: r.Namespace, Rule: r.Name.Name, File: r.File.Source.Name, Line: line,
		Time: max(0, m.time-p.base.time), Steps: m.steps - p.base.steps,
	}
	if len(r.Patterns) > 0 {
		text := "rule r { strings" + stringsSection(r) + " condition: for all of them : (# >= 0) }"
		compiled, err := yara.Compile(text, yara.Options{Dialect: r.Dialect, RelaxedRegexps: true})
		if err != nil {
			return err
		}
		found, err := p.scan(compiled)
		if err != nil {
			return err
		}
		c.Search = min(max(0, found.time-p.base.time), c.Time)
		for range compiled.Slow() {
			c.Why = append(c.Why, "a string of it has no byte that is fixed: inputs are searched from end to end")
			break
		}
		if err := p.hits(r, &c); err != nil {
			return err
		}
	}
	if len(r.Modules) > 0 && c.Time-c.Search > c.Time/4 {
		c.Why = append(c.Why, "modules: "+strings.Join(r.Modules, ", "))
	}
	for _, d := range p.diags {
		switch d.Code {
		case source.SlowPattern, source.GreedyDotStar, source.PotentiallySlowLoop, source.TooManyIterations:
			if d.RuleAt == r.Start {
				c.Why = append(c.Why, fmt.Sprintf("line %d: %s: %s", d.Line, oneLine(d.Text), d.Label))
			}
		}
	}
	p.profile.Costs = append(p.profile.Costs, c)
	return nil
}

// many is a number of matches that is worth telling.
const many = 1000

// hits tells which strings are found often.
func (p *profiler) hits(r *check.Rule, c *Cost) error {
	counts := make([]int, len(r.Patterns))
	for _, src := range p.corpus {
		in, err := NewInput(p.ctx, []*check.Rule{r}, src, fields.Host{})
		if err != nil {
			return err
		}
		for i := range r.Patterns {
			counts[i] += len(in.Matches(r, i))
		}
	}
	for i, n := range counts {
		if n >= many {
			c.Why = append(c.Why, fmt.Sprintf("%s: %d matches", oneLine(r.File.Source.Slice(r.Patterns[i].Span)), n))
		}
	}
	return nil
}

// Text writes a profile as people read it.
func (p *Profile) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %.1f MB; %s: %.3f s, of which %.3f s to read it\n",
		plural(p.Files, "file", "files"), float64(p.Bytes)/1e6, plural(p.Rules, "rule", "rules"), p.Whole.Seconds(), p.Read.Seconds())
	if len(p.Costs) == 0 {
		b.WriteString("no rule stands out\n")
	} else {
		fmt.Fprintf(&b, "%10s %12s %14s  rule\n", "seconds", "searching", "steps")
	}
	for _, c := range p.Costs {
		fmt.Fprintf(&b, "%10.4f %12.4f %14d  %s:%s  (%s:%d)\n", c.Time.Seconds(), c.Search.Seconds(), c.Steps, c.Namespace, c.Rule, c.File, c.Line)
		for _, why := range c.Why {
			fmt.Fprintf(&b, "%40s%s\n", "", why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
