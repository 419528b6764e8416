// Package extract takes the layers of an input out of it: the process in the
// jail derives them (Send), and the process that may write gets them as a stream
// of events (Receiver), of which it believes no more than what they may be: layers
// with bytes that nobody looks at again, names, and words from closed lists.
//
// The events follow each other in any number of parts. All numbers are
// little-endian:
//
//	layer    kind u8 = 1, depth u16 [, step], type u8, size i64
//	data     kind u8 = 2, n u32, n bytes of the last layer; only if they are wanted
//	digest   kind u8 = 3, n i64 bytes that were read, SHA-256
//	gap      kind u8 = 4, shared u16, steps u16, steps x step, code u16, offset i64, length i64 (-1 unknown)
//	fact     kind u8 = 6, what u8, cut u8, n u16, n bytes of text; only if they are wanted
//	end      kind u8 = 5, spent 4 x i64 (bytes, objects, depth, work)
//	step     index u64, op u16, n u16, n bytes of name
//
// Layers come in the order of the walk, each before what is in it: one of depth d has the
// first d-1 steps of the layer before it, and a step of its own; the input has depth 0. The trail
// of a gap has shared steps of the last layer's, and then its own. A digest ends the bytes of
// each layer, and facts of it follow. An event does not go over the end of a part.
package extract

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/explain"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
	"github.com/showcause/showcause/worker/wire"
)

// Kinds of events.
const (
	kindLayer  = 1
	kindData   = 2
	kindDigest = 3
	kindGap    = 4
	kindEnd    = 5
	kindFact   = 6
)

// Sizes of the parts of an event, bytes.
const (
	stepSize = 8 + 2 + 2
	dataHead = 1 + 4
	maxData  = 64 << 10 // of one event
)

var le = binary.LittleEndian

// words are the closed lists, which both processes have compiled in.
type words struct {
	types []filetype.Type
	ops   []string
	codes []showcause.Code
}

func newWords() words {
	ops, codes := wire.Vocabulary()
	return words{types: filetype.All(), ops: ops, codes: codes}
}

// index gives each word its number.
func index[T comparable](list []T) map[T]uint16 {
	out := make(map[T]uint16, len(list))
	for i, w := range list {
		out[w] = uint16(i)
	}
	return out
}

// sender writes events.
type sender struct {
	send   func([]byte) error
	wanted Wanted
	err    error
	b      []byte
	at     showcause.Trail // the last layer's
	copied []byte
	facts  int

	types map[filetype.Type]uint16
	ops   map[string]uint16
	codes map[showcause.Code]uint16
}

// Wanted is what is asked for beside the layers and the gaps.
type Wanted struct {
	Content bool `json:"content"` // their bytes
	Facts   bool `json:"facts"`   // what they hold, for a person
}

// Send derives every layer of an input and gives the events to send, in parts
// of once.MaxPart bytes at most. The error is send's.
func Send(src showcause.Source, o scan.Options, wanted Wanted, send func([]byte) error) error {
	w := newWords()
	s := &sender{send: send, wanted: wanted, types: index(w.types), ops: index(w.ops), codes: index(w.codes)}
	r := scan.Walk(src, o, scan.Visitor{Layer: s.layer, Gap: s.gap})
	s.room(64)
	s.b = append(s.b, kindEnd)
	for _, v := range []int64{r.Spent.Bytes, r.Spent.Objects, int64(r.Spent.Depth), r.Spent.Work} {
		s.b = le.AppendUint64(s.b, uint64(v))
	}
	s.flush()
	return s.err
}

// room makes room for an event of at most n bytes.
func (s *sender) room(n int) {
	if len(s.b)+n > once.MaxPart {
		s.flush()
	}
}

func (s *sender) flush() {
	if s.err == nil && len(s.b) > 0 {
		s.err = s.send(s.b)
	}
	s.b = s.b[:0]
}

// maxStep is the length in bytes of the longest step.
const maxStep = stepSize + unpack.MaxName

