package eval

import (
	"encoding/base64"
	"sort"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// naive finds the matches of a pattern by trying every place.
func naive(res *check.Result, r *check.Rule, p *syntax.Pattern, data []byte) []Match {
	found := map[int64]int64{}
	switch {
	case p.Hex != nil:
		for at := range data {
			if n := hexAt(p.Hex.Parts, data, at); n >= 0 {
				found[int64(at)] = int64(n - at)
			}
		}
	case p.Text != nil:
		textMatches(p, r.Dialect, data, found)
	default:
		return regexpMatches(res, p, data)
	}
	out := make([]Match, 0, len(found))
	for at, n := range found {
		out = append(out, Match{at, n})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Offset < out[j].Offset })
	return out
}

// hexAt is the end of the shortest match of parts at a place, -1 if there is none.
func hexAt(parts []*syntax.Hex, data []byte, at int) int {
	if len(parts) == 0 {
		return at
	}
	h, rest := parts[0], parts[1:]
	switch h.Kind {
	case syntax.HexByte:
		if at >= len(data) || (data[at]&h.Mask == h.Value) == h.Not {
			return -1
		}
		return hexAt(rest, data, at+1)
	case syntax.HexJump:
		for n := int64(h.Min); n <= int64(h.Max) && at+int(n) <= len(data); n++ {
			if end := hexAt(rest, data, at+int(n)); end >= 0 {
				return end
			}
		}
		return -1
	}
	best := -1
	for _, alt := range h.Parts {
		if end := hexAt(append(append([]*syntax.Hex{}, alt.Parts...), rest...), data, at); end >= 0 && (best < 0 || end < best) {
			best = end
		}
	}
	return best
}

func textMatches(p *syntax.Pattern, d source.Dialect, data []byte, found map[int64]int64) {
	text := []byte(p.Text.Text)
	var forms [][]byte
	wide := p.Has("wide") != nil
	if !wide || p.Has("ascii") != nil {
		forms = append(forms, text)
	}
	if wide {
		forms = append(forms, widen(text))
	}
	if p.Has("base64") != nil || p.Has("base64wide") != nil {
		base64Matches(p, forms, d, data, found)
		return
	}
	lo, hi := int64(0), int64(0)
	if x := p.Has("xor"); x != nil {
		lo, hi = x.Min, x.Max
	}
	for i, form := range forms {
		isWide := wide && i == len(forms)-1
		for key := lo; key <= hi; key++ {
			for at := 0; at+len(form) <= len(data); at++ {
				if same(form, data[at:at+len(form)], byte(key), p.Has("nocase") != nil) &&
					(p.Has("fullword") == nil || fullword(data, at, at+len(form), isWide, byte(key), d)) {
					found[int64(at)] = max(found[int64(at)], int64(len(form)))
				}
			}
		}
	}
}

func widen(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}

func same(a, b []byte, key byte, fold bool) bool {
	for i := range a {
		x, y := a[i], b[i]^key
		if fold {
			x, y = lower(string(x))[0], lower(string(y))[0]
		}
		if x != y {
			return false
		}
	}
	return true
}

func alnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func fullword(data []byte, from, to int, wide bool, key byte, d source.Dialect) bool {
	if d == source.YARA {
		key = 0
	}
	at := func(i int) (byte, bool) {
		if i < 0 || i >= len(data) {
			return 0, false
		}
		return data[i] ^ key, true
	}
	if !wide {
		a, ok := at(from - 1)
		b, ok2 := at(to)
		return !(ok && alnum(a)) && !(ok2 && alnum(b))
	}
	a, okA := at(from - 2)
	z, okZ := at(from - 1)
	if okA && okZ && z == 0 && alnum(a) {
		return false
	}
	b, okB := at(to)
	z, okZ = at(to + 1)
	return !(okB && okZ && z == 0 && alnum(b))
}

// base64Matches finds the three forms that a text takes within base64. YARA-X
// decodes what is around to see that it is one.
func base64Matches(p *syntax.Pattern, forms [][]byte, d source.Dialect, data []byte, found map[int64]int64) {
	for _, name := range []string{"base64", "base64wide"} {
		m := p.Has(name)
		if m == nil {
			continue
		}
		enc := base64.RawStdEncoding
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		if m.Alphabet != nil {
			alphabet = m.Alphabet.Text
			enc = base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
		}
		for _, form := range forms {
			for shift := range 3 {
				padded := append(make([]byte, shift), form...)
				full := enc.EncodeToString(padded)
				skip := []int{0, 2, 3}[shift]
				end := len(full)
				if r := len(padded) % 3; r != 0 {
					end-- // the last character depends on what follows
				}
				code := []byte(full[skip:end])
				if name == "base64wide" {
					code = widen(code)
				}
				for at := 0; at+len(code) <= len(data); at++ {
					if string(data[at:at+len(code)]) != string(code) {
						continue
					}
					if d != source.YARA && !decodes(data, at, len(full)-skip, skip, enc, form, shift, name == "base64wide") {
						continue
					}
					found[int64(at)] = max(found[int64(at)], int64(len(code)))
				}
			}
		}
	}
}

// decodes says whether the characters at a place decode to the text.
func decodes(data []byte, at, n, skip int, enc *base64.Encoding, form []byte, shift int, wide bool) bool {
	step := 1
	if wide {
		step = 2
	}
	var chars []byte
	for i := at - skip*step; len(chars) < skip+n; i += step {
		if i < 0 || i >= len(data) {
			break
		}
		chars = append(chars, data[i])
	}
	out := make([]byte, len(chars))
	k, _ := enc.Decode(out, chars)
	// A last group that is cut still gives its bytes.
	return k >= shift+len(form) && string(out[shift:shift+len(form)]) == string(form)
}

// regexpMatches finds the matches of a regular expression with the real engine.
func regexpMatches(res *check.Result, p *syntax.Pattern, data []byte) []Match {
	t := res.Regexps[p.Regexp]
	if t == nil {
		return nil
	}
	wide := p.Has("wide") != nil
	prog, _, err := regex.Compile(t, regex.Options{
		Ascii: !wide || p.Has("ascii") != nil, Wide: wide, FullWord: p.Has("fullword") != nil,
	})
	if err != nil {
		return nil
	}
	var m regex.Matcher
	var out []Match
	m.Scan(0, prog, text(data), 0, int64(len(data)), func(off, n int64) bool {
		out = append(out, Match{off, n})
		return true
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Offset < out[j].Offset })
	return out
}
