package scan

import (
	"bytes"
	"errors"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/clamsig/bytecode/engine"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
)

// programSteps is what one program may take of a layer, at most. ClamAV bounds the time,
// to about as much.
const programSteps = 1 << 28

// pdfPhases are the times at which ClamAV runs programs for PDF files: in front of
// all, when the objects are known, and at the end.
var pdfPhases = []int{4, 1, 3}

// programs runs those of the rules that fired that are programs, and drops those that
// found nothing.
func (s *search) programs(fired []uint32) []uint32 {
	kept := fired[:0]
	for _, r := range fired {
		if is, _ := s.in.db.Bytecode(r); is {
			name, found := s.program(r)
			if !found {
				continue
			}
			if s.named == nil {
				s.named = map[uint32]uint32{}
			}
			s.named[r] = s.in.rowOf(r, name)
		}
		kept = append(kept, r)
	}
	return kept
}

// reported is the rule that a finding of a rule stands for: a program has one for each
// of its names.
func (s *search) reported(r uint32) uint32 {
	if named, ok := s.named[r]; ok {
		return named
	}
	return r
}

// rowOf is the rule that has the name among those of a program.
func (in *input) rowOf(r uint32, name string) uint32 {
	for i := r; int(i) < in.db.Rules(); i++ {
		if _, alias := in.db.Bytecode(i); i > r && !alias {
			break
		}
		if in.db.Name(i) == name {
			return i
		}
	}
	return r
}

// bytecode gives the program that a rule is, nil if it is damaged.
func (s *Scanner) bytecode(r uint32) *bytecode.Program {
	if p, ok := s.loaded[r]; ok {
		return p
	}
	var p *bytecode.Program
	if text, err := s.db.Program(r); err == nil {
		p, _ = bytecode.Load(text, engine.DefaultLevel)
	}
	if s.loaded == nil {
		s.loaded = map[uint32]*bytecode.Program{}
	}
	s.loaded[r] = p
	return p
}

// program runs one and returns the name that it gave what it found.
func (s *search) program(r uint32) (name string, found bool) {
	p := s.in.bytecode(r)
	if p == nil {
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.Unreadable + ".rules", Offset: 0, Length: -1})
		return "", false
	}
	ctx := engine.Context{Input: s.l.Source, Exe: s.l.executable(p.Kind)}
	if p.Trigger != "" {
		ctx.Counts, ctx.Offsets = s.tally(r)
	}
	if p.Kind != bytecode.PDF {
		return s.run(p, &ctx)
	}
	file := engine.ReadPDF(s.l.Source)
	for _, phase := range pdfPhases {
		of := file
		if of.Phase = phase; phase == pdfPhases[0] {
			of.Objects = nil
		}
		ctx.PDF = &of
		if name, found = s.run(p, &ctx); found {
			break
		}
	}
	return name, found
}

func (s *search) run(p *bytecode.Program, ctx *engine.Context) (name string, found bool) {
	ctx.Work = min(max((s.matcher.Limit-s.matcher.Steps)/2, 1), programSteps)
	res, err := engine.Run(p, ctx)
	s.matcher.Steps += res.Work
	if fault := (*bytecode.Fault)(nil); errors.As(err, &fault) {
		gap := showcause.Gap{Trail: s.l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1}
		switch fault.Kind {
		case bytecode.Broken:
			gap.Code = showcause.Unsupported + ".bytecode"
		case bytecode.Unreadable:
			gap.Code = showcause.Changed
		}
		s.in.gap(gap)
	}
	top := s.l
	if top.origin != nil {
		top = top.origin
	}
	top.written = append(top.written, res.Extracted...)
	return res.Virus, err == nil && res.Virus != ""
}

// tally is how many matches the rule's patterns have, and where the first of each is.
func (s *search) tally(r uint32) (counts, offsets *[64]uint32) {
	counts, offsets = new([64]uint32), new([64]uint32)
	for i := range offsets {
		offsets[i] = 0xffffffff
	}
	for sub, p := range s.in.db.Rule(r).Patterns {
		if i := s.state[p]; i != 0 && sub < len(counts) {
			if found := s.seen[i-1].found; len(found) > 0 {
				counts[sub], offsets[sub] = uint32(len(found)), uint32(found[0].Offset)
			}
		}
	}
	return counts, offsets
}

// executable is what a program is told of the layer, nil if it is no executable.
func (l *layer) executable(k bytecode.Kind) *engine.Exe {
	if l.exe == nil {
		return nil
	}
	e := &engine.Exe{Entry: uint32(max(l.exe.Entry, 0))}
	for _, s := range l.exe.Sections {
		e.Sections = append(e.Sections, engine.Section{
			RVA: uint32(s.Virtual), VirtualSize: uint32(s.VirtualSize), Raw: uint32(s.Offset), RawSize: uint32(s.Size),
		})
	}
	if rule.Target(l.kind.Target()) == rule.PE {
		e.Headers(l.Source, k == bytecode.PEAll || k == bytecode.PEUnpacker)
		if o := l.exe.Overlay; o >= 0 {
			e.Overlay, e.OverlaySize = uint32(o), uint32(max(l.Source.Size()-o, 0))
		}
	}
	return e
}

// outputs scans the files that programs wrote.
func (in *input) outputs(l *layer) {
	files := l.written
	l.written = nil
	for _, f := range files {
		op := "bytecode.file"
		if f.Script {
			op = "bytecode.script"
		}
		if !l.out.Child(unpack.Child{Op: op, Reader: bytes.NewReader(f.Bytes), Size: int64(len(f.Bytes))}) {
			return
		}
	}
}
