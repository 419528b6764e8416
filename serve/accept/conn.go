package accept

import (
	"context"
	"net"
	"sync"
	"time"
)

// Conn is a connection whose reads and writes are bounded in time. One goroutine uses it.
type Conn struct {
	net.Conn
	Client string // who is on the other side: uid=1000, or an address

	s      *Server
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	state   state
	heard   time.Time // when the client last said anything
	until   time.Time // by when a request must have come in
	last    bool      // the service ends
	evicted bool
}

type state uint8

const (
	idle state = iota
	begun
	busy
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Idle says that nothing is begun.
func (c *Conn) Idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.until = idle, time.Time{}
}

// Begin says that a request comes in. It may be called again while that is so.
func (c *Conn) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != begun || c.until.IsZero() {
		c.until = time.Now().Add(c.s.o.Whole)
	}
	c.state = begun
}

// Busy says that a request is being answered.
func (c *Conn) Busy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = busy
}

// Last tells whether no further request is to be taken.
func (c *Conn) Last() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Read reads what the client says, within the time that its state allows.
func (c *Conn) Read(p []byte) (int, error) {
	if c.s.o.Own {
		return c.hear(p)
	}
	c.mu.Lock()
	d := time.Now().Add(c.s.o.Read)
	switch {
	case c.evicted, c.last && c.state == idle:
		d = past
	case c.state == idle:
		d = time.Now().Add(c.s.o.Idle)
	case !c.until.IsZero() && c.until.Before(d):
		d = c.until
	}
	// Under the lock, so that end, which comes after, is not undone.
	err := c.Conn.SetReadDeadline(d)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.hear(p)
}

func (c *Conn) hear(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		c.heard = time.Now()
		c.mu.Unlock()
	}
	return n, err
}

// Write tells the client something, in pieces that each have their time.
func (c *Conn) Write(p []byte) (int, error) {
	if c.s.o.Own {
		return c.Conn.Write(p)
	}
	done := 0
	for done < len(p) {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.s.o.Send)); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done:min(len(p), done+64<<10)])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// waits tells whether the client is to say something, and when it last did.
func (c *Conn) waits() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard, c.state != busy && !c.evicted
}

// end has no further request taken; now means not even this one.
func (c *Conn) end(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now {
		c.evicted = true
	} else {
		c.last = true
	}
	switch {
	case now && c.s.o.Own: // a deadline would be set anew
		c.Conn.Close()
	case c.s.o.Own:
	case now || c.state == idle:
		_ = c.Conn.SetReadDeadline(past)
	}
}

// giveUp breaks the connection off.
func (c *Conn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	c.Conn.Close()
}

// Linger sees to it that the last words arrive: a socket that is closed while something
// is unread would take them back. It reads and drops a little, for a second at most.
func (c *Conn) Linger() {
	w, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	var b [32 << 10]byte
	for range 64 {
		if _, err := c.Conn.Read(b[:]); err != nil {
			return
		}
	}
}
