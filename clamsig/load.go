package clamsig

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/clamsig/lines"
	"github.com/showcause/showcause/clamsig/settings"
	"github.com/showcause/showcause/phish"
	"github.com/showcause/showcause/rule"
)

// Classify tells what kind of database a file is by its name alone. The kind
// is the extension in lower case without its dot; database is false for files
// that hold no signatures by themselves (a README, the .info file of a CVD).
func Classify(name string) (kind string, database bool) {
	kind = strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	switch kind {
	case "hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "imp", "fp", "sfp",
		"ign", "ign2", "ioc", "idb", "cdb", "zmd", "rmd", "ftm", "pwdb", "cfg", "crb", "ndb", "ndu", "sdb", "ldb", "ldu", "cbc", "cvd", "cld", "cud":
		return kind, true
	}
	_, database = otherKinds[kind]
	return kind, database
}

func isContainer(kind string) bool { return kind == "cvd" || kind == "cld" || kind == "cud" }
func isIgnore(kind string) bool    { return kind == "ign" || kind == "ign2" }

// rounds is how often the files are gone through: what one round reads says how the later ones
// are read.
const rounds = 3

// roundOf is the round in which a kind is read: names to ignore, what other signatures ask for, all else.
func roundOf(kind string) int {
	switch kind {
	case "ign", "ign2":
		return 0
	case "idb":
		return 1
	}
	return 2
}

// isPUA tells the kinds that hold possibly unwanted applications.
func isPUA(kind string) bool { return len(kind) == 3 && kind[2] == 'u' }

// Load reads the database at path, or all databases in the folder at path, in
// the order of their names; the lists of names to ignore come first, then icons, those in
// containers among them. Of NAME.cld and NAME.cvd only the newer is read.
//
// An error says what could not be read, or, under Options.Strict, which line
// is malformed. The Stats tell how far it came.
func Load(path string, opt Options, sink Sink) (*Stats, error) {
	l := newLoader(opt, sink)
	paths := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return l.stats, fmt.Errorf("database: %w", err)
	}
	if info.IsDir() {
		if paths, err = databases(path); err != nil {
			return l.stats, err
		}
	} else if err := loadable(path, info); err != nil {
		return l.stats, err
	}
	for round := range rounds {
		for _, p := range paths {
			if err := l.path(p, round); err != nil {
				return l.stats, fmt.Errorf("database %s: %w", p, err)
			}
		}
	}
	if err := l.finish(); err != nil {
		return l.stats, fmt.Errorf("database %s: %w", path, err)
	}
	return l.stats, nil
}

// LoadReader reads one database, whose kind follows from the name.
func LoadReader(name string, r io.Reader, opt Options, sink Sink) (*Stats, error) {
	l := newLoader(opt, sink)
	kind, ok := Classify(name)
	if !ok {
		return l.stats, fmt.Errorf("database %s: extension of no ClamAV database", name)
	}
	if !isContainer(kind) {
		err := l.text(name, kind, false, r)
		if err == nil {
			err = l.finish()
		}
		if err != nil {
			return l.stats, fmt.Errorf("database %s: %w", name, err)
		}
		return l.stats, nil
	}
	c, err := l.opt.readContainer(name, kind, r)
	for round := range rounds {
		if err == nil {
			err = l.container(c, round)
		}
	}
	if err == nil {
		err = l.finish()
	}
	if err != nil {
		return l.stats, fmt.Errorf("database %s: %w", name, err)
	}
	return l.stats, nil
}

func loadable(path string, info os.FileInfo) error {
	if _, ok := Classify(path); !ok {
		return fmt.Errorf("database %s: extension of no ClamAV database", path)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("database %s: not a regular file", path)
	}
	return nil
}

// databases lists the databases in a folder.
func databases(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	versions := map[string]int{} // of containers, by path
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		kind, ok := Classify(p)
		if !ok || e.Name()[0] == '.' {
			continue
		}
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		if kind == "cld" || kind == "cvd" {
			if versions[p], err = versionOf(p); err != nil {
				return nil, fmt.Errorf("database %s: %w", p, err)
			}
		}
		paths = append(paths, p)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("database %s: no ClamAV database in the folder", dir)
	}
	return slices.DeleteFunc(paths, func(p string) bool {
		stem, ext := strings.TrimSuffix(p, filepath.Ext(p)), filepath.Ext(p)
		version, ok := versions[p]
		other, twin := versions[stem+map[string]string{".cld": ".cvd", ".cvd": ".cld"}[ext]]
		return ok && twin && (version < other || version == other && ext == ".cvd")
	}), nil
}

