package archive

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/showcause/showcause/internal/bound"
)

// maxPieces is how many pieces of a sparse file are held.
const maxPieces = 1 << 20

// gnuMap reads the map of a sparse file in the old GNU format: four pieces in
// the header, then blocks of 21. It returns the file's real size and where its
// content stands.
func (t *tarWalker) gnuMap(h tarHeader, data int64) (m []tarPiece, real, at int64, ok bool) {
	real, ok = tarNumber(h.raw[483:495])
	area, more := h.raw[386:482], h.raw[482] != 0
	for at = data; ; at += tarBlock {
		for ; len(area) >= 24; area = area[24:] {
			off, ok1 := tarNumber(area[:12])
			n, ok2 := tarNumber(area[12:24])
			if area[12] == 0 {
				break // an empty entry ends the list
			}
			ok = ok && ok1 && ok2
			m = append(m, tarPiece{off, n})
		}
		if !more {
			return m, real, at, ok
		}
		if !t.out.Work(1024) || len(m) > maxPieces {
			return m, real, at, false
		}
		b, err := bound.ReadAt(t.src, at, tarBlock, tarBlock)
		if err != nil {
			return m, real, at, false
		}
		area, more = b[:504], b[504] != 0
	}
}

// paxMap reads the map of a sparse file in the formats that pax headers carry
// (GNU tar manual, "Storing Sparse Files"): 0.0 has a record for each number,
// 0.1 one record for all, 1.0 writes them before the content.
func (t *tarWalker) paxMap(name string, x tarPax, data, size int64) (full string, m []tarPiece, real, at int64, ok bool) {
	at, ok = data, true
	if n := x.sparse["name"]; n != "" {
		name = n[:min(len(n), maxName)]
	}
	number := func(key string) int64 {
		v, err := strconv.ParseUint(x.sparse[key], 10, 63)
		ok = ok && err == nil
		return int64(v)
	}
	pairs := x.pairs
	if x.sparse["major"] == "1" {
		real = number("realsize")
		var used int64
		var good bool
		pairs, used, good = t.dataMap(data, size)
		if ok = ok && good && used <= size; ok {
			at = data + used
		}
	} else {
		real = number("size")
		if s, is := x.sparse["map"]; is {
			pairs = nil
			for f := range strings.SplitSeq(s, ",") {
				v, err := strconv.ParseUint(f, 10, 63)
				if s == "" {
					break
				}
				ok = ok && err == nil
				pairs = append(pairs, int64(v))
			}
		}
	}
	ok = ok && len(pairs)%2 == 0
	for i := 0; i+1 < len(pairs); i += 2 {
		m = append(m, tarPiece{pairs[i], pairs[i+1]})
	}
	return name, m, real, at, ok
}

// dataMap reads a map that stands before the content: the number of pieces,
// then their numbers, each in decimal on a line, padded to whole blocks.
func (t *tarWalker) dataMap(data, size int64) (pairs []int64, used int64, ok bool) {
	want := int64(-1)
	var line []byte
	for used < size && t.out.Work(1024) {
		b, err := bound.ReadAt(t.src, data+used, tarBlock, tarBlock)
		if err != nil {
			return pairs, used, false
		}
		used += tarBlock
		for want != int64(len(pairs)) {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				line = append(line, b...)
				break
			}
			line, b = append(line, b[:i]...), b[i+1:]
			v, err := strconv.ParseUint(string(line), 10, 63)
			if err != nil {
				return pairs, used, false
			}
			line = line[:0]
			if want < 0 {
				if v > maxPieces {
					return pairs, used, false
				}
				want = 2 * int64(v)
			} else {
				pairs = append(pairs, int64(v))
			}
		}
		if want == int64(len(pairs)) {
			return pairs, used, true
		}
		if len(line) > 32 {
			return pairs, used, false
		}
	}
	return pairs, used, false
}
