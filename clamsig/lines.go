package clamsig

import "strings"

// split cuts s at sep into at most len(to) fields, the last of which holds the
// rest, and returns their number.
func split(s string, sep byte, to []string) int {
	for n := range to[:len(to)-1] {
		i := strings.IndexByte(s, sep)
		if i < 0 {
			to[n] = s
			return n + 1
		}
		to[n], s = s[:i], s[i+1:]
	}
	to[len(to)-1] = s
	return len(to)
}

// number reads decimal digits, of which there may be none, as ClamAV's
// isnumber and atoi together do. Large numbers stop at 1<<62.
func number(s string) (n int64, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int64(s[i]-'0'); n > 1<<58 {
			n = 1 << 58
		}
	}
	return n, true
}

// leading reads the digits that s begins with, after blanks and a plus sign,
// as scanf's %u does, and returns what follows them.
func leading(s string) (n int64, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\v\f\r\n")
	s = strings.TrimPrefix(s, "+")
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, _ = number(s[:i])
	return n, s[i:], i > 0
}
