package yaracmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
)

// noNetwork keeps this process, which reads files itself, from ever getting a network
// socket, where the kernel can.
func noNetwork() error {
	if jail.Available() != nil {
		return nil
	}
	return jail.Broker()
}

// named are the external variables of a file that follow from its name, as scan fills
// them in, and those that the command line defines.
func named(path string, defines []string) map[string]module.Value {
	out := map[string]module.Value{
		"filename":  module.TextValue(filepath.Base(path)),
		"filepath":  module.TextValue(path),
		"extension": module.TextValue(strings.ToLower(filepath.Ext(path))),
		"owner":     module.TextValue(""),
	}
	for _, d := range defines {
		name, text, _ := strings.Cut(d, "=")
		if v, err := yara.External(yara.ParseExternal(text)); err == nil {
			out[name] = v
		}
	}
	return out
}

// openSource opens a regular file as what is scanned.
func (h Host) openSource(ctx context.Context, path string) (showcause.Source, *os.File, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", showcause.Escape(path))
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	src, err := h.Source(ctx, f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return src, f, nil
}

// explained explains a rule on a source.
func explained(ctx context.Context, res *check.Result, r *check.Rule, src showcause.Source, ext map[string]module.Value, files map[string][]byte) (*author.Explanation, []showcause.Gap, error) {
	in, err := author.NewInput(ctx, author.Needed(res, r), src, fields.Host{Now: time.Now().Unix(), Files: files})
	if err != nil {
		return nil, nil, err
	}
	return author.Explain(res, r, in, ext), in.Gaps(), nil
}

func (h Host) explain() *cobra.Command {
	var r ruleFlags
	var from []string
	var asJSON bool
	var layer string
	c := &cobra.Command{
		Use:   "explain RULE FILE --rules [NAMESPACE:]PATH",
		Short: "Say why a YARA rule matches a file, or which part of it failed",
		Long: `Say why a YARA rule matches a file, or which part of it failed: the condition as a
tree with the value of each part, and where each string is.

RULE is the name of a rule, with its namespace before a colon if several have it;
it can be a file of rules instead, of which each is explained. The file is read by
this process, which first gives up its way to a network.

What is told is the file itself, or, if the rule does not match that, each member in
which it does. --layer names one: the way to it, as scan prints it after the file.

Exit code: 0 the rule matches; 1 it does not; 2 an error.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			if len(from) == 0 {
				from, name = []string{args[0]}, ""
			}
			if err := noNetwork(); err != nil {
				return err
			}
			res, comp, err := r.checked(from, c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			rules, err := findRules(res, name)
			if err != nil {
				return err
			}
			src, f, err := h.openSource(c.Context(), args[1])
			if err != nil {
				return err
			}
			defer f.Close()
			e := explaining{h: h, ctx: c.Context(), res: res, src: src, ext: named(args[1], r.defines), w: c.OutOrStdout(), json: asJSON}
			for _, rule := range rules {
				if err := e.rule(comp, rule, layer); err != nil {
					return err
				}
			}
			if !e.matches {
				return h.Exit(1)
			}
			return nil
		},
	}
	r.add(c.Flags())
	c.Flags().StringArrayVar(&from, "rules", nil, "files or folders of YARA rules (repeatable)")
	c.Flags().BoolVar(&asJSON, "json", false, "an object a rule")
	c.Flags().StringVar(&layer, "layer", "", "what to explain of what is in the file: the way to it, as scan prints it")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// findRules are the rules of a name, all if it is empty.
func findRules(res *check.Result, name string) ([]*check.Rule, error) {
	if name == "" {
		if len(res.Rules) == 0 {
			return nil, errors.New("rules explain: no rule")
		}
		return res.Rules, nil
	}
	var found []*check.Rule
	for _, r := range res.Rules {
		if r.Name.Name == name || r.Namespace+":"+r.Name.Name == name {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("rule %q: not among the rules", name)
	case 1:
		return found, nil
	}
	var spaces []string
	for _, r := range found {
		spaces = append(spaces, r.Namespace+":"+r.Name.Name)
	}
	return nil, fmt.Errorf("rule %q: there are several: %s", name, strings.Join(spaces, ", "))
}

func (h Host) test() *cobra.Command {
	var r ruleFlags
	var asJSON, all, verbose bool
	c := &cobra.Command{
		Use:   "test [NAMESPACE:]PATH...",
		Short: "Try YARA rules on the samples that are named beside them",
		Long: `Try YARA rules on the samples that are named beside them, in comments within or
before a rule:

  // test: match samples/a.bin, samples/b*
  // test: match "text with \x00 escapes" with $a, #b = 2, @c = 0x10
  // test: no match { 4D 5A 90 00 }, /usr/bin/true

Files are relative to the file of rules. What is not as it should be is printed
with the reason: the part of the condition that failed. The files are read by this
process, which first gives up its way to a network.

Exit code: 0 all is as it should be; 1 it is not; 2 an error.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noNetwork(); err != nil {
				return err
			}
			files, err := ruleFiles(args)
			if err != nil {
				return err
			}
			t := &ruleTests{h: h, w: c.OutOrStdout(), json: asJSON, verbose: verbose, r: &r}
			for _, f := range files {
				if err := t.file(c.Context(), f, c.InOrStdin(), c.ErrOrStderr()); err != nil {
					return err
				}
			}
			if !asJSON {
				fmt.Fprintf(t.w, "%s, %d failed; %s without one\n", answer.Plural(int64(t.passed+t.failed), "test"), t.failed, answer.Plural(int64(t.untested), "rule"))
			}
			if t.failed > 0 || all && t.untested > 0 {
				return h.Exit(1)
			}
			return nil
		},
	}
	r.add(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "an object a test")
	c.Flags().BoolVar(&all, "all", false, "fail where a rule that is not private has no test")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print tests that pass, and rules without one")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// ruleTests runs expectations.
type ruleTests struct {
	h                        Host
	w                        io.Writer
	json, verbose            bool
	r                        *ruleFlags
	passed, failed, untested int
}

// file runs the expectations of one file of rules.
func (t *ruleTests) file(ctx context.Context, f ruleFile, stdin io.Reader, stderr io.Writer) error {
	arg := f.path
	if f.namespace != "" {
		arg = f.namespace + ":" + arg
	}
	res, _, err := t.r.checked([]string{arg}, stdin, stderr)
	if err != nil {
		return err
	}
	expected, err := author.Expectations(res)
	if err != nil {
		return err
	}
	for _, e := range expected {
		samples, err := e.Expand(filepath.Dir(e.Rule.File.Source.Name))
		if err != nil {
			return fmt.Errorf("%s:%d: test: %w", showcause.Escape(e.Rule.File.Source.Name), e.Line, err)
		}
		for _, s := range samples {
			if err := t.one(ctx, res, &e, s); err != nil {
				return fmt.Errorf("%s:%d: test: %w", showcause.Escape(e.Rule.File.Source.Name), e.Line, err)
			}
		}
	}
	for _, r := range res.Rules {
		tested := slices.ContainsFunc(expected, func(e author.Expectation) bool { return e.Rule == r })
		if tested || r.Flag("private") || r.Flag("global") {
			continue
		}
		t.untested++
		if t.verbose && !t.json {
			line, _ := r.File.Source.Line(r.Name.Start)
			fmt.Fprintf(t.w, "none  %s:%d: rule %s\n", showcause.Escape(r.File.Source.Name), line, r.Name.Name)
		}
	}
	return nil
}

// one tries one sample.
func (t *ruleTests) one(ctx context.Context, res *check.Result, e *author.Expectation, s author.Sample) error {
	src, f := showcause.Source(showcause.Bytes(s.Data)), (*os.File)(nil)
	if s.Path != "" {
		var err error
		if src, f, err = t.h.openSource(ctx, s.Path); err != nil {
			return err
		}
		defer f.Close()
	}
	x, gaps, err := explained(ctx, res, e.Rule, src, scan.Externals(named(s.Path, t.r.defines), showcause.Layer{Source: src}, detect(src), func(string) bool { return true }), nil)
	if err != nil {
		return err
	}
	why := e.Judge(x)
	for _, g := range gaps {
		if g.Code.Unread() && why == "" {
			why = "not all of the sample was looked at: " + string(g.Code)
		}
	}
	if why == "" {
		t.passed++
	} else {
		t.failed++
	}
	if t.json {
		return answer.NewEncoder(t.w).Encode(map[string]any{
			"file": e.Rule.File.Source.Name, "line": e.Line, "rule": e.Rule.Name.Name, "sample": s.Text,
			"want": e.Match, "matches": x.Matches, "failed": why, "why": x.Why,
		})
	}
	switch {
	case why != "":
		fmt.Fprintf(t.w, "FAIL  %s:%d: rule %s on %s: %s\n", showcause.Escape(e.Rule.File.Source.Name), e.Line, e.Rule.Name.Name, showcause.Escape(s.Text), why)
		return x.Because(t.w, "      ")
	case t.verbose:
		fmt.Fprintf(t.w, "ok    %s:%d: rule %s on %s\n", showcause.Escape(e.Rule.File.Source.Name), e.Line, e.Rule.Name.Name, showcause.Escape(s.Text))
	}
	return nil
}
