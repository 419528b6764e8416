package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker/wire"
)

// What is received is held in memory up to so many bytes, and then in a file. What a
// reader is sent in a message is never more.
const (
	smallBytes = wire.MaxContent
	firstBytes = 8 << 10
)

// spools bound what is received and not scanned yet.
type spools struct {
	scratch func() (*os.File, error)

	mu     sync.Mutex // guards what follows
	memory int64      // bytes that are left
	disk   int64
	open   int
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBytes); return &b }}

// Spool takes the bytes of one request. It is used by one goroutine at a time.
type Spool struct {
	s       *spools
	limit   int64
	size    int64
	pooled  *[]byte
	buf     []byte
	file    *os.File
	hash    hash.Hash // of what went into file
	memory  int64     // charged
	disk    int64     // charged
	inFile  bool      // file is on a disk: its bytes are charged there
	sum     showcause.SHA256
	summed  bool
	failure error
}

// Receive returns a Spool for limit bytes at most; zero is no limit. The caller closes it.
func (q *Queue) Receive(_ context.Context, _ string, limit int64) (*Spool, error) {
	q.mu.Lock()
	stopping := q.stopping
	q.mu.Unlock()
	if stopping {
		return nil, ErrStopping
	}
	s := &Spool{s: &q.spools, limit: limit}
	q.spools.mu.Lock()
	q.spools.open++
	q.spools.mu.Unlock()
	return s, nil
}

// charge takes bytes of a budget.
func (s *spools) charge(of *int64, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *of < n {
		return false
	}
	*of -= n
	return true
}

// Size is the number of bytes that were written.
func (s *Spool) Size() int64 { return s.size }

// Write takes bytes. It returns ErrTooLarge where they are more than the limit, and
// ErrNoSpace where there is no room for them; nothing can be written after an error.
func (s *Spool) Write(p []byte) (int, error) {
	if s.failure == nil {
		s.failure = s.write(p)
	}
	if s.failure != nil {
		return 0, s.failure
	}
	s.size += int64(len(p))
	s.summed = false
	return len(p), nil
}

func (s *Spool) write(p []byte) error {
	switch {
	case s.limit > 0 && s.size+int64(len(p)) > s.limit:
		return ErrTooLarge
	case s.file == nil && s.size+int64(len(p)) <= smallBytes:
		if s.pooled == nil {
			if !s.s.charge(&s.s.memory, smallBytes) {
				break
			}
			s.memory = smallBytes
			s.pooled = buffers.Get().(*[]byte)
			s.buf = (*s.pooled)[:0]
		}
		s.buf = append(s.buf, p...)
		return nil
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return err
		}
	}
	return s.append(p)
}

// spill moves what is there into a file.
func (s *Spool) spill() error {
	var err error
	if s.s.scratch != nil {
		if s.file, err = s.s.scratch(); err == nil {
			s.inFile = true
		}
	}
	if s.file == nil {
		fd, merr := unix.MemfdCreate("showcause-received", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if merr != nil {
			return fmt.Errorf("%w: %w", ErrNoSpace, errors.Join(err, merr))
		}
		s.file = os.NewFile(uintptr(fd), "received")
	}
	s.hash = sha256.New()
	old := s.buf
	s.buf = nil
	err = s.append(old)
	s.free()
	return err
}

func (s *Spool) append(p []byte) error {
	budget, charged := &s.s.memory, &s.memory
	if s.inFile {
		budget, charged = &s.s.disk, &s.disk
	}
	if !s.s.charge(budget, int64(len(p))) {
		return ErrNoSpace
	}
	*charged += int64(len(p))
	s.hash.Write(p)
	if _, err := s.file.Write(p); err != nil {
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return err
	}
	return nil
}

// free gives the memory of the buffer back.
func (s *Spool) free() {
	if s.pooled != nil {
		buffers.Put(s.pooled)
		s.pooled, s.buf = nil, nil
		s.s.give(smallBytes, 0)
		s.memory -= smallBytes
	}
}

func (s *spools) give(memory, disk int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory += memory
	s.disk += disk
}

// Sum is the SHA-256 of what was written.
func (s *Spool) Sum() showcause.SHA256 {
	if !s.summed {
		if s.hash != nil {
			s.hash.Sum(s.sum[:0])
		} else {
			s.sum = sha256.Sum256(s.buf)
		}
		s.summed = true
	}
	return s.sum
}

// File returns what was received as a file for the caller to close, whose place is
// anywhere.
func (s *Spool) File() (*os.File, error) {
	if s.file != nil {
		fd, err := unix.FcntlInt(s.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), s.file.Name()), nil
	}
	fd, err := unix.MemfdCreate("showcause-received", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "received")
	if _, err := f.Write(s.buf); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Content is what was written, to be read before Close.
func (s *Spool) Content() io.ReaderAt {
	if s.file != nil {
		return s.file
	}
	return bytes.NewReader(s.buf)
}

// Close gives all of it back. It may be called twice.
func (s *Spool) Close() error {
	if s.s == nil {
		return nil
	}
	s.free()
	var err error
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	s.s.give(s.memory, s.disk)
	s.s.mu.Lock()
	s.s.open--
	s.s.mu.Unlock()
	s.s = nil
	s.failure = os.ErrClosed
	return err
}
