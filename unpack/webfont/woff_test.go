package webfont

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/stream"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// woffOf is a font of tables, which are compressed where that helps.
func woffOf(text string, tables ...[]byte) []byte {
	be := binary.BigEndian
	head := make([]byte, woffHead+woffEntry*len(tables))
	copy(head, "wOFF\x00\x01\x00\x00")
	be.PutUint16(head[12:], uint16(len(tables)))
	body := []byte{}
	add := func(b []byte) (off, n uint32) {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(b)
		w.Close()
		p := z.Bytes()
		if len(p) >= len(b) {
			p = b
		}
		off = uint32(len(head) + len(body))
		body = append(body, p...)
		for len(body)%4 > 0 {
			body = append(body, 0)
		}
		return off, uint32(len(p))
	}
	for i, t := range tables {
		e := head[woffHead+woffEntry*i:]
		copy(e, []byte{'t', 'a', 'b', byte('0' + i)})
		off, n := add(t)
		be.PutUint32(e[4:], off)
		be.PutUint32(e[8:], n)
		be.PutUint32(e[12:], uint32(len(t)))
	}
	if text != "" {
		off, n := add([]byte(text))
		be.PutUint32(head[24:], off)
		be.PutUint32(head[28:], n)
		be.PutUint32(head[32:], uint32(len(text)))
	}
	return append(head, body...)
}

// letters is n bytes that compress.
func letters(n int) []byte {
	return bytes.Repeat([]byte("etaoin shrdlu, cmfwyp. "), n/23+1)[:n]
}

// packed is b as a Brotli stream.
func packed(b []byte) []byte {
	var out bytes.Buffer
	w := brotli.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func base128(n int) []byte {
	out := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		out = append([]byte{byte(n&0x7f | 0x80)}, out...)
	}
	return out
}

func woff2Of(text string, collection bool, tables ...[]byte) []byte {
	be := binary.BigEndian
	head := make([]byte, woff2Head)
	copy(head, "wOF2\x00\x01\x00\x00")
	be.PutUint16(head[12:], uint16(len(tables)))
	for i, t := range tables {
		switch i {
		case 0: // glyf, transformed
			head = append(append(append(head, 10), base128(7)...), base128(len(t))...)
		case 1: // glyf as it is, named in full
			head = append(append(append(head, 0xc0|63), "glyf"...), base128(len(t))...)
		default:
			head = append(append(append(head, 63), "tabl"...), base128(len(t))...)
		}
	}
	if collection {
		copy(head[4:], "ttcf")
		head = append(head, 0, 1, 0, 0, 2, 2, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 253, 0, 1)
	}
	z := packed(bytes.Join(tables, nil))
	be.PutUint32(head[20:], uint32(len(z)))
	out := append(head, z...)
	if text != "" {
		for len(out)%4 > 0 {
			out = append(out, 0)
		}
		z = packed([]byte(text))
		be.PutUint32(out[28:], uint32(len(out)))
		be.PutUint32(out[32:], uint32(len(z)))
		be.PutUint32(out[36:], uint32(len(text)))
		out = append(out, z...)
	}
	return out
}

func TestWOFF(t *testing.T) {
	one, two, small := unpacktest.Mixed(5000), letters(3000), []byte("tiny")
	r := unpacktest.Walk(t, WOFF(), woffOf("<metadata>a long text, a long text</metadata>", one, small, two), showcause.Limits{})
	if len(r.Gaps) > 0 || len(r.Children) != 3 || !bytes.Equal(r.Children[0].Data, one) || !bytes.Equal(r.Children[1].Data, two) || !r.Contains("a long text") || r.Children[1].Name != "tab2" {
		t.Error(r)
	}
	for _, collection := range []bool{false, true} {
		r = unpacktest.Walk(t, WOFF2(stream.OpenBrotli), woff2Of("<metadata>a long text</metadata>", collection, one, small, two), showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 2 || !bytes.Equal(r.Children[0].Data, bytes.Join([][]byte{one, small, two}, nil)) || !r.Contains("a long text") {
			t.Errorf("collection %v: %s", collection, r)
		}
	}
	long := woff2Of("", false, one)
	long[woff2Head+2]++ // the table is longer than it is
	if r = unpacktest.Walk(t, WOFF2(stream.OpenBrotli), long, showcause.Limits{}); !r.Has(showcause.Corrupt) || len(r.Children) != 1 {
		t.Errorf("other length: %s", r)
	}
	more := append(woff2Of("", false, one), "behind the stream"...)
	be := binary.BigEndian
	n := be.Uint32(more[20:])
	be.PutUint32(more[20:], n+17)
	if r = unpacktest.Walk(t, WOFF2(stream.OpenBrotli), more, showcause.Limits{}); !r.Has(showcause.Corrupt) || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, one) {
		t.Errorf("more behind the stream: %s", r)
	}
}

func TestWOFFConform(t *testing.T) {
	unpacktest.Conform(t, WOFF(), map[string][]byte{"font": woffOf("<metadata>a long text, a long text</metadata>", unpacktest.Mixed(900), letters(400))})
	unpacktest.Conform(t, WOFF2(stream.OpenBrotli), map[string][]byte{
		"font": woff2Of("<metadata>a long text</metadata>", false, unpacktest.Mixed(900), letters(400), letters(20)),
		"ttcf": woff2Of("", true, unpacktest.Mixed(900), letters(400), letters(20)),
	})
}

// Fonts of this system, if there are some.
func TestWOFFSystem(t *testing.T) {
	names, _ := filepath.Glob("/usr/share/*/*/*.woff*")
	more, _ := filepath.Glob("/usr/share/fonts/*/*.woff*")
	deep, _ := filepath.Glob("/usr/share/*/*/*/*.woff*")
	names = append(append(names, more...), deep...)
	if len(names) == 0 {
		t.Skip("no web fonts below /usr/share")
	}
	for _, name := range names[:min(len(names), 100)] {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := WOFF()
		if bytes.HasPrefix(b, []byte("wOF2")) {
			f = WOFF2(stream.OpenBrotli)
		}
		if r := unpacktest.Walk(t, f, b, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) == 0 {
			t.Errorf("%s: %v", filepath.Base(name), r.Gaps)
		}
	}
	t.Logf("%d fonts", len(names))
}

func FuzzWOFF(f *testing.F) {
	unpacktest.Fuzz(f, WOFF(), woffOf("<metadata>a long text, a long text</metadata>", unpacktest.Mixed(300), letters(100)))
}

func FuzzWOFF2(f *testing.F) {
	unpacktest.Fuzz(f, WOFF2(stream.OpenBrotli), woff2Of("<metadata>a long text</metadata>", false, unpacktest.Mixed(300), letters(100)), woff2Of("", true, unpacktest.Mixed(300), letters(100)))
}
