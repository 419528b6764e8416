package bytecode

import (
	"strconv"
	"strings"
)

// The formats of ClamAV 0.96 and of all later ones.
const (
	format096 = 6
	format    = 7
)

// maxText is how long a file may be. The longest official one has 30 kB.
const maxText = 8 << 20

// Kind is what a program is run on.
type Kind uint16

// The kinds (BytecodeKind in the API of ClamAV's compiler).
const (
	Generic       Kind = 0   // for its author's tests
	Startup       Kind = 1   // once, when an engine starts: it may turn bytecode off
	Logical       Kind = 256 // layers for which its trigger holds
	PEUnpacker    Kind = 257 // PE files; what it writes is the file unpacked
	PDF           Kind = 258 // PDF files, at several times
	PEAll         Kind = 259 // PE files, with all that their headers say
	Preclass      Kind = 260 // every layer, after all else
	ELFUnpacker   Kind = 261
	MachOUnpacker Kind = 262
	kindEnd       Kind = 263
)

// Program is a program that was verified: whatever it is run on, it reads and
// writes nothing but what it was given. It does not change, so that many may run
// it at a time.
type Program struct {
	Format   int
	Compiled int64 // seconds since 1970
	Maker    string
	Compiler string
	Kind     Kind
	MinLevel int // of the engine, 0 for any
	MaxLevel int
	// Trigger is a logical signature, as a line of a .ldb file; "" where the program
	// is run on all that its kind is for, and then Name is the rule's name.
	Trigger string
	Name    string

	types   []typ
	apis    [Functions + 1]bool // by number, from 1: declared
	globals []global
	bytes   []byte // the globals as a run finds them
	fns     []fn
	nodes   int // of debug data
}

type global struct {
	id     int // type
	at     int // in bytes
	values []uint64
}

// Load reads and verifies the text of a .cbc file for an engine of the level
// (ClamAV 1.4.6: 216). The error is an *Error.
//
// Every type, operand, jump and call is proven to be within bounds; what depends on
// values, as where a pointer leads, is tried by Run when it comes to it.
func Load(text []byte, level int) (*Program, error) {
	if len(text) > maxText {
		return nil, &Error{Line: 1, Cause: "more than " + strconv.Itoa(maxText) + " bytes"}
	}
	l := loader{rest: string(text), left: len(text)}
	if err := l.load(level); err != nil {
		return nil, err
	}
	return l.p, nil
}

type loader struct {
	p    *Program
	rest string
	line int
	most int // bytes that a line may have
	left int // of the text, which bounds what is allocated
	done bool
}

// next gives the next line.
func (l *loader) next() *cursor {
	c := &cursor{line: l.line + 1}
	if l.rest == "" {
		c.fail("the file ends too early")
		return c
	}
	l.line++
	line, rest, _ := strings.Cut(l.rest, "\n")
	l.rest = rest
	if c.s = strings.TrimRight(line, "\r"); l.most > 0 && len(line)+2 > l.most {
		c.fail("%d bytes, the header says less than %d", len(line), l.most)
	}
	return c
}

func (l *loader) load(level int) *Error {
	l.p = new(Program)
	c := l.next()
	types, fns := l.header(c, level)
	if c.err != nil {
		return c.err
	}
	if c = l.next(); c.err == nil {
		if l.p.Name = c.s; strings.Contains(c.s, ";") {
			l.p.Name, l.p.Trigger = "", c.s
		}
		c = l.next()
		l.p.readTypes(c, types)
	}
	for _, step := range []func(*cursor){l.readAPIs, l.readGlobals} {
		if c.err != nil {
			return c.err
		}
		c = l.next()
		step(c)
	}
	if c.err != nil {
		return c.err
	}
	if err := l.functions(fns); err != nil {
		return err
	}
	return l.kind()
}

// header reads the first line.
func (l *loader) header(c *cursor, level int) (types, fns int) {
	const head = "ClamBC"
	if !strings.HasPrefix(c.s, head) {
		c.fail("it does not begin with %s", head)
		return 0, 0
	}
	c.off = len(head)
	p := l.p
	p.Format = int(min(c.number(), 1<<16))
	if c.err == nil && p.Format != format096 && p.Format != format {
		c.fail("format %d; %d and %d are known", p.Format, format096, format)
		c.err.Skip = true
		return 0, 0
	}
	p.Compiled = int64(c.number())
	p.Maker = c.text()
	c.number() // targets that it is not for: nobody asks
	k := c.number()
	lo, hi := c.number(), c.number()
	if c.err == nil && (lo > uint64(level) || hi != 0 && hi < uint64(level)) {
		c.fail("for engines of level %d to %d, not %d", lo, hi, level)
		c.err.Skip = true
		return 0, 0
	}
	p.Kind, p.MinLevel, p.MaxLevel = Kind(min(k, 1<<16-1)), int(lo), int(min(hi, 1<<31))
	c.number() // resources: nobody asks
	p.Compiler = c.text()
	types, fns = int(min(c.number(), maxText)), c.count("functions", l.left)
	magic, second := c.number(), c.nibbles(2)
	if c.err == nil && (magic != 0x53e5493e9f3d1c30 || second != 42) {
		c.fail("the numbers that every header has are %#x and %d", magic, second)
	}
	c.letter(':', "length of lines")
	if c.err == nil {
		n, err := strconv.Atoi(c.s[c.off:])
		if err != nil || n <= 0 {
			c.fail("%q is no length of lines", c.s[c.off:])
		}
		l.most = n
	}
	return types, fns
}

