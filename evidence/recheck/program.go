package recheck

import (
	"errors"
	"fmt"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/clamsig/bytecode/engine"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/exe"
)

// program takes what triggers a program in ClamAV's bytecode.
type program struct {
	name  string
	found *body
	skip  string
}

func (p *program) Rule(r *rule.Rule) error {
	if r.Name != p.name {
		return nil // another name of it
	}
	b, err := newBody(r)
	p.found = b
	return err
}

func (p *program) Digest(*rule.DigestRule) error { return nil }
func (p *program) Skip(s clamsig.Skip)           { p.skip = s.Detail }

// compileProgram reads the text of a .cbc file. The program is run again, where its
// trigger holds, and has to find what was claimed.
func compileProgram(r *Rule) (test, error) {
	sink := program{name: r.Name}
	if _, err := clamsig.LoadReader("rule.cbc", strings.NewReader(r.Text), clamsig.Options{BytecodeUnsigned: true}, &sink); err != nil {
		return nil, err
	}
	p, err := bytecode.Load([]byte(r.Text), clamsig.DefaultLevel)
	if err != nil || sink.found == nil {
		return nil, fmt.Errorf("its text is no program that finds %s: %s %v", showcause.Escape(r.Name), sink.skip, err)
	}
	return func(w *walk, l *layer, targets []rule.Target) {
		sink.found.test(w, l, targets)
		if !w.out.Holds {
			return
		}
		ctx := engine.Context{Input: l.Source, Exe: executable(l, p.Kind), Work: max(w.budget.Limits.Work-w.budget.Spent.Work, 1)}
		if p.Trigger != "" {
			ctx.Counts, ctx.Offsets = triggered(w.out.Counts, w.out.Matches)
		}
		if p.Kind == bytecode.PDF {
			file := engine.ReadPDF(l.Source)
			file.Phase = 1
			ctx.PDF = &file
		}
		res, err := engine.Run(p, &ctx)
		w.budget.Work(res.Work)
		if w.out.Holds = err == nil && res.Virus == r.Name; !w.out.Holds {
			if fault := (*bytecode.Fault)(nil); errors.As(err, &fault) && fault.Kind == bytecode.WorkLimit {
				w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
			}
			w.differ("rule", "that the program finds "+showcause.Escape(r.Name), fmt.Sprintf("%q, %v", showcause.Escape(res.Virus), err))
		}
	}, nil
}

// triggered is what a program is told of its trigger.
func triggered(n []uint32, matches []showcause.Match) (counts, offsets *[64]uint32) {
	counts, offsets = new([64]uint32), new([64]uint32)
	copy(counts[:], n)
	for i := range offsets {
		offsets[i] = 0xffffffff
	}
	for _, m := range matches {
		if m.Pattern < len(offsets) {
			offsets[m.Pattern] = min(offsets[m.Pattern], uint32(m.Offset))
		}
	}
	return counts, offsets
}

// executable is what a program is told of the layer.
func executable(l *layer, k bytecode.Kind) *engine.Exe {
	if l.exe == nil {
		return nil
	}
	e := &engine.Exe{Entry: uint32(max(l.exe.Entry, 0))}
	for _, s := range l.exe.Sections {
		e.Sections = append(e.Sections, engine.Section{
			RVA: uint32(s.Virtual), VirtualSize: uint32(s.VirtualSize), Raw: uint32(s.Offset), RawSize: uint32(s.Size),
		})
	}
	if l.exe.Kind == exe.PE {
		e.Headers(l.Source, k == bytecode.PEAll || k == bytecode.PEUnpacker)
		if o := l.exe.Overlay; o >= 0 {
			e.Overlay, e.OverlaySize = uint32(o), uint32(max(l.Source.Size()-o, 0))
		}
	}
	return e
}
