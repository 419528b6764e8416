package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/module"
)

// version is what this program calls itself.
func version() string {
	v := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		v = info.Main.Version
	}
	return "showcause " + v + " (portable, no jail)"
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), version(), runtime.GOOS+"/"+runtime.GOARCH)
		},
	}
}

// source is an open file as a layer.
type source struct {
	*os.File
	size int64
}

func (s source) Size() int64 { return s.size }

// Changed tells whether the file is no longer as it was when it was opened.
func (s source) Changed() bool {
	st, err := s.Stat()
	return err != nil || st.Size() != s.size
}

func open(path string) (source, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() { // a pipe would be waited for
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return source{}, err
	}
	f, err := os.Open(path)
	return source{f, st.Size()}, err
}

// scratch is a temporary file that goes with its last user.
type scratch struct{ *os.File }

func (s scratch) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }

func spill() (unpack.File, error) {
	f, err := os.CreateTemp("", "showcause-")
	if err != nil {
		return nil, err
	}
	return scratch{f}, nil
}

// openDB opens a compiled database, or compiles rules; none are the built-in ones.
func openDB(paths []string) (*ruledb.DB, error) {
	switch {
	case len(paths) == 0:
		return rules.Default()
	case len(paths) == 1 && rules.IsCompiled(paths[0]):
		return ruledb.Open(paths[0])
	}
	o := rules.Options{Externals: map[string]module.Value{}}
	for _, name := range yara.UsualExternals() {
		o.Externals[name] = module.TextValue("")
	}
	data, err := rules.Compile(paths, o)
	if err != nil {
		return nil, err
	}
	return ruledb.New(data)
}

func scanCommand() *cobra.Command {
	var db []string
	var format string
	o := answer.Options{Version: version(), Jail: answer.JailOff}
	c := &cobra.Command{
		Use: "scan PATH...", Short: "Scan files and folders, in this process", Args: cobra.MinimumNArgs(1),
		Long: "Scan files and folders, in this process: there is no jail on this system.\n\nExit code: 0 all was read and nothing found; 1 something was found; 2 something was not read, or an error.",
		RunE: func(c *cobra.Command, args []string) error {
			rules, err := openDB(db)
			if err != nil {
				return err
			}
			defer rules.Close()
			p, err := answer.New(format, c.OutOrStdout(), o, rules)
			if err != nil {
				return fmt.Errorf("flag --format: %w", err)
			}
			return scanAll(c, args, rules, p)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&db, "db", nil, "rules: ClamAV databases, YARA files, folders of them, or one compiled database (repeatable; default: the built-in rules)")
	f.StringVar(&format, "format", "text", "output: text, json, sarif, clamscan")
	f.BoolVar(&o.Explain, "explain", false, "show rule, places and bytes of each finding")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "findings and what was not read alone")
	return c
}

func scanAll(c *cobra.Command, paths []string, db *ruledb.DB, p answer.Printer) error {
	t := answer.Totals{Skipped: map[string]int64{}, DB: db, Jail: answer.Jail{Mode: answer.JailOff}}
	s := scan.New(db, scan.Options{Spill: spill, Excerpts: true, Digests: true, Now: time.Now().Unix()})
	start := time.Now()
	add := func(r *answer.Result) error {
		t.Add(r)
		return p.Result(r)
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
			switch {
			case c.Context().Err() != nil:
				t.Interrupted = true
				return fs.SkipAll
			case err != nil:
				return add(&answer.Result{Path: path, Err: err})
			case e.IsDir():
				return nil
			case e.Type()&fs.ModeSymlink != 0:
				return add(&answer.Result{Path: path, Skip: "symlink"})
			case !e.Type().IsRegular():
				return add(&answer.Result{Path: path, Skip: "device"})
			}
			r := answer.Result{Path: path}
			src, err := open(path)
			if err != nil {
				r.Err = err
				return add(&r)
			}
			defer src.Close()
			r.Report = scanOne(s, src)
			return add(&r)
		})
		if err != nil {
			return err
		}
	}
	t.Elapsed = time.Since(start)
	if err := p.Finish(&t); err != nil {
		return err
	}
	switch {
	case t.Verdicts[showcause.Found] > 0:
		return exitCode(1)
	case t.Interrupted || t.Verdicts[showcause.Error]+t.Verdicts[showcause.Incomplete] > 0:
		return exitCode(2)
	}
	return nil
}

// scanOne scans a file. A reader that breaks has no process to break in here: what
// it did not read is a gap.
func scanOne(s *scan.Scanner, src source) (r showcause.Report) {
	defer func() {
		if recover() != nil {
			r = showcause.Report{Size: src.size, Gaps: []showcause.Gap{{Code: showcause.Crash, Length: src.size}}}
			r.Conclude()
		}
	}()
	return s.Scan(src)
}

func unpackCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "unpack FILE", Short: "List every layer of a file, and write them into a folder", Args: cobra.ExactArgs(1),
		Long: "List every layer of a file: number, type, size, trail. With -o each is written into a new folder under its number; no name of the file's decides a path.\n\nExit code: 0 all was read; 2 something was not, or an error.",
		RunE: func(c *cobra.Command, args []string) error {
			if dir != "" {
				if err := os.Mkdir(dir, 0o700); err != nil {
					return fmt.Errorf("flag -o: %w", err)
				}
			}
			src, err := open(args[0])
			if err != nil {
				return err
			}
			defer src.Close()
			return unpackTo(c.OutOrStdout(), src, dir)
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "write the layers into this folder, which is made")
	return c
}
