package survey

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/inspect"
	"github.com/showcause/showcause/product/program"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/worker/once"
	"github.com/showcause/showcause/worker/wire"
)

// Role is the first argument of the process that looks into files.
const Role = "inspector"

// part is a file in what a process is given.
type part struct {
	inspect.Task
	Off  int64 `json:"off"`
	Size int64 `json:"size"`
}

// A request is the length of the parts' JSON u32, that, the length of the roots u32, these, and the compiled rules, or nothing.
func encodeRequest(parts []part, roots, rules []byte) ([]byte, error) {
	b, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(b)))
	out = append(out, b...)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(roots))), roots...)
	return append(out, rules...), nil
}

func decodeRequest(b []byte) (parts []part, roots, rules []byte, err error) {
	var field [2][]byte
	for i := range field {
		if len(b) < 4 || int64(binary.LittleEndian.Uint32(b)) > int64(len(b)-4) {
			return nil, nil, nil, errors.New("request: cut off")
		}
		n := int(binary.LittleEndian.Uint32(b))
		field[i], b = b[4:4+n], b[4+n:]
	}
	err = json.Unmarshal(field[0], &parts)
	return parts, field[1], b, err
}

// event is a line of the answer: one of these, of the file with the number.
type event struct {
	File        int                  `json:"f"`
	Observation *product.Observation `json:"o,omitempty"`
	Gap         *product.Gap         `json:"g,omitempty"`
	End         *end                 `json:"e,omitempty"`
}

type end struct {
	Layers   int64       `json:"layers"`
	More     int64       `json:"more,omitempty"`
	Way      product.Way `json:"way"`
	Searched int64       `json:"searched,omitempty"`
}

// Read is the process that looks into files. It returns the exit code.
func Read() int {
	_ = jail.Hide()
	if err := once.Read(job, once.Reading{}); err != nil {
		fmt.Fprintf(os.Stderr, "showcause inspector: %v\n", err)
		return 2
	}
	return 0
}

// job looks into each file in turn, and says what each holds before the next is begun.
func job(j once.Job) []byte {
	parts, roots, rules, err := decodeRequest(j.Request)
	if err != nil {
		return nil
	}
	in := &inspect.Inspector{Readers: inspect.Readers(), Spill: j.Spill, Anchors: program.NewAnchors(roots)}
	if len(rules) > 0 {
		if in.Rules, err = ruledb.New(rules); err != nil {
			return nil
		}
	}
	s := sender{send: j.Send}
	for i, p := range parts {
		r := in.Look(bound.Section(j.Source, p.Off, p.Size), p.Task)
		for k := range r.Observations {
			s.event(event{File: i, Observation: &r.Observations[k]})
		}
		for k := range r.Gaps {
			s.event(event{File: i, Gap: &r.Gaps[k]})
		}
		s.event(event{File: i, End: &end{r.Layers, r.More, r.Way, r.Searched}})
		if s.flush(); s.err != nil {
			break
		}
	}
	return nil
}

type sender struct {
	send func([]byte) error
	b    []byte
	err  error
}

func (s *sender) event(e event) {
	b, err := json.Marshal(e)
	if err == nil && len(b) >= once.MaxPart {
		e.Observation, e.Gap = nil, &product.Gap{Code: showcause.LimitSize, Length: -1, Why: "an observation that is too long"}
		b, err = json.Marshal(e)
	}
	if err != nil {
		s.err = err
		return
	}
	if len(s.b)+len(b)+1 > once.MaxPart {
		s.flush()
	}
	s.b = append(append(s.b, b...), '\n')
}

func (s *sender) flush() {
	if s.err == nil && len(s.b) > 0 {
		s.err = s.send(s.b)
	}
	s.b = s.b[:0]
}

// receiver takes events from a process that a hostile file may have taken over: it believes no more than
// that the files led to them. Places of files are those that were asked for, words those of closed lists.
type receiver struct {
	words
	parts   []part
	results []inspect.Result
	done    int // files that were told whole
}

