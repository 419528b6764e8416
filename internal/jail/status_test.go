package jail

import (
	"bytes"
	"testing"
)

func FuzzParseStatus(f *testing.F) {
	full := Status{}
	for i := range wallCount {
		full.Walls = append(full.Walls, given(i, i%2 == 0, code(i%int(codeLast)), 0))
	}
	full.Walls[3] = given(3, false, codeErrno, 1)
	full.Walls[4] = given(4, true, codeABI, 7)
	f.Add(full.Encode())
	f.Add(Status{}.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatus(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Encode(), b) {
			t.Fatalf("%x is written %x", b, s.Encode())
		}
		if s.Sealed() != (b[4*wallNoNewPrivs] == 1 && b[4*wallSeccomp] == 1) {
			t.Fatal("sealed")
		}
	})
}

func TestStatusRefused(t *testing.T) {
	good := Status{}.Encode()
	if _, err := ParseStatus(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := ParseStatus(good[:i]); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	for _, c := range []struct {
		at    int
		value byte
	}{{0, 2}, {1, byte(codeLast)}, {2, 1}, {3, 255}} {
		b := bytes.Clone(good)
		b[c.at] = c.value
		if _, err := ParseStatus(b); err == nil {
			t.Errorf("byte %d = %d is accepted", c.at, c.value)
		}
	}
	if _, err := ParseStatus(append(good, 0)); err == nil {
		t.Error("a byte more is accepted")
	}
	if (Status{}).Sealed() {
		t.Error("nothing is sealed")
	}
}
