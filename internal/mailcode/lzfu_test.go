package mailcode

import (
	"io"
	"strings"
	"testing"
)

// [MS-OXRTFCP] 3.1.1: the example of its section on decompression.
func TestCompressedRTF(t *testing.T) {
	const head = "\x2d\x00\x00\x00\x2b\x00\x00\x00"
	r, err := CompressedRTF(strings.NewReader(head + "LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125B\x32\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n" {
		t.Errorf("%q %v", b, err)
	}
	if r, err = CompressedRTF(strings.NewReader(head + "MELA\x00\x00\x00\x00{\\rtf1 a}")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "{\\rtf1 a}" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := CompressedRTF(strings.NewReader(head + "what\x00\x00\x00\x00")); err == nil {
		t.Error("a head that is none")
	}
	if len(lzfuStart) != 207 {
		t.Errorf("the window begins with %d bytes", len(lzfuStart))
	}
}
