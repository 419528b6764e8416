package hostile

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
)

// bzip2 of hidden() and of benign(). There is no writer of bzip2 to make them with.
const (
	bzip2Hidden = "425a6839314159265359b09892a4000062d980001040077a803fefdec03000b84630004c0004c31800260002605554f537aa6d29e9b53d4349e53d36912c7737f2548264a9d72a4b63d163628ad258c949448cec6fb1fdd0f92303d9529dbcccf65a0d4d0e0b627041bce0bb2285b1b8c3b9a12c8d88104a0ccf4e2bcb42b86a6bccf999d6e3b7d2f2fe82fba77c133a2ee48a70a12161312548"
	bzip2Benign = "425a683931415926535945b2890e00000fd1800010400432e39c00200050a600002aa9933498d13a58c1b20a1b20c9f1c344126ca9724a125c92864b1060a963874fc5dc914e1424116ca24380"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func zstdOf(b []byte) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
	if err != nil {
		panic(err)
	}
	for len(b) > 0 { // in two writes, so that the frame does not say its size
		n := min(len(b), max(100, len(b)/2))
		w.Write(b[:n])
		w.Flush()
		b = b[n:]
	}
	w.Close()
	return out.Bytes()
}

func lz4Of(b []byte) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func lzmaOf(b []byte, sized bool) []byte {
	var out bytes.Buffer
	c := lzma.WriterConfig{EOSMarker: !sized, SizeInHeader: sized, Size: int64(len(b))}
	if !sized {
		c.Size = 0
	}
	w, err := c.NewWriter(&out)
	if err != nil {
		panic(err)
	}
	w.Write(b)
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func (s scale) streams() []Input {
	blocks := int(s.pick(300<<20, 4<<30) / (128 << 10))
	return []Input{
		in(7, "zstd: a window of 2 GiB", Either, func() []byte {
			b := zstdOf(hidden())
			b[5] = (31 - 10) << 3
			return b
		}),
		in(7, "zstd: skippable frames, then the marker", Found, func() []byte {
			skip := append([]byte{0x50, 0x2a, 0x4d, 0x18, 100, 0, 0, 0}, make([]byte, 100)...)
			return join(skip, skip, zstdOf(hidden()))
		}),
		in(7, "zstd: a skippable frame that says 4 GiB", Either, func() []byte {
			return join(zstdOf(benign()), []byte{0x50, 0x2a, 0x4d, 0x18, 255, 255, 255, 255}, zstdOf(hidden()))
		}),
		in(7, fmt.Sprintf("zstd: %d MiB in repeat blocks", blocks/8), Incomplete, func() []byte {
			b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, (17 - 10) << 3}
			n := uint32(128<<10)<<3 | 1<<1
			for i := range blocks {
				last := uint32(0)
				if i == blocks-1 {
					last = 1
				}
				b = append(b, byte(n|last), byte(n>>8), byte(n>>16), 0)
			}
			return b
		}, "limit."),
		in(7, "lz4: two frames, the marker in the second", Found, func() []byte { return join(lz4Of(benign()), lz4Of(bytes.Repeat(mix(hidden()), 2))) }),
		in(8, "bzip2: two streams, the marker in the second", Found, func() []byte { return join(unhex(bzip2Benign), unhex(bzip2Hidden)) }),
		in(9, "lzma alone", Found, func() []byte { return lzmaOf(hidden(), true) }),
		in(9, "lzma alone, of unknown size", Found, func() []byte { return lzmaOf(hidden(), false) }),
		in(10, "gzip: two members, the marker in the second", Found, func() []byte { return join(gzipOf(benign()), gzipOf(hidden())) }),
		in(10, "gzip: junk between the members", Either, func() []byte { return join(gzipOf(benign()), noise(1000, 1), gzipOf(hidden())) }),
		in(10, "gzip: zeros between the members", Either, func() []byte { return join(gzipOf(benign()), make([]byte, 512), gzipOf(hidden())) }),
		in(10, "xz: two streams, the marker in the second", Found, func() []byte { return join(xzOf(benign()), xzOf(hidden())) }),
		in(10, "xz: padding between the streams", Found, func() []byte { return join(xzOf(benign()), make([]byte, 8), xzOf(hidden())) }),
	}
}

