package clamd

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// do does what a command asks for. It reports whether more are taken.
func (c *conn) do(cmd *command) bool {
	if c.session && cmd.old {
		c.say(c.id, c.term, `Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`)
		c.say(c.id, c.term, processing)
		c.cancel()
		return false
	}
	c.term = cmd.term
	if c.session && !cmd.ids {
		c.say(c.id, c.term, "Command invalid inside IDSESSION. ERROR")
		c.cancel()
		return false
	}
	more := c.session
	switch cmd.verb {
	case ping:
		c.say(c.id, c.term, "PONG")
	case version:
		c.permitted(c.s.o.NoVersion, c.version())
	case versionCommands:
		c.permitted(c.s.o.NoVersion, c.version()+"| COMMANDS:"+allCommands)
	case stats:
		if c.s.o.NoStats {
			c.permitted(true, "")
			break
		}
		c.garbage()
		done := c.s.begin("STATS")
		c.say(c.id, c.term, c.stats())
		done()
	case reload:
		if c.permitted(c.s.o.NoReload, "RELOADING") {
			c.s.b.Reload()
		}
	case shutdown:
		if c.s.o.NoShutdown {
			c.permitted(true, "")
		} else {
			c.s.b.Shutdown()
		}
	case detstats: // gone since ClamAV 0.104, which is silent too
	case idsession:
		c.session = true
		c.slots = make(chan struct{}, inSession)
		more = true
	case end:
		if !c.session {
			c.say(c.id, c.term, "UNKNOWN COMMAND")
		}
		return false
	case instream:
		return c.stream(cmd, nil)
	case fildes:
		return c.fildes(cmd, nil)
	case scan, contscan, multiscan, allmatchscan:
		return c.paths(cmd)
	case ourScan, ourFildes, ourInstream, ourStatus:
		return c.ours(cmd)
	default:
		c.say(c.id, c.term, "UNKNOWN COMMAND")
	}
	if more {
		c.id++
		c.deadline(c.s.o.ReadTimeout)
	}
	return more
}

// permitted sends a reply, or what ClamAV 1.5 says where a command is switched off.
func (c *conn) permitted(off bool, reply string) bool {
	if off {
		reply = "COMMAND UNAVAILABLE"
	}
	c.say(c.id, c.term, reply)
	return !off
}

// garbage complains, as clamd does, of bytes behind the last command.
func (c *conn) garbage() {
	if !c.session && c.r < c.w {
		c.say(c.id, c.term, processing)
	}
}

// job does something at once, or in a session beside what the client asks for next.
func (c *conn) job(do func(ctx context.Context, id uint32, term byte)) bool {
	id, term := c.id, c.term
	if !c.session {
		defer c.heed()()
		do(c.ctx, id, term)
		return false
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return false
	}
	c.flying.Add(1)
	c.jobs.Add(1)
	go func() {
		defer c.jobs.Done()
		defer c.heed()()
		defer func() {
			c.flying.Add(-1)
			now(&c.heard)
			<-c.slots
		}()
		do(c.ctx, id, term)
	}()
	c.id++
	c.deadline(c.s.o.ReadTimeout)
	return true
}

// heeding is how often it is looked whether a client that waits is still there.
const heeding = 250 * time.Millisecond

// heed gives up what is done for the client once that is gone, until the function that it
// returns is called.
func (c *conn) heed() func() {
	if c.raw == nil {
		return func() {}
	}
	var mu sync.Mutex
	var t *time.Timer
	over := false
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if !over && !c.gone() {
			t.Reset(heeding)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(heeding, look)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		t.Stop()
	}
}

// A reply is how an answer is told. The default, nil, is clamd's way.
type reply func(c *conn, id uint32, term byte, what string, r *Request, a *Answer, err error)

// tell sends what is said of a request: what is "stream", "fd[12]" or a path.
func (c *conn) tell(id uint32, term byte, what string, a *Answer, err error, all bool) (found, failed bool) {
	switch {
	case err != nil:
		c.say(id, term, what, ": ", errorText(err), " ERROR")
		return false, true
	case len(a.Names) > 0:
		for i, n := range a.Names {
			if i == 0 || all {
				c.say(id, term, what, ": ", line(n, 0), " FOUND")
			}
		}
		return true, false
	case a.Failed != "":
		c.say(id, term, what, ": ", line(a.Failed, 0), " ERROR")
		return false, true
	}
	c.say(id, term, what, ": OK")
	return false, false
}

// errorText is what stands before ERROR. Where libclamav has words, they are its.
func errorText(err error) string {
	switch {
	case errors.Is(err, ErrBusy):
		return "Too many requests, try again later"
	case errors.Is(err, ErrStopping), errors.Is(err, context.Canceled): // a client that is gone does not hear it
		return "Service is stopping"
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "Time limit reached"
	case errors.Is(err, os.ErrPermission):
		return "Access denied."
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ELOOP):
		return "Can't open file or directory"
	case errors.Is(err, errNotRegular):
		return "Not a regular file"
	}
	return "Can't read file"
}

