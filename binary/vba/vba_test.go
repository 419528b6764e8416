package vba

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
)

// The three examples of section 3.2.
func TestExamples(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\x01\x19\xb0\x00abcdefgh\x00ijklmnop\x00qrstuv.", "abcdefghijklmnopqrstuv."},
		{
			"\x01\x2f\xb0\x00#aaabcde\x82f\x00paghij\x018\x08akl\x000mnop\x06q\x02p\x04\x10rstuv\x10wxyz\x00<",
			"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa",
		},
		{"\x01\x03\xb0\x02\x61\x45\x00", strings.Repeat("a", 73)},
	} {
		got, ok, cut := Decompress([]byte(c.in), 1<<20)
		if string(got) != c.want || !ok || cut {
			t.Errorf("%q, %v, want %q", got, ok, c.want)
		}
	}
}

// compress is a compressor that takes the longest copy it finds.
func compress(b []byte) []byte {
	out := []byte{1}
	for len(b) > 0 || len(out) == 1 {
		n := min(len(b), chunkSize)
		chunk := pack(b[:n])
		b = b[n:]
		out = binary.LittleEndian.AppendUint16(out, uint16(len(chunk)+2-3)|0xb000)
		out = append(out, chunk...)
		if n == 0 {
			break
		}
	}
	return out
}

func pack(b []byte) (out []byte) {
	for at := 0; at < len(b); {
		flag := len(out)
		out = append(out, 0)
		for bit := 0; bit < 8 && at < len(b); bit++ {
			lengthBits := 12
			for 1<<(16-lengthBits) < at {
				lengthBits--
			}
			best, dist := 0, 0
			for d := 1; d <= min(at, 300); d++ {
				n := 0
				for at+n < len(b) && n < 1<<lengthBits-1+3 && b[at+n] == b[at+n-d] {
					n++
				}
				if n > best {
					best, dist = n, d
				}
			}
			if best < 3 {
				out = append(out, b[at])
				at++
				continue
			}
			out[flag] |= 1 << bit
			out = binary.LittleEndian.AppendUint16(out, uint16((dist-1)<<lengthBits|(best-3)))
			at += best
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		b := make([]byte, r.IntN(12000))
		for k := range b {
			b[k] = byte(r.IntN(1 + i%7))
		}
		if len(pack(b[:min(len(b), chunkSize)])) > chunkSize {
			continue
		}
		got, ok, _ := Decompress(compress(b), 1<<20)
		if !ok || !bytes.Equal(got, b) {
			t.Fatalf("%d: %d bytes, %v, want %d", i, len(got), ok, len(b))
		}
	}
}

func record(id uint16, data string) string {
	b := binary.LittleEndian.AppendUint16(nil, id)
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(data)))) + data
}

func module(name, stream string, kind uint16, offset uint32) string {
	return record(0x19, name) + record(0x47, "n\x00") + record(0x1a, stream) + record(0x32, "s\x00") + record(0x1c, "") + record(0x48, "") +
		record(0x31, string(binary.LittleEndian.AppendUint32(nil, offset))) + record(0x1e, "\x00\x00\x00\x00") + record(0x2c, "\xff\xff") +
		record(kind, "") + record(0x2b, "")
}

// dir is the stream of a project with two references and two modules.
func dir() string {
	version := record(0x09, "\x01\x02\x03\x04")
	version = version[:len(version)-4] + "\x05\x00\x00\x00\x07\x00"
	return record(1, "\x03\x00\x00\x00") + record(2, "\x07\x04\x00\x00") + record(0x14, "\x07\x04\x00\x00") + record(3, "\xe4\x04") +
		record(4, "VBAProject") + record(5, "doc") + record(0x40, "d\x00") + record(6, "") + record(0x3d, "") + record(7, "\x00\x00\x00\x00") +
		record(8, "\x00\x00\x00\x00") + version + record(0x0c, "") + record(0x3c, "") +
		record(0x16, "stdole") + record(0x3e, "s\x00") + record(0x0d, "libid.......") +
		record(0x16, "MSForms") + record(0x3e, "M\x00") + record(0x33, "x") + record(0x2f, "twiddled") + record(0x16, "again") + record(0x3e, "") + record(0x30, "extended") +
		record(0x0f, "\x02\x00") + record(0x13, "\xff\xff") +
		module("ThisDocument", "ThisDocument", 0x22, 5) + module("Module1", "Module1", 0x21, 0) + module("Gone", "Gone", 0x21, 0) + record(0x10, "")
}

const code = "Attribute VB_Name = \"Module1\"\r\nSub AutoOpen()\r\n  MsgBox \"hi\"\r\nEnd Sub\r\n"

// document is a compound file with the project in storage Macros/VBA.
func document(dir, one, two []byte) []byte {
	return cfbFile([]cfbStream{{"dir", dir}, {"ThisDocument", one}, {"Module1", two}})
}

type cfbStream struct {
	name string
	data []byte
}

