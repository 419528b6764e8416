package showcause

import (
	"strconv"
	"strings"
)

// Unescape returns the bytes that Escape made a text of, false if it made it of none.
func Unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		if i+1 == len(s) {
			return "", false
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i+1]]
		if digits == 0 {
			c, ok := map[byte]byte{'\\': '\\', 'n': '\n', 'r': '\r', 't': '\t'}[s[i+1]]
			if !ok {
				return "", false
			}
			b.WriteByte(c)
			i += 2
			continue
		}
		if i+2+digits > len(s) {
			return "", false
		}
		v, err := strconv.ParseUint(s[i+2:i+2+digits], 16, 32)
		if err != nil {
			return "", false
		}
		if digits == 2 {
			b.WriteByte(byte(v))
		} else {
			b.WriteRune(rune(v))
		}
		i += 2 + digits
	}
	out := b.String()
	return out, Escape(out) == s // each text has one spelling
}
