package pattern

// What each test takes, as measured: see Test.
const (
	beforeWord    = " -./<@_"
	notBeforeWord = "\n\r \"'-./<=>@_"
	afterWord     = "\n\r \"'-/=>_"
)

func among(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// test decides an assertion about the place before byte p.
func (m *Matcher) test(t Test, negate bool, p int64) bool {
	in := m.in
	switch t {
	case WordStart, LineStart, AlnumStart, FullStart:
		c, ok := in.byteAt(p - 1)
		if !ok {
			return !negate && p == 0
		}
		switch t {
		case WordStart:
			if negate {
				return !among(notBeforeWord, c)
			}
			return among(beforeWord, c)
		case LineStart:
			return (c == '\n') != negate
		}
		return !isAlnum(c) != negate
	case WordEnd, LineEnd, AlnumEnd, FullEnd:
		c, ok := in.byteAt(p)
		if !ok {
			return !negate && p == in.Size()
		}
		switch t {
		case WordEnd:
			return among(afterWord, c) != negate
		case LineEnd:
			if c == '\r' {
				c, _ = in.byteAt(p + 1)
			}
			return (c == '\n') != negate
		}
		return !isAlnum(c) != negate
	case FullStartWide:
		c, ok := in.byteAt(p - 2)
		if z, _ := in.byteAt(p - 1); !ok || z != 0 {
			return !negate
		}
		return !isAlnum(c) != negate
	}
	c, ok := in.byteAt(p)
	if z, more := in.byteAt(p + 1); !ok || more && z != 0 {
		return !negate
	}
	return !isAlnum(c) != negate
}

// near decides whether the byte of an element stands around p.
func (m *Matcher) near(el []byte, p int64) bool {
	val, mask, fold := el[1:2], el[2:3], el[0]&headMod != 0
	lo, hi := p+int64(int8(el[3])), p+int64(int8(el[4]))
	for at := max(lo, 0); at <= min(hi, m.in.Size()-1) && m.spend(1); at++ {
		if m.equal(val, mask, fold, at) {
			return true
		}
	}
	return false
}
