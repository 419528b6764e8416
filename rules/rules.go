// Package rules holds the rules that ship with Showcause, and compiles rule
// files to databases: the built-in ones, those that a user names, and a cache
// of the latter.
package rules

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

//go:embed *.yar
var builtin embed.FS

// tool names what compiled a database. It changes when the same rules would
// compile to something else.
const tool = "showcause 9"

// Options are how rules are compiled. The zero value works.
type Options struct {
	PUA                bool     // load signatures of possibly unwanted applications
	BytecodeUnsigned   bool     // load programs (.cbc) that stand in no signed container
	NoBytecode         bool     // load no programs at all
	PUAOnly, PUAExcept []string // of them, those of these categories alone, or none of these
	Heuristics         heuristic.Options
	Lenient            bool   // malformed lines are left out; without it one is an error
	Unsigned           bool   // ClamAV's containers need no signature that holds
	Certs              string // folder of the certificates for detached signatures of containers (.sign); empty: these are not looked at

	// What follows is for YARA rules.

	Dialect   source.Dialect
	Externals map[string]module.Value // external variables, with the values that they have unless a scan sets others
	// IncludeDirs are looked through for included files, after the folder of the
	// file that includes them; NoIncludes refuses to include any.
	IncludeDirs    []string
	NoIncludes     bool
	RelaxedRegexps bool // YARA-X takes regular expressions as YARA does
	StrictEscapes  bool // warn of escapes in regular expressions that mean nothing
	Off            []source.Code
	// Told takes all that is said of the rules, warnings and errors, and Slow a line for each
	// string that slows every scan down. They may be nil.
	Told func(*source.Sources, *source.Diagnostic)
	Slow func(line string)

	included func(path string)
}

// Default returns the database of the built-in rules. In findings their names have
// points for "_". They are for normalised views, too.
func Default() (*ruledb.DB, error) { return DefaultWith(heuristic.Options{}) }

// DefaultWith is Default, with heuristics.
func DefaultWith(o heuristic.Options) (*ruledb.DB, error) {
	data, err := compileBuiltin(&o)
	if err != nil {
		return nil, fmt.Errorf("built-in rules: %w", err)
	}
	return ruledb.New(data)
}

func compileBuiltin(o *heuristic.Options) ([]byte, error) {
	c := compiler{official: true}
	names, err := fs.Glob(builtin, "*.yar")
	if err != nil {
		return nil, err
	}
	var set source.Sources
	var inputs []check.Input
	for _, name := range names {
		text, err := builtin.ReadFile(name)
		if err != nil {
			return nil, err
		}
		src, err := set.Add(name, string(text))
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, check.Input{Namespace: defaultSpace, Source: src})
	}
	if err := c.checked(&set, inputs, &Options{NoIncludes: true}); err != nil {
		return nil, err
	}
	if err := c.heuristics(o, nil); err != nil {
		return nil, err
	}
	return c.Finish(c.meta)
}

