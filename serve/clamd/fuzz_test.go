package clamd

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/clamdtalk"
)

// scripted is a connection that says what it was told, in pieces, and keeps what it hears.
type scripted struct {
	net.Conn
	say   []byte
	piece int
	heard bytes.Buffer
	over  bool
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.over {
		return 0, net.ErrClosed
	}
	if len(s.say) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.piece, 1))], s.say)
	s.say = s.say[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return s.heard.Write(p) }
func (s *scripted) Close() error                     { s.over = true; return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// answer holds a conversation without sockets.
func answer(b Backend, say []byte, piece int) string {
	s := New(b, Options{StreamMaxLength: 1000, NoShutdown: true})
	nc := &scripted{say: say, piece: piece}
	c := s.take(context.Background(), nc)
	c.serve()
	return nc.heard.String()
}

// FuzzTalk sends anything in pieces of any size. Where no command is of the old style, whose end
// is that of a packet, replies do not depend on the pieces.
func FuzzTalk(f *testing.F) {
	for _, t := range clamdtalk.Talks() {
		say := ""
		for _, s := range t.Steps {
			say += s.Send
		}
		if len(say) < 10000 && !strings.Contains(say, "SCAN") {
			f.Add([]byte(say), 3)
		}
	}
	f.Fuzz(func(t *testing.T, say []byte, piece int) {
		if bytes.Contains(say, []byte("SCAN")) || bytes.Contains(say, []byte("STAT")) || len(say) > 1<<16 {
			return // it would read this machine's files, or say what time it is
		}
		b := &fake{}
		whole := answer(b, bytes.Clone(say), 1<<20)
		parts := answer(b, bytes.Clone(say), piece%5000)
		if n := b.open.Load(); n != 0 {
			t.Fatalf("%d streams are left", n)
		}
		if len(say) > 0 && (say[0] == 'z' || say[0] == 'n') && !strings.Contains(whole+parts, "IDSESSION") && !bytes.Contains(say, []byte("IDSESSION")) && whole != parts {
			t.Fatalf("%q: %q, in pieces %q", say, whole, parts)
		}
		for _, r := range []string{whole, parts} {
			if r != "" && !strings.HasSuffix(r, "\n") && !strings.HasSuffix(r, "\x00") {
				t.Fatalf("%q: %q has no end", say, r)
			}
		}
	})
}

// FuzzChunks holds INSTREAM against a simple reading of the same bytes.
func FuzzChunks(f *testing.F) {
	f.Add([]byte(stream("X5O!")), 1)
	f.Add([]byte("\x00\x00\x00\x02X5\x00\x00\x00\x02O!\x00\x00\x00\x00rest"), 2)
	f.Add([]byte("\x00\x00\x03\xe8"+strings.Repeat("a", 1000)+"\x00\x00\x00\x01"), 100)
	f.Add([]byte("\xff\xff\xff\xff"), 4)
	f.Fuzz(func(t *testing.T, say []byte, piece int) {
		want, content := simple(say)
		b := &fake{}
		got := answer(b, append([]byte("nINSTREAM\n"), say...), piece%5000)
		if want == "" && len(content) >= 4 && content[:4] == "X5O!" {
			want = "stream: Eicar FOUND\n"
		} else if want == "" {
			want = answer(b, []byte("nINSTREAM\n"+stream(content)), 1<<20)
		}
		if want == "cut" {
			want = ""
		}
		if got != want {
			t.Fatalf("%q: %q, want %q", say, got, want)
		}
	})
}

// simple reads chunks as they are described: "" and the content if all is there.
func simple(b []byte) (string, string) {
	var content []byte
	for quota := 1000; ; {
		if len(b) < 4 {
			return "cut", ""
		}
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		b = b[4:]
		switch {
		case n == 0:
			return "", string(content)
		case n > quota:
			return "INSTREAM size limit exceeded. ERROR\n", ""
		case n > len(b):
			return "cut", ""
		}
		content, b, quota = append(content, b[:n]...), b[n:], quota-n
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"zPING\x00", "nSCAN /x\r\n", "SCANx/y", "zSHOWCAUSE-SCAN record -- /a b\x00", "VERSIONCOMMANDS\n", "nDETSTATSCLEAR\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := parse(b)
		if !ok {
			if c.len != 0 {
				t.Fatal("a length without a command")
			}
			return
		}
		if c.len < 1 || c.len > len(b) || c.len > maxCommand || strings.IndexByte(c.arg, 0) >= 0 {
			t.Fatalf("%+v", c)
		}
		// What it takes does not depend on what follows, but for the old style.
		if d, ok := parse(append(bytes.Clone(b[:c.len]), "zEND\x00\n"...)); !c.old && (!ok || d != c) {
			t.Fatalf("%+v, %+v", c, d)
		}
		if c.verb == ourScan || c.verb == ourInstream {
			parseOptions(c.arg)
		}
	})
}
