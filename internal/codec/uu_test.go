package codec

import (
	"bytes"
	"testing"
)

func TestUU(t *testing.T) {
	for line, want := range map[string]string{"#0V%T": "Cat", "#0V%T!!": "Cat", "!00": "A", "`": "", " ": "", "$0V%T": "Cat\x00"} {
		n, ok := UULine([]byte(line), false)
		if got := UUDecode(nil, []byte(line[1:]), n); !ok || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "\x1f", "#0V%T!!!", "#0V%a\x7f", "a"} {
		if _, ok := UULine([]byte(line), false); ok {
			t.Errorf("%q is one", line)
		}
	}
	if _, ok := UULine([]byte("$0V%T"), true); ok {
		t.Error("a line that was cut, strictly")
	}
	if got := UUDecode([]byte("a"), nil, 2); !bytes.Equal(got, []byte("a\x00\x00")) {
		t.Errorf("%q", got)
	}
}
