package crypt

// Encipher is PKWARE's first cipher the other way round.
func Encipher(password []byte, check byte, plain []byte) []byte {
	c := NewPKWARE(nil2{}, password, func(int64) bool { return true })
	c.keys = c.start
	in := append(append(make([]byte, PKWAREHeader-1), check), plain...)
	out := make([]byte, len(in))
	for i, b := range in {
		t := c.keys[2] | 2
		out[i] = b ^ byte(t*(t^1)>>8)
		c.update(b)
	}
	return out
}

type nil2 struct{}

func (nil2) Size() int64                       { return 0 }
func (nil2) ReadAt([]byte, int64) (int, error) { return 0, nil }
