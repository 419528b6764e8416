package zipdir

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// build writes a zip file with the standard library.
func build(t testing.TB, comment string) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range []struct {
		name   string
		method uint16
		text   string
	}{{"a.txt", zip.Deflate, strings.Repeat("hello ", 50)}, {"dir/b", zip.Store, "stored"}, {"ü.txt", zip.Deflate, ""}} {
		m, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: f.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(m, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestOpen(t *testing.T) {
	for name, b := range map[string][]byte{
		"plain": build(t, ""), "comment": build(t, "PK\x05\x06 is no end"), "prefix": append([]byte("#!/bin/sh\n"), build(t, "x")...),
	} {
		a := Open(showcause.Bytes(b), nil)
		if !a.OK || len(a.Entries) != 3 {
			t.Fatalf("%s: %+v", name, a)
		}
		want, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range a.Entries {
			w := want.File[i]
			if e.Name != w.Name || e.Method != w.Method || e.Size != w.UncompressedSize64 || e.Packed != w.CompressedSize64 {
				t.Errorf("%s: %+v, want %+v", name, e, w.FileHeader)
			}
			r, _ := w.Open()
			text, _ := io.ReadAll(r)
			if got, ok := a.Read(e, 1000); !ok || !bytes.Equal(got, text) {
				t.Errorf("%s: %q %v, want %q", name, got, ok, text)
			}
			if _, ok := a.Read(e, int64(e.Size)-1); ok && e.Size > 0 {
				t.Errorf("%s: more than was allowed", name)
			}
		}
		if _, ok := a.Find("dir/b"); !ok {
			t.Error("Find")
		}
	}
}

// TestWide reads lengths of 64 bits.
func TestWide(t *testing.T) {
	le := binary.LittleEndian
	local := append([]byte(localMagic), make([]byte, 26)...)
	local[26] = 1
	data := append(append(local, 'n'), "content"...)
	central := append([]byte(centralMagic), make([]byte, 42)...)
	for _, at := range []int{20, 24, 42} {
		le.PutUint32(central[at:], 1<<32-1)
	}
	central[28], central[30] = 1, 28
	central = append(central, 'n')
	central = append(central, 1, 0, 24, 0)
	for _, v := range []uint64{7, 7, 0} {
		central = le.AppendUint64(central, v)
	}
	end64 := append([]byte(end64Magic), make([]byte, 52)...)
	le.PutUint64(end64[32:], 1)
	le.PutUint64(end64[40:], uint64(len(central)))
	le.PutUint64(end64[48:], uint64(len(data)))
	locator := append([]byte(locate64), make([]byte, 16)...)
	le.PutUint64(locator[8:], uint64(len(data)+len(central)))
	end := append([]byte(endMagic), make([]byte, 18)...)
	copy(end[8:], bytes.Repeat([]byte{255}, 12))
	b := bytes.Join([][]byte{data, central, end64, locator, end}, nil)
	a := Open(showcause.Bytes(b), nil)
	if !a.OK || len(a.Entries) != 1 || a.Entries[0].Size != 7 {
		t.Fatalf("%+v", a)
	}
	if got, ok := a.Read(a.Entries[0], 100); string(got) != "content" || !ok {
		t.Errorf("%q %v", got, ok)
	}
}

func TestNames(t *testing.T) {
	if got := decode("\x84\xe1.txt", 0); got != "äß.txt" {
		t.Error(got)
	}
	if got := decode("\xc3\xa4\xff", 1<<11); got != "ä\uFFFD" {
		t.Error(got)
	}
	if n := len([]rune(upper)); n != 128 {
		t.Errorf("%d characters", n)
	}
}

func everything(b []byte) (out []any) {
	a := Open(showcause.Bytes(b), nil)
	if !a.OK {
		return []any{a.Short()}
	}
	for i, e := range a.Entries {
		got, ok := a.Read(e, 10_000)
		if out = append(out, e, got, ok); i > 20 {
			break
		}
	}
	return append(out, len(a.Entries), a.Short())
}

func TestTruncated(t *testing.T) {
	b := build(t, "comment")
	for n := range b {
		everything(b[:n])
		for _, c := range []byte{0xff, 0x7f, 0} {
			old := b[n]
			b[n] = c
			everything(b)
			b[n] = old
		}
	}
}

func TestHostile(t *testing.T) {
	// Many end records, each with a directory that is nearly right.
	var b []byte
	for range 3000 {
		b = append(b, endMagic+"\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	}
	everything(b)
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		b := build(t, "")
		for range 5 {
			b[len(b)-1-r.IntN(200)] = byte(r.IntN(256))
		}
		everything(b)
	}
	left := int64(20)
	if a := Open(showcause.Bytes(build(t, "")), func(n int64) bool { left -= n; return left > 0 }); !a.Short() {
		t.Error("no end of work")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(build(f, ""))
	f.Add(build(f, "comment"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if one, two := everything(b), everything(b); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}