// Compile compiles rule files and folders of them to one database: ClamAV's, and
// YARA's, which may have a namespace before them ("NAMESPACE:PATH"; see Split).
// Of a folder, ClamAV's files in it are taken, and YARA's in it and in the
// folders below, each in a namespace of its own, which is its path below the
// folder; other files of YARA's are in one namespace, "default". YARA rules are read together, so
// that those named first can be asked for by those named later. What is wrong with
// them is a *RuleError.
func Compile(paths []string, o Options) ([]byte, error) {
	paths = settled(paths)
	trust, err := o.trust()
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	var c compiler
	if c.stages, err = readStages(paths); err != nil {
		return nil, fmt.Errorf("rules: stages: %w", err)
	}
	var yara []input
	var links []heuristic.Line
	link := func(file, line string) { links = append(links, heuristic.Line{File: file, Text: line}) }
	for _, path := range paths {
		files, dir, err := yaraFiles(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		yara = append(yara, files...)
		if len(files) > 0 && (!dir || !clamFolder(path)) {
			continue
		}
		_, plain := Split(path)
		st, err := clamsig.Load(plain, clamsig.Options{Strict: !o.Lenient, PUA: o.PUA, PUAOnly: o.PUAOnly, PUAExcept: o.PUAExcept, BytecodeUnsigned: o.BytecodeUnsigned, NoBytecode: o.NoBytecode, Trust: trust, Link: link}, &c)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		c.note(st)
	}
	if err := c.yara(yara, &o); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if err := c.heuristics(&o.Heuristics, links); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if len(c.meta.Sources) == 0 {
		return nil, fmt.Errorf("rules: no database file in %s", strings.Join(paths, ", "))
	}
	data, err := c.Finish(c.meta)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return data, nil
}

// heuristics adds the rules that options and phishing data make.
func (c *compiler) heuristics(o *heuristic.Options, links []heuristic.Line) error {
	texts, err := o.Texts(links)
	for i, text := range texts {
		if err == nil {
			err = c.Builder.Rule(rule.ByText(rule.Origin{Name: heuristic.Name(text), File: heuristic.File, Line: i + 1, Text: text}))
		}
	}
	if err == nil && len(texts) > 0 {
		c.meta.Tool = tool
		c.meta.Sources = append(c.meta.Sources, ruledb.Source{File: heuristic.File, Loaded: len(texts)})
	}
	return err
}

// settled puts in place of a folder that an update is at work on, or was when it died, the links
// that package update keeps of it as it was before: never a part of one set and a part of another.
func settled(paths []string) []string {
	out := slices.Clone(paths)
	for i, arg := range out {
		namespace, path := Split(arg)
		own := filepath.Join(path, ".update")
		if _, err := os.Lstat(filepath.Join(own, "journal")); err != nil {
			continue
		}
		var state struct{ Generation int64 }
		b, err := os.ReadFile(filepath.Join(own, "state.json"))
		if err != nil || json.Unmarshal(b, &state) != nil {
			continue
		}
		before := filepath.Join(own, fmt.Sprintf("gen-%d", state.Generation))
		if st, err := os.Stat(before); err == nil && st.IsDir() {
			if out[i] = before; namespace != "" {
				out[i] = namespace + ":" + before
			}
		}
	}
	return out
}

// trust is whose signatures containers need.
func (o *Options) trust() (*cvd.Trust, error) {
	t := cvd.Official()
	t.Unsigned = o.Unsigned
	if o.Certs != "" {
		var err error
		if t.Roots, err = cvd.LoadRoots(o.Certs); err != nil {
			return nil, err
		}
	}
	return &t, nil
}

// clamFolder tells whether a folder has a ClamAV database besides YARA rules.
func clamFolder(arg string) bool {
	_, path := Split(arg)
	entries, err := os.ReadDir(path)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		_, ok := clamsig.Classify(e.Name())
		return ok && !IsYARA(e.Name()) && e.Name()[0] != '.'
	})
}

// compiler feeds what clamsig reads to a Builder.
type compiler struct {
	ruledb.Builder
	meta     ruledb.Meta
	official bool // they are the built-in rules
	stages   stages
	names    map[string]string // of sources of YARA rules: what the database calls them, by path
}

func (c *compiler) Rule(r *rule.Rule) error {
	if c.official {
		r.Name = strings.ReplaceAll(r.Name, "_", ".")
		r.YARA.Views = true
	}
	r.Stage = c.stages.of(&r.Origin)
	return c.Builder.Rule(r)
}

func (c *compiler) Skip(s clamsig.Skip) {
	if IsYARA(s.File) {
		return // they are compiled as YARA's
	}
	c.Builder.Skip(ruledb.Skip{File: s.File, Line: s.Line, Name: s.Name, Reason: string(s.Reason), Detail: s.Detail})
}

func (c *compiler) note(st *clamsig.Stats) {
	c.meta.Tool = tool
	for _, f := range st.Files {
		if IsYARA(f.File) {
			continue
		}
		s := ruledb.Source{File: f.File, Loaded: f.Loaded, Skipped: f.Skipped}
		if f.Version > 0 {
			s.Version = fmt.Sprintf("%d, %s", f.Version, f.Time)
		}
		for r, n := range f.ByReason {
			if s.Reasons == nil {
				s.Reasons = map[string]int{}
			}
			s.Reasons[string(r)] = n
		}
		c.meta.Sources = append(c.meta.Sources, s)
	}
}

