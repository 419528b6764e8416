// Package unpacktest is the conformance suite for every unpack.Format. A
// format's own tests say what it finds in a sample; this package says what
// holds for all formats and all bytes: no panic, no lost byte without a gap,
// no limit passed, the same answer twice.
package unpacktest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Child is one child as the scanner would see it.
type Child struct {
	Trail  showcause.Trail
	Index  int
	Op     string
	Name   string
	Data   []byte // at most KeepSize bytes from its start
	Size   int64
	Digest [sha256.Size]byte // of all bytes
}

// KeepSize is how many bytes of a child a Result keeps.
const KeepSize = 1 << 20

// Result is what one Walk gave.
type Result struct {
	Children []Child
	Gaps     []showcause.Gap
	Spent    showcause.Spent
	Expanded int64 // bytes of all children
}

// Unread tells whether some gap makes the verdict incomplete.
func (r Result) Unread() bool {
	for _, g := range r.Gaps {
		if g.Code.Unread() {
			return true
		}
	}
	return false
}

// Has tells whether a gap has the code, or is a narrower form of it.
func (r Result) Has(code showcause.Code) bool {
	for _, g := range r.Gaps {
		if g.Code == code || strings.HasPrefix(string(g.Code), string(code)+".") {
			return true
		}
	}
	return false
}

// Contains tells whether the kept bytes of some child contain s.
func (r Result) Contains(s string) bool {
	for _, c := range r.Children {
		if bytes.Contains(c.Data, []byte(s)) {
			return true
		}
	}
	return false
}

// Ops lists the children as "op name; op name".
func (r Result) Ops() string {
	var out []string
	for _, c := range r.Children {
		out = append(out, strings.TrimSpace(c.Op+" "+c.Name))
	}
	return strings.Join(out, "; ")
}

// Child is the bytes of the first child of an op and a name. That there is none fails the test.
func (r Result) Child(t testing.TB, op, name string) string {
	t.Helper()
	for _, c := range r.Children {
		if c.Op == op && c.Name == name {
			return string(c.Data)
		}
	}
	t.Errorf("no %s %q; there are %s", op, name, r.Ops())
	return ""
}

// String lists children and gaps, one on a line.
func (r Result) String() string {
	var b strings.Builder
	for _, c := range r.Children {
		fmt.Fprintf(&b, "child %d %s %q size %d digest %x\n", c.Index, c.Op, c.Name, c.Size, c.Digest[:6])
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "gap %s offset %d length %d at %q\n", g.Code, g.Offset, g.Length, g.Trail.String())
	}
	return b.String()
}

// Probe returns what Match of a format is given for data.
func Probe(src showcause.Source) *unpack.Probe {
	head := bound.Head(src, unpack.HeadSize)
	return &unpack.Probe{Type: filetype.Detect(head, src), Head: head, Source: src}
}

// Walk reads data as f within limits and collects all that it gives. It does
// not ask Match, and it checks what the contract demands of each call.
func Walk(t testing.TB, f unpack.Format, data []byte, limits showcause.Limits) Result {
	t.Helper()
	return WalkSource(t, f, showcause.Bytes(data), limits)
}

// WalkSource is Walk for a layer that is not held in memory.
func WalkSource(t testing.TB, f unpack.Format, src showcause.Source, limits showcause.Limits) Result {
	t.Helper()
	var r Result
	b := unpack.NewBudget(limits, src.Size(), func() (unpack.File, error) { return &scratch{}, nil })
	out := unpack.NewOut(b, nil, func(l showcause.Layer) {
		r.Children = append(r.Children, collect(t, f, l))
		r.Expanded += l.Source.Size()
	}, func(g showcause.Gap) {
		if g.Code == "" || g.Offset < 0 || g.Length < -1 {
			t.Errorf("%s: malformed gap %+v", f.Name, g)
		}
		r.Gaps = append(r.Gaps, g)
	})
	f.Walk(src, out)
	r.Spent = b.Spent
	return r
}

// collect reads a child to its end, and once more in small reads from the
// middle, which must agree.
func collect(t testing.TB, f unpack.Format, l showcause.Layer) Child {
	t.Helper()
	if len(l.Trail) == 0 {
		t.Fatalf("%s: child without a trail", f.Name)
	}
	last := l.Trail[len(l.Trail)-1]
	if last.Op != f.Name && !strings.HasPrefix(last.Op, f.Name+".") {
		t.Errorf("%s: child's operation %q does not begin with the format's name", f.Name, last.Op)
	}
	c := Child{Trail: l.Trail, Index: last.Index, Op: last.Op, Name: last.Name, Size: l.Source.Size()}
	h := sha256.New()
	n, err := io.Copy(h, io.TeeReader(io.NewSectionReader(l.Source, 0, c.Size), &keep{&c.Data}))
	if err != nil || n != c.Size {
		t.Errorf("%s: child %d: read %d of %d bytes: %v", f.Name, c.Index, n, c.Size, err)
	}
	h.Sum(c.Digest[:0])
	if mid := len(c.Data) / 2; mid > 0 {
		p := make([]byte, min(len(c.Data)-mid, 64))
		if n, err := l.Source.ReadAt(p, int64(mid)); n < len(p) || err != nil && err != io.EOF || !bytes.Equal(p, c.Data[mid:mid+n]) {
			t.Errorf("%s: child %d: ReadAt(%d) differs from reading in order: %d, %v", f.Name, c.Index, mid, n, err)
		}
	}
	return c
}

// keep takes the first KeepSize bytes.
type keep struct{ p *[]byte }

func (k *keep) Write(p []byte) (int, error) {
	*k.p = append(*k.p, p[:min(len(p), KeepSize-len(*k.p))]...)
	return len(p), nil
}

// scratch is a spill file held in memory. Pages that are never written are holes.
type scratch struct {
	pages map[int64][]byte
	size  int64
	shut  bool
}

const page = 64 << 10

var errShut = errors.New("scratch file: already closed")

func (s *scratch) WriteAt(p []byte, off int64) (int, error) {
	if s.shut {
		return 0, errShut
	}
	if s.pages == nil {
		s.pages = map[int64][]byte{}
	}
	n := len(p)
	s.size = max(s.size, off+int64(n))
	for len(p) > 0 {
		pg := s.pages[off/page]
		if pg == nil {
			pg = make([]byte, page)
			s.pages[off/page] = pg
		}
		m := copy(pg[off%page:], p)
		p, off = p[m:], off+int64(m)
	}
	return n, nil
}

func (s *scratch) ReadAt(p []byte, off int64) (int, error) {
	if s.shut {
		return 0, errShut
	}
	n := 0
	for n < len(p) && off < s.size {
		want := min(int64(len(p)-n), page-off%page, s.size-off)
		if pg := s.pages[off/page]; pg != nil {
			copy(p[n:int64(n)+want], pg[off%page:])
		} else {
			clear(p[n : int64(n)+want])
		}
		n, off = n+int(want), off+want
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *scratch) Close() error { s.shut = true; return nil }