// words are the closed lists.
type words struct {
	readers map[string]bool
	kinds   map[product.Kind]bool
	ops     map[string]bool
	codes   map[showcause.Code]bool
}

func newWords() words {
	w := words{readers: map[string]bool{"folder": true}, kinds: map[product.Kind]bool{}, ops: map[string]bool{}, codes: map[showcause.Code]bool{}}
	for _, r := range inspect.Readers() {
		w.readers[r.Name] = true
	}
	for _, k := range product.Facts() {
		w.kinds[k] = true
	}
	ops, codes := wire.Vocabulary()
	for _, o := range ops {
		w.ops[o] = true
	}
	for _, c := range append(codes, showcause.Unsupported+".rpm.log", showcause.Unsupported+".rpm", showcause.Unsupported+".hive.log", showcause.Unsupported+".script", showcause.Crash, showcause.LimitObject, showcause.LimitWork) {
		w.codes[c] = true
	}
	return w
}

var errEvent = errors.New("reader: an event that no reader gives")

// take takes a part of the answer.
func (r *receiver) take(b []byte) error {
	for line := range bytes.Lines(b) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil || e.File != r.done || r.done >= len(r.parts) {
			return errEvent
		}
		out := &r.results[e.File]
		switch {
		case e.Observation != nil:
			if !r.observation(e.Observation) || len(out.Observations) > 4*maxObservations {
				return errEvent
			}
			r.place(&e.Observation.Place, e.File)
			out.Observations = append(out.Observations, *e.Observation)
		case e.Gap != nil:
			if !r.codes[e.Gap.Code] || e.Gap.Offset < 0 || e.Gap.Length < -1 || len(e.Gap.Why) > 200 || !r.trail(e.Gap.Place) || len(out.Gaps) > 10_000 {
				return errEvent
			}
			r.place(&e.Gap.Place, e.File)
			out.Gaps = append(out.Gaps, *e.Gap)
		case e.End != nil:
			if e.End.Layers < 0 || e.End.More < 0 || e.End.Searched < 0 || e.End.Way != product.Recorded && e.End.Way != product.AsProgram && e.End.Way != product.Unpacked {
				return errEvent
			}
			out.Layers, out.More, out.Way, out.Searched = e.End.Layers, e.End.More, e.End.Way, e.End.Searched
			r.done++
		default:
			return errEvent
		}
	}
	return nil
}

const maxObservations = 250_000

func (r *receiver) place(p *product.Place, file int) {
	p.Path = r.parts[file].Path
}

func (r *receiver) observation(o *product.Observation) bool {
	if !r.readers[o.Source] || !slices.Contains(product.Classes(), o.Class) || len(o.Facts) == 0 || len(o.Facts) > 1000 ||
		o.Evidence.Size < 0 || o.Evidence.Offset < 0 || o.Evidence.Length < 0 || len(o.Evidence.Record) > 2*product.MaxValue || len(o.Platform) > 20 || !r.trail(o.Place) {
		return false
	}
	for _, f := range o.Facts {
		if !r.kinds[f.Kind] || f.Value == "" || len(f.Value) > product.MaxValue || len(f.Chain) > 64 || f.Offset < 0 || f.Length < 0 {
			return false
		}
	}
	return true
}

// trail tells whether a place may be one: its steps have words that there are.
func (r *receiver) trail(p product.Place) bool {
	for _, s := range p.Trail {
		if !r.ops[s.Op] || s.Index < 0 || len(s.Name) > 8<<10 {
			return false
		}
	}
	return len(p.Trail) <= 1000 && len(p.Root) <= 1<<20 && len(p.App) <= 1<<16
}

// Here does a request in this process, without the jail.
func Here(request []byte, f *os.File, part func([]byte) error) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	job(once.Job{Request: request, Source: sized{f, st.Size()}, Send: func(b []byte) error {
		err = part(b)
		return err
	}})
	return err
}

type sized struct {
	*os.File
	size int64
}

func (s sized) Size() int64 { return s.size }