// cfbFile writes a compound file with one storage and streams in it, all large enough
// to have sectors of their own.
func cfbFile(streams []cfbStream) []byte {
	le := binary.LittleEndian
	var sectors []byte
	var fat []uint32
	put := func(b []byte) uint32 {
		first := uint32(len(fat))
		for len(b)%512 != 0 || len(b) == 0 {
			b = append(b, 0)
		}
		sectors = append(sectors, b...)
		for range len(b) / 512 {
			fat = append(fat, uint32(len(fat)+1))
		}
		fat[len(fat)-1] = 0xfffffffe
		return first
	}
	var dir []byte
	entry := func(name string, kind byte, right, child, start uint32, n int) {
		b := make([]byte, 128)
		for i := range len(name) {
			b[2*i] = name[i]
		}
		b[64], b[66] = byte(2*len(name)+2), kind
		for at, v := range map[int]uint32{68: 0xffffffff, 72: right, 76: child, 116: start, 120: uint32(n)} {
			le.PutUint32(b[at:], v)
		}
		dir = append(dir, b...)
	}
	const none = 0xffffffff
	entry("Root Entry", 5, none, 1, 0xfffffffe, 0)
	entry("VBA", 1, none, 2, 0, 0)
	for i, s := range streams {
		right := uint32(none)
		if i < len(streams)-1 {
			right = uint32(i + 3)
		}
		entry(s.name, 2, right, none, put(bytes.Clone(s.data)), len(s.data))
	}
	first := put(dir)
	h := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 504)...)
	copy(h[24:], "\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00")
	le.PutUint32(h[44:], 1)
	le.PutUint32(h[48:], first)
	le.PutUint32(h[56:], 1) // no stream is small
	le.PutUint32(h[60:], 0xfffffffe)
	le.PutUint32(h[68:], 0xfffffffe)
	copy(h[76:], bytes.Repeat([]byte{255}, 436))
	le.PutUint32(h[76:], uint32(len(fat)))
	out := append(h, sectors...)
	for i := range 128 {
		v := uint32(none)
		if i < len(fat) {
			v = fat[i]
		}
		out = le.AppendUint32(out, v)
	}
	return out
}

func TestFind(t *testing.T) {
	b := document(compress([]byte(dir())), append([]byte("cache"), compress([]byte("' document"))...), compress([]byte(code)))
	p := Find(cfb.Open(showcause.Bytes(b), nil), nil)
	want := &Project{
		Name: "VBAProject", Version: "5.7", References: []string{"stdole", "MSForms"},
		Modules: []Module{{Name: "ThisDocument", Kind: Class, Code: "' document"}, {Name: "Module1", Kind: Standard, Code: code}},
	}
	for i := range p.Modules {
		m := &p.Modules[i]
		if m.Stream <= 0 || m.Offset != []int64{5, 0}[i] || !m.Whole {
			t.Errorf("%+v", m)
		}
		m.Stream, m.Offset, m.Whole = 0, 0, false
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%+v\nwant\n%+v", p, want)
	}
	if p := Find(cfb.Open(showcause.Bytes(document([]byte("nothing"), nil, nil)), nil), nil); p != nil {
		t.Errorf("%+v", p)
	}
	left := int64(20)
	if p := Find(cfb.Open(showcause.Bytes(b), nil), func(n int64) bool { left -= n; return left > 0 }); p != nil {
		t.Error("no end of work")
	}
}

// TestDamaged holds that the source before a damage is shown.
func TestDamaged(t *testing.T) {
	packed := compress([]byte(strings.Repeat(code, 100)))
	b := document(compress([]byte(dir())), nil, append(packed[:len(packed)-20], "\xff\xff\xff\xff"...))
	p := Find(cfb.Open(showcause.Bytes(b), nil), nil)
	if p == nil || len(p.Modules) != 1 || !strings.HasPrefix(p.Modules[0].Code, code) {
		t.Errorf("%+v", p)
	}
}

func TestTruncated(t *testing.T) {
	d := compress([]byte(dir()))
	for n := 0; n < len(d); n += 3 {
		Find(cfb.Open(showcause.Bytes(document(d[:n], nil, compress([]byte(code)))), nil), nil)
		old := d[n]
		for _, c := range []byte{0, 0xff, 0x80} {
			d[n] = c
			Find(cfb.Open(showcause.Bytes(document(d, nil, compress([]byte(code)))), nil), nil)
		}
		d[n] = old
	}
}

func TestBomb(t *testing.T) {
	chunk := "\x03\xb0\x02a\xfc\x0f"
	b := []byte("\x01" + strings.Repeat(chunk, 100_000))
	out, ok, cut := Decompress(b, 1<<20)
	if len(out) > 1<<20 || ok || !cut {
		t.Errorf("%d bytes, %v, %v", len(out), ok, cut)
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add(compress([]byte(code)))
	f.Add(compress([]byte(dir())))
	f.Fuzz(func(t *testing.T, b []byte) {
		one, ok, cut := Decompress(b, 1<<16)
		two, ok2, cut2 := Decompress(b, 1<<16)
		if !bytes.Equal(one, two) || ok != ok2 || cut != cut2 || len(one) > 1<<16 {
			t.Error("two answers")
		}
		Find(cfb.Open(showcause.Bytes(document(compress(b), compress(b), b)), nil), nil)
	})
}
