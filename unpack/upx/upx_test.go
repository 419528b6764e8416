package upx

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func TestMade(t *testing.T) {
	for name, m := range variants() {
		want, _ := m.original()
		want = append(want, m.overlay...)
		r := unpacktest.Walk(t, Format(), m.pack(), showcause.Limits{})
		if got := r.Child(t, Op, ""); got != string(want) || r.Unread() {
			t.Errorf("%s: %d bytes of %d, %s", name, len(got), len(want), r)
		}
	}
}

// Where no blocks stand behind the loader, or one of them breaks, what runs is read all the
// same, and the rest is a gap.
func TestCut(t *testing.T) {
	m := variants()["elf64"]
	b := m.pack()
	text, loads := m.original()
	at := bytes.Index(b, []byte("\x90\xe8loader"))
	r := unpacktest.Walk(t, Format(), b[:at+100], showcause.Limits{})
	last := loads[len(loads)-1]
	if got := r.Child(t, Op, ""); int64(len(got)) != last.off+last.size || got[5000:] != string(text[5000:5900]) || !r.Has(showcause.Corrupt) {
		t.Errorf("%d bytes, %s", len(got), r)
	}
}

// Two segments that stand over each other are both read.
func TestOver(t *testing.T) {
	m := variants()["elf64"]
	b := m.pack()
	head := m.headers([]part{{0, 700}, {1024, 3000}, {5000, 900}})
	m.method = 0
	plain := m.pack()
	i := bytes.Index(plain, head)
	binary.LittleEndian.PutUint64(plain[i+64+56+8:], 300) // where the second stands
	r := unpacktest.Walk(t, Format(), plain, showcause.Limits{})
	if !r.Contains("the second segment") || !r.Contains("data of the third") {
		t.Errorf("%s of %d bytes", r, len(b))
	}
}

// near are the targets from the newest on.
func (t *targets) near() []uint32 { return append(slices.Clone(t.ring[t.hand:]), t.ring[:t.hand]...) }

// forward is what UPX does to the targets of calls, for each filter the inverse of what is tested.
func forward(b []byte, id, cto uint8) {
	put := func(i int, v uint32) { be.PutUint32(b[i+1:], v+uint32(cto)<<24) }
	var seen targets
	for i := 0; i+5 < len(b); i++ {
		switch {
		case id >= 0x50 && id < 0x53 || id == 0xd0:
			order := binary.ByteOrder(le)
			if id != 0x50 && id != 0x52 {
				order = be
			}
			if v := order.Uint32(b[i:]); i%4 == 0 {
				switch {
				case id == 0xd0 && v>>26 == 18:
					order.PutUint32(b[i:], v&0xfc000003|(v+uint32(i))&0x003ffffc|uint32(cto)<<22)
				case id == 0x52 && v>>24&0x7c == 0x14:
					order.PutUint32(b[i:], v&0xfc000000|(v+uint32(i/4))&0x03ffffff)
				case id < 0x52 && v>>24&15 == 11:
					order.PutUint32(b[i:], v&0xff000000|(v+uint32(i/4))&0x00ffffff)
				}
			}
		case b[i] == 0xe8 || b[i] == 0xe9:
			target := le.Uint32(b[i+1:]) + uint32(i+1)
			mode := 1
			if id >= 0x80 {
				if mode = (1 + int(id&15)) % 3; b[i] == 0xe9 {
					mode = (1 + int(id&15)) / 3 % 3
				}
			}
			switch {
			case id < 0x20:
				out := []binary.ByteOrder{le, be, le}[(id-0x11)/3]
				in := []binary.ByteOrder{le, le, be}[(id-0x11)/3]
				out.PutUint32(b[i+1:], in.Uint32(b[i+1:])+uint32(i+1))
			case mode == 1:
				put(i, target)
			case mode == 2:
				at := slices.Index(seen.near(), target)
				if at < 0 {
					put(i, target<<1|1)
					seen.add(target)
				} else {
					put(i, uint32(at)<<1)
					seen.use(uint32(at))
				}
			}
			i += 4
		}
	}
}

// calls is code with calls to few targets, and many.
func calls(id uint8) []byte {
	r := rand.New(rand.NewPCG(3, uint64(id)))
	b := make([]byte, 64<<10)
	for i := 0; i+8 < len(b); i += 8 {
		to := uint32(r.IntN(40)) * 16
		if r.IntN(4) == 0 {
			to = uint32(r.IntN(len(b)))
		}
		switch id {
		case 0x50:
			le.PutUint32(b[i:], 0xeb000000|uint32(r.IntN(1<<24)))
		case 0x51:
			be.PutUint32(b[i:], 0xeb000000|uint32(r.IntN(1<<24)))
		case 0x52:
			le.PutUint32(b[i:], 0x94000000|uint32(r.IntN(1<<26)))
		case 0xd0:
			be.PutUint32(b[i:], 18<<26|(to-uint32(i))&0x03fffffc|1)
		default:
			b[i] = 0xe8 + byte(r.IntN(2))
			if id == 0x11 || id == 0x14 || id == 0x17 || id == 0x24 {
				b[i] = 0xe8
			}
			le.PutUint32(b[i+1:], to-uint32(i+1))
		}
	}
	return b
}

func TestUnfilter(t *testing.T) {
	for _, id := range []uint8{0x11, 0x13, 0x14, 0x16, 0x17, 0x19, 0x24, 0x26, 0x36, 0x46, 0x49, 0x50, 0x51, 0x52, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0xd0} {
		want := calls(id)
		cto := uint8(0x17)
		if id == 0xd0 {
			cto = 5
		}
		got := bytes.Clone(want)
		forward(got, id, cto)
		if bytes.Equal(got, want) {
			t.Fatalf("%#x: nothing was filtered", id)
		}
		if !unfilter(got, id, cto) || !bytes.Equal(got, want) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			t.Errorf("%#x: differs at %#x: %x, not %x", id, i, got[i&^7:i|7], want[i&^7:i|7])
		}
	}
	if b := []byte{1, 3, 6, 10}; !unfilter(b, 0x90, 0) || !bytes.Equal(b, []byte{1, 4, 10, 20}) {
		t.Errorf("differences: %v", b)
	}
	if unfilter(nil, 0x77, 0) {
		t.Error("a filter that nobody knows is undone")
	}
}

func samples() map[string][]byte {
	out := map[string][]byte{}
	for name, m := range variants() {
		if m.mark == mark && m.overlay == "" { // an overlay and a file without marks may be cut and be whole
			out[name] = m.pack()
		}
	}
	return out
}

func TestConform(t *testing.T) { unpacktest.Conform(t, Format(), samples()) }

func FuzzUPX(f *testing.F) {
	var seeds [][]byte
	for _, b := range samples() {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, Format(), seeds...)
}

// TestSegmentsFar holds that a table which is said to stand beyond any file, where an offset is negative, is none.
func TestSegmentsFar(t *testing.T) {
	for _, off := range []uint64{1<<63 | 64, 1<<63 - 1, 1<<64 - 56, 65} {
		h := make([]byte, 64)
		binary.LittleEndian.PutUint64(h[32:], off)
		binary.LittleEndian.PutUint16(h[56:], 100)
		if got := (&packed{wide: true, order: binary.LittleEndian}).segments(h); len(got) > 0 {
			t.Errorf("%#x: %v", off, got)
		}
	}
}
