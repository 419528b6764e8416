package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestPasswords(t *testing.T) {
	in := [][]byte{[]byte("infected"), []byte(""), []byte("\x00\xff"), bytes.Repeat([]byte("x"), 255)}
	s, err := EncodePasswords(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := DecodePasswords(s)
	if err != nil || len(out) != len(in) {
		t.Fatalf("%q %v", out, err)
	}
	for i := range in {
		if !bytes.Equal(in[i], out[i]) {
			t.Errorf("%d: %q", i, out[i])
		}
	}
	if _, err := DecodePasswords(s[:len(s)-1]); err == nil {
		t.Error("a byte less is enough")
	}
	for _, bad := range [][][]byte{{make([]byte, 256)}, {make([]byte, 255), nil}} {
		for len(bad) > 1 && len(bad) < 70 {
			bad = append(bad, bad[0])
		}
		if _, err := EncodePasswords(bad); err == nil || strings.Contains(err.Error(), "\x00") {
			t.Errorf("%d passwords: %v", len(bad), err)
		}
	}
	set := Settings{Passwords: s, NoUsual: true, Externals: someValues(t)}
	b := set.Encode()
	if back, err := DecodeSettings(b); err != nil || back != set {
		t.Errorf("%+v %v", back, err)
	}
	for i := range b {
		if _, err := DecodeSettings(b[:i]); err == nil && i != rulesSize+len(s) {
			t.Errorf("%d bytes are enough", i)
		}
	}
	le.PutUint16(b[rulesSize-2:], uint16(len(s)+1))
	if _, err := DecodeSettings(b); err == nil {
		t.Error("a length that lies")
	}
	long := Settings{Passwords: strings.Repeat("\x00", maxPasswords+1)}
	if _, err := DecodeSettings(long.Encode()); err == nil {
		t.Error("too many")
	}
}
