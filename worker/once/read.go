package once

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/unpack"
)

// Job is what a process is given. Spill is nil where there is no scratch.
type Job struct {
	Request []byte
	Source  showcause.Source
	Spill   func() (unpack.File, error)
	// Send gives a part of what there is to say before the answer, MaxPart bytes at
	// most, and waits until there is room for it. After an error nobody listens.
	Send func([]byte) error
}

// Reading says what a process does other than usual. The zero value is as it is.
type Reading struct {
	Lock func(jail.Config) (jail.Status, error) // replaces jail.Lock, for tests
}

// maxStack is the size in bytes at which a recursion without end is ended.
const maxStack = 32 << 20

// Read is the process: it takes its request, locks itself, says so, does the
// job, and answers. It must end after that.
func Read(do func(Job) []byte, o Reading) error {
	debug.SetMaxStack(maxStack)
	j, status, err := begin(o)
	if err != nil {
		text := err.Error()
		return errors.Join(err, write(appendFrame(frameRefusal, []byte(text[:min(len(text), maxRefusal)]))))
	}
	if err := write(appendFrame(frameReady, status.Encode())); err != nil {
		return err
	}
	j.Send = func(b []byte) error {
		if len(b) > MaxPart {
			return fmt.Errorf("answer: a part of %d bytes", len(b))
		}
		return write(appendFrame(framePart, b))
	}
	return write(appendFrame(frameAnswer, do(j)))
}

// begin does all that needs more of the system than a locked process has.
func begin(o Reading) (j Job, status jail.Status, err error) {
	f := os.NewFile(jail.Rules, "request")
	if j.Request, err = io.ReadAll(io.NewSectionReader(f, 0, maxRequest)); err != nil {
		return j, status, fmt.Errorf("request: %w", err)
	}
	if err := f.Close(); err != nil {
		return j, status, fmt.Errorf("request: %w", err)
	}
	memory, err := strconv.ParseInt(os.Getenv("SHOWCAUSE_MEMORY"), 10, 64)
	if err != nil {
		return j, status, fmt.Errorf("memory: %w", err)
	}
	debug.SetMemoryLimit(memory / 4 * 3)
	var st unix.Stat_t
	if err := unix.Fstat(subject, &st); err != nil {
		return j, status, fmt.Errorf("file: %w", err)
	}
	j.Source = file{st.Size}
	own := []int{jail.Null, jail.Result, jail.Log, jail.Control, subject}
	if unix.Fstat(jail.Scratch, &st) == nil {
		own = append(own, jail.Scratch)
		j.Spill = (&scratch{}).file
	}
	lock := o.Lock
	if lock == nil {
		lock = jail.Lock
	}
	status, err = lock(jail.Config{Own: own, Memory: memory, FileSize: 1 << 40})
	return j, status, err
}

func write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(jail.Result, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		b = b[n:]
	}
	return nil
}

func pread(fd int, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// file is the passed descriptor as a Source.
type file struct{ size int64 }

func (f file) Size() int64 { return f.size }

func (f file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	if left := f.size - off; int64(len(p)) > left {
		n, err := pread(subject, p[:left], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return pread(subject, p, off)
}

// scratch gives regions of the scratch file, each behind the last that is open:
// children of layers nest, and so do these. What a region was cut off at reads as zeros.
type scratch struct{ open []*region }

type region struct {
	s       *scratch
	base, n int64
	closed  bool
}

func (s *scratch) file() (unpack.File, error) {
	r := &region{s: s}
	if n := len(s.open); n > 0 {
		last := s.open[n-1]
		r.base = (last.base + last.n + 4095) &^ 4095
	}
	s.open = append(s.open, r)
	return r, nil
}

func (r *region) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= r.n {
		return 0, io.EOF
	}
	cut := int64(len(p)) > r.n-off
	if cut {
		p = p[:r.n-off]
	}
	n, err := pread(jail.Scratch, p, r.base+off)
	if err == io.EOF { // a hole at the end of the file
		clear(p[n:])
		n, err = len(p), nil
	}
	if err == nil && cut {
		err = io.EOF
	}
	return n, err
}

var errOverlap = errors.New("scratch: another region stands behind")

func (r *region) WriteAt(p []byte, off int64) (n int, err error) {
	if r.s.open[len(r.s.open)-1] != r {
		return 0, errOverlap
	}
	for n < len(p) {
		m, err := unix.Pwrite(jail.Scratch, p[n:], r.base+off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	r.n = max(r.n, off+int64(n))
	return n, nil
}

// Close gives the space back once no region behind is open.
func (r *region) Close() error {
	r.closed = true
	s := r.s
	for n := len(s.open); n > 0 && s.open[n-1].closed; n-- {
		last := s.open[n-1]
		s.open = s.open[:n-1]
		if err := unix.Ftruncate(jail.Scratch, last.base); err != nil {
			return err
		}
	}
	return nil
}
