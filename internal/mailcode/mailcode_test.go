package mailcode

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func decodeAll(t *testing.T, c Coding, in string, buf int) (string, Saw) {
	t.Helper()
	d := NewReader(iotest.OneByteReader(strings.NewReader(in)), c, make([]byte, buf))
	b, err := io.ReadAll(d)
	if err != nil {
		t.Errorf("%q: %v", in, err)
	}
	return string(b), d.Saw()
}

// TestDecodersAgree holds the decoders against those of the standard library
// on what both must read alike.
func TestDecodersAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		raw := make([]byte, rng.IntN(300))
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		enc := lines(base64.StdEncoding.EncodeToString(raw), "\r\n")
		if got, f := decodeAll(t, &Base64{}, enc, 7); got != string(raw) || f != 0 {
			t.Fatalf("base64 %q: %q, saw %d", enc, got, f)
		}
		enc = lines(base64.RawStdEncoding.EncodeToString(raw), "\n")
		if got, _ := decodeAll(t, &Base64{}, enc, 100); got != string(raw) {
			t.Fatalf("base64 %q: %q", enc, got)
		}
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		w.Write(raw)
		w.Close()
		if got, f := decodeAll(t, &Quoted{}, b.String(), 5); got != string(raw) || f != 0 {
			t.Fatalf("quoted-printable %q: %q, saw %d, want %q", b.String(), got, f, raw)
		}
		if got, _ := decodeAll(t, &YEnc{}, yenc(raw), 9); got != string(raw) {
			t.Fatalf("yEnc: %q, want %q", got, raw)
		}
	}
}

// lines breaks s into lines of 76 characters.
func lines(s, eol string) string {
	var b strings.Builder
	for l := range slices.Chunk([]byte(s), 76) {
		b.WriteString(string(l) + eol)
	}
	return b.String()
}

// yenc encodes the body of a block in lines of 128 characters.
func yenc(raw []byte) string {
	var b strings.Builder
	for i, c := range raw {
		if c += 42; c == 0 || c == '\n' || c == '\r' || c == '=' {
			b.WriteByte('=')
			c += 64
		}
		b.WriteByte(c)
		if i%128 == 127 {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

func TestDecoders(t *testing.T) {
	for _, c := range []struct {
		c        Coding
		in, want string
		saw      Saw
	}{
		{&Base64{}, "QUI=Q0Q=", "ABCD", SawPadding},
		{&Base64{Pad: PadEnds}, "QUI=Q0Q=", "AB", SawPadding},
		{&Base64{Pad: PadIsJunk}, "QU=JD", "ABC", 0},
		{&Base64{}, "Q*U*J*D", "ABC", SawJunk},
		{&Base64{}, "QUJDR", "ABC", 0},
		{&Base64{}, "QUJDRE", "ABCD", 0},
		{&Base64{URL: true}, "-_-_", "\xfb\xff\xbf", SawURL},
		{&Base64{}, "====", "", 0},
		{&Quoted{}, "a=\r\nb", "ab", 0},
		{&Quoted{}, "a= \t\r\nb", "ab", 0},
		{&Quoted{}, "a=\nb=\rc", "abc", 0},
		{&Quoted{}, "a  \r\nb \t", "a\r\nb \t", 0},
		{&Quoted{}, "=41=4a=4A", "AJJ", 0},
		{&Quoted{}, "=ZZ=4=", "=ZZ=4", SawEscape},
		{&Quoted{Drop: true}, "==41=ZZ", "AZZ", SawEscape},
		{&Quoted{}, "= x", "= x", SawEscape},
		{&Quoted{}, "x=", "x", 0},
		{&YEnc{}, "k=\xaal\r\nm", "A@BC", 0},
	} {
		for _, buf := range []int{1, 2, 3, 64} {
			switch s := c.c.(type) {
			case *Base64:
				*s = Base64{Pad: s.Pad, URL: s.URL}
			case *Quoted:
				*s = Quoted{Drop: s.Drop}
			}
			if got, f := decodeAll(t, c.c, c.in, buf); got != c.want || f != c.saw {
				t.Errorf("%T %q: %q saw %d, want %q saw %d", c.c, c.in, got, f, c.want, c.saw)
			}
		}
	}
}

// TestCharsets is what is no character, and what is cut off.
func TestCharsets(t *testing.T) {
	for _, c := range []struct {
		c        Coding
		in, want string
	}{
		{&UTF7{}, "a+-b+AGE-c+AGE.+", "a+bac" + "a."},
		{&UTF7{}, "+2AA-x+2ADcAA-", "\ufffdx\U00010000"},
		{&UTF7{}, "+AGE", "a"},
		{&Wide{Size: 2}, "a\x00b", "a\ufffd"},
		{&Wide{Size: 2, Big: true}, "\xd8\x00\x00a\xdc\x00", "\ufffda\ufffd"},
		{&Wide{Size: 2, Big: true}, "\xd8\x00\xd8\x00\xdc\x00", "\ufffd\U00010000"},
		{&Wide{Size: 2, Big: true}, "\xd8\x00", "\ufffd"},
		{&Wide{Size: 4, Big: true}, "\xff\xff\xff\xff\x00\x00\xd8\x00\x00\x00\x00a\x00", "\ufffd\ufffda\ufffd"},
	} {
		if got, _ := decodeAll(t, c.c, c.in, 3); got != c.want {
			t.Errorf("%T %q: %q, want %q", c.c, c.in, got, c.want)
		}
	}
}

// TestHead is that the first bytes of the output are kept, and no more.
func TestHead(t *testing.T) {
	raw := bytes.Repeat([]byte("some text. "), 100)
	for _, buf := range []int{1, 7, 4096} {
		d := NewReader(strings.NewReader(base64.StdEncoding.EncodeToString(raw)), &Base64{}, make([]byte, buf))
		if _, err := io.Copy(io.Discard, d); err != nil || !bytes.Equal(d.Head(), raw[:HeadSize]) {
			t.Errorf("buffer of %d: %v, %q", buf, err, d.Head())
		}
	}
}