// versionOf reads the version out of a container's header.
func versionOf(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, cvd.HeaderSize)
	if _, err := io.ReadFull(f, b); err != nil {
		return 0, fmt.Errorf("header: %w", err)
	}
	h, err := cvd.ParseHeader(b)
	return h.Version, err
}

// loader is one Load.
type loader struct {
	opt    Options
	level  int64
	sink   Sink
	stats  *Stats
	ign    ignoreList
	parser parser
	fields [4 + maxSubs]string
	rule   rule.Rule
	digest rule.DigestRule
	links  phish.List                  // lines of phishing data, to see whether they are some
	proven map[string]*cvd.File        // by path: open containers' headers, proven in the first round
	has    map[*cvd.File]*[rounds]bool // what rounds a container has something for
	icons  []knownIcon
	groups [2]map[string]bool // of icons

	members  []groupMember // of macro groups
	delayed  []delayed
	finished bool // all members are known
}

func newLoader(opt Options, sink Sink) *loader {
	l := &loader{opt: opt, level: int64(opt.Level), sink: sink, stats: &Stats{}, ign: ignoreList{}, proven: map[string]*cvd.File{}, has: map[*cvd.File]*[rounds]bool{}}
	if l.level == 0 {
		l.level = DefaultLevel
	}
	known := file{l: l, kind: "idb"}
	for _, line := range opt.Icons {
		known.icon(line) // those that are none match nothing
	}
	return l
}

