package codec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"testing"
)

// What the filter for RISC-V makes of bytes with many of its instructions; 7z 26.02
// says the same.
func TestRISCV(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	b := make([]byte, 40_001)
	for i := range b {
		b[i] = byte(rng.Uint32())
		if rng.IntN(3) == 0 {
			b[i] = "\x17\x97\xef\x00\x01\x31\x11\xe8\xe9\xff\x25\x94\xeb\xf8\x48\x40\x7f\x83\x10"[rng.IntN(19)]
		}
	}
	for _, n := range []int{1, 7, 8, 4096} {
		r, ok := NewBranch(bytes.NewReader(b), BranchRISCV, 0)
		if !ok {
			t.Fatal("unknown")
		}
		h := sha256.New()
		if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil))[:16]; got != "b73774fb8c99e792" {
			t.Errorf("read %d at a time: %s", n, got)
		}
	}
}