func (s *sender) step(st *showcause.Step) {
	name := st.Name[:min(len(st.Name), unpack.MaxName)]
	s.b = le.AppendUint64(s.b, uint64(st.Index))
	s.b = le.AppendUint16(s.b, s.ops[st.Op])
	s.b = le.AppendUint16(s.b, uint16(len(name)))
	s.b = append(s.b, name...)
}

// layer sends a layer and its bytes.
func (s *sender) layer(l showcause.Layer, t filetype.Type) (n int64, err error) {
	s.at = l.Trail
	s.room(maxStep + 12)
	s.b = append(s.b, kindLayer)
	s.b = le.AppendUint16(s.b, uint16(len(l.Trail)))
	if n := len(l.Trail); n > 0 {
		s.step(&l.Trail[n-1])
	}
	s.b = append(s.b, uint8(s.types[t]))
	s.b = le.AppendUint64(s.b, uint64(l.Source.Size()))
	sum := sha256.New()
	if s.copied == nil {
		s.copied = make([]byte, maxData)
	}
	r := bound.Reader(l.Source, 0, -1)
	for s.err == nil {
		var m int
		m, err = io.ReadFull(r, s.copied)
		_, _ = sum.Write(s.copied[:m])
		n += int64(m)
		if m > 0 && s.wanted.Content && len(l.Trail) > 0 {
			s.room(dataHead + m)
			s.b = append(s.b, kindData)
			s.b = le.AppendUint32(s.b, uint32(m))
			s.b = append(s.b, s.copied[:m]...)
		}
		if err != nil {
			break
		}
	}
	s.room(64)
	s.b = append(s.b, kindDigest)
	s.b = le.AppendUint64(s.b, uint64(n))
	s.b = sum.Sum(s.b)
	if s.wanted.Facts && s.err == nil {
		explain.Layer(l, t, s.fact)
	}
	return n, err
}

func (s *sender) fact(f explain.Fact) {
	if s.facts++; s.facts > maxFacts {
		return
	}
	text := f.Text[:min(len(f.Text), explain.MaxText)]
	s.room(8 + len(text))
	cut := uint8(0)
	if f.Cut || s.facts == maxFacts {
		cut = 1
	}
	s.b = append(s.b, kindFact, uint8(f.Kind), cut)
	s.b = le.AppendUint16(s.b, uint16(len(text)))
	s.b = append(s.b, text...)
}

func (s *sender) gap(g showcause.Gap) {
	shared := 0
	for shared < len(g.Trail) && shared < len(s.at) && g.Trail[shared] == s.at[shared] {
		shared++
	}
	own := g.Trail[shared:]
	if len(own)*maxStep+32 > once.MaxPart { // no format gives one that is so far from the last layer
		own = nil
	}
	s.room(len(own)*maxStep + 32)
	s.b = append(s.b, kindGap)
	s.b = le.AppendUint16(s.b, uint16(shared))
	s.b = le.AppendUint16(s.b, uint16(len(own)))
	for i := range own {
		s.step(&own[i])
	}
	s.b = le.AppendUint16(s.b, s.codes[g.Code])
	s.b = le.AppendUint64(s.b, uint64(max(g.Offset, 0)))
	s.b = le.AppendUint64(s.b, uint64(max(g.Length, -1)))
}

// Layer is one layer as it was derived.
type Layer struct {
	Trail  showcause.Trail
	Type   string
	Size   int64 // bytes
	Digest showcause.SHA256
	Read   int64 // bytes that were digested; fewer than Size if the rest cannot be read
}

// Sink takes what a Receiver lets pass. An error ends it.
type Sink interface {
	// Begin begins a layer, of which Digest and Read are not known yet.
	Begin(l *Layer) error
	// Data gives bytes of it, valid until Data returns. Those of the input itself are not given.
	Data(b []byte) error
	// End ends it.
	End(l *Layer) error
	// Fact is told after the layer that it is of has ended.
	Fact(f explain.Fact) error
	// Gap is told where it is met: after the layer that it is of, or is in.
	Gap(g showcause.Gap) error
}