// IsCompiled tells whether a file is a compiled database rather than rules as text.
func IsCompiled(path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() { // to open a pipe is to wait
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [8]byte
	n, _ := f.Read(magic[:])
	return ruledb.IsDatabase(magic[:n])
}

// Writable tells whether a database made of the files and folders in sources
// may be written to path: not over a device or the like, and not over what it is made of.
func Writable(path string, sources []string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("database: %s is not a regular file", path)
	}
	for _, s := range sources {
		_, s = Split(s)
		from, err := os.Stat(s)
		if err != nil {
			return fmt.Errorf("rules: %w", err)
		}
		if os.SameFile(st, from) {
			return fmt.Errorf("database: %s is what the rules are read from", path)
		}
		if from.IsDir() && !IsCompiled(path) {
			if dir, err := os.Stat(filepath.Dir(path)); err == nil && os.SameFile(dir, from) {
				return fmt.Errorf("database: %s is in the folder that the rules are read from, and is no compiled database", path)
			}
		}
	}
	return nil
}

// Write writes a database so that path is at any moment the old file or the
// new one, whole. A new file has the mode that the umask leaves; one that is
// replaced hands on its own. What a symbolic link leads to is replaced, not the link.
func Write(path string, data []byte) (err error) {
	mode := fs.FileMode(0o666)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	st, err := os.Stat(path)
	if err == nil {
		if !st.Mode().IsRegular() {
			return fmt.Errorf("database: %s is not a regular file", path)
		}
		mode = st.Mode().Perm()
	}
	name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.tmp", filepath.Base(path), os.Getpid()))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("database: %w", err)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if st != nil {
		if err := f.Chmod(mode); err != nil {
			return err
		}
		if err := giveTo(f, st); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// keep is the number of compiled databases that the cache holds.
const keep = 4

// Cached returns the compiled form of rule files and folders, from the user's
// cache if the files are those that it was made from, those that they include
// among them; compiling is called when they are not. The warning says that the
// cache could not be written; the database is good all the same.
func Cached(paths []string, o Options, compiling func()) (db *ruledb.DB, warning, err error) {
	paths = settled(paths)
	key, err := identity(paths, &o)
	if err != nil {
		return nil, nil, fmt.Errorf("rules: %w", err)
	}
	dir, warning := cacheDir()
	file := filepath.Join(dir, key+".scdb")
	if warning == nil && sameIncludes(file) {
		if db, err := ruledb.Open(file); err == nil {
			return db, nil, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			warning = fmt.Errorf("cache: %w; compiling again", err)
		}
	}
	compiling()
	included := map[string]bool{}
	o.included = func(path string) { included[path] = true }
	data, err := Compile(paths, o)
	if err != nil {
		return nil, warning, err
	}
	if dir != "" {
		werr := writeIncludes(file, slices.Sorted(maps.Keys(included)))
		if werr == nil {
			werr = Write(file, data)
		}
		if werr != nil {
			warning = fmt.Errorf("cache: %w", werr)
		} else {
			prune(dir)
		}
	}
	db, err = ruledb.New(data)
	return db, warning, err
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache: %w; compiling at every start", err)
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("cache: %s is a relative path; compiling at every start", dir)
	}
	dir = filepath.Join(dir, "showcause")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cache: %w; compiling at every start", err)
	}
	return dir, nil
}

// prune leaves the newest databases of a cache.
func prune(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.scdb"))
	age := func(p string) int64 {
		st, err := os.Stat(p)
		if err != nil {
			return 0
		}
		return st.ModTime().UnixNano()
	}
	sort.Slice(files, func(i, j int) bool { return age(files[i]) > age(files[j]) })
	for i := keep; i < len(files); i++ {
		os.Remove(files[i])
		os.Remove(files[i] + includesEnd)
	}
}
