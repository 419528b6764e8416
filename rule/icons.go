package rule

import (
	"fmt"
	"strings"

	"github.com/showcause/showcause/internal/icon"
)

// Icons asks for a program with an icon that looks like one of some that are known. Of none
// that are known nothing can.
type Icons struct {
	Lines []string // as an .idb file has them: "name:group:group:124 hexadecimal digits"
	known []*icon.Metrics
}

// NewIcons reads the lines.
func NewIcons(lines []string) (*Icons, error) {
	i := &Icons{Lines: lines}
	for _, l := range lines {
		m, err := icon.Parse(l[strings.LastIndexByte(l, ':')+1:])
		if err != nil {
			return nil, fmt.Errorf("icon %.80q: %w", l, err)
		}
		i.known = append(i.known, m)
	}
	return i, nil
}

// Encode returns the lines as a rule database stores them.
func (i *Icons) Encode() []byte { return []byte(strings.Join(i.Lines, "\n")) }

// DecodeIcons reads what Encode made.
func DecodeIcons(b []byte) (*Icons, error) {
	if len(b) == 0 {
		return NewIcons(nil)
	}
	return NewIcons(strings.Split(string(b), "\n"))
}

// Has tells whether an icon looks like one of them.
func (i *Icons) Has(m *icon.Metrics) bool {
	for _, k := range i.known {
		if m.Like(k) {
			return true
		}
	}
	return false
}
