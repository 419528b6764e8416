//go:build !airgap

package ledger

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// counted is a connection whose bytes are counted where they are handed to
// the kernel and taken from it. Its waits end with ctx.
type counted struct {
	net.Conn
	ctx  context.Context
	idle time.Duration // longest wait for one read or write; 0: the connection has a deadline already

	in, out atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.idle > 0 {
		c.SetReadDeadline(time.Now().Add(c.idle))
	}
	if err := c.ctx.Err(); err != nil { // asked after the deadline was set, which may have undone that of hurry
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, c.why(err)
}

func (c *counted) Write(p []byte) (int, error) {
	if c.idle > 0 {
		c.SetWriteDeadline(time.Now().Add(c.idle))
	}
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, c.why(err)
}

// why prefers the reason why ctx ended to the time-out that it made.
func (c *counted) why(err error) error {
	if err != nil && c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	return err
}

// hurry ends waits when ctx does. The caller calls what it returns.
func (c *counted) hurry() (stop func() bool) {
	return context.AfterFunc(c.ctx, func() { c.Conn.SetDeadline(time.Unix(1, 0)) })
}

// kernelCount is what the kernel says of a connection, -1 where it does not.
type kernelCount struct{ out, in, unread, repeated, segments int64 }

var noCount = kernelCount{-1, -1, -1, -1, -1}

// kernel asks for the kernel's counts, once it has sent what it was given or
// cannot any more.
func (c *counted) kernel() kernelCount {
	k := noCount
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return k
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return k
	}
	const tries = 200
	for range tries {
		var settled bool
		if raw.Control(func(fd uintptr) { k, settled = tcpInfo(int(fd), c.out.Load()) }) != nil || settled {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return k
}

// tcpInfo reads TCP_INFO of a socket; settled tells that the numbers stay.
func tcpInfo(fd int, out int64) (k kernelCount, settled bool) {
	first, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return noCount, true
	}
	unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		unread = 0
	}
	i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return noCount, true
	}
	k = kernelCount{
		out: int64(i.Bytes_sent - i.Bytes_retrans), in: int64(i.Bytes_received), unread: int64(unread),
		repeated: int64(i.Bytes_retrans), segments: int64(i.Segs_out),
	}
	if i.Bytes_sent == 0 && out > 0 && i.Bytes_acked > 1 { // Linux before 4.19 does not count it
		k.out, k.repeated = -1, -1
	}
	const closed = 7 // TCP_CLOSE
	settled = i.State == closed || k.out < 0 || k.out >= out
	return k, settled && first.Bytes_received == i.Bytes_received
}
