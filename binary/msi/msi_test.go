package msi

import (
	"bytes"
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
)

// sample is a compound file of three streams in a storage.
func sample(t testing.TB) []byte {
	b, err := os.ReadFile("../../yara/fields/testdata/macros.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDigest holds that streams are taken in the order of their names, and a storage's
// class after what is in it. That real signatures are made of the same bytes is held in
// yara/fields, against osslsigncode.
func TestDigest(t *testing.T) {
	f := cfb.Open(showcause.Bytes(sample(t)), nil)
	var want, got bytes.Buffer
	for _, name := range []string{"Module1", "ThisDocument", "dir"} {
		b, ok := f.Read(f.Find(1, name), 1<<20)
		if !ok {
			t.Fatal(name)
		}
		want.Write(b)
	}
	want.Write(f.Entries[1].Class[:])
	want.Write(f.Entries[0].Class[:])
	if !Digest(f, &got) || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes, want %d", got.Len(), want.Len())
	}
	if b, cut := Signature(f); b != nil || cut {
		t.Error("a signature where there is none")
	}
}

func TestNone(t *testing.T) {
	f := cfb.Open(showcause.Bytes("nothing"), nil)
	if b, cut := Signature(f); b != nil || cut || Digest(f, &bytes.Buffer{}) {
		t.Error("something in nothing")
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var one, two bytes.Buffer
		c := cfb.Open(showcause.Bytes(b), nil)
		if Digest(c, &one) != Digest(c, &two) || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Error("two answers")
		}
		Signature(c)
	})
}
