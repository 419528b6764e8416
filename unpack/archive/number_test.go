package archive

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// Octal fields read as the library reads their text.
func TestOctal(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const set = "0123456701234567  \x00\x00\t\n\r\v89+-_x\xa0"
	for range 100_000 {
		f := make([]byte, r.IntN(26))
		for i := range f {
			f[i] = set[r.IntN(len(set)/(1+r.IntN(2)))]
		}
		if len(f) > 0 && f[0] >= 0x80 {
			continue // base 256
		}
		want, err := strconv.ParseUint(tarText(f), 8, 63)
		ok := err == nil || tarText(f) == ""
		got, gotOK := tarNumber(f)
		if gotOK != ok || ok && got != int64(want) {
			t.Fatalf("%q: %d, %v; want %d, %v", f, got, gotOK, want, ok)
		}
	}
}
