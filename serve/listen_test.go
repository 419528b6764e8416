package serve

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection asks after a silent peer, though nothing is set for each.
func TestKeepAlive(t *testing.T) {
	w := Listen{Network: "tcp", Address: "127.0.0.1:0"}
	l, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	raw, err := a.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on, idle int
	err = raw.Control(func(fd uintptr) {
		on, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		idle, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
	})
	if err != nil || on != 1 || idle != 15 {
		t.Errorf("keep-alive %d after %d s: %v", on, idle, err)
	}
}
