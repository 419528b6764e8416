package clamd

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of buffers: one that a command and a small mail fit in, and one for streams.
const (
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// inSession is how many requests of a session are under way at most; nothing more is read
// then.
const inSession = 100

// conn is one connection. Its goroutine alone uses what is not noted otherwise.
type conn struct {
	s      *Server
	nc     net.Conn
	client string
	from   string // as in Request
	ctx    context.Context
	cancel context.CancelFunc

	raw   syscall.RawConn // nil: only Read is there, as in tests
	local bool            // a Unix socket: descriptors may come
	ready func(fd uintptr) bool
	n     int // what ready read, and its error
	err   error

	small *[smallBuffer]byte
	large *[largeBuffer]byte
	want  bool   // large
	buf   []byte // of small or large
	r, w  int    // what is in buf and was not taken
	fd    int    // descriptor that came with what was read last, or -1

	term    byte // of the last command
	session bool
	id      uint32
	jobs    sync.WaitGroup
	slots   chan struct{}
	flying  atomic.Int32 // jobs under way

	heard   atomic.Int64 // when the client said something last
	busy    atomic.Bool  // something is done for the client
	sending atomic.Bool  // the client is in the middle of a stream
	evicted atomic.Bool  // it must go: others want its place
	last    atomic.Bool  // it must go when what it asked for is answered
	until   time.Time    // by when it must have said something
	looked  bool         // what had come before last was taken

	wmu sync.Mutex // guards writing
	out []byte
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, fd: -1}
	c.client, c.from = clientOf(nc)
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			_, c.local = nc.(*net.UnixConn)
			c.ready = c.receive
		}
	}
	now(&c.heard)
	return c
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// serve does all that the client asks for.
func (c *conn) serve() {
	defer c.s.drop(c)
	defer c.cancel()
	c.deadline(c.s.o.CommandTimeout)
	c.talk()
	c.jobs.Wait()
	c.unclaimed()
	c.linger()
	c.nc.Close()
	c.release()
}

// talk reads commands until nothing more is to be read.
func (c *conn) talk() {
	for {
		if err := c.fill(); err != nil {
			c.ended(err)
			return
		}
		for {
			cmd, ok := parse(c.buf[c.r:c.w])
			if !ok && c.w-c.r >= maxCommand {
				return // as clamd does: its buffer is full
			}
			if ok && cmd.verb == fildes || cmd.verb == ourFildes {
				cmd.len++ // the byte that carries the descriptor
				ok = c.w-c.r >= cmd.len
			}
			if !ok {
				break
			}
			c.r += cmd.len
			c.busy.Store(true)
			more := c.do(&cmd)
			c.busy.Store(false)
			if !more || c.ctx.Err() != nil {
				return
			}
		}
		if c.fd >= 0 {
			// clamd says more if a command was begun.
			c.foreign(c.r < c.w && (c.buf[c.r] == 'z' || c.buf[c.r] == 'n') && c.whole())
			return
		}
	}
}

// whole tells whether what is left is a FILDES that waits for its byte.
func (c *conn) whole() bool {
	_, ok := parse(c.buf[c.r:c.w])
	return ok
}

// foreign tells the client that a descriptor came for which there is no FILDES.
func (c *conn) foreign(twice bool) {
	c.unclaimed()
	c.say(c.id, c.term, "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR")
	if twice {
		c.say(c.id, c.term, processing)
	}
}

const processing = "Error processing command. ERROR"

// unclaimed closes a descriptor that nobody wants.
func (c *conn) unclaimed() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// ended says why nothing more is read.
func (c *conn) ended(err error) {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
	case !c.last.Load():
		c.write([]byte("COMMAND READ TIMED OUT\n"))
	case c.sending.Load():
		c.say(c.id, c.term, errorText(ErrStopping), " ERROR")
	}
}

// deadline is when the client must have said something.
func (c *conn) deadline(d time.Duration) {
	c.until = time.Now().Add(d)
	c.nc.SetReadDeadline(c.until)
	if c.evicted.Load() || c.last.Load() && !c.sending.Load() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// fill waits for more bytes and reads them. A client that waits for replies is waited for.
func (c *conn) fill() error {
	for {
		err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) && !c.evicted.Load() && c.ctx.Err() == nil {
			switch last := c.last.Load(); {
			case !last && c.flying.Load() > 0:
				c.deadline(c.s.o.ReadTimeout)
				continue
			case last && c.sending.Load() && time.Now().Before(c.until): // Close did not see that it sends
				c.nc.SetReadDeadline(c.until)
				continue
			case last && c.here():
				err = nil
			}
		}
		if err == nil {
			now(&c.heard)
		}
		return err
	}
}

