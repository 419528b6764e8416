package worker

import (
	"bytes"
	"strings"
	"testing"
)

func TestPasswords(t *testing.T) {
	in := [][]byte{[]byte("infected"), []byte(""), []byte("\x00\xff"), bytes.Repeat([]byte("x"), 255)}
	s, err := encodePasswords(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := decodePasswords(s)
	if err != nil || len(out) != len(in) {
		t.Fatalf("%q %v", out, err)
	}
	for i := range in {
		if !bytes.Equal(in[i], out[i]) {
			t.Errorf("%d: %q", i, out[i])
		}
	}
	if _, err := decodePasswords(s[:len(s)-1]); err == nil {
		t.Error("a byte less is enough")
	}
	for _, bad := range [][][]byte{{make([]byte, 256)}, {make([]byte, 255), nil}} {
		for len(bad) > 1 && len(bad) < 70 {
			bad = append(bad, bad[0])
		}
		if _, err := encodePasswords(bad); err == nil || strings.Contains(err.Error(), "\x00") {
			t.Errorf("%d passwords: %v", len(bad), err)
		}
	}
	set := settings{passwords: s, noUsual: true, externals: values(t)}
	b := set.encode()
	if back, err := decodeSettings(b); err != nil || back != set {
		t.Errorf("%+v %v", back, err)
	}
	for i := range b {
		if _, err := decodeSettings(b[:i]); err == nil && i != rulesSize+len(s) {
			t.Errorf("%d bytes are enough", i)
		}
	}
	le.PutUint16(b[rulesSize-2:], uint16(len(s)+1))
	if _, err := decodeSettings(b); err == nil {
		t.Error("a length that lies")
	}
	long := settings{passwords: strings.Repeat("\x00", maxPasswords+1)}
	if _, err := decodeSettings(long.encode()); err == nil {
		t.Error("too many")
	}
}
