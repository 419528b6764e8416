package stream

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"math/rand"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// zipped is a zip file with one member.
func zipped(t testing.TB, content []byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("a")
	check(t, err)
	f.Write(content)
	check(t, w.Close())
	return b.Bytes()
}

// A file that was packed in pieces, as pigz and bgzip do, is one file. Its
// pieces are none, whatever they begin with.
func TestGzipPieces(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	noise := make([]byte, 5000)
	rand.New(rand.NewSource(1)).Read(noise)
	for range 9 {
		for _, data := range [][]byte{zipped(t, noise), gz(t, noise), noise, []byte(strings.Repeat("text\n", 3000))} {
			check(t, w.WriteHeader(&tar.Header{Name: "f", Mode: 0o600, Size: int64(len(data))}))
			w.Write(data)
		}
	}
	check(t, w.Close())
	whole := b.Bytes()
	for _, piece := range []int{512, 65280, 32 << 10} { // blocks of bgzip are of 65,280 bytes
		data := whole[:min(len(whole), gzipApart*piece)]
		var file []byte
		for at := 0; at < len(data); at += piece {
			file = append(file, gz(t, data[at:min(at+piece, len(data))])...)
		}
		one(t, unpacktest.Walk(t, Gzip(), file, showcause.Limits{}), data)
	}
}

// A member behind the first that is a file of its own is read as that.
func TestGzipMembers(t *testing.T) {
	z := zipped(t, payload())
	file := cat(gz(t, []byte("first ")), gz(t, z), gz(t, []byte("text")))
	r := unpacktest.Walk(t, Gzip(), file, showcause.Limits{})
	if len(r.Children) != 2 || len(r.Gaps) > 0 || string(r.Children[0].Data) != "first "+string(z)+"text" ||
		!bytes.Equal(r.Children[1].Data, z) {
		t.Fatalf("%s", r)
	}
	if c := r.Children[0]; c.Name != "name.txt" || c.Op != "gzip.deflate" || r.Children[1].Op != "gzip.member" {
		t.Errorf("%s", r)
	}
	for name, data := range map[string][]byte{"xz": xzed(t, payload()), "gzip": gz(t, payload()), "pdf": []byte("%PDF-1.4\n"), "elf": []byte("\x7fELF\x02\x01\x01")} {
		r := unpacktest.Walk(t, Gzip(), cat(gz(t, []byte("first ")), gz(t, data)), showcause.Limits{})
		if len(r.Children) != 2 || !bytes.Equal(r.Children[1].Data, data) {
			t.Errorf("%s: %s", name, r)
		}
	}
	var many []byte
	for range gzipApart + 1 {
		many = append(many, gz(t, z)...)
	}
	one(t, unpacktest.Walk(t, Gzip(), many, showcause.Limits{}), bytes.Repeat(z, gzipApart+1))
}
