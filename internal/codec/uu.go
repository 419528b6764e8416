package codec

// UULine tells whether a line has the form of a uuencoded line (POSIX uuencode: a
// first character that counts the bytes, then four characters for three bytes),
// and how many bytes it says to hold. Up to two characters (a checksum, a padding)
// may follow. Trailing spaces may have been lost, which strict does not forgive.
func UULine(t []byte, strict bool) (int, bool) {
	if len(t) == 0 || t[0] < ' ' || t[0] > '`' {
		return 0, false
	}
	n := int(t[0]-' ') & 63
	need := (n + 2) / 3 * 4
	got := len(t) - 1
	if got > need+2 || strict && got < (n*8+5)/6 {
		return 0, false
	}
	for _, c := range t[1:] {
		if c < ' ' || c > '`' {
			return 0, false
		}
	}
	return n, true
}

// UUDecode appends the n bytes that the characters of a line stand for to out.
// Characters that are not there are spaces.
func UUDecode(out, t []byte, n int) []byte {
	at := func(i int) byte {
		if i < len(t) {
			return (t[i] - ' ') & 63
		}
		return 0
	}
	for i := 0; n > 0; i += 4 {
		a, b, c, e := at(i), at(i+1), at(i+2), at(i+3)
		three := [3]byte{a<<2 | b>>4, b<<4 | c>>2, c<<6 | e}
		out = append(out, three[:min(n, 3)]...)
		n -= 3
	}
	return out
}
