package scan

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// What became of a rule in a layer. A rule of which no trigger was seen does
// not hold: its condition cannot hold then.
const (
	holdsNot = iota
	holds
	stopped // it is not known
)

// evaluator evaluates rules of YARA's language: their conditions ask it.
type evaluator struct {
	machine code.Machine
	search  *search
	rule    ruledb.Rule
	yara    ruledb.YARA
	modules map[moduleKey]module.Value // of the layer
	layer   *fields.Layer              // has made them
	buf     []byte
	md5     string // of the layer, once it was asked for
}

type moduleKey struct {
	name    string
	dialect source.Dialect
}

// evaluate decides rule r, whose patterns were searched for. The rules that it
// asks for come before it.
func (s *search) evaluate(r uint32, body ruledb.Rule, y ruledb.YARA) uint8 {
	prog := s.in.db.Code(r)
	if prog == nil {
		return holds
	}
	e := &s.eval
	e.search, e.rule, e.yara = s, body, y
	// One that goes on for ever leaves something to those after it.
	e.machine.Limit = min(stepsFor(e.Size()), max((s.matcher.Limit-s.matcher.Steps)/16*15, 1))
	out := e.machine.Run(prog, e)
	s.matcher.Steps += out.Steps
	switch {
	case out.Stopped:
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
		return stopped
	case out.Holds:
		return holds
	}
	return holdsNot
}

// Of one condition: a loop over every byte takes some steps for each.
const (
	leastSteps   = 1 << 28 // some seconds
	stepsPerByte = 16
)

// stepsFor bounds one condition over a layer of size bytes.
func stepsFor(size int64) int64 {
	return max(leastSteps, min(size, math.MaxInt64>>6)*stepsPerByte+1<<24)
}

// Size is the number of bytes of the layer.
func (e *evaluator) Size() int64 { return e.search.l.Source.Size() }

// Read gives bytes off to off+n, nil if some of them are not there.
func (e *evaluator) Read(off int64, n int) []byte {
	if b, ok := e.search.l.Source.(showcause.Bytes); ok {
		if off < 0 || n < 0 || off > int64(len(b))-int64(n) {
			return nil
		}
		return b[off : off+int64(n)]
	}
	if off < 0 || n < 0 || off > e.Size()-int64(n) {
		return nil
	}
	v := e.search.input.View(off, int64(n))
	if len(v) == n {
		return v
	}
	e.buf = e.buf[:0]
	for len(e.buf) < n {
		v := e.search.input.View(off+int64(len(e.buf)), int64(n-len(e.buf)))
		if len(v) == 0 {
			return nil
		}
		e.buf = append(e.buf, v...)
	}
	return e.buf
}

// Count is the number of matches of a pattern.
func (e *evaluator) Count(pattern int) int { return int(e.search.count(e.rule.Patterns[pattern])) }

// At is one of them.
func (e *evaluator) At(pattern, i int) (off, n int64) {
	g := e.search.sight(e.rule.Patterns[pattern])
	return g.found[i].Offset, g.found[i].Length
}

// Rule is the value of a rule that the condition asks for.
func (e *evaluator) Rule(dep int) (is, known bool) {
	v := e.search.values[e.yara.Deps[dep]]
	return v == holds, v != stopped
}

// Entry is the entry point, as an offset in the file.
func (e *evaluator) Entry() (int64, bool) {
	l := e.search.l
	x := l.exe
	if x == nil && e.search.in.options.TopOnly {
		x, _ = exe.Parse(l.Source, l.kind)
	}
	if x != nil && x.Entry >= 0 {
		return x.Entry, true
	}
	return 0, false
}

// External is the value of an external variable for this scan.
func (e *evaluator) External(name string) (module.Value, bool) {
	l := e.search.l
	return external(e.search.in.externals, l.Layer, l.kind, name, func() string {
		if e.md5 == "" {
			e.md5 = e.digest()
		}
		return e.md5
	})
}

// Externals are the values of external variables of YARA's rules for one layer of type
// t, as Scan works them out of those of the input: of an input whose filename was
// given, filetype and filemd5 follow from the layer unless they were given too, and
// filename and extension of what is in it from its name there. Only those are worked
// out that are wanted.
func Externals(given map[string]module.Value, l showcause.Layer, t filetype.Type, wanted func(name string) bool) map[string]module.Value {
	out := map[string]module.Value{}
	names := slices.AppendSeq([]string{"filename", "extension", "filetype", "filemd5"}, maps.Keys(given))
	for _, name := range names {
		if !wanted(name) {
			continue
		}
		v, ok := external(given, l, t, name, func() string { return md5Of(l.Source) })
		if ok {
			out[name] = v
		}
	}
	return out
}

// external is one of them; md5 gives the layer's MD5, hexadecimal.
func external(given map[string]module.Value, l showcause.Layer, t filetype.Type, name string, md5 func() string) (module.Value, bool) {
	v, ok := given[name]
	if _, usual := given["filename"]; !usual {
		return v, ok
	}
	if n := len(l.Trail); n > 0 && l.Trail[n-1].Name != "" {
		inner := path.Base(strings.ReplaceAll(l.Trail[n-1].Name, `\`, "/"))
		switch name {
		case "filename":
			return module.TextValue(inner), true
		case "extension":
			return module.TextValue(path.Ext(inner)), true
		}
	}
	if ok {
		return v, true
	}
	switch name {
	case "filetype":
		return module.TextValue(fileType(t)), true
	case "filemd5":
		return module.TextValue(md5()), true
	}
	return module.Value{}, false
}

// fileType is a type as rules that ask for the external filetype call it.
func fileType(t filetype.Type) string {
	switch rule.Target(t.Target()) {
	case rule.PE:
		return "EXE"
	case rule.MachO:
		return "MACH-O"
	}
	return strings.ToUpper(t.String())
}

// digest is the layer's MD5, hexadecimal; empty if it is too much to read.
func (e *evaluator) digest() string {
	src := e.search.l.Source
	if !e.work(src.Size() / 16) {
		return ""
	}
	return md5Of(src)
}

func md5Of(src showcause.Source) string {
	h := md5.New()
	if _, err := io.Copy(h, bound.Reader(src, 0, -1)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Module is the value of a module. What is parsed for it serves all rules in the
// layer.
func (e *evaluator) Module(name string, d source.Dialect) module.Value {
	key := moduleKey{name, d}
	if v, ok := e.modules[key]; ok {
		return v
	}
	if e.modules == nil {
		e.modules = map[moduleKey]module.Value{}
	}
	v := e.make(name, d)
	e.modules[key] = v
	return v
}

func (e *evaluator) make(name string, d source.Dialect) module.Value {
	o := &e.search.in.options
	if o.Modules != nil {
		if v, ok := o.Modules(name, d, e); ok {
			return v
		}
	}
	if e.layer == nil {
		e.layer = fields.New(e, fields.Host{
			Now: o.Now, Log: o.Log, Files: o.ModuleData,
			Read: func(n int64) bool { return e.work(n / 16) },
			Work: e.work,
			Gap: func(code showcause.Code) {
				e.search.in.gap(showcause.Gap{Trail: e.search.l.Trail, Code: code, Offset: 0, Length: -1})
			},
		})
	}
	if v, ok := e.layer.Module(name, d); ok {
		return v
	}
	if t := module.Load(name, d); t != nil {
		return module.Constants(t, nil)
	}
	return module.Value{}
}

// work charges for what a module does.
func (e *evaluator) work(n int64) bool {
	s := e.search
	s.matcher.Steps += n
	return !s.matcher.Exhausted()
}
