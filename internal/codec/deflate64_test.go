package codec

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// far.deflate64 was made by 7-Zip: matches 50,000 to 60,000 bytes back, and one 65,000 long.
const farCRC, farLen = 0xdb937087, 129480

func TestInflate64Far(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "far.deflate64"))
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(append(b, "more"...))
	f := NewInflate64(r)
	for range 2 {
		out, err := io.ReadAll(f)
		if err != nil || len(out) != farLen || crc32.ChecksumIEEE(out) != farCRC {
			t.Errorf("%d bytes, %v", len(out), err)
		}
		if r.Len() != 4 {
			t.Errorf("%d bytes left, want 4", r.Len())
		}
		r.Reset(append(b, "more"...))
		f.Reset(r)
	}
	for n := range b {
		out, err := io.ReadAll(NewInflate64(bytes.NewReader(b[:n])))
		if err != io.ErrUnexpectedEOF || len(out) > farLen {
			t.Errorf("cut at %d: %d bytes, %v", n, len(out), err)
		}
	}
}

func deflated(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

// inflatePlain decodes with our decoder, as plain DEFLATE.
func inflatePlain(b []byte, max int64) (out []byte, left int, err error) {
	r := bytes.NewReader(b)
	f := NewInflate64(r)
	f.wide = false
	out, err = io.ReadAll(io.LimitReader(f, max))
	return out, r.Len(), err
}

func TestInflatePlain(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for i := range 60 {
		p := make([]byte, rnd.Intn(200_000))
		for j := range p {
			p[j] = byte(rnd.ExpFloat64() * float64(1+i))
		}
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, i%11-1)
		w.Write(p)
		w.Close()
		out, left, err := inflatePlain(append(b.Bytes(), 1, 2, 3), 1<<20)
		if err != nil || left != 3 || !bytes.Equal(out, p) {
			t.Errorf("%d: %d bytes of %d, %d left, %v", i, len(out), len(p), left, err)
		}
	}
	if err := iotest.TestReader(NewInflate64(bytes.NewReader(deflated(payload))), payload); err != nil {
		t.Error(err)
	}
}

// FuzzDeflate64 holds the decoder against compress/flate where the two formats
// are one, and looks that Deflate64 itself comes to an end.
func FuzzDeflate64(f *testing.F) {
	far, _ := os.ReadFile(filepath.Join("testdata", "far.deflate64"))
	f.Add(far)
	f.Add(deflated(payload))
	f.Add(deflated([]byte(strings.Repeat("abc", 5000))))
	f.Add([]byte("\x01\x05\x00\xfa\xffhello"))
	f.Add([]byte("\x03\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 4 << 20
		r := bytes.NewReader(b)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(r), most))
		got, left, err := inflatePlain(b, most)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, compress/flate %v", err, wantErr)
		}
		// At a cut compress/flate wants as many bits as an end of block has, and may stop a symbol early.
		if err != nil && len(got) > len(want) {
			got = got[:len(want)]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, compress/flate %d", len(got), len(want))
		}
		if err == nil && len(got) < most && left != r.Len() {
			t.Fatalf("%d bytes left, compress/flate %d", left, r.Len())
		}
		io.Copy(io.Discard, io.LimitReader(NewInflate64(bytes.NewReader(b)), most))
	})
}
