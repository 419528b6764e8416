package pattern

import (
	"bytes"
	"strings"
)

// A finder finds where a value may begin by its rarest byte, which the runtime looks for
// many at a time.
type finder struct {
	off    int64    // of that byte in the value
	bytes  [2]byte  // it, and where letters are alike its other case; else the same
	at     [2]int64 // of each, a place of the value to which all is known
	seen   [2]bool  // the byte stands there
	chosen choice
}

type choice uint8

const (
	unchosen choice = iota
	byByte
	byPlace // no byte of the value is fixed
)

// commonBytes are the most common bytes of programs and texts, the most common first.
const commonBytes = "\x00\xff\x48\x8b\x24\x89\x0f\x01\x20e\x4c\x83ta\xe8\x04\x08\x02\x10ionsrldcu\x85\xc0\x44\x41pmfhgyb\x03\x18\x49\x45\x0c\xeb\x05\x06\xc7_.-012\n\r\t/\x40\x8d\xcc\x90"

// rarity is the greater the rarer a byte is.
func rarity(c byte) int {
	if i := strings.IndexByte(commonBytes, c); i >= 0 {
		return i
	}
	return 256
}

// choose finds the rarest byte of a value.
func (f *finder) choose(val, mask []byte, fold bool) {
	f.chosen = byPlace
	best := -1
	for i, c := range val {
		if mask != nil && mask[i] != 0xff {
			continue
		}
		r := rarity(c) + 1
		both := fold && 'a' <= c && c <= 'z'
		if both {
			r = min(r, rarity(c-0x20)+1) / 2
		}
		if r > best {
			best, f.off, f.chosen = r, int64(i), byByte
			if f.bytes = [2]byte{c, c}; both {
				f.bytes[1] = c - 0x20
			}
		}
	}
	f.at, f.seen = [2]int64{-1, -1}, [2]bool{}
}

// find returns the first place from lo to end where the value may begin, or end+1. What cannot be read is
// passed over. It is asked for places that ascend, or chosen anew.
func (m *Matcher) find(f *finder, val, mask []byte, fold bool, lo, end int64) int64 {
	if lo == end {
		return m.first(val, mask, fold, lo, end)
	}
	if f.chosen == unchosen {
		f.choose(val, mask, fold)
	}
	if f.chosen == byPlace {
		return m.first(val, mask, fold, lo, end)
	}
	place := end + 1
	for i := range f.bytes {
		if i == 1 && f.bytes[1] == f.bytes[0] {
			break
		}
		if f.at[i] < lo || !f.seen[i] {
			from := max(f.at[i], lo)
			f.at[i], f.seen[i] = m.index(f.bytes[i], from+f.off, end+f.off)
			f.at[i] -= f.off
		}
		if f.seen[i] {
			place = min(place, f.at[i])
		}
	}
	return place
}

// index returns the first place from lo to end where a byte stands, or end+1 and false.
func (m *Matcher) index(c byte, lo, end int64) (int64, bool) {
	for lo <= end {
		v := m.in.View(lo, end-lo+1)
		if len(v) == 0 {
			lo++
			continue
		}
		if i := bytes.IndexByte(v, c); i >= 0 {
			return lo + int64(i), true
		}
		lo += int64(len(v))
	}
	return end + 1, false
}
