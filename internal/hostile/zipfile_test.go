package hostile

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"testing"
)

// unzipped returns what the standard library, which checks sizes and CRCs,
// reads of the first member.
func unzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if i == 0 {
			first = got
		}
	}
	return first
}

func TestCRC(t *testing.T) {
	a, b := noise(1000, 1), noise(777, 2)
	if got, want := crcJoin(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), 777), crc32.ChecksumIEEE(join(a, b)); got != want {
		t.Errorf("join: %x, want %x", got, want)
	}
	for _, n := range []int{0, 1, 2, 3, 1000, 1 << 20} {
		if got, want := crcZeros(int64(n)), crc32.ChecksumIEEE(make([]byte, n)); got != want {
			t.Errorf("%d zeros: %x, want %x", n, got, want)
		}
	}
}
