package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// window is how much of the end of a long ledger is proved before it is
// appended to, bytes. Check proves all of it.
const window = 256 << 10

// lockWait is how long a writer waits for others.
const lockWait = 30 * time.Second

// Log is an open ledger to append to. It is safe for concurrent use, and
// several processes may append to one ledger at a time.
type Log struct {
	now func() time.Time

	mu    sync.Mutex
	file  *os.File
	chain chain // proved up to chain.sum.Bytes
	err   error // nothing more is written
}

// Open opens the ledger in a folder, and makes both where they are missing. It
// refuses a folder or file that others can write to, read or own, links, and a
// ledger whose end is not in order.
func Open(dir string) (*Log, error) {
	dir = filepath.Clean(dir) // a slash at its end would follow a link
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	d, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", &os.PathError{Op: "open", Path: dir, Err: err})
	}
	defer unix.Close(d)
	if err := private(d, unix.S_IFDIR, 0o022); err != nil {
		return nil, fmt.Errorf("ledger: folder %s %w", dir, err)
	}
	path := filepath.Join(dir, FileName)
	fd, err := openIn(d)
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	l, err := FromFile(f)
	if err != nil {
		f.Close()
	}
	return l, err
}

// openIn opens the log in an open folder. A new log appears with its first line
// whole or not at all.
func openIn(dir int) (int, error) {
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, FileName, flags, 0)
	if err == unix.ENOENT {
		if err := create(dir); err != nil {
			return -1, err
		}
		fd, err = unix.Openat(dir, FileName, flags, 0)
	}
	if err != nil {
		return -1, err
	}
	if err := private(fd, unix.S_IFREG, 0o077); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// create makes a log with its first line, unless there is one meanwhile.
func create(dir int) (err error) {
	name := fmt.Sprintf(".%s.%s.tmp", FileName, rand.Text()[:12])
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Unlinkat(dir, name, 0)
	l := &Log{file: os.NewFile(uintptr(fd), name), now: time.Now}
	defer l.file.Close()
	if err := l.write(&Entry{Kind: KindStart, Start: &Start{Format: Format}}); err != nil {
		return err
	}
	err = unix.Renameat2(dir, name, dir, FileName, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS { // a file system without it
		err = unix.Linkat(dir, name, dir, FileName, 0)
	}
	if err != nil && err != unix.EEXIST {
		return err
	}
	return unix.Fsync(dir)
}

// FromFile takes an open ledger over from another process, whose Open it
// passed. If there is no error, the file is the Log's from then on.
func FromFile(f *os.File) (*Log, error) {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if flags&unix.O_APPEND == 0 || flags&unix.O_ACCMODE != unix.O_RDWR {
		return nil, errors.New("ledger: file is not open for reading and appending")
	}
	l := &Log{file: f, now: time.Now, chain: chain{anchored: true}}
	err = l.locked(context.Background(), func() error { return l.begin() })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// File returns the open file, to be passed to another process. Its lock is
// shared with every process that has it so: one of them writes at a time.
func (l *Log) File() *os.File { return l.file }

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = errors.New("ledger: closed")
	}
	return l.file.Close()
}

// Head returns the last line's number and digest.
func (l *Log) Head() (seq uint64, digest string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chain.sum.Seq, l.chain.sum.Head
}

// makeDir makes a folder for its owner only.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// private tells whether a file is ours alone.
func private(fd int, kind, others uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	mode := uint32(st.Mode)
	switch {
	case mode&unix.S_IFMT != kind:
		return errors.New("is not what it should be: a regular file in a folder")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d, not to %d", st.Uid, os.Geteuid())
	case mode&others != 0:
		return fmt.Errorf("has mode %04o: others can get at it", mode&0o7777)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return fmt.Errorf("has %d names", st.Nlink)
	}
	return nil
}

// locked runs do under the lock between threads and that between processes.
func (l *Log) locked(ctx context.Context, do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	fd := int(l.file.Fd())
	if err := flock(ctx, fd, unix.LOCK_EX); err != nil {
		return fmt.Errorf("ledger: lock: %w", err)
	}
	defer unix.Flock(fd, unix.LOCK_UN)
	return do()
}

// flock waits for a lock, but not for ever.
func flock(ctx context.Context, fd, how int) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := unix.Flock(fd, how|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("held by another process: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// begin finds the end of the ledger.
func (l *Log) begin() error {
	size, err := l.size()
	if err != nil {
		return err
	}
	if size == 0 { // a new one has its first line
		return fmt.Errorf("%w: it is empty", ErrBroken)
	}
	if size > window {
		// The window's first line is cut; the one behind it is taken on trust.
		skip, err := lineEnd(l.file, size-window)
		if err != nil {
			return err
		}
		l.chain.off = skip
		l.chain.sum.Bytes = skip
	} else {
		l.chain.anchored = false
	}
	if err := l.catchUp(); err != nil {
		return err
	}
	if l.chain.sum.Lines == 0 {
		return fmt.Errorf("%w: no good line in its last %d bytes", ErrBroken, window)
	}
	return nil
}

// lineEnd returns the offset behind the first line end at or after off.
func lineEnd(r io.ReaderAt, off int64) (int64, error) {
	b := make([]byte, maxTorn)
	n, err := r.ReadAt(b, off)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	for i, c := range b[:n] {
		if c == '\n' {
			return off + int64(i) + 1, nil
		}
	}
	return 0, fmt.Errorf("%w: a line at offset %d has no end", ErrBroken, off)
}

// size returns the file's length, and refuses a file that nobody can find any
// more or that has become shorter.
func (l *Log) size() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(l.file.Fd()), &st); err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	switch {
	case st.Nlink == 0:
		l.err = fmt.Errorf("%w: the file was deleted", ErrBroken)
	case st.Size < l.chain.sum.Bytes:
		l.err = fmt.Errorf("%w: %d bytes are left of %d", ErrBroken, st.Size, l.chain.sum.Bytes)
	}
	return st.Size, l.err
}

