package richtext

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// compound is what begins as a compound file and is long enough to be one.
func compound() []byte { return append([]byte(magic), unpacktest.Marked("compound", 1500)...) }

func utf16le(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// ops lists the children as "op name".
func ops(r unpacktest.Result) string {
	var out []string
	for _, c := range r.Children {
		out = append(out, strings.TrimSpace(c.Op+" "+c.Name))
	}
	return strings.Join(out, "; ")
}

// child is the bytes of the child of an op and a name.
func child(t *testing.T, r unpacktest.Result, op, name string) string {
	t.Helper()
	for _, c := range r.Children {
		if c.Op == op && c.Name == name {
			return string(c.Data)
		}
	}
	t.Errorf("no %s %q; there are %s", op, name, ops(r))
	return ""
}

var noLimits showcause.Limits
