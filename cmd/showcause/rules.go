package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/ruleflags"
	"github.com/showcause/showcause/internal/rulescmd"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Compile, check, format, explain and test rules, look into databases and what an update changed, fetch rule files",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(compileCommand(), infoCommand(), showCommand(), fetchCommand())
	c.AddCommand(updateHost().Rules()...)
	c.AddCommand(rulescmd.Host{Generation: updateHost().Generation, FlagError: suggestFlag, Nothing: exitCode(exitFound)}.Commands()...)
	for _, sub := range yaraHost().Rules() {
		if sub.Name() == "test" {
			testToo(sub)
		}
		c.AddCommand(sub)
	}
	return c
}

// testToo has the command that tests YARA rules try ClamAV signatures on a file too.
func testToo(c *cobra.Command) {
	theirs := c.RunE
	c.Use += " | SIGNATURE|DATABASE FILE"
	c.Short += "; or try ClamAV signatures on a file"
	c.Long += `

With a ClamAV signature, or a file of them, and a FILE: where each subsignature matches
in the file as it stands, whether the expression holds, and why. Exit codes: 0 none
fires, 1 one does, 2 trouble.`
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 2 || !rulescmd.IsSignature(args[0]) {
			return theirs(c, args)
		}
		found, err := rulescmd.Test(c.OutOrStdout(), args[0], args[1], c.InOrStdin())
		if err == nil && found {
			err = exitCode(exitFound)
		}
		return err
	}
}

