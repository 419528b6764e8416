package document

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naiveLine is the first line of b by looking at each byte.
func naiveLine(b []byte) (ln, rest []byte) {
	for i, c := range b {
		switch {
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			return b[:i], b[i+2:]
		case c == '\r' || c == '\n':
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// ends are bytes with many ends of lines.
func ends(r *rand.Rand) []byte {
	set := []string{"\n", "\r", "\r\n", "\n\r", "a: b", "Content-Type", ":", " ", "\x00", "\xff", "From "}
	var b []byte
	for range r.IntN(40) {
		b = append(b, set[r.IntN(len(set))]...)
		if r.IntN(20) == 0 {
			b = append(b, bytes.Repeat([]byte{'x'}, r.IntN(10000))...)
		}
	}
	return b
}

func TestSplitter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := ends(r)
		rest := splitter{b, -1, -1}
		for left := b; len(left) > 0; {
			want, next := naiveLine(left)
			if got, after := cutLine(left); !bytes.Equal(got, want) || !bytes.Equal(after, next) {
				t.Fatalf("cutLine(%q) = %q, %q", left, got, after)
			}
			if got := rest.cut(); !bytes.Equal(got, want) || !bytes.Equal(rest.b, next) {
				t.Fatalf("splitter of %q at %q: %q, %q", b, left, got, rest.b)
			}
			left = next
		}
	}
}

// Behind lines that are no header's, one field still makes a mail of a head.
func TestMarkedBehindNoise(t *testing.T) {
	noise := bytes.Repeat([]byte("\x7fELF no line of a header\n\x00\x01\x02:\n"), 50)
	for _, c := range []struct {
		line string
		want likeness
	}{
		{"Content-Transfer-Encoding: base64\n", markedMail},
		{"content-type\t: multipart/mixed\r", markedMail},
		{"Con\xfftent-Type: multipart/mixed\n", markedMail},
		{"Content-Type: text/plain\n", noMail},
		{"\nContent-Transfer-Encoding: base64\n", noMail},
		{" Content-Transfer-Encoding: base64\n", noMail},
		{string(bytes.Repeat([]byte{'x'}, maxFieldName)) + ": y\n", noMail},
	} {
		if got := judgeHead(append(bytes.Clone(noise), c.line...)); got != c.want {
			t.Errorf("%q: %d, want %d", c.line, got, c.want)
		}
	}
}