// Receiver takes events from a process that a hostile file may have taken over.
type Receiver struct {
	words
	limits showcause.Limits
	size   int64 // of the input, bytes
	wanted Wanted
	sink   Sink

	layer  *Layer // the last
	open   bool   // its digest is still to come
	began  bool
	spent  *showcause.Spent
	layers int64
	gaps   map[showcause.Code]int
	sum    int64 // bytes of all layers below the input
	facts  int
}

// NewReceiver returns a Receiver for an input of so many bytes. The limits are those
// that the sender was given.
func NewReceiver(l showcause.Limits, size int64, wanted Wanted, sink Sink) *Receiver {
	return &Receiver{words: newWords(), limits: l.WithDefaults(), size: size, wanted: wanted, sink: sink, gaps: map[showcause.Code]int{}}
}

// maxFacts is how many facts of an input are told.
const maxFacts = 10000

// maxGaps is how many of a code an input may have: as many as a scan keeps, and
// the one that stands for the rest.
const maxGaps = 1001

// wrong is what no sender does.
type wrong string

func (w wrong) Error() string { return "reader: " + string(w) }

// Wrong tells whether an error of Part says that the events are none that Send gives.
func Wrong(err error) bool {
	var w wrong
	return errors.As(err, &w)
}

// Spent returns what the input cost; it is not known, and ok is false, until all was received.
func (r *Receiver) Spent() (s showcause.Spent, ok bool) {
	if r.spent == nil {
		return s, false
	}
	return *r.spent, true
}