// kind is the last check: a kind that is not known, or that lacks its trigger, is
// none that ClamAV loads.
func (l *loader) kind() *Error {
	switch k := l.p.Kind; {
	case k >= Logical && k < kindEnd, k == Startup, k == Generic:
	default:
		return &Error{Line: 1, Cause: "kind " + strconv.Itoa(int(k))}
	}
	if l.p.Kind == Logical && l.p.Trigger == "" {
		return &Error{Line: 2, Cause: "a program for a logical signature without one"}
	}
	return nil
}

// readAPIs reads which functions of the engine are called.
func (l *loader) readAPIs(c *cursor) {
	c.letter('E', "line of API functions")
	most := c.number()
	if c.err == nil && most > Functions {
		c.fail("it calls API function %d; %d are known", most, Functions)
		c.err.Skip = true
		return
	}
	n := c.count("API functions", int(most))
	for i := 0; i < n && c.err == nil; i++ {
		id, t, name := c.number(), l.p.typeID(c), c.text()
		switch {
		case c.err != nil:
		case id == 0 || id > most:
			c.fail("there is no API function %d", id)
		case apis[id-1].name != name:
			c.fail("API function %d is %s, not %q", id, apis[id-1].name, name)
		case !l.p.hasType(t, apis[id-1].proto):
			c.fail("API function %s has another type", name)
		default:
			l.p.apis[id] = true
		}
	}
	c.end()
}

// hasType tells whether the type is the function that the prototype describes.
func (p *Program) hasType(id int, proto string) bool {
	t := p.at(id)
	if t == nil || t.kind != function || len(t.of) != len(proto) {
		return false
	}
	for i, want := range proto {
		switch has := t.of[i]; want {
		case 'i':
			if has != 32 {
				return false
			}
		case 'p':
			if has != bytePointer {
				return false
			}
		default:
			to := p.at(has)
			if to == nil || to.kind != pointer || p.flat(to.of[0]) != layouts[byte(want)] {
				return false
			}
		}
	}
	return true
}

// readGlobals reads the constants that all functions share.
func (l *loader) readGlobals(c *cursor) {
	p := l.p
	c.letter('G', "line of globals")
	if most := c.number(); c.err == nil && most > lastGlobal {
		c.fail("it uses global %#x; %#x is the last known", most, lastGlobal)
		c.err.Skip = true
		return
	}
	n := c.count("globals", len(c.s))
	for i := 0; i < n && c.err == nil; i++ {
		g := global{id: p.typeID(c)}
		comps := p.components(c, g.id)
		g.values = readConstant(c, comps)
		p.globals = append(p.globals, g)
	}
	c.end()
	total := 0
	for i := range p.globals {
		g := &p.globals[i]
		a := p.align(g.id)
		total = (total + a - 1) / a * a
		g.at = total
		if total += p.size(g.id); total > maxSize {
			c.fail("globals of more than %d bytes", maxSize)
			return
		}
	}
	if c.err != nil {
		return
	}
	p.bytes = make([]byte, total)
	for i := range p.globals {
		g := &p.globals[i]
		p.fill(c, p.bytes[g.at:g.at+p.size(g.id)], g.id, g.values)
	}
}

// readConstant reads the parts of a global; "@`" stands for nothing but zeros, and
// gives nil.
func readConstant(c *cursor, comps int) []uint64 {
	if strings.HasPrefix(c.s[min(c.off, len(c.s)):], "@`") {
		c.off += 2
		return nil
	}
	var v []uint64
	for c.err == nil && c.peek() != 0x60 {
		if len(v) == comps {
			c.fail("column %d: a global has more than its %d parts", c.off+1, comps)
			return nil
		}
		v = append(v, c.digits(c.peek()|0x20))
	}
	if c.err == nil && len(v) != comps {
		c.fail("column %d: a global has %d parts, its type %d", c.off+1, len(v), comps)
	}
	c.off++
	return v
}

// components is how many numbers make up a constant: a pointer has two.
func (p *Program) components(c *cursor, id int) int {
	t := p.at(id)
	if t == nil {
		return 1
	}
	n := 0
	switch t.kind {
	case function:
		c.fail("a global that is a function")
	case pointer:
		return 2
	case array:
		if n = p.components(c, t.of[0]) * t.n; n > maxSize {
			c.fail("a global of %d parts", n)
		}
	default:
		for _, f := range t.of {
			if n += p.components(c, f); n > maxSize {
				c.fail("a global of %d parts", n)
				break
			}
		}
	}
	return n
}

// fill writes a constant to where it stands and returns the parts behind it.
func (p *Program) fill(c *cursor, to []byte, id int, v []uint64) []uint64 {
	t := p.at(id)
	if len(v) == 0 {
		if t == nil || t.kind != pointer {
			return nil
		}
		v = []uint64{0, 0}
	}
	if t == nil {
		put(to, v[0])
		return v[1:]
	}
	switch t.kind {
	case pointer:
		off, of := v[0], v[1]
		switch {
		case of >= firstGlobal && of <= lastGlobal:
			put(to, (of-firstGlobal+1)<<32|off&0xffffffff)
		case of < uint64(len(p.globals)):
			put(to, globalSegment<<32|uint64(uint32(p.globals[of].at)+uint32(off)))
		default:
			c.fail("a pointer to global %d, of %d", of, len(p.globals))
		}
		return v[2:]
	case array:
		n := p.size(t.of[0])
		for i := range t.n {
			v = p.fill(c, to[i*n:(i+1)*n], t.of[0], v)
		}
	default:
		for _, f := range t.of {
			n := p.size(f)
			v = p.fill(c, to[:n], f, v)
			to = to[n:]
		}
	}
	return v
}

// put writes a number over all of to, least byte first.
func put(to []byte, v uint64) {
	for i := range to {
		to[i] = byte(v >> (8 * i))
	}
}