// here takes what the client had said before the service was told to end: it was in time.
func (c *conn) here() (some bool) {
	if c.looked || c.raw == nil {
		return false
	}
	c.looked = true
	c.raw.Control(func(fd uintptr) { some = c.receive(fd) && c.err == nil && c.n > 0 })
	return some
}

func (c *conn) read() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.raw == nil {
		c.room()
		n, err := c.nc.Read(c.buf[c.w:])
		c.w += n
		if n > 0 {
			err = nil
		}
		return err
	}
	if err := c.raw.Read(c.ready); err != nil {
		return err
	}
	switch {
	case c.err != nil:
		return c.err
	case c.n == 0:
		return io.EOF
	}
	return nil
}

// receive is what happens when there may be something to read. It reports whether there was:
// while there is not, the connection holds no buffer.
func (c *conn) receive(fd uintptr) bool {
	c.room()
	var control [24]byte // of one descriptor, with the room that is left for a second
	var oob []byte
	if c.local {
		oob = control[:]
	}
	for {
		n, oobn, flags, _, err := unix.Recvmsg(int(fd), c.buf[c.w:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			if c.r == c.w {
				c.release()
			}
			return false
		}
		c.n, c.err = n, err
		if n > 0 {
			c.w += n
		}
		if oobn > 0 {
			c.passed(control[:oobn])
		}
		if err == nil && flags&unix.MSG_CTRUNC != 0 {
			c.unclaimed()
			c.err = errManyDescriptors
		}
		return true
	}
}

var errManyDescriptors = errors.New("more descriptors than one")

// passed takes the descriptor out of a control message. Where there are several, none is
// taken.
func (c *conn) passed(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if len(fds) > 1 {
				unix.Close(fd)
				continue
			}
			c.unclaimed()
			c.fd = fd
		}
	}
}

// room makes room in the buffer, which there is after it.
func (c *conn) room() {
	switch {
	case c.buf == nil && c.want:
		c.large = largeBuffers.Get().(*[largeBuffer]byte)
		c.buf = c.large[:]
	case c.buf == nil:
		c.small = smallBuffers.Get().(*[smallBuffer]byte)
		c.buf = c.small[:]
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
}

// release gives the buffer back. What is in it is lost.
func (c *conn) release() {
	if c.small != nil {
		smallBuffers.Put(c.small)
	}
	if c.large != nil {
		largeBuffers.Put(c.large)
	}
	c.small, c.large, c.buf, c.r, c.w = nil, nil, nil, 0, 0
}

// say sends one reply.
func (c *conn) say(id uint32, term byte, parts ...string) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	b := c.out[:0]
	if id > 0 {
		b = strconv.AppendUint(b, uint64(id), 10)
		b = append(b, ": "...)
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	b = append(b, term)
	c.send(b)
	if cap(b) <= 4096 {
		c.out = b
	}
}

// write sends bytes as they are.
func (c *conn) write(b []byte) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.send(b)
}

func (c *conn) send(b []byte) {
	c.nc.SetWriteDeadline(time.Now().Add(c.s.o.SendTimeout))
	if _, err := c.nc.Write(b); err != nil {
		c.cancel() // nobody listens any more
		c.nc.Close()
	}
}

// gone tells whether the client is, for whom something long is done. One that only has
// nothing more to say is not.
func (c *conn) gone() bool {
	if c.ctx.Err() != nil {
		return true
	}
	if c.raw == nil {
		return false
	}
	hup := false
	c.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		hup = err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	if hup {
		c.cancel()
	}
	return hup
}

// linger reads on for a while where a client over TCP is not done sending: if the
// connection were closed with bytes unread, the client's system would throw the reply away.
func (c *conn) linger() {
	t, ok := c.nc.(*net.TCPConn)
	if !ok || c.ctx.Err() != nil || c.evicted.Load() {
		return
	}
	t.CloseWrite()
	t.SetReadDeadline(time.Now().Add(lingering))
	c.r, c.w = 0, 0
	for rest := int64(lingerBytes); rest > 0; {
		c.r, c.w = 0, 0
		if err := c.read(); err != nil {
			return
		}
		rest -= int64(c.w)
	}
}

// A client that is sent an error may send on for so long, and so many bytes.
const (
	lingering   = 2 * time.Second
	lingerBytes = 256 << 20
)