// mix makes content in which LZ4 finds a match within the marker, so that the
// marker is not one literal: its first half stands before it.
func mix(b []byte) []byte { return join([]byte(Marker[:20]), []byte(" "), []byte(Marker[15:]), b) }

func (s scale) nested() []Input {
	var out []Input
	for _, n := range []int{15, 18, 60, 200} {
		want := Either
		if n <= 18 {
			want = Found
		}
		out = append(out, in(11, fmt.Sprintf("zip in zip, %d deep", n), want, func() []byte {
			b := hidden()
			for range n {
				b = zipOf(pack("a.zip", b))
			}
			return b
		}))
	}
	for _, n := range []int{40, 1000} {
		out = append(out, in(12, fmt.Sprintf("gzip in gzip, %d deep", n), Either, func() []byte {
			b := hidden()
			for range n {
				b = gzipOf(b)
			}
			return b
		}))
	}
	// Each layer lives while what is in it is read: 31 of 15 MiB are too much for memory.
	out = append(out, in(12, "gzip in gzip, 31 deep, 15 MiB that do not compress", Found, func() []byte {
		b := join(noise(15<<20, 7), hidden())
		b = squeeze(b).gzip()
		for range 30 {
			b = storedGzip(b)
		}
		return b
	}))
	return out
}

// storedGzip wraps without compressing.
func storedGzip(b []byte) []byte {
	s := squeezed{size: int64(len(b)), crc: crc32.ChecksumIEEE(b)}
	for len(b) > 0 {
		n := min(len(b), 0xffff)
		h := lit(n)
		if n == len(b) {
			h[0] = 1
		}
		s.data = append(s.data, h...)
		s.data = append(s.data, b[:n]...)
		b = b[n:]
	}
	return s.gzip()
}

// long are inputs in which the marker comes late.
func (s scale) long() []Input {
	var out []Input
	for _, n := range []int64{120 << 20, 2<<30 + 1} {
		late := func(name string, f func() []byte) Input {
			i := in(13, fmt.Sprintf("%s: the marker after %d MiB of zeros", name, n>>20), Found, f)
			i.Big = n > 1<<30
			return i
		}
		raw := Input{
			Row: 13, Name: fmt.Sprintf("sparse file: the marker after %d MiB", n>>20), Want: Found, Plain: true, Big: n > 1<<30,
			Make: func() showcause.Source { return sparse{n, []byte(Marker)} },
		}
		out = append(out, raw,
			late("gzip", func() []byte { return squeezeZeros(nil, n, hidden()).gzip() }),
			late("zip", func() []byte { return zipOf(squeezeZeros(nil, n, hidden()).member("a")) }))
	}
	out = append(out, in(14, "zip: 10,050 members, the marker in the last", Found, func() []byte { return many(10_050) }))
	million := in(14, fmt.Sprintf("zip: %d members, the marker in the last", s.pick(150_000, 1_000_000)), Either, func() []byte { return many(int(s.pick(150_000, 1_000_000))) })
	fives := in(15, fmt.Sprintf("zip: 5 members of %d MiB, then the marker", s.pick(30, 90)), Either, func() []byte {
		var ms []member
		for i := range 5 {
			ms = append(ms, squeezeZeros(noise(16, uint64(i)), s.pick(30, 90)<<20, nil).member(fmt.Sprint(i)))
		}
		return zipOf(append(ms, pack("m", hidden()))...)
	})
	return append(out, million, fives)
}

func many(n int) []byte {
	var ms []member
	one := pack("", []byte("x"))
	for i := range n - 1 {
		ms = append(ms, one.both(func(h *header) { h.name = fmt.Sprint(i) }))
	}
	return zipOf(append(ms, pack("m", hidden()))...)
}