// Part takes the next part. The error is the sink's, or says what no sender does.
func (r *Receiver) Part(b []byte) error {
	e := event{b: b}
	for len(e.b) > 0 {
		if r.spent != nil {
			return wrong("more after the end")
		}
		var err error
		switch kind := e.u8(); kind {
		case kindLayer:
			err = r.takeLayer(&e)
		case kindData:
			err = r.takeData(&e)
		case kindDigest:
			err = r.takeDigest(&e)
		case kindGap:
			err = r.takeGap(&e)
		case kindFact:
			err = r.takeFact(&e)
		case kindEnd:
			err = r.takeEnd(&e)
		default:
			err = wrong("an event of no kind")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// event is what is left of a part. Past its end everything is zero, and short is set.
type event struct {
	b     []byte
	short bool
}

func (e *event) take(n int) []byte {
	if n > len(e.b) {
		e.b, e.short = nil, true
		return nil
	}
	v := e.b[:n]
	e.b = e.b[n:]
	return v
}

func (e *event) u8() uint8 {
	if v := e.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (e *event) u16() uint16 {
	if v := e.take(2); v != nil {
		return le.Uint16(v)
	}
	return 0
}

func (e *event) u32() uint32 {
	if v := e.take(4); v != nil {
		return le.Uint32(v)
	}
	return 0
}

func (e *event) i64() int64 {
	if v := e.take(8); v != nil {
		return int64(le.Uint64(v))
	}
	return 0
}

var errShort = wrong("an event over the end of its part")

func (r *Receiver) step(e *event) (s showcause.Step, err error) {
	i, op, n := e.i64(), e.u16(), e.u16()
	if n > unpack.MaxName {
		return s, wrong("a name that is too long")
	}
	name := e.take(int(n))
	switch {
	case e.short:
		return s, errShort
	case i < 0 || int64(int(i)) != i || int(op) >= len(r.ops):
		return s, wrong("a step that is none")
	}
	return showcause.Step{Index: int(i), Op: r.ops[op], Name: string(name)}, nil
}

func (r *Receiver) takeLayer(e *event) error {
	depth := int(e.u16())
	var last showcause.Trail
	if r.layer != nil {
		last = r.layer.Trail
	}
	switch {
	case r.open:
		return wrong("a layer in the bytes of another")
	case r.began != (depth > 0) || depth > len(last)+1 || depth > r.limits.Depth:
		return wrong("a layer at a depth that it cannot have")
	case r.layers > r.limits.Objects:
		return wrong("more layers than the limit")
	}
	l := &Layer{}
	if depth > 0 {
		s, err := r.step(e)
		if err != nil {
			return err
		}
		l.Trail = last[:depth-1].Child(s)
	}
	kind := int(e.u8())
	l.Size = e.i64()
	most := r.size
	if depth > 0 {
		most = min(r.limits.FileSize, r.limits.ScanSize-r.sum)
	}
	switch {
	case e.short:
		return errShort
	case kind >= len(r.types):
		return wrong("a type that is none")
	case l.Size < 0 || l.Size > most:
		return wrong("a layer that is larger than the limit")
	}
	l.Type = r.types[kind].String()
	if depth > 0 {
		r.sum += l.Size
	}
	r.layers++
	r.layer, r.open, r.began = l, true, true
	return r.sink.Begin(l)
}

func (r *Receiver) takeData(e *event) error {
	n := e.u32()
	if n > maxData {
		return wrong("data that is too long")
	}
	b := e.take(int(n))
	switch {
	case e.short:
		return errShort
	case !r.open || !r.wanted.Content || len(r.layer.Trail) == 0:
		return wrong("data of no layer")
	case int64(n) > r.layer.Size-r.layer.Read:
		return wrong("more data than the layer has")
	}
	r.layer.Read += int64(n)
	return r.sink.Data(b)
}

func (r *Receiver) takeDigest(e *event) error {
	n := e.i64()
	sum := e.take(32)
	switch {
	case e.short:
		return errShort
	case !r.open:
		return wrong("a digest of no layer")
	case n < 0 || n > r.layer.Size || r.wanted.Content && len(r.layer.Trail) > 0 && n != r.layer.Read:
		return wrong("a digest of other data")
	}
	r.open = false
	r.layer.Read = n
	copy(r.layer.Digest[:], sum)
	return r.sink.End(r.layer)
}

func (r *Receiver) takeGap(e *event) error {
	shared, own := int(e.u16()), int(e.u16())
	var last showcause.Trail
	if r.layer != nil {
		last = r.layer.Trail
	}
	if r.open || shared > len(last) || shared+own > r.limits.Depth+2 {
		return wrong("a gap where none can be")
	}
	g := showcause.Gap{Trail: append(showcause.Trail{}, last[:shared]...)}
	for range own {
		s, err := r.step(e)
		if err != nil {
			return err
		}
		g.Trail = append(g.Trail, s)
	}
	code := int(e.u16())
	g.Offset, g.Length = e.i64(), e.i64()
	switch {
	case e.short:
		return errShort
	case code >= len(r.codes) || g.Offset < 0 || g.Length < -1:
		return wrong("a gap that is none")
	}
	g.Code = r.codes[code]
	if r.gaps[g.Code]++; r.gaps[g.Code] > maxGaps {
		return wrong("more gaps than a scan keeps")
	}
	return r.sink.Gap(g)
}

func (r *Receiver) takeFact(e *event) error {
	what, cut, n := explain.Kind(e.u8()), e.u8(), e.u16()
	text := e.take(int(n))
	r.facts++
	switch {
	case e.short:
		return errShort
	case r.open || !r.began || !r.wanted.Facts || r.facts > maxFacts:
		return wrong("a fact where none can be")
	case int(what) >= len(explain.Kinds()) || cut > 1 || n > explain.MaxText:
		return wrong("a fact that is none")
	}
	return r.sink.Fact(explain.Fact{Kind: what, Text: string(text), Cut: cut == 1})
}

func (r *Receiver) takeEnd(e *event) error {
	s := showcause.Spent{Bytes: e.i64(), Objects: e.i64(), Depth: int(e.i64()), Work: e.i64()}
	switch {
	case e.short:
		return errShort
	case r.open || !r.began || min(s.Bytes, s.Objects, int64(s.Depth), s.Work) < 0:
		return wrong("an end that is none")
	}
	r.spent = &s
	return nil
}
