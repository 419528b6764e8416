package wire

import (
	"fmt"
	"math"
)

// maxPasswords is what passwords take in a message, bytes.
const maxPasswords = 16 << 10

// EncodePasswords writes passwords: length u8 and bytes of each. They go to readers
// alone, and nothing that is written down has them.
func EncodePasswords(all [][]byte) (string, error) {
	var b []byte
	for i, p := range all {
		if len(p) > math.MaxUint8 || len(b)+1+len(p) > maxPasswords {
			return "", fmt.Errorf("password %d: more than %d bytes, or more than %d in all", i+1, math.MaxUint8, maxPasswords)
		}
		b = append(append(b, uint8(len(p))), p...)
	}
	return string(b), nil
}

// decodePasswords reads them.
func DecodePasswords(s string) (all [][]byte, err error) {
	for len(s) > 0 {
		n := int(s[0])
		if n > len(s)-1 {
			return nil, errMessage
		}
		all = append(all, []byte(s[1:1+n]))
		s = s[1+n:]
	}
	return all, nil
}
