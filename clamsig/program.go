package clamsig

import (
	"errors"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/clamsig/bytecode/engine"
	"github.com/showcause/showcause/rule"
)

// maxProgram is how many bytes a .cbc file may have. The longest official one has
// 30 kB.
const maxProgram = 8 << 20

// program reads a .cbc file: one program. ClamAV loads only those that are in a
// signed container, unless it is asked for others too.
func (f *file) program(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxProgram+1))
	if err != nil {
		return err
	}
	f.stats.Lines = strings.Count(string(text), "\n")
	name, unfit := f.load(text)
	switch {
	case unfit == nil:
		f.stats.Loaded++
	case unfit.reason == Malformed && f.l.opt.Strict:
		return errorAt(f.name, f.line, unfit.detail)
	default:
		f.skip(name, unfit)
	}
	return nil
}

func (f *file) load(text []byte) (name string, unfit *refusal) {
	if f.l.opt.NoBytecode {
		return "", outside(Bytecode, "programs are not asked for")
	}
	if !f.official && !f.l.opt.BytecodeUnsigned {
		return "", outside(Bytecode, "a program that is not signed")
	}
	p, err := bytecode.Load(text, int(f.l.level))
	if bad := (*bytecode.Error)(nil); errors.As(err, &bad) {
		f.line = bad.Line
		if bad.Skip {
			return "", outside(FunctionalityLevel, "%s", bad.Cause)
		}
		return "", malformed("%s", bad.Cause)
	}
	f.line, f.bytecode, f.text = 1, p, string(text)
	if p.Kind == bytecode.Startup || p.Kind == bytecode.Generic {
		return p.Name, f.startup(p)
	}
	if p.Trigger != "" {
		name, unfit = f.ldb(p.Trigger)
		if unfit == nil || unfit.known {
			f.stats.Known++ // of programs, clamscan counts those that have a trigger
		}
		return name, known(unfit, false)
	}
	f.l.parser.reset(hooked(p.Kind))
	return p.Name, f.emit(p.Name, "", hooked(p.Kind), rule.Guard{}, rule.Node{Op: rule.True})
}

// known says of a refusal whether clamscan counts what was refused.
func known(r *refusal, is bool) *refusal {
	if r != nil {
		r.known = is
	}
	return r
}

// startup runs a program that an engine runs when it starts: it may say that programs
// are not to be run. One that is for its author's tests is left out.
func (f *file) startup(p *bytecode.Program) *refusal {
	const content = 0xda7aba5e
	if p.Kind == bytecode.Generic {
		return malformed("a program that no scan runs")
	}
	res, err := engine.Run(p, &engine.Context{Input: showcause.Bytes(nil), Environment: engine.Environment{Level: uint32(f.l.level)}})
	if err != nil || res.Return != content || res.Disabled > 1 {
		return outside(Bytecode, "it says that programs are not to be run: %#x, %v", res.Return, err)
	}
	return nil
}

// hooked is what layers a program without a trigger is run on.
func hooked(k bytecode.Kind) rule.Target {
	switch k {
	case bytecode.PEUnpacker, bytecode.PEAll:
		return rule.PE
	case bytecode.ELFUnpacker:
		return rule.ELF
	case bytecode.MachOUnpacker:
		return rule.MachO
	case bytecode.PDF:
		return rule.PDF
	}
	return rule.Any
}

// emitProgram emits the rule that is a program, and one for each further name that it
// may give what it finds. ClamAV adds nothing to these names.
func (f *file) emitProgram(name string, t rule.Target, g rule.Guard, n rule.Node) *refusal {
	names := f.bytecode.Names()
	if len(names) == 0 {
		name, _, _ = strings.Cut(name, ".{")
		names = []string{name}
	}
	for i, name := range names {
		f.l.rule = rule.Rule{
			Origin: rule.Origin{Name: name, File: f.name, Line: 1, Text: f.text},
			Target: t, Guard: g, Patterns: f.l.parser.patterns, Later: f.l.parser.later, Cond: n, Bytecode: &rule.Bytecode{Alias: i > 0},
		}
		counted(&f.l.rule)
		if err := f.l.sink.Rule(&f.l.rule); err != nil {
			return unsupported(Pattern, "%v", err)
		}
	}
	return nil
}
