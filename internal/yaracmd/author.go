package yaracmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// ruleFlags are the flags of the commands that read YARA rules as text.
type ruleFlags struct {
	dialect    string
	defines    []string
	includes   []string
	noIncludes bool
	relaxed    bool
	strict     bool
	off        []string
	ignored    []string
}

func (r *ruleFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.dialect, "dialect", "", "yara (YARA 4.5) or yara-x; default: what either takes, and where they disagree YARA-X with a warning")
	f.StringArrayVarP(&r.defines, "define", "d", nil, "define an external variable: NAME=VALUE (repeatable)")
	f.StringArrayVar(&r.includes, "include-dir", nil, "look for included files here too (repeatable)")
	f.BoolVar(&r.noIncludes, "no-includes", false, "refuse include")
	f.BoolVar(&r.relaxed, "relaxed-re-syntax", false, "regular expressions of yara-x as YARA 4 takes them")
	f.StringSliceVar(&r.off, "disable-warning", nil, "warnings that are not given, by code")
	f.StringSliceVar(&r.ignored, "ignore-module", nil, "leave out the rules that use a module")
}

// compiler returns a compiler as the flags say.
func (r *ruleFlags) compiler() (*yara.Compiler, error) {
	o := yara.Options{RelaxedRegexps: r.relaxed, StrictEscapes: r.strict, Ignored: r.ignored}
	switch r.dialect {
	case "":
	case source.YARA.String():
		o.Dialect = source.YARA
	case source.YARAX.String():
		o.Dialect = source.YARAX
	default:
		return nil, fmt.Errorf("flag --dialect: %q is not one of yara, yara-x", r.dialect)
	}
	for _, c := range r.off {
		o.Off = append(o.Off, source.Code(c))
	}
	if !r.noIncludes {
		o.Include = yara.Folders(r.includes...)
	}
	c := yara.NewCompiler(o)
	for _, d := range r.defines {
		name, text, ok := strings.Cut(d, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("flag --define: %q is not NAME=VALUE", d)
		}
		if err := c.Define(name, yara.ParseExternal(text)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// withUsual defines the external variables that scan fills in.
func withUsual(c *yara.Compiler, r *ruleFlags) error {
	for _, name := range yara.UsualExternals() {
		if !slices.ContainsFunc(r.defines, func(d string) bool { return strings.HasPrefix(d, name+"=") }) {
			if err := c.Define(name, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// ruleFile is a file of rules that was named, or found in a folder that was.
type ruleFile struct{ namespace, path string }

// ruleFiles lists the files that arguments name: [NAMESPACE:]PATH, - for standard
// input, folders with all files of rules in them.
func ruleFiles(args []string) ([]ruleFile, error) {
	var out []ruleFile
	for _, a := range args {
		f := ruleFile{"", a}
		if a == "-" {
			out = append(out, f)
			continue
		}
		f.namespace, f.path = yara.SplitNamespace(a)
		st, err := os.Stat(f.path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("rules: %w", err)
		case !st.IsDir():
			out = append(out, f)
			continue
		}
		found := len(out)
		err = filepath.WalkDir(f.path, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && yara.IsRuleFile(p) {
				out = append(out, ruleFile{f.namespace, p})
			}
			return err
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("rules: %w", err)
		case found == len(out):
			return nil, fmt.Errorf("rules: %s: no file in it ends as one of YARA rules does (.yar, .yara, .rule, .rules)", showcause.Escape(f.path))
		}
	}
	return out, nil
}

// addTo adds the file to a compiler.
func (f ruleFile) addTo(c *yara.Compiler, stdin io.Reader) error {
	if f.path == "-" {
		return c.AddReader(f.namespace, "stdin", stdin)
	}
	return c.AddFile(f.namespace, f.path)
}

func (h Host) check() *cobra.Command {
	var r ruleFlags
	var asJSON, fail, noWarnings bool
	c := &cobra.Command{
		Use:   "check [NAMESPACE:]PATH...",
		Short: "Say what is wrong, or likely wrong, with YARA rules",
		Long: `Say what is wrong, or likely wrong, with YARA rules: files, folders, or - for
standard input. Each file is checked on its own.

A comment "// suppress: CODE" at the end of a line, or before a pattern or rule,
silences a warning there.

Exit code: 0 no error; 1 an error, or with --fail-on-warnings a warning; 2 a file
could not be read.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := ruleFiles(args)
			if err != nil {
				return err
			}
			errs, warns := 0, 0
			w := c.OutOrStdout()
			enc := answer.NewEncoder(w)
			for _, f := range files {
				comp, err := r.compiler()
				if err == nil {
					err = withUsual(comp, &r)
				}
				if err == nil {
					err = f.addTo(comp, c.InOrStdin())
				}
				if err != nil {
					return err
				}
				_, diags := comp.Check()
				if noWarnings {
					diags = diags.Errors()
				}
				errs, warns = errs+len(diags.Errors()), warns+len(diags.Warnings())
				for _, d := range diags {
					if asJSON {
						err = enc.Encode(d)
					} else {
						_, err = fmt.Fprintln(w, d)
					}
					if err != nil {
						return err
					}
				}
			}
			if !asJSON {
				fmt.Fprintf(w, "%s, %s in %s\n", answer.Plural(int64(errs), "error"), answer.Plural(int64(warns), "warning"), answer.Plural(int64(len(files)), "file"))
			}
			if errs > 0 || fail && warns > 0 {
				return h.Exit(1)
			}
			return nil
		},
	}
	r.add(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "an object a line, for editors")
	c.Flags().BoolVar(&fail, "fail-on-warnings", false, "exit with 1 where there is a warning")
	c.Flags().BoolVarP(&noWarnings, "no-warnings", "w", false, "leave warnings out")
	c.Flags().BoolVarP(&r.strict, "strict-escape", "E", false, "warn of escapes in regular expressions that mean nothing")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) format() *cobra.Command {
	var write, diff, list bool
	c := &cobra.Command{
		Use:   "fmt [-w|-d|-l] PATH...",
		Short: "Format YARA rules; comments are kept",
		Long: `Format YARA rules: files, folders, or - for standard input. Without a flag the
formatted rules go to standard output. Formatting twice changes nothing, and what
the rules mean never changes.

Exit code: 0; with -d or -l 1 if a file is not formatted; 2 a file could not be
read, or is no rules.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if write && diff || write && slices.Contains(args, "-") {
				return errors.New("rules fmt: -w goes with files alone, and without -d")
			}
			files, err := ruleFiles(args)
			if err != nil {
				return err
			}
			changed := false
			for _, f := range files {
				text, out, err := formatted(f, c.InOrStdin())
				if err != nil {
					return err
				}
				differs := string(text) != out
				changed = changed || differs
				w := c.OutOrStdout()
				if list && differs {
					fmt.Fprintln(w, showcause.Escape(f.path))
				}
				switch {
				case diff && differs:
					_, err = io.WriteString(w, lineDiff(f.path, string(text), out))
				case write && differs:
					err = replaceFile(f.path, out)
				case !write && !diff && !list:
					_, err = io.WriteString(w, out)
				}
				if err != nil {
					return err
				}
			}
			if changed && (diff || list) && !write {
				return h.Exit(1)
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&write, "write", "w", false, "write each file back where it changed")
	c.Flags().BoolVarP(&diff, "diff", "d", false, "print what would change")
	c.Flags().BoolVarP(&list, "list", "l", false, "print the names of files that are not formatted")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// formatted is a file as it is and as it should be. Its kind of line ends is kept.
func formatted(f ruleFile, stdin io.Reader) (text []byte, out string, err error) {
	if f.path == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, yara.MaxSource))
	} else {
		text, err = os.ReadFile(f.path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("rules: %w", err)
	}
	body := strings.TrimPrefix(string(text), "\uFEFF")
	crlf := false
	if i := strings.IndexByte(body, '\n'); i > 0 && body[i-1] == '\r' {
		crlf = true
		body = strings.ReplaceAll(body, "\r\n", "\n")
	}
	var set source.Sources
	src, err := set.Add(f.path, body)
	if err != nil {
		return nil, "", fmt.Errorf("rules: %w", err)
	}
	tree, diags := syntax.Parse(src, source.Either)
	for _, d := range diags {
		if d.Severity == source.Error {
			var b bytes.Buffer
			_ = set.Render(&b, d)
			return nil, "", fmt.Errorf("rules: %s: not formatted: %s", showcause.Escape(f.path), strings.TrimSpace(b.String()))
		}
	}
	out = syntax.Format(tree)
	if crlf {
		out = strings.ReplaceAll(out, "\n", "\r\n")
	}
	return text, out, nil
}

// replaceFile puts text in the place of a file, at once.
func replaceFile(path, text string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".showcause-fmt-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone already if all went well
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(st.Mode().Perm())
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// lineDiff is what changes from a to b, as diff -u has it, in one piece around
// all that changes.
func lineDiff(path, a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	const around = 3
	from, to := max(0, head-around), max(0, tail-around)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n@@ -%d,%d +%d,%d @@\n", path, path, from+1, len(x)-to-from, from+1, len(y)-to-from)
	line := func(sign, s string) {
		if s != "" {
			out.WriteString(sign + strings.TrimSuffix(s, "\n") + "\n")
		}
	}
	for _, s := range x[from:head] {
		line(" ", s)
	}
	middle(x[head:len(x)-tail], y[head:len(y)-tail], line)
	for _, s := range x[len(x)-tail : len(x)-to] {
		line(" ", s)
	}
	return out.String()
}

// middle tells lines apart by their longest common subsequence, if there are not
// too many of them.
func middle(x, y []string, line func(sign, s string)) {
	if len(x)*len(y) <= 4<<20 {
		common := make([][]int32, len(x)+1)
		for i := range common {
			common[i] = make([]int32, len(y)+1)
		}
		for i := len(x) - 1; i >= 0; i-- {
			for j := len(y) - 1; j >= 0; j-- {
				if x[i] == y[j] {
					common[i][j] = common[i+1][j+1] + 1
				} else {
					common[i][j] = max(common[i+1][j], common[i][j+1])
				}
			}
		}
		for len(x) > 0 && len(y) > 0 {
			i, j := len(common)-1-len(x), len(common[0])-1-len(y)
			switch {
			case x[0] == y[0]:
				line(" ", x[0])
				x, y = x[1:], y[1:]
			case common[i+1][j] >= common[i][j+1]:
				line("-", x[0])
				x = x[1:]
			default:
				line("+", y[0])
				y = y[1:]
			}
		}
	}
	for _, s := range x {
		line("-", s)
	}
	for _, s := range y {
		line("+", s)
	}
}

func (h Host) deps() *cobra.Command {
	var r ruleFlags
	var format string
	c := &cobra.Command{
		Use:   "deps [NAMESPACE:]PATH...",
		Short: "Say which YARA rule needs which rule, module, external variable and file",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			res, comp, err := r.checked(args, c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			d := author.NewDeps(res, comp.Defined)
			switch format {
			case "text":
				return d.Text(c.OutOrStdout())
			case "json":
				return d.JSON(c.OutOrStdout())
			case "dot":
				return d.Dot(c.OutOrStdout())
			}
			return fmt.Errorf("flag --format: %q is not one of text, json, dot", format)
		},
	}
	r.add(c.Flags())
	c.Flags().StringVar(&format, "format", "text", "output: text, json, dot")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// checked reads rules together, the usual external variables defined. Errors in
// them are told to stderr.
func (r *ruleFlags) checked(args []string, stdin io.Reader, stderr io.Writer) (*check.Result, *yara.Compiler, error) {
	comp, err := r.loaded(args, stdin)
	if err != nil {
		return nil, nil, err
	}
	res, diags := comp.Check()
	if errs := diags.Errors(); len(errs) > 0 {
		for _, d := range errs {
			fmt.Fprintln(stderr, d)
		}
		return nil, nil, errs
	}
	return res, comp, nil
}

// loaded is a compiler with the rules that arguments name.
func (r *ruleFlags) loaded(args []string, stdin io.Reader) (*yara.Compiler, error) {
	files, err := ruleFiles(args)
	if err != nil {
		return nil, err
	}
	comp, err := r.compiler()
	if err == nil {
		err = withUsual(comp, r)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := f.addTo(comp, stdin); err != nil {
			return nil, err
		}
	}
	return comp, nil
}
