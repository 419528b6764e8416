package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Fault is the first thing that is wrong with a ledger.
type Fault struct {
	Line   int64 // from 1
	Offset int64 // of the line, bytes
	Why    string
	// Tail tells that nothing whole follows: a writer died, or the end was cut
	// or changed. The next append keeps the tail and its digest.
	Tail bool
}

// Error implements error.
func (f *Fault) Error() string {
	return fmt.Sprintf("ledger line %d (offset %d): %s", f.Line, f.Offset, f.Why)
}

// Summary says what a ledger holds, up to its first fault.
type Summary struct {
	Lines    int64 // good lines, what torn entries stand for not counted
	Bytes    int64 // up to the end of the last good line
	Sends    int
	Queries  int
	Torn     []Torn // tails of writers that died
	Open     int    // sends and queries without a close: their writer died, or is at work
	Backward int    // lines whose time is before that of the line before
	First    time.Time
	Last     time.Time
	Seq      uint64 // of the last line
	Head     string // SHA-256 of the last line: note it elsewhere, and a ledger rewritten later shows
}

// Check reads a whole ledger and proves it: spelling, sums, chain, numbers,
// digests of plaintexts. Each good entry is passed to each, in order; each may
// be nil. An error is a *Fault, or one of reading, or each's own.
func Check(r io.Reader, each func(*Entry) error) (Summary, error) {
	c := chain{each: each, open: map[uint64]bool{}}
	if err := c.read(r); err != nil {
		return c.sum, err
	}
	if err := c.end(); err != nil {
		return c.sum, err
	}
	if c.sum.Lines == 0 {
		return c.sum, &Fault{Line: 1, Why: "the ledger is empty, not even its first line is there"}
	}
	return c.sum, nil
}

// chain proves lines one after the other.
type chain struct {
	sum  Summary
	off  int64           // offset of the next line
	line int64           // number of the next line, less one
	open map[uint64]bool // sends and queries not closed; nil: only the end is proved, what names others is not
	each func(*Entry) error
	// anchored takes the first good line's prev and number as they are.
	anchored bool

	// A line that is not good may still be kept by a torn entry after it.
	bad   []byte // it and what follows, line ends included
	fault *Fault
}

// read takes whole lines from r and the rest of it as a tail.
func (c *chain) read(r io.Reader) error {
	b := bufio.NewReaderSize(r, maxTorn)
	for {
		line, err := b.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return fmt.Errorf("ledger: %w", err)
		}
		if len(line) > 0 {
			if err := c.take(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// take proves a line with its line end, or a piece without one that is the tail.
func (c *chain) take(line []byte) error {
	at := c.off
	c.off += int64(len(line))
	c.line++
	e, why := c.parse(line)
	if c.fault != nil {
		return c.after(e, line)
	}
	if why == nil {
		why = c.link(e)
	}
	if why != nil && c.anchored && c.sum.Lines == 0 {
		c.sum.Bytes = c.off // the cut rest of a line or of a tail; the log's owner bounds how much
		return nil
	}
	if why != nil {
		c.fault = &Fault{Line: c.line, Offset: at, Why: why.Error(), Tail: e == nil}
		c.bad = bytes.Clone(line)
		if e != nil {
			return c.fault
		}
		return nil
	}
	return c.good(e, line)
}

func (c *chain) parse(line []byte) (*Entry, error) {
	if line[len(line)-1] != '\n' {
		return nil, fmt.Errorf("the last line is not whole: %d bytes and no line end", len(line))
	}
	return parse(line[:len(line)-1])
}

// after looks, behind a bad line, for the torn entry that keeps it. Any other
// good line means that the bad one was changed after it was written.
func (c *chain) after(e *Entry, line []byte) error {
	if e == nil {
		if len(c.bad)+len(line) > maxTorn+1 {
			c.fault.Tail = false
			return c.fault
		}
		c.bad = append(c.bad, line...)
		return nil
	}
	t := e.Torn
	kept := c.bad[:len(c.bad)-1] // the line end was set before the torn entry
	if e.Kind != KindTorn || t.At != c.fault.Offset || t.Bytes != int64(len(kept)) || t.SHA256 != digest(kept) {
		c.fault.Tail = false
		return c.fault
	}
	if err := c.link(e); err != nil {
		c.fault.Tail = false
		c.fault.Why += "; and the torn entry after it: " + err.Error()
		return c.fault
	}
	c.bad, c.fault = nil, nil
	return c.good(e, line)
}

// link proves that e follows the last good line.
func (c *chain) link(e *Entry) error {
	first := c.sum.Lines == 0
	switch {
	case first && c.anchored:
		return nil
	case first && (e.Seq != 0 || e.Prev != zeroHash || e.Kind != KindStart):
		return errors.New("does not begin a ledger: lines before it are missing")
	case first:
	case e.Prev != c.sum.Head:
		return fmt.Errorf("prev is not the digest of the line before (seq %d)", c.sum.Seq)
	case e.Seq != c.sum.Seq+1:
		return fmt.Errorf("seq is %d after %d", e.Seq, c.sum.Seq)
	case e.Kind == KindStart:
		return errors.New("a second start")
	}
	if e.Kind == KindTorn && c.fault == nil {
		return errors.New("torn stands for bytes that are not there")
	}
	if c.open != nil {
		if e.Kind == KindClose && !c.open[e.Close.Of] {
			return fmt.Errorf("closes %d, which is not open", e.Close.Of)
		}
		if e.Kind == KindSend && e.Send.After >= e.Seq {
			return fmt.Errorf("comes after %d, which is later", e.Send.After)
		}
	}
	return nil
}

// good takes note of a proved line.
func (c *chain) good(e *Entry, line []byte) error {
	s := &c.sum
	if s.Lines == 0 {
		s.First = e.Time
	} else if e.Time.Before(s.Last) {
		s.Backward++
	}
	s.Lines++
	s.Last, s.Seq, s.Head = e.Time, e.Seq, digest(line[:len(line)-1])
	s.Bytes = c.off
	switch e.Kind {
	case KindSend:
		s.Sends++
	case KindQuery:
		s.Queries++
	case KindTorn:
		if c.open != nil {
			s.Torn = append(s.Torn, *e.Torn)
		}
	}
	if c.open != nil {
		switch e.Kind {
		case KindSend, KindQuery:
			c.open[e.Seq] = true
		case KindClose:
			delete(c.open, e.Close.Of)
		}
		s.Open = len(c.open)
	}
	if c.each != nil {
		return c.each(e)
	}
	return nil
}

// end is called when there is no more: a bad tail is a fault then.
func (c *chain) end() error {
	if c.fault != nil {
		return c.fault
	}
	return nil
}
