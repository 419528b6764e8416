package unpacktest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"unicode/utf16"
)

// Mixed is n bytes, part of which compress.
func Mixed(n int) []byte {
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	b := make([]byte, 0, n+64)
	for len(b) < n {
		if rng.IntN(3) == 0 {
			for range 40 {
				b = append(b, byte(rng.Uint32()))
			}
		} else {
			b = append(b, "call the function and return its result "[:rng.IntN(39)+1]...)
		}
	}
	return b[:n]
}

// UTF16 is a text as UTF-16LE.
func UTF16(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// Tool runs a program with standard input and returns its output. It skips the
// test where there is none, or it does not take the arguments.
func Tool(t *testing.T, in []byte, name string, arg ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(path, arg...)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Skipf("%s %v: %v: %s", name, arg, err, errs.String())
	}
	return out.Bytes()
}