func compileCommand() *cobra.Command {
	var out string
	var o rules.Options
	var y yaraFlags
	var chosen ruleflags.Flags
	var list bool
	c := &cobra.Command{
		Use:   "compile [NAMESPACE:]PATH... -o FILE",
		Short: "Compile ClamAV databases and YARA rules (files or folders) to one file that is mapped at start",
		Long: `Compile ClamAV databases and YARA rules, files or folders, to one file that is
mapped at start: for scan --db FILE, and for yara -C FILE.

YARA rules of a folder have a namespace for each file, its path below the folder;
files that are named share "default", or have the namespace before their colon.
The external variables that scan fills in (filename, filepath, extension, filetype,
owner, filemd5) are defined; -d defines others, and the values that yara -C starts with.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return errors.New("rules compile: say where to with -o FILE")
			}
			started := time.Now()
			if out == "-" {
				return errors.New("rules compile: a database is mapped, and cannot go to standard output")
			}
			if err := rules.Writable(out, rules.Paths(args)); err != nil {
				return err
			}
			if err := y.apply(&o); err != nil {
				return err
			}
			var err error
			if o.Heuristics, err = chosen.Heuristics(); err != nil {
				return err
			}
			data, err := compile(c.Context(), args, o)
			if err != nil {
				return err
			}
			if err := y.told(c.ErrOrStderr()); err != nil {
				return err
			}
			db, err := ruledb.New(data)
			if err != nil {
				return err
			}
			if db.Len() == 0 {
				return fmt.Errorf("rules: none in %s, %s left out%s", showcause.Escape(strings.Join(args, ", ")), answer.Number(int64(db.Meta().Skipped)), leftOut(db.Meta()))
			}
			if err := rules.Write(out, data); err != nil {
				return err
			}
			printMeta(c.OutOrStdout(), db)
			if list {
				if err := printSkips(c.OutOrStdout(), db); err != nil {
					return err
				}
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s in %.1f s\n", showcause.Escape(out), answer.Size(int64(len(data))), time.Since(started).Seconds())
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write")
	c.Flags().BoolVar(&o.BytecodeUnsigned, "bytecode-unsigned", false, "load programs (.cbc) that stand in no signed container, too")
	chosen.AddAlerts(c.Flags())
	c.Flags().BoolVar(&o.PUA, "pua", false, "load signatures of possibly unwanted applications too (.ndu, .ldu, .hdu ...)")
	c.Flags().BoolVar(&o.Lenient, "skip-malformed", false, "leave malformed lines out, counted; without it one refuses the set, as clamscan does")
	ruleflags.Trust(c.Flags(), &o)
	c.Flags().BoolVar(&list, "list-skipped", false, "list every signature that was left out")
	y.add(c.Flags())
	c.SetFlagErrorFunc(suggestFlag)
	return c
}

// compile is rules.Compile until ctx ends.
func compile(ctx context.Context, paths []string, o rules.Options) ([]byte, error) {
	type made struct {
		data []byte
		err  error
	}
	done := make(chan made, 1)
	go func() {
		defer roomy()()
		data, err := rules.Compile(paths, o)
		done <- made{data, err}
	}()
	select {
	case m := <-done:
		return m.data, m.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}

// lateHeap is the memory, bytes, that compiling takes between two garbage collections,
// at least.
const lateHeap = 128 << 20

// roomy puts garbage collections off; the function that it returns ends it. Compiling
// begins with a heap so small that the collector would go over it every few megabytes.
// It takes a block that nobody touches, and that is no memory therefore, for a part
// of the heap, and waits for as much again.
// Large pages (MADV_HUGEPAGE) were a fifth faster on a quiet machine and half as slow
// again on a busy one.
func roomy() (end func()) {
	block := make([]byte, lateHeap)
	return func() { runtime.KeepAlive(block) }
}

// maxSources is the number of files of rules up to which each is listed.
const maxSources = 60

// printMeta prints what a database was made of.
func printMeta(w io.Writer, db *ruledb.DB) {
	m := db.Meta()
	whole := 0 // files of a large set of which there is nothing to say
	for _, s := range m.Sources {
		if len(m.Sources) > maxSources && s.Skipped == 0 {
			whole++
			continue
		}
		fmt.Fprintf(w, "%-28s %9s loaded", showcause.Escape(s.File), answer.Number(int64(s.Loaded)))
		if s.Skipped > 0 {
			fmt.Fprintf(w, " %7s skipped", answer.Number(int64(s.Skipped)))
		}
		for i, r := range slices.Sorted(maps.Keys(s.Reasons)) {
			sep := ", "
			if i == 0 {
				sep = ": "
			}
			fmt.Fprintf(w, "%s%s %s", sep, r, answer.Number(int64(s.Reasons[r])))
		}
		fmt.Fprintln(w)
	}
	if whole > 0 {
		fmt.Fprintf(w, "%s loaded whole\n", answer.Plural(int64(whole), "file"))
	}
	fmt.Fprintf(w, "%s: %s with patterns, %s by digest; %s skipped\n",
		answer.Plural(int64(db.Len()), "rule"), answer.Number(int64(m.Rules)), answer.Number(int64(m.Digests)), answer.Number(int64(m.Skipped)))
}

func printSkips(w io.Writer, db *ruledb.DB) error {
	skips, err := db.Skips()
	if err != nil {
		return err
	}
	for _, s := range skips {
		fmt.Fprintf(w, "%s:%d: %s: %s", showcause.Escape(s.File), s.Line, showcause.Escape(s.Name), s.Reason)
		if s.Detail != "" {
			fmt.Fprintf(w, ": %s", showcause.Escape(s.Detail))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func infoCommand() *cobra.Command {
	var list bool
	c := &cobra.Command{
		Use:   "info [FILE]",
		Short: "Say what a compiled database holds, and what was left out and why",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			started := time.Now()
			db, err := openDB(c.Context(), args, c.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			opened := time.Since(started)
			w := c.OutOrStdout()
			printMeta(w, db)
			fmt.Fprintf(w, "compiled by %s; %s; opened in %.1f ms\n", db.Meta().Tool, answer.Size(db.Size()), opened.Seconds()*1e3)
			for t, n := range db.Targets() {
				if n > 0 {
					fmt.Fprintf(w, "  target %-2d %-9s %9s rules with patterns\n", t, rule.Target(t), answer.Number(int64(n)))
				}
			}
			if list {
				return printSkips(w, db)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&list, "list-skipped", false, "list every signature that was left out")
	c.SetFlagErrorFunc(suggestFlag)
	return c
}

func showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show [FILE] NAME",
		Short: "Show a rule's text and where it came from",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[len(args)-1]
			db, err := openDB(c.Context(), args[:len(args)-1], c.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			found := db.Find(name, 0)
			if len(found) == 0 {
				if len(args) == 1 && rules.IsCompiled(name) {
					return fmt.Errorf("rules show: %s is a database; name the rule after it", showcause.Escape(name))
				}
				return fmt.Errorf("rule %q: not in the database", name)
			}
			for _, i := range found {
				info, err := db.Info(i)
				if err != nil {
					return err
				}
				answer.PrintRule(c.OutOrStdout(), "", info)
			}
			return nil
		},
	}
	c.SetFlagErrorFunc(suggestFlag)
	return c
}
