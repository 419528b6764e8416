package yara

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/lower"
)

// Compile compiles rule text without includes and externals.
//
//	rules, err := yara.Compile(`rule hello { strings: $a = "hello" condition: $a }`, yara.Options{})
func Compile(text string, o Options) (*Rules, error) {
	c := NewCompiler(o)
	if err := c.AddSource("", "rules", text); err != nil {
		return nil, err
	}
	return c.Compile()
}

// Compile compiles all that was added. If rules have errors, the error is a
// Diagnostics; warnings are in Rules.Warnings.
func (c *Compiler) Compile() (*Rules, error) {
	res, diags := c.Check()
	if len(diags.Errors()) > 0 {
		return nil, diags
	}
	r, err := c.Build(res)
	if err != nil {
		return nil, err
	}
	r.warnings = diags
	return r, nil
}

// Build compiles those rules of a result of Check that are in its Rules: all of them,
// or some that a caller has left in, with what they need.
func (c *Compiler) Build(res *check.Result) (*Rules, error) {
	var b ruledb.Builder
	n := 0
	problems := lower.Rules(res, lower.Options{Externals: c.externals}, func(r *rule.Rule) error {
		n++
		return b.Rule(r)
	})
	var errs []error
	var slow []string
	for _, p := range problems {
		line, _ := p.Rule.File.Source.Line(p.Rule.Start)
		text := fmt.Sprintf("%s:%d: %s", p.Rule.File.Source.Name, line, p.String())
		if p.Err != nil {
			errs = append(errs, errors.New(text))
		} else {
			slow = append(slow, text)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("rules: %w", errors.Join(errs...))
	}
	meta := ruledb.Meta{Tool: "showcause", Sources: []ruledb.Source{{File: "rules", Loaded: n}}, Externals: map[string]string{}}
	for name, v := range c.externals {
		meta.Externals[name] = v.Kind.String()
	}
	data, err := b.Finish(meta)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		return nil, err
	}
	return &Rules{db: db, data: data, slow: slow}, nil
}

// Rules are compiled rules. They are safe for concurrent use.
type Rules struct {
	db       *ruledb.DB
	data     []byte // nil if they are mapped
	warnings Diagnostics
	slow     []string

	mu     sync.Mutex
	users  int // what goes on with them
	closed bool
}

// Load opens rules that Save, or the command "showcause rules compile", wrote. The
// file is mapped, so that opening takes milliseconds. All that decides whether a rule
// matches is proven against its checksums at once; texts, metadata and names of strings
// when they are first asked for, so that damage to them is an error of Scan or All. The
// file may hold ClamAV's signatures too. Close ends the use of it.
func Load(path string) (*Rules, error) {
	db, err := ruledb.Open(path)
	if err != nil {
		return nil, err
	}
	return &Rules{db: db}, nil
}

// ErrClosed is the error of what is asked of rules after Close.
var ErrClosed = errors.New("rules: closed")

// Close ends the use of rules: no further scan begins. What goes on ends as it would; the
// file that loaded rules are mapped from is unmapped when the last of it is done. What
// scans returned stays good; what DB returned must not be used after it.
func (r *Rules) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.users > 0 {
		return nil
	}
	return r.db.Close()
}

// enter begins a use of the database. leave ends it.
func (r *Rules) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.users++
	return nil
}

func (r *Rules) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 && r.closed {
		_ = r.db.Close() // of what is mapped, munmap fails for no reason that a caller could mend
	}
}

// Save writes rules for Load. Rules that were loaded are in a file already.
func (r *Rules) Save(w io.Writer) error {
	if r.data == nil {
		return errors.New("rules: loaded from a file")
	}
	if _, err := w.Write(r.data); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return nil
}

// Warnings are what was told of the rules when they were compiled.
func (r *Rules) Warnings() Diagnostics { return r.warnings }

// Slow tells of strings that slow every scan down, a line each: inputs for which
// their rule can hold are searched for them from end to end.
func (r *Rules) Slow() []string { return r.slow }

// DB is the database that the rules are in, for programs that scan by other ways. It is
// good until Close.
func (r *Rules) DB() *ruledb.DB { return r.db }

// Rule is what is known of one rule.
type Rule struct {
	Namespace string
	Name      string
	Tags      []string
	Metas     []rule.Meta // values are string, int64, float64 or bool
	Private   bool
	Global    bool
	Patterns  []string // the names of its strings; those of anonymous ones are "$"
	File      string
	Line      int
	Text      string // its source
	Digest    string // SHA-256 of Text, hexadecimal
	Index     uint32 // in the database
}

// All are all rules, in the order in which they were added.
func (r *Rules) All() ([]Rule, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	out := make([]Rule, 0, r.db.Len())
	for i := range uint32(r.db.Len()) {
		x, _, err := r.rule(i)
		if err != nil {
			return nil, err
		}
		out = append(out, *x)
	}
	return out, nil
}

// Len is the number of rules.
func (r *Rules) Len() int { return r.db.Len() }

// rule is what is known of rule i, and the indexes of its private strings.
func (r *Rules) rule(i uint32) (out *Rule, hidden []int, err error) {
	info, err := r.db.Info(i)
	if err != nil {
		return nil, nil, err
	}
	out = &Rule{Name: info.Name, File: info.File, Line: info.Line, Text: info.Text, Digest: info.Digest, Index: i}
	if y := info.YARA; y != nil {
		out.Namespace, out.Tags, out.Metas, out.Private, out.Global, out.Patterns = y.Namespace, y.Tags, y.Metas, y.Private, y.Global, y.Names
		hidden = y.Hidden
	}
	return out, hidden, nil
}