// catchUp proves what others appended, and keeps the tail of a writer that
// died. After it the file ends with a good line.
func (l *Log) catchUp() error {
	size, err := l.size()
	if err != nil || size == l.chain.sum.Bytes {
		return err
	}
	next, err := l.prove(size, nil)
	var fault *Fault
	switch {
	case err == nil:
		l.chain = next
		return nil
	case !errors.As(err, &fault):
		return err
	case !fault.Tail:
		return fmt.Errorf("%w: offset %d: %s", ErrBroken, fault.Offset, fault.Why)
	}
	if next.bad[len(next.bad)-1] != '\n' {
		// Only the line end may be missing: then the line is whole, and is
		// kept as such if it follows.
		whole, err := l.prove(size, []byte("\n"))
		if err == nil {
			if err := l.put([]byte("\n")); err != nil {
				return err
			}
			l.chain = whole
			return nil
		}
		if !errors.As(err, &fault) {
			return err
		}
		if !fault.Tail {
			return fmt.Errorf("%w: offset %d: %s", ErrBroken, fault.Offset, fault.Why)
		}
	}
	return l.keep(next, fault)
}

// prove proves the file from the last good line to size, and more behind it.
func (l *Log) prove(size int64, more []byte) (chain, error) {
	next := l.chain
	next.off = next.sum.Bytes
	next.bad, next.fault = nil, nil
	err := next.read(io.MultiReader(io.NewSectionReader(l.file, next.off, size-next.off), bytes.NewReader(more)))
	if err == nil {
		err = next.end()
	}
	return next, err
}

// keep writes a torn entry for the bad tail that next ends with.
func (l *Log) keep(next chain, fault *Fault) error {
	if next.sum.Lines == 0 {
		return fmt.Errorf("%w: offset %d: %s", ErrBroken, fault.Offset, fault.Why)
	}
	was := l.chain
	l.chain = next
	l.chain.bad, l.chain.fault = nil, nil
	kept := next.bad
	var prefix []byte
	if kept[len(kept)-1] == '\n' {
		kept = kept[:len(kept)-1]
	} else {
		prefix = []byte("\n")
	}
	l.chain.sum.Bytes = fault.Offset + int64(len(next.bad))
	err := l.write(&Entry{Kind: KindTorn, Torn: &Torn{At: fault.Offset, Bytes: int64(len(kept)), SHA256: digest(kept)}}, prefix...)
	if err != nil {
		l.chain = was // the tail is still to be kept
	}
	return err
}

// append writes an entry and returns when it is on the disk.
func (l *Log) append(ctx context.Context, e *Entry) (seq uint64, err error) {
	err = l.locked(ctx, func() error {
		if err := l.catchUp(); err != nil {
			return err
		}
		if err := l.write(e); err != nil {
			return err
		}
		seq = e.Seq
		return nil
	})
	return seq, err
}

// write numbers and chains an entry and puts it at the end, which catchUp
// left in order.
func (l *Log) write(e *Entry, prefix ...byte) error {
	s := &l.chain.sum
	e.Seq, e.Prev = s.Seq+1, s.Head
	if e.Kind == KindStart {
		e.Seq, e.Prev = 0, zeroHash
	}
	e.Time = l.now().UTC().Truncate(time.Microsecond)
	line, err := e.encode()
	if err != nil {
		return err
	}
	if _, err := parse(line); err != nil {
		return fmt.Errorf("ledger entry: %w", err)
	}
	if err := l.put(append(append(prefix, line...), '\n')); err != nil {
		return err
	}
	if s.Lines == 0 {
		s.First = e.Time
	}
	s.Lines++
	s.Seq, s.Head, s.Last = e.Seq, digest(line), e.Time
	s.Bytes += int64(len(prefix)+len(line)) + 1
	return nil
}

// put appends bytes and waits for the disk.
func (l *Log) put(b []byte) error {
	n, err := unix.Write(int(l.file.Fd()), b)
	for err == unix.EINTR {
		n, err = unix.Write(int(l.file.Fd()), b)
	}
	if err == nil && n < len(b) {
		err = fmt.Errorf("%d of %d bytes were written", n, len(b))
	}
	if err != nil {
		return fmt.Errorf("ledger: write: %w; nothing is sent", err)
	}
	if err := unix.Fsync(int(l.file.Fd())); err != nil {
		// What is on the disk is not known from here on.
		l.err = fmt.Errorf("ledger: fsync: %w; nothing is sent", err)
		return l.err
	}
	return nil
}

// Read checks the ledger in a folder as it is now. See Check.
func Read(dir string, each func(*Entry) error) (Summary, error) {
	path := filepath.Join(dir, FileName)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Summary{}, fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	fd := int(f.Fd())
	if err := flock(context.Background(), fd, unix.LOCK_SH); err != nil {
		return Summary{}, fmt.Errorf("ledger: %s: lock: %w", path, err)
	}
	st, err := f.Stat()
	unix.Flock(fd, unix.LOCK_UN)
	if err != nil {
		return Summary{}, fmt.Errorf("ledger: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Summary{}, fmt.Errorf("ledger: %s is not a regular file", path)
	}
	return Check(io.NewSectionReader(f, 0, st.Size()), each)
}
