// Package unpack derives the layers inside a layer. A Format says whether it
// can read a layer and hands what it finds to an Out: children in order, and
// gaps. The Out is the one place where bytes, objects, depth and work are
// charged to the limits of the input.
package unpack

import (
	"errors"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// Format is one container, compression or encoding.
type Format struct {
	// Name is the format's short name, the first part of the Op of each child.
	Name string
	// Match tells, cheaply, whether the layer may be read as this format. A
	// layer that several formats match is read as each of them.
	Match func(p *Probe) bool
	// Walk reads the layer and hands its children and gaps to out. Hostile
	// data is never an error: it is a gap. Walk returns when the layer is done
	// or out says that limits are spent.
	Walk func(l showcause.Source, out *Out)
}

// Probe is what Match may look at.
type Probe struct {
	Type   filetype.Type
	Head   []byte // the first bytes of the layer, HeadSize at most
	Source showcause.Source
	Name   string          // Out.Name: what the container calls the layer; see Named
	Trail  showcause.Trail // of the layer; Match may look at the Ops
	Near   *Places         // of Source; nil where nobody has looked for them

	also  []filetype.Type
	asked bool
}

// Also is filetype.Also of the layer, which is worked out once for all formats
// that ask.
func (p *Probe) Also() []filetype.Type {
	if !p.asked {
		p.asked, p.also = true, filetype.Also(p.Head, p.Source)
	}
	return p.also
}

// Is tells whether a layer is of a type, given by its name, by its first bytes or
// by others.
func (p *Probe) Is(name string) bool {
	if p.Type.String() == name {
		return true
	}
	for _, t := range p.Also() {
		if t.String() == name {
			return true
		}
	}
	return false
}

// Called tells whether the layer is called so by its container, its folder aside, in any letter case.
func (p *Probe) Called(name string) bool {
	return strings.EqualFold(p.Name[strings.LastIndexByte(p.Name, '/')+1:], name)
}

// HeadSize is the length in bytes of Probe.Head where the layer is that long.
const HeadSize = 64 << 10

// MaxName is how many bytes of a child's name are kept, for reports.
const MaxName = 4 << 10

// Child is a layer inside a layer, as a Format hands it over.
type Child struct {
	Name string // what the container calls it; the attacker's bytes; "" for none; MaxName of them are kept
	Op   string // how its bytes are derived, "zip.deflate"; from a closed set, our words

	// Reader gives the child's bytes. An error that is not io.EOF ends the
	// child: what was read is scanned, and the rest is a gap with the code of
	// the error (see Error), or "corrupt".
	//
	// If it is an io.Closer as well, it is closed when no more is read from it
	// and before the child is visited, which may take long and go deep: that is
	// where a decoder lets go of its tables and windows. It is not read after that.
	Reader io.Reader
	// Source is used in place of Reader where the bytes stand in the parent,
	// or in memory, as they are (bound.Section).
	Source showcause.Source

	// Size is the size in bytes that the container declares, -1 if none. It
	// only fills in the length of a gap; the Format judges lies itself.
	Size int64

	// Deflate says that the Reader inflates, and nothing else. That gives 1,032 bytes for
	// one at most and takes little time where it gives zeros: freeZeros of these count
	// for no ratio.
	Deflate bool

	// Member has the child told of as a member of that name, once its size is known: what holds it
	// says none.
	Member string

	in Rename // what its children are called
}

// Error is an error from a Child's Reader that names the gap's code.
type Error struct {
	Code showcause.Code
	Err  error // may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Fail returns an error that ends a Child's Reader with the given code.
func Fail(code showcause.Code) error { return &Error{Code: code} }

// codeOf returns the gap code for an error from a Child's Reader.
func codeOf(err error) showcause.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return showcause.Corrupt
}
