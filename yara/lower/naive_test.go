package lower

import (
	"bytes"
	"encoding/base64"
	"sort"

	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// match is one place where a pattern was found.
type match struct{ off, n int64 }

// naive finds the matches of a text or hex string by trying every place.
func naive(p *syntax.Pattern, d source.Dialect, data []byte) []match {
	found := map[int]int{}
	if p.Hex != nil && d == source.YARA && ordered(p.Hex.Parts) {
		for at := range data {
			if end := hexFirst(p.Hex.Parts, data, at, func(end int) int { return end }); end >= 0 {
				found[at] = end - at
			}
		}
	} else if p.Hex != nil {
		for at := range data {
			if ends := hexEnds(p.Hex.Parts, data, at); len(ends) > 0 {
				sort.Ints(ends)
				found[at] = ends[0] - at
			}
		}
	} else {
		naiveText(p, d, data, found)
	}
	var out []match
	for at, n := range found {
		out = append(out, match{int64(at), int64(n)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].off < out[j].off })
	return out
}

// hexEnds are all ends of parts that begin at a place.
func hexEnds(parts []*syntax.Hex, data []byte, at int) []int {
	ends := map[int]bool{at: true}
	for _, h := range parts {
		next := map[int]bool{}
		for e := range ends {
			switch h.Kind {
			case syntax.HexByte:
				if e < len(data) && (data[e]&h.Mask == h.Value) != h.Not {
					next[e+1] = true
				}
			case syntax.HexJump:
				for n := int64(h.Min); n <= int64(h.Max) && e+int(n) <= len(data); n++ {
					next[e+int(n)] = true
				}
			case syntax.HexAlternatives:
				for _, alt := range h.Parts {
					for _, x := range hexEnds(alt.Parts, data, e) {
						next[x] = true
					}
				}
			}
		}
		ends = next
	}
	var out []int
	for e := range ends {
		out = append(out, e)
	}
	return out
}

// hexFirst is where the match ends that a search which tries alternatives in their order,
// and jumps from their least on, comes upon first; less than 0 if there is none.
func hexFirst(parts []*syntax.Hex, data []byte, at int, then func(int) int) int {
	if len(parts) == 0 {
		return then(at)
	}
	h := parts[0]
	rest := func(at int) int { return hexFirst(parts[1:], data, at, then) }
	switch h.Kind {
	case syntax.HexByte:
		if at < len(data) && (data[at]&h.Mask == h.Value) != h.Not {
			return rest(at + 1)
		}
	case syntax.HexJump:
		for n := int64(h.Min); n <= int64(h.Max) && at+int(n) <= len(data); n++ {
			if end := rest(at + int(n)); end >= 0 {
				return end
			}
		}
	case syntax.HexAlternatives:
		for _, alt := range h.Parts {
			if end := hexFirst(alt.Parts, data, at, rest); end >= 0 {
				return end
			}
		}
	}
	return -1
}

func naiveText(p *syntax.Pattern, d source.Dialect, data []byte, found map[int]int) {
	text := []byte(p.Text.Text)
	add := func(at, n int) { // of a narrow and a wide spelling at one place the narrow one counts
		if have, ok := found[at]; !ok || n < have {
			found[at] = n
		}
	}
	type spelling struct {
		b    []byte
		wide bool
	}
	var forms []spelling
	if p.Has("wide") == nil || p.Has("ascii") != nil {
		forms = append(forms, spelling{text, false})
	}
	if p.Has("wide") != nil {
		forms = append(forms, spelling{spread(text), true})
	}
	if p.Has("base64") != nil || p.Has("base64wide") != nil {
		for _, f := range forms {
			naiveBase64(p, f.b, d, data, add)
		}
		return
	}
	lo, hi := 0, 0
	if x := p.Has("xor"); x != nil {
		lo, hi = int(x.Min), int(x.Max)
	}
	for _, f := range forms {
		for key := lo; key <= hi; key++ {
			plain := make([]byte, len(data))
			for i, c := range data {
				plain[i] = c ^ byte(key)
			}
			around := plain
			if d == source.YARA {
				around = data
			}
			for at := 0; at+len(f.b) <= len(data); at++ {
				got := plain[at : at+len(f.b)]
				if !bytes.Equal(got, f.b) && (p.Has("nocase") == nil || !bytes.Equal(bytes.ToLower(got), bytes.ToLower(f.b))) {
					continue
				}
				if p.Has("fullword") == nil || alone(around, at, at+len(f.b), f.wide) {
					add(at, len(f.b))
				}
			}
		}
	}
}

func spread(b []byte) (out []byte) {
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}

func alone(data []byte, from, to int, wide bool) bool {
	word := func(i int) bool {
		return i >= 0 && i < len(data) && (data[i] >= '0' && data[i] <= '9' || data[i]|32 >= 'a' && data[i]|32 <= 'z')
	}
	if !wide {
		return !word(from-1) && !word(to)
	}
	return !(from > 0 && data[from-1] == 0 && word(from-2)) && !(to+1 < len(data) && data[to+1] == 0 && word(to))
}

// naiveBase64 encodes the text behind 0 to 2 bytes and looks for the characters
// that do not depend on what is around; YARA-X then decodes.
func naiveBase64(p *syntax.Pattern, text []byte, d source.Dialect, data []byte, add func(at, n int)) {
	for _, name := range []string{"base64", "base64wide"} {
		m := p.Has(name)
		if m == nil {
			continue
		}
		enc := base64.RawStdEncoding
		if m.Alphabet != nil {
			enc = base64.NewEncoding(m.Alphabet.Text).WithPadding(base64.NoPadding)
		}
		for shift := range 3 {
			padded := append(make([]byte, shift), text...)
			full := enc.EncodeToString(padded)
			skip, end := []int{0, 2, 3}[shift], len(full)
			if len(padded)%3 != 0 {
				end--
			}
			if skip >= end {
				continue
			}
			code, step := []byte(full[skip:end]), 1
			if name == "base64wide" {
				code, step = spread(code), 2
			}
			for at := 0; at+len(code) <= len(data); at++ {
				if !bytes.Equal(data[at:at+len(code)], code) {
					continue
				}
				var chars []byte
				for i := at - skip*step; i >= 0 && i < len(data) && len(chars) < len(full); i += step {
					chars = append(chars, data[i])
				}
				out := make([]byte, len(chars))
				k, _ := enc.Decode(out, chars)
				if bytes.ContainsAny(chars, "\r\n") { // which the library passes over
					k = 0
				}
				if d == source.YARA || k >= len(padded) && bytes.Equal(out[shift:len(padded)], text) {
					add(at, len(code))
				}
			}
		}
	}
}
