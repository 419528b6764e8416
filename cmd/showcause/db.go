package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/updatecmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// clamscanNames maps clamscan's other spellings of a flag to ours.
func clamscanNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "database":
		name = "db"
	case "all-match":
		name = "allmatch"
	case "alert-ole2-macros":
		name = "alert-macros"
	}
	return pflag.NormalizedName(name)
}

// openDB opens the rules that --db names: none is the built-in rules. It ends
// when ctx does: compiling a large set takes seconds.
func openDB(ctx context.Context, paths []string, stderr io.Writer, quiet bool) (*ruledb.DB, error) {
	return openRules(ctx, paths, rules.Options{Externals: usualExternals()}, stderr, quiet)
}

// openRules is openDB with options for rules that are text.
func openRules(ctx context.Context, paths []string, opts rules.Options, stderr io.Writer, quiet bool) (*ruledb.DB, error) {
	if len(paths) == 0 {
		return rules.DefaultWith(opts.Heuristics)
	}
	for _, path := range paths {
		if path == "" {
			return nil, errors.New("rules: flag --db: the path is empty")
		}
		_, path = rules.Split(path)
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		if st.IsDir() {
			updatecmd.WarnStale(stderr, path)
			continue
		}
		if !st.Mode().IsRegular() { // a FIFO would be waited for
			return nil, fmt.Errorf("rules: %s: not a regular file", showcause.Escape(path))
		}
		if f, err := os.Open(path); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		} else {
			f.Close()
		}
		if !rules.IsCompiled(path) {
			continue
		}
		if len(paths) > 1 {
			return nil, fmt.Errorf("rules: %s is compiled, and can only be used alone", showcause.Escape(path))
		}
		return ruledb.Open(path)
	}
	type opened struct {
		db           *ruledb.DB
		warning, err error
	}
	done := make(chan opened, 1)
	go func() {
		var o opened
		o.db, o.warning, o.err = rules.Cached(paths, opts, func() {
			if !quiet {
				fmt.Fprintf(stderr, "showcause: compiling %s; the next start takes it from the cache\n", showcause.Escape(strings.Join(paths, ", ")))
			}
		})
		done <- o
	}()
	select {
	case o := <-done:
		if o.warning != nil {
			fmt.Fprintf(stderr, "showcause: %v\n", o.warning)
		}
		return o.db, o.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}