var errNotRegular = errors.New("not a regular file")

// fildes scans the descriptor that came with the command.
func (c *conn) fildes(cmd *command, say reply) bool {
	fd := c.fd
	c.fd = -1
	if fd < 0 {
		c.say(c.id, c.term, "No file descriptor received. ERROR")
		return false
	}
	f := os.NewFile(uintptr(fd), "fd["+strconv.Itoa(fd)+"]")
	r := Request{Client: c.client, From: c.from, Command: cmd.name, File: f, Options: cmd.options()}
	if r.Name, _ = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); r.Name == "" {
		r.Name = f.Name()
	}
	c.garbage()
	return c.job(func(ctx context.Context, id uint32, term byte) {
		defer f.Close()
		defer c.s.begin(cmd.name)()
		var a Answer
		err := regular(fd)
		if err == nil && processes(fd) {
			err = errNotRegular
		}
		if err == nil {
			a, err = c.s.b.Scan(ctx, r)
		}
		if say != nil {
			say(c, id, term, f.Name(), &r, &a, err)
			return
		}
		c.tell(id, term, f.Name(), &a, err, false)
	})
}

func regular(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular
	}
	return nil
}

// stream receives a stream and has it scanned.
func (c *conn) stream(cmd *command, say reply) bool {
	to, err := c.s.b.Receive(c.ctx, c.client)
	if err != nil {
		c.say(c.id, c.term, errorText(err), " ERROR")
		return false
	}
	c.sending.Store(true)
	c.busy.Store(false)
	whole, cut := c.chunks(to)
	c.busy.Store(true)
	c.sending.Store(false)
	c.want = false
	if !whole {
		to.Close()
		return false
	}
	if c.large != nil && c.r == c.w {
		c.release()
	}
	r := Request{Client: c.client, From: c.from, Command: cmd.name, Stream: to, Cut: cut, Options: cmd.options()}
	return c.job(func(ctx context.Context, id uint32, term byte) {
		defer to.Close()
		defer c.s.begin(cmd.name)()
		a, err := c.s.b.Scan(ctx, r)
		if say != nil {
			say(c, id, term, "stream", &r, &a, err)
			return
		}
		c.tell(id, term, "stream", &a, err, false)
	})
}

// chunks receives what is announced in lengths of four bytes, until a length of 0. It
// reports whether all of it came, and whether it is as long as it may be: clamdscan --stream
// sends so many bytes of what is longer, and no word of the rest.
func (c *conn) chunks(to Stream) (whole, cut bool) {
	quota := c.s.o.StreamMaxLength
	rest := int64(0) // of this chunk
	c.deadline(c.s.o.ReadTimeout)
	for {
		for c.r < c.w {
			if rest == 0 {
				if c.w-c.r < 4 {
					break
				}
				rest = int64(binary.BigEndian.Uint32(c.buf[c.r:]))
				c.r += 4
				if rest == 0 {
					return true, quota == 0
				}
				if rest > quota {
					c.say(c.id, c.term, "INSTREAM size limit exceeded. ERROR")
					return false, false
				}
				quota -= rest
				continue
			}
			n := int(min(rest, int64(c.w-c.r)))
			if _, err := to.Write(c.buf[c.r : c.r+n]); err != nil {
				c.say(c.id, c.term, "Error writing to temporary file ERROR")
				return false, false
			}
			c.r += n
			rest -= int64(n)
		}
		if c.r == c.w && rest > smallBuffer && c.large == nil {
			c.release()
			c.want = true
		}
		if err := c.fill(); err != nil {
			c.ended(err)
			return false, false
		}
		c.deadline(c.s.o.ReadTimeout)
		if c.fd >= 0 {
			c.foreign(true)
			return false, false
		}
	}
}

// paths scans a file or a folder.
func (c *conn) paths(cmd *command) bool {
	if c.fd >= 0 {
		c.foreign(true)
		return false
	}
	if cmd.verb == allmatchscan && c.s.o.NoAllMatch {
		c.say(c.id, c.term, cmd.arg, ": ALLMATCHSCAN command disabled by clamd configuration. ERROR")
		return c.session
	}
	c.garbage()
	return c.job(func(ctx context.Context, id uint32, term byte) {
		defer c.s.begin(cmd.name)()
		w := walk{c: c, ctx: ctx, id: id, term: term, verb: cmd.verb, top: cmd.arg, command: cmd.name}
		w.run()
	})
}

// each runs a function for each file with several at a time.
type each struct {
	free chan struct{}
	wg   sync.WaitGroup
}

func (e *each) do(f func()) {
	e.free <- struct{}{}
	e.wg.Go(func() {
		defer func() { <-e.free }()
		f()
	})
}

// seconds is a time span as STATS has it.
func seconds(since time.Time) string {
	return strconv.FormatFloat(time.Since(since).Seconds(), 'f', 6, 64)
}
