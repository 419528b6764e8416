package clamsig

import (
	"errors"
	"io"
	"strings"

	"github.com/showcause/showcause/clamsig/lines"
	"github.com/showcause/showcause/phish"
	"github.com/showcause/showcause/rule"
)

// otherKinds are the kinds of file that are not read yet.
//
//	sep    what ends the name, which is the first field; 0: lines have no name
//	known  clamscan counts the lines
//	whole  the file is one signature
var otherKinds = map[string]struct {
	sep   byte
	known bool
	whole bool
}{
	"db":   {sep: '=', known: true},
	"pdb":  {known: true},
	"gdb":  {known: true},
	"wdb":  {},
	"yar":  {known: true},
	"yara": {known: true},
	"cat":  {whole: true},
}

// other counts the signatures of a file that is not read.
func (f *file) other(r io.Reader) error {
	kind := otherKinds[f.kind]
	in := lines.New(r)
	for {
		line, _, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		f.stats.Lines++
		f.line++
		if kind.whole || line == "" || line[0] == '#' {
			continue
		}
		name := ""
		if strings.HasPrefix(f.kind, "yar") {
			var ok bool
			if name, ok = yaraRule(line); !ok {
				continue
			}
			name = "YARA." + name + unofficial
		} else if kind.sep != 0 {
			name = line[:max(0, strings.IndexByte(line, kind.sep))]
		}
		if f.l.opt.Link != nil && phish.Kinds(f.kind) {
			if err := f.link(line, kind.known); err != nil {
				return err
			}
			continue
		}
		unfit := outside(DatabaseType, ".%s is not read", f.kind)
		unfit.known = kind.known && f.levelHolds(line)
		f.skip(name, unfit)
	}
	if f.kind == "cat" {
		f.line = 0
		f.skip("", outside(DatabaseType, ".%s is not read", f.kind))
	}
	return nil
}

// levelHolds looks at the levels that end a line of phishing data, ":min-max".
func (f *file) levelHolds(line string) bool {
	if f.kind != "pdb" && f.kind != "gdb" {
		return true
	}
	_, holds := f.levels(line)
	return holds
}

// levels returns a line of phishing data without its levels, and whether they admit this engine.
func (f *file) levels(line string) (bare string, holds bool) {
	at := strings.LastIndexByte(line, ':')
	low, high, ok := strings.Cut(line[at+1:], "-")
	from, okLow := number(low)
	to, okHigh := number(high)
	if !ok || low == "" || !okLow || !okHigh {
		return line, true
	}
	return line[:max(at, 0)], from <= f.l.level && (high == "" || to >= f.l.level)
}

// link hands a line of phishing data over.
func (f *file) link(line string, counted bool) error {
	bare, holds := f.levels(line)
	if !holds {
		f.skip("", outside(FunctionalityLevel, "level %s", line[len(bare)+1:]))
		return nil
	}
	err := f.l.links.Add(f.kind, bare, 1)
	switch {
	case err != nil && !errors.Is(err, phish.ErrForm): // the expressions of clamscan's library are not quite those of ours
		f.skip("", known(unsupported(Pattern, "%v", err), counted))
		return nil
	case err != nil && f.l.opt.Strict:
		return errorAt(f.name, f.line, err.Error())
	case err != nil:
		f.skip("", malformed("%v", err))
		return nil
	}
	f.stats.Loaded++
	if counted {
		f.stats.Known++
	}
	f.l.opt.Link(f.name, bare)
	return nil
}

// yaraRule returns the name in a line that begins a YARA rule.
func yaraRule(line string) (string, bool) {
	words := strings.Fields(line)
	for len(words) > 0 && (words[0] == "private" || words[0] == "global") {
		words = words[1:]
	}
	if len(words) < 2 || words[0] != "rule" {
		return "", false
	}
	name, _, _ := strings.Cut(words[1], "{")
	name, _, _ = strings.Cut(name, ":")
	return name, name != ""
}

const unofficial = ".UNOFFICIAL"

// origin names a signature as clamscan reports it.
func (f *file) origin(name, line string) rule.Origin {
	if !f.official {
		name += unofficial
	}
	return rule.Origin{Name: name, File: f.name, Line: f.line, Text: line}
}
