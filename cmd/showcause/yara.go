package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/yaracmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/module"
	yarasource "github.com/showcause/showcause/yara/source"
)

// yaraHost is what the commands about YARA rules get of this program.
func yaraHost() yaracmd.Host {
	return yaracmd.Host{
		Version: version(), Scratch: scratch, Source: newSource, FlagError: suggestFlag, Terminal: isTerminal,
		Exit: func(code int) error { return exitCode(code) },
	}
}

// isTerminal says whether what is written to w is shown at once.
func isTerminal(w io.Writer) bool {
	if c, ok := w.(*checked); ok {
		w = c.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// yaraFlags are the flags of rules compile for YARA rules.
type yaraFlags struct {
	dialect               string
	defines, includes     []string
	noIncludes, relaxed   bool
	list, fail, noWarning bool

	warnings []string // as they are shown
	slow     []string
}

func (y *yaraFlags) add(f *pflag.FlagSet) {
	f.StringVar(&y.dialect, "dialect", "", "of YARA rules: yara (YARA 4.5) or yara-x; default: what either takes, and where they disagree YARA-X with a warning")
	f.StringArrayVarP(&y.defines, "define", "d", nil, "define an external variable of YARA rules: NAME=VALUE (repeatable)")
	f.StringArrayVar(&y.includes, "include-dir", nil, "look for included files here too (repeatable)")
	f.BoolVar(&y.noIncludes, "no-includes", false, "refuse include")
	f.BoolVar(&y.relaxed, "relaxed-re-syntax", false, "regular expressions of yara-x as YARA 4 takes them")
	f.BoolVar(&y.list, "warnings", false, "show every warning, not their number alone")
	f.BoolVarP(&y.noWarning, "no-warnings", "w", false, "say nothing of warnings")
	f.BoolVar(&y.fail, "fail-on-warnings", false, "take a warning for an error")
}

// usualExternals are the external variables that a scan fills in.
func usualExternals() map[string]module.Value {
	out := map[string]module.Value{}
	for _, name := range yara.UsualExternals() {
		out[name] = module.TextValue("")
	}
	return out
}

// apply sets what the flags say.
func (y *yaraFlags) apply(o *rules.Options) (err error) {
	if o.Dialect, err = dialectNamed(y.dialect); err != nil {
		return err
	}
	values, err := defined(y.defines)
	if err != nil {
		return err
	}
	o.Externals = usualExternals()
	maps.Copy(o.Externals, values)
	o.IncludeDirs, o.NoIncludes, o.RelaxedRegexps = y.includes, y.noIncludes, y.relaxed
	o.Told = func(set *yarasource.Sources, d *yarasource.Diagnostic) {
		if d.Severity != yarasource.Warning {
			return
		}
		var b strings.Builder
		_ = set.Render(&b, d) // a Builder takes all
		y.warnings = append(y.warnings, b.String())
	}
	o.Slow = func(line string) { y.slow = append(y.slow, line) }
	return nil
}

// told says what there is to say of the rules.
func (y *yaraFlags) told(stderr io.Writer) error {
	switch n := len(y.warnings); {
	case n == 0 || y.noWarning:
	case y.list:
		for _, w := range y.warnings {
			fmt.Fprintln(stderr, w)
		}
	default:
		fmt.Fprintf(stderr, "showcause: %s (--warnings shows them)\n", answer.Plural(int64(n), "warning"))
	}
	if y.fail && len(y.warnings) > 0 {
		return errors.New("rules: warnings are taken for errors")
	}
	for i, line := range y.slow {
		if y.noWarning || i == 10 && !y.list {
			if !y.noWarning {
				fmt.Fprintf(stderr, "showcause: and %d more strings that slow scans down (--warnings shows them)\n", len(y.slow)-i)
			}
			break
		}
		fmt.Fprintf(stderr, "showcause: slow: %s\n", line)
	}
	return nil
}

// defined are the external variables that --define sets.
func defined(defines []string) (map[string]module.Value, error) {
	out := map[string]module.Value{}
	for _, d := range defines {
		name, text, ok := strings.Cut(d, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("flag --define: %q is not NAME=VALUE", d)
		}
		v, err := yara.External(yara.ParseExternal(text))
		if err != nil {
			return nil, fmt.Errorf("flag --define: %w", err)
		}
		out[name] = v
	}
	return out, nil
}

// dialectNamed is the dialect by what --dialect calls them.
func dialectNamed(name string) (yarasource.Dialect, error) {
	for _, d := range []yarasource.Dialect{yarasource.YARA, yarasource.YARAX} {
		if d.String() == name {
			return d, nil
		}
	}
	if name != "" {
		return yarasource.Either, fmt.Errorf("flag --dialect: %q is not one of yara, yara-x", name)
	}
	return yarasource.Either, nil
}

// hasYARA says whether a database has rules of YARA's.
func hasYARA(db *ruledb.DB) bool {
	for i := range uint32(db.Rules()) {
		if _, ok := db.YARA(i); ok {
			return true
		}
	}
	return false
}

// namer tells what a file is called, for YARA rules that ask for it.
type namer struct {
	wanted  bool
	owners  map[uint32]string       // by uid
	defined map[string]module.Value // by the command line, which has the last word
}

// maxPath is how much of a path rules are told: its end (PATH_MAX, linux/limits.h).
const maxPath = 4096

// of are the external variables of a file.
func (n *namer) of(path string, f *os.File) map[string]module.Value {
	if !n.wanted {
		return nil
	}
	dir, base := filepath.Split(path)
	if len(dir) > maxPath {
		dir = dir[len(dir)-maxPath:]
	}
	if len(base) > 255 {
		base = base[len(base)-255:]
	}
	out := map[string]module.Value{
		"filename":  module.TextValue(base),
		"filepath":  module.TextValue(dir + base),
		"extension": module.TextValue(strings.ToLower(filepath.Ext(base))),
	}
	if st, err := f.Stat(); err == nil {
		if sys, ok := st.Sys().(*unixStat); ok {
			out["owner"] = module.TextValue(n.owner(sys.Uid))
		}
	}
	maps.Copy(out, n.defined)
	return out
}

// owner is the name of a user, or the number.
func (n *namer) owner(uid uint32) string {
	name, ok := n.owners[uid]
	if !ok {
		name = strconv.FormatUint(uint64(uid), 10)
		if u, err := user.LookupId(name); err == nil && len(u.Username) <= 64 {
			name = u.Username
		}
		n.owners[uid] = name
	}
	return name
}
