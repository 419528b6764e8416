package bytecode

import "strconv"

// Type identifiers: 0 is void, up to 64 an integer of so many bits, from 65 an
// index into the types of the file. The first four of these are the pointers to
// i8, i16, i32 and i64, and do not stand in it.
const (
	firstType   = 65
	staticTypes = 4
	bytePointer = 65
	startType   = firstType + staticTypes // the first that stands in a file
)

type kind uint8

const (
	function kind = iota
	pointer
	structure
	packed
	array
)

// maxSize is how many bytes a type may have, and all globals together.
const maxSize = 1 << 24

type typ struct {
	kind  kind
	of    []int // function: what it returns, then its parameters; pointer and array: one; structures: fields
	n     int   // array: elements
	size  int   // bytes, as the interpreter lays it out: structures without padding
	align int
	sized uint8 // 0 not yet, 1 under way, 2 done
}

// types reads the line of types.
func (p *Program) readTypes(c *cursor, n int) {
	c.letter('T', "line of types")
	if start := c.nibbles(2); c.err == nil && start != startType {
		c.fail("types begin at %d, not at %d", start, startType)
		c.err.Skip = true
		return
	}
	// The declared number counts one more than there are.
	if n < staticTypes+1 || n-staticTypes-1 > len(c.s) {
		c.fail("%d types", n)
		return
	}
	p.types = make([]typ, n-1)
	for i := range staticTypes {
		p.types[i] = typ{kind: pointer, of: []int{8 << i}}
	}
	for i := staticTypes; i < len(p.types) && c.err == nil; i++ {
		p.readType(c, &p.types[i], i)
	}
	c.end()
	for i := range p.types {
		if c.err != nil {
			return
		}
		p.sizeOf(c, firstType+i)
	}
}

func (p *Program) readType(c *cursor, t *typ, i int) {
	members := func() {
		n := c.count("members of a type", len(c.s))
		for range n {
			t.of = append(t.of, p.typeID(c))
		}
	}
	switch k := c.nibbles(1); k {
	case 1:
		t.kind = function
		members()
		if len(t.of) == 0 {
			c.fail("type %d: a function that has no type to return", firstType+i)
		}
	case 2, 3:
		t.kind = structure
		if k == 2 {
			t.kind = packed
		}
		members()
	case 4:
		t.kind = array
		t.n = int(min(c.number(), maxSize+1))
		t.of = []int{p.typeID(c)}
	case 5:
		t.kind = pointer
		t.of = []int{p.typeID(c)}
	default:
		c.fail("type %d: kind %d", firstType+i, k)
	}
}

// typeID reads a type's number.
func (p *Program) typeID(c *cursor) int {
	t := c.number()
	if c.err == nil && t >= uint64(firstType+len(p.types)) {
		c.fail("there is no type %d", t)
		return 0
	}
	return int(t)
}

// sizeOf works out how large a type is. One that holds itself has no size.
func (p *Program) sizeOf(c *cursor, id int) (size, align int) {
	if id < firstType {
		size = intSize(id)
		return size, max(size, 1)
	}
	t := &p.types[id-firstType]
	switch t.sized {
	case 2:
		return t.size, t.align
	case 1:
		c.fail("type %d holds itself", id)
		return 0, 1
	}
	t.sized, t.size, t.align = 1, 8, 8
	switch t.kind {
	case structure, packed:
		t.size = 0
		for _, f := range t.of {
			n, _ := p.sizeOf(c, f)
			t.size += n
			if t.size > maxSize {
				break
			}
		}
	case array:
		n, a := p.sizeOf(c, t.of[0])
		t.size, t.align = n*t.n, a
	}
	if t.size > maxSize {
		c.fail("type %d has more than %d bytes", id, maxSize)
		t.size = 0
	}
	t.sized = 2
	return t.size, t.align
}

func (p *Program) size(id int) int {
	if id < firstType {
		return intSize(id)
	}
	return p.types[id-firstType].size
}

func (p *Program) align(id int) int {
	if id < firstType {
		return max(intSize(id), 1)
	}
	return p.types[id-firstType].align
}

// at is the type with the number, nil for void and integers.
func (p *Program) at(id int) *typ {
	if id < firstType {
		return nil
	}
	return &p.types[id-firstType]
}

func intSize(bits int) int {
	switch {
	case bits == 0:
		return 0
	case bits <= 8:
		return 1
	case bits <= 16:
		return 2
	case bits <= 32:
		return 4
	}
	return 8
}

// flat is the layout of a type: the widths of what it is made of, and how many of
// each follow each other, as "32*7 8*464". Pointers are "p".
func (p *Program) flat(id int) string {
	var widths []int
	var add func(id, depth int)
	add = func(id, depth int) {
		t := p.at(id)
		switch {
		case len(widths) > 4096 || depth > 16:
		case t == nil:
			widths = append(widths, id)
		case t.kind == array:
			for range t.n {
				if add(t.of[0], depth+1); len(widths) > 4096 {
					return
				}
			}
		case t.kind == structure || t.kind == packed:
			for _, f := range t.of {
				add(f, depth+1)
			}
		default:
			widths = append(widths, -1)
		}
	}
	add(id, 0)
	out := []byte(nil)
	for i := 0; i < len(widths); {
		n := 1
		for i+n < len(widths) && widths[i+n] == widths[i] {
			n++
		}
		if i > 0 {
			out = append(out, ' ')
		}
		if widths[i] < 0 {
			out = append(out, 'p')
		} else {
			out = strconv.AppendInt(out, int64(widths[i]), 10)
		}
		if n > 1 {
			out = append(out, '*')
			out = strconv.AppendInt(out, int64(n), 10)
		}
		i += n
	}
	return string(out)
}
