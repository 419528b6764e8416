package icap

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/accept/accepttest"
)

// FuzzTalk sends anything, in pieces of any size: the answers do not depend on them, and
// marker never passes as clean.
func FuzzTalk(f *testing.F) {
	for _, s := range []string{
		respmod("Allow: 204\r\n", okHdr, chunked("x", 7, "0\r\n\r\n")), respmod("Preview: 4\r\n", okHdr, chunked(marker[:4], 9, "0\r\n\r\n")+chunked(marker[4:], 9, "0\r\n\r\n")),
		"OPTIONS icap://h/x ICAP/1.0\r\n\r\n", "REQMOD /x ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n", respmod("Preview: 9\r\n", okHdr, chunked("x", 7, "0; ieof\r\n\r\n")),
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		b := &accepttest.Fake{}
		o := Options{MaxLength: 1 << 20, Connections: accept.Options{Max: 4}}
		piece &= 1<<16 - 1
		all, some := varying.ReplaceAllString(accepttest.Talk(New(b, o), text, len(text)), "-"), varying.ReplaceAllString(accepttest.Talk(New(b, o), text, piece), "-")
		if all != some {
			t.Errorf("%q\n%q", all, some)
		}
		if b.Open.Load() != 0 {
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
