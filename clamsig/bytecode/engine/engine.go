// Package engine is what ClamAV's bytecode asks of an engine: the file that is
// scanned, what is known of it, and data structures and decoders. Run runs a
// program with all of that.
//
// Functions that read or take are bounded by the machine that runs the program: each
// charges it for what it does.
package engine

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
)

var le = binary.LittleEndian

// Context is what a program is run on.
type Context struct {
	Input showcause.Source
	// Counts and Offsets are how many matches the subsignatures of the trigger have,
	// and where the last of each begins, 0xffffffff for none. Nil where there was no
	// trigger.
	Counts  *[64]uint32
	Offsets *[64]uint32
	Exe     *Exe // nil where the input is no executable
	PDF     *PDFFile
	// Metadata is what was found out about the input, as encoding/json makes it of
	// JSON; nil if nothing was collected.
	Metadata any
	// Icon tells whether an icon of the input is of the two groups.
	Icon func(group1, group2 string) bool
	// Debug is given what the program prints; nil if nobody asks.
	Debug       func(string)
	Options     Options
	Work        int64 // steps, 0 for 100 million
	Memory      int64 // bytes, 0 for 64 MiB
	Environment Environment
}

// Result is what a run came to.
type Result struct {
	Return    uint32      // what the program returned
	Virus     string      // the name that it set last; "" for none
	Extracted []Extracted // files that it wrote, in order
	Work      int64       // steps
	// Disabled is what a program of kind Startup asks for: 1 that machine code be not
	// made of programs, 2 that none be run.
	Disabled int
}

// Extracted is a file that a program wrote.
type Extracted struct {
	Bytes  []byte
	Script bool // it is JavaScript that the program handed on as such
}

// run is one run of a program.
type run struct {
	*bytecode.Machine
	program *bytecode.Program
	ctx     *Context
	res     Result

	input    showcause.Source // the file, or what was written when input_switch asked for that
	switched bool
	pos      int64
	window   []byte // bytes of input read at windowAt
	windowAt int64
	out      []byte
	hashsets []hashset
	maps     []*table
	pipes    []*pipe
	streams  []*stream
	scripts  []*script
	jsons    []any
}

// Run runs the program. The error is a *bytecode.Fault; the result holds what was
// found until then.
func Run(p *bytecode.Program, ctx *Context) (Result, error) {
	m := run{program: p, ctx: ctx, input: ctx.Input}
	s := bytecode.Setup{Work: ctx.Work, Memory: ctx.Memory}
	s.Call = func(machine *bytecode.Machine, number int, args []uint64) uint64 {
		m.Machine = machine
		return calls[number-1].run(&m, args)
	}
	offsets := ctx.Offsets
	if offsets == nil {
		offsets = new([64]uint32)
		for i := range offsets {
			offsets[i] = 0xffffffff
		}
	}
	global := func(number int, b []byte) { s.Globals[number-bytecode.MatchCounts] = b }
	global(bytecode.MatchCounts, words(ctx.Counts))
	global(bytecode.HookKind, make([]byte, 2))
	global(bytecode.ExeData, ctx.Exe.data())
	global(bytecode.FileSize, m.size())
	global(bytecode.MatchOffsets, words(offsets))
	var err error
	m.res.Return, m.res.Work, err = p.Run(&s)
	extractNew(&m, nil) // what was not yet handed over
	for _, s := range m.streams {
		s.stop()
	}
	return m.res, err
}

func words(c *[64]uint32) []byte {
	b := make([]byte, 4*64)
	if c != nil {
		for i, v := range c {
			le.PutUint32(b[4*i:], v)
		}
	}
	return b
}

// size is how long the input is, as the program sees it.
func (m *run) size() []byte { return le.AppendUint32(nil, uint32(m.input.Size())) }