// path reads one file, if there is something for the round in it.
func (l *loader) path(path string, round int) error {
	kind, _ := Classify(path)
	if roundOf(kind) != round && !isContainer(kind) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if !isContainer(kind) {
		return l.text(filepath.Base(path), kind, false, f)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c := l.proven[path]
	if c != nil && !l.has[c][round] {
		return nil
	}
	if c == nil {
		if c, err = l.opt.openContainer(filepath.Base(path), kind, filepath.Dir(path), f, info.Size()); err != nil {
			return err
		}
		l.proven[path] = c
	} else if c.Size() != info.Size() {
		return errors.New("container changed while it was read")
	}
	c.Reopen(f)
	return l.container(c, round)
}

// container reads the members of a container, in the same rounds. The
// first also shows that the archive holds together, before anything of it is used.
func (l *loader) container(c *cvd.File, round int) error {
	if round == 0 {
		l.has[c] = &[rounds]bool{}
		l.stats.Files = append(l.stats.Files, FileStats{
			File: c.Name, Kind: c.Kind, Version: c.Header.Version, Signatures: c.Header.Signatures,
			Level: c.Header.Level, Builder: c.Header.Builder, Time: c.Header.Time, Proof: c.Proof,
		})
	}
	return c.Walk(func(name string, r io.Reader) error {
		kind, ok := Classify(name)
		if ok && !isContainer(kind) {
			l.has[c][roundOf(kind)] = true
		}
		if !ok || isContainer(kind) || roundOf(kind) != round {
			return nil
		}
		return l.text(c.Name+"/"+name, kind, c.Kind != "cud", r)
	})
}

// file is one file of lines.
type file struct {
	l        *loader
	name     string
	kind     string
	official bool
	line     int
	stats    FileStats
	place    int               // in the loader's stats
	bytecode *bytecode.Program // of a .cbc file, and its text
	text     string
}

// text reads one file of lines.
func (l *loader) text(name, kind string, official bool, r io.Reader) error {
	f := &file{l: l, name: name, kind: kind, official: official}
	f.stats = FileStats{File: name, Kind: kind, ByReason: map[Reason]int{}}
	var err error
	if kind == "ioc" {
		err = f.ioc(r)
	} else if kind == "cbc" {
		err = f.program(r)
	} else if _, isOther := otherKinds[kind]; isOther {
		err = f.other(r)
	} else {
		err = f.signatures(r)
	}
	f.place = len(l.stats.Files)
	l.stats.Files = append(l.stats.Files, f.stats)
	return err
}

// signatures reads the lines of a kind that is understood.
func (f *file) signatures(r io.Reader) error {
	in := lines.New(r)
	for {
		line, long, err := in.Next()
		if err == io.EOF {
			return f.empty()
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", f.line+1, err)
		}
		f.line++
		f.stats.Lines++
		if line != "" && line[0] == '#' {
			continue
		}
		name, unfit := f.signature(line, long)
		if err := f.count(name, unfit); err != nil {
			return err
		}
	}
}

// count notes what became of a signature.
func (f *file) count(name string, unfit *refusal) error {
	switch {
	case unfit == errDelayed:
	case unfit == nil && !isIgnore(f.kind):
		f.stats.Loaded++
		if !settings.Kinds(f.kind) && f.kind != "crb" {
			f.stats.Known++
		}
	case unfit != nil && unfit.reason == Malformed && f.l.opt.Strict:
		return errorAt(f.name, f.line, unfit.detail)
	case unfit != nil:
		f.skip(name, unfit)
	}
	return nil
}

func errorAt(file string, line int, detail string) error {
	return fmt.Errorf("%s:%d: %w: %s", file, line, ErrMalformed, detail)
}

// category tells whether a signature of a PUA file is asked for by its name.
func (o *Options) category(name string) bool {
	if len(o.PUAOnly)+len(o.PUAExcept) == 0 {
		return true
	}
	last := strings.LastIndexByte(name, '.')
	if !strings.HasPrefix(name, "PUA.") || last < len("PUA.") {
		return false
	}
	of := func(list []string) bool {
		return slices.ContainsFunc(list, func(c string) bool { return strings.Contains(name[len("PUA"):last+1], "."+c+".") })
	}
	return (len(o.PUAOnly) == 0 || of(o.PUAOnly)) && !of(o.PUAExcept)
}

// empty refuses a file without a line, as clamscan does.
func (f *file) empty() error {
	if f.l.opt.Strict && f.line == 0 && !isIgnore(f.kind) {
		return fmt.Errorf("%s: %w: empty file", f.name, ErrMalformed)
	}
	return nil
}

// signature reads one line.
func (f *file) signature(line string, long bool) (name string, unfit *refusal) {
	switch {
	case long:
		return "", malformed("line of more than %d bytes", lines.Max)
	case strings.IndexByte(line, 0) >= 0:
		return "", malformed("zero byte in a line")
	case isIgnore(f.kind):
		return "", f.ignore(line)
	}
	if isPUA(f.kind) {
		if !f.l.opt.PUA {
			return f.nameIn(line), outside(PUA, "not asked for")
		}
		if n := f.nameIn(line); !f.l.opt.category(n) {
			return n, outside(PUA, "its category is not asked for")
		}
	}
	switch f.kind {
	case "ndb", "ndu", "sdb":
		return f.ndb(line)
	case "ldb", "ldu":
		return f.ldb(line)
	case "idb":
		return f.icon(line)
	case "cdb", "zmd", "rmd":
		return f.member(line)
	case "ftm", "pwdb", "cfg":
		return f.setting(line)
	case "crb":
		return f.certificate(line)
	}
	return f.hash(line)
}

// nameIn finds the name in a line that is not read.
func (f *file) nameIn(line string) string {
	var t [4]string
	switch f.kind {
	case "ndu":
		split(line, ':', t[:])
		return t[0]
	case "ldu":
		split(line, ';', t[:])
		return t[0]
	}
	split(line, ':', t[:])
	return t[2]
}

// skip hands a signature that was left out to the sink.
func (f *file) skip(name string, unfit *refusal) {
	f.stats.Skipped++
	f.stats.ByReason[unfit.reason]++
	if unfit.known {
		f.stats.Known++
	}
	if name != "" && !f.official && !strings.HasPrefix(f.kind, "yar") {
		name += unofficial
	}
	f.l.sink.Skip(Skip{File: f.name, Line: f.line, Name: name, Reason: unfit.reason, Detail: unfit.detail})
}
