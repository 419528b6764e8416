package unpack

// A Rename gives the children of a layer the words of a format that knows more
// of them than the layer itself says: a file in a layer of a container image is
// there or hidden. It is given each child as the layer's format has it, and
// returns the Op that it is to have. further says that the child is a shell, a
// compressed form, and its children are renamed in its place.
//
// It must return the same for the same child, however often it is asked.
type Rename func(c Child) (op string, further bool)

// mark is what Mark said of a stretch.
type mark struct {
	op string
	in Rename
}

// Mark says how the stretch [off, off+n) of the layer is derived, op, and what
// its children are called, should a format that comes later give it by Section.
// So what is read, and where, is that format's alone.
func (o *Out) Mark(off, n int64, op string, in Rename) {
	if o.marks == nil {
		o.marks = map[Span]mark{}
	}
	o.marks[Span{off, off + n}] = mark{op, in}
}

// named applies to a child what is known of it.
func (o *Out) named(c Child) Child {
	if o.rename == nil {
		return c
	}
	op, further := o.rename(c)
	c.Op = op
	if further && c.in == nil {
		c.in = o.rename
	}
	return c
}

// Name returns what the container calls the layer, "" for the input itself and
// where there is no name.
func (o *Out) Name() string {
	if len(o.trail) == 0 {
		return ""
	}
	return o.trail[len(o.trail)-1].Name
}
