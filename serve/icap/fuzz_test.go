package icap

import (
	"bufio"
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

// talked holds a conversation without sockets.
func talked(f *fake, text []byte, piece int) string {
	s := New(f, Options{MaxLength: 1 << 20, Connections: accept.Options{Max: 4}})
	c := &scripted{say: text, piece: piece, done: make(chan struct{})}
	_ = s.Serve(context.Background(), &once{c: c})
	<-c.done // the end of the service would end it before it is heard
	_ = s.Shutdown(context.Background())
	return c.heard.String()
}

// FuzzTalk sends anything, in pieces of any size: the answers do not depend on them, and
// marker never passes as clean.
func FuzzTalk(f *testing.F) {
	for _, s := range []string{
		respmod("Allow: 204\r\n", okHdr, chunked("x", 7, "0\r\n\r\n")), respmod("Preview: 4\r\n", okHdr, chunked("icap", 9, "0\r\n\r\n")+chunked(marker[4:], 9, "0\r\n\r\n")),
		"OPTIONS icap://h/x ICAP/1.0\r\n\r\n", "REQMOD /x ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n", respmod("Preview: 9\r\n", okHdr, chunked("x", 7, "0; ieof\r\n\r\n")),
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		b := &fake{}
		piece &= 1<<16 - 1
		all, some := varying.ReplaceAllString(talked(b, text, len(text)), "-"), varying.ReplaceAllString(talked(b, text, piece), "-")
		if all != some {
			t.Errorf("%q\n%q", all, some)
		}
		if b.open.Load() != 0 {
			t.Error("a stream is open")
		}
	})
}

// FuzzChunks holds that what a writer of chunks wrote is read back, and that nothing is read but
// what is there.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5;a=b\r\nabcde\r\n0; ieof\r\nX: y\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		c := &chunks{br: bufio.NewReaderSize(bytes.NewReader(b), maxLine)}
		if got, _ := io.ReadAll(c); len(got) > len(b) {
			t.Errorf("%d bytes of %d", len(got), len(b))
		}
		if len(b) == 0 {
			return
		}
		c = &chunks{br: bufio.NewReaderSize(strings.NewReader(chunked(string(b), 1+size&1023, "0\r\n\r\nrest")), maxLine)}
		got, err := io.ReadAll(c)
		rest, _ := io.ReadAll(c.br)
		if err != nil || !bytes.Equal(got, b) || string(rest) != "rest" {
			t.Errorf("%q %v %q", got, err, rest)
		}
	})
}
