package milter

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/serve/accept"
)

// scripted is a connection that says what it was told, in pieces, and keeps what it hears.
type scripted struct {
	net.Conn
	say   []byte
	piece int
	heard bytes.Buffer
	done  chan struct{}
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.say) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.piece, 1))], s.say)
	s.say = s.say[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return s.heard.Write(p) }
func (s *scripted) Close() error                     { close(s.done); return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// once is a listener with one connection.
type once struct {
	net.Listener
	c net.Conn
}

func (o *once) Accept() (net.Conn, error) {
	if c := o.c; c != nil {
		o.c = nil
		return c, nil
	}
	return nil, net.ErrClosed
}

// FuzzTalk sends anything, in pieces of any size: the answers do not depend on them, are
// packets, and give back all that was taken.
func FuzzTalk(f *testing.F) {
	f.Add([]byte(hello(6, 0x1ff, postfix)+pack('C', client)+mailOf(subject, marker)), 3)
	f.Add([]byte(hello(2, 0x1ff, 0x7f)+mailOf([][2]string{{"X-Virus-Status", "x\ny"}}, "x")+pack('A', "")+pack('K', "")+pack('Q', "")), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		b := &fake{}
		talk := func(piece int) string {
			s := New(b, Options{MaxLength: 1 << 20, Hostname: "h", Connections: accept.Options{Max: 4}})
			c := &scripted{say: text, piece: piece, done: make(chan struct{})}
			_ = s.Serve(context.Background(), &once{c: c})
			<-c.done // the end of the service would end it before it is heard
			_ = s.Shutdown(context.Background())
			return c.heard.String()
		}
		all, some := talk(len(text)), talk(piece&(1<<16-1))
		if all != some {
			t.Errorf("%q\n%q", all, some)
		}
		n := 0
		for _, p := range heard(t, strings.NewReader(all)) {
			n += len(p)
		}
		if n == 0 && all != "" {
			t.Errorf("%q", all)
		}
		if b.open.Load() != 0 {
			t.Error("a stream is open")
		}
	})
}

// FuzzConf holds that any text is settings or an error.
func FuzzConf(f *testing.F) {
	f.Add("MilterSocket unix:/x\nLocalNet 10.0.0.0/8\nAddHeader Add\nMaxFileSize 1M\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "Whitelist") || strings.Contains(text, "file:") {
			return // these open files
		}
		if c, err := Parse("x", strings.NewReader(text)); err == nil && c.Network != "" && c.Address == "" {
			t.Error("a socket without an address")
		}
	})
}
