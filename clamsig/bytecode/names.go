package bytecode

import (
	"bytes"
	"slices"
)

// Names are the names that the program gives what it finds, where they are
// constants, in the order in which they stand.
func (p *Program) Names() []string {
	number, _ := Prototype("setvirusname")
	var names []string
	for i := range p.fns {
		for _, in := range p.fns[i].code {
			if in.op != opCallAPI || in.to+1 != number || in.ops[0]&inGlobals == 0 {
				continue
			}
			at := int(in.ops[0] &^ inGlobals)
			ptr := le.Uint64(p.bytes[at:])
			off := int(uint32(ptr))
			if ptr>>32 != globalSegment || off >= len(p.bytes) {
				continue
			}
			name, _, _ := bytes.Cut(p.bytes[off:], []byte{0})
			if s := string(name); s != "" && !slices.Contains(names, s) {
				names = append(names, s)
			}
		}
	}
	return names
}

// Texts are the constants of the program that are bytes.
func (p *Program) Texts() [][]byte {
	var out [][]byte
	for _, g := range p.globals {
		if t := p.at(g.id); t != nil && t.kind == array && t.of[0] == 8 && t.n > 0 {
			out = append(out, p.bytes[g.at:g.at+t.n:g.at+t.n])
		}
	}
	return out
}
