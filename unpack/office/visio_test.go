package office

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// visioPack packs with copies of what stands at least 3 bytes behind.
func visioPack(s string) string {
	var out strings.Builder
	for at := 0; at < len(s); {
		var flags byte
		var group strings.Builder
		for bit := 0; bit < 8 && at < len(s); bit++ {
			best, from := 0, 0
			for k := max(0, at-4000); k < at; k++ {
				n := 0
				for n < 18 && at+n < len(s) && s[k+n] == s[at+n] {
					n++
				}
				if n > best {
					best, from = n, k
				}
			}
			if best < 3 {
				flags |= 1 << bit
				group.WriteByte(s[at])
				at++
				continue
			}
			place := (from - 18) & 4095
			group.WriteByte(byte(place))
			group.WriteByte(byte(place>>4&0xf0) | byte(best-3))
			at += best
		}
		out.WriteByte(flags)
		out.WriteString(group.String())
	}
	return out.String()
}

// visioStream is a stream of a drawing.
type visioStream struct {
	data   string
	packed bool
	lists  []int // the streams that it leads to
}

// visioFile writes a drawing: the trailer is the last stream.
func visioFile(version int, streams ...visioStream) []byte {
	b := []byte(visioMark + strings.Repeat("\x00", visioTrailer-len(visioMark)+18))
	b[visioVersion] = byte(version)
	pointers := make([]string, len(streams))
	for i, s := range streams {
		format := 0x40
		data := s.data
		if s.packed {
			format |= 2
			data = "head" + data
		}
		if s.lists != nil {
			format += 0x10
			list := ""
			for _, k := range s.lists {
				list += pointers[k]
			}
			if version < 6 {
				data = data[:min(len(data), 4*(format>>1&1))] + strings.Repeat("\x00", 0x82) + u16(len(s.lists)) + list
			} else {
				data = data[:4*(format>>1&1)] + u32(8+len(s.data)) + s.data + u32(0) + u32(len(s.lists)) + u32(0) + list
			}
		}
		if s.packed {
			data = visioPack(data)
		}
		if version < 6 {
			pointers[i] = u16(0x27) + u16(format) + u32(0) + u32(len(b)) + u32(len(data))
		} else {
			pointers[i] = u32(0x27) + u32(0) + u32(len(b)) + u32(len(data)) + u16(format)
		}
		b = append(b, data...)
	}
	copy(b[visioTrailer:], pointers[len(pointers)-1])
	return b
}

func visioSamples() map[string][]byte {
	text := strings.Repeat("words of a shape, and the words go on, ", 200)
	out := map[string][]byte{}
	for name, version := range map[string]int{"version 5": 5, "version 6": 6, "version 11": 11} {
		out[name] = visioFile(version, visioStream{text, true, nil}, visioStream{"as it is: " + text, false, nil}, visioStream{"page", true, []int{0, 1}}, visioStream{"pages", false, []int{2}}, visioStream{"", true, []int{3}})
	}
	return out
}

func TestVisio(t *testing.T) {
	text := strings.Repeat("words of a shape, and the words go on, ", 200)
	for name, b := range visioSamples() {
		r := unpacktest.Walk(t, Visio(), b, noLimits)
		var whole []string
		for _, c := range r.Children {
			whole = append(whole, string(c.Data))
		}
		if len(whole) != 5 || whole[3] != "head"+text || whole[4] != "as it is: "+text || len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	ring := visioFile(11, visioStream{"x", false, nil}, visioStream{"", false, []int{0, 0}})
	copy(ring[len(ring)-18:], ring[visioTrailer:visioTrailer+18]) // the trailer leads to itself
	if r := unpacktest.Walk(t, Visio(), ring, noLimits); len(r.Children) != 2 || len(r.Gaps) > 0 {
		t.Errorf("a ring: %v", r)
	}
	far := visioFile(11, visioStream{"x", false, nil}, visioStream{"", false, []int{0}})
	copy(far[len(far)-18+8:], "\xff\xff\xff\xff")
	old := visioFile(4, visioStream{"x", false, nil})
	for name, c := range map[string]struct {
		b    []byte
		code showcause.Code
	}{"a place behind the end": {far, showcause.Corrupt}, "no drawing": {[]byte("MZ and so on, and so on"), packedOffice}, "an old version": {old, packedOffice}, "no streams": {visioFile(11, visioStream{"x", true, nil}), showcause.Corrupt}} {
		if r := unpacktest.Walk(t, Visio(), c.b, noLimits); !r.Has(c.code) {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestVisioCut cuts drawings and changes them: no panic, the same twice, and a lost stream is said.
func TestVisioCut(t *testing.T) {
	for name, b := range visioSamples() {
		whole := unpacktest.Walk(t, Visio(), b, noLimits)
		for n := range b {
			if r := unpacktest.Walk(t, Visio(), b[:n], noLimits); len(r.Children) < len(whole.Children) && !r.Unread() {
				t.Fatalf("%s, cut at %d: %v", name, n, r)
			}
			flipped := append([]byte(nil), b...)
			flipped[n] ^= 0x55
			one, two := unpacktest.Walk(t, Visio(), flipped, noLimits), unpacktest.Walk(t, Visio(), flipped, noLimits)
			if one.String() != two.String() {
				t.Errorf("%s, changed at %d: two walks differ", name, n)
			}
		}
	}
}

func FuzzVisio(f *testing.F) {
	var seeds [][]byte
	for _, b := range visioSamples() {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, Visio(), seeds...)
}
