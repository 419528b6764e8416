// Package icon measures icons of programs as ClamAV's signatures name them (.idb): where the
// most and the least colourful, brightest, darkest, and most and least edged areas of a small picture
// are. It does what ClamAV 1.4 does, so that the same icons match.
package icon

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrMalformed is of a text that is no icon's.
var ErrMalformed = errors.New("malformed icon")

// area is a square of a quarter of the side.
type area struct{ average, x, y uint32 }

// Metrics are what is measured of an icon of Side by Side pixels.
type Metrics struct {
	Side int
	// Three areas each, which do not overlap. Of an icon in black and white the first two are
	// further edges.
	colour, grey, bright, dark, edge, plain [3]area
	red, green, blue, share                 uint32 // of the pixels with a colour; their share, percent
}

// hashLength is the number of hexadecimal digits of an icon.
const hashLength = 124

// fields lists the areas in the order in which they are written, and the digits of their averages.
func (m *Metrics) fields() (list [6]*[3]area, digits [6]int) {
	return [6]*[3]area{&m.colour, &m.grey, &m.bright, &m.dark, &m.edge, &m.plain}, [6]int{3, 3, 2, 2, 2, 2}
}

// Parse reads an icon as a signature has it (124 hexadecimal digits).
func Parse(s string) (*Metrics, error) {
	if len(s) != hashLength {
		return nil, fmt.Errorf("%w: %d digits, want %d", ErrMalformed, len(s), hashLength)
	}
	if strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return nil, fmt.Errorf("%w: not hexadecimal", ErrMalformed)
	}
	next := func(n int) (v uint32) {
		for ; n > 0; n-- {
			d := uint32(s[0] | 0x20)
			if s = s[1:]; d <= '9' {
				d -= '0'
			} else {
				d -= 'a' - 10
			}
			v = v<<4 | d
		}
		return v
	}
	m := &Metrics{Side: int(next(2))}
	if m.Side != 16 && m.Side != 24 && m.Side != 32 {
		return nil, fmt.Errorf("%w: of %d pixels", ErrMalformed, m.Side)
	}
	far := uint32(m.Side - m.Side/8)
	list, digits := m.fields()
	for i, areas := range list {
		for j := range areas {
			a := area{next(digits[i]), next(2), next(2)}
			if areas[j] = a; a.average > mostColour || a.x > far || a.y > far {
				return nil, fmt.Errorf("%w: area %d of kind %d", ErrMalformed, j, i)
			}
		}
	}
	m.red, m.green, m.blue, m.share = next(2), next(2), next(2), next(2)
	if m.red+m.green+m.blue > 103 || m.share > 100 {
		return nil, fmt.Errorf("%w: colours", ErrMalformed)
	}
	return m, nil
}

// String returns the icon as a signature has it.
func (m *Metrics) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%02x", m.Side)
	list, digits := m.fields()
	for i, areas := range list {
		for _, a := range areas {
			fmt.Fprintf(&b, "%0*x%02x%02x", digits[i], a.average, a.x, a.y)
		}
	}
	fmt.Fprintf(&b, "%02x%02x%02x%02x", m.red, m.green, m.blue, m.share)
	return b.String()
}

const (
	mostColour = 4072 // the greatest average of colour: 255 times the root of 255
	mostLight  = 255
)

// size is the class of a side: only icons of one class are compared.
func (m *Metrics) size() int { return m.Side/8 - 2 }

// Like tells whether the icon looks like the one of a signature.
func (m *Metrics) Like(sig *Metrics) bool {
	if m.size() != sig.size() {
		return false
	}
	two := func(a, b *[3]area) []area { return append(append(make([]area, 0, 6), a[:]...), b[:]...) }
	bright, dark := m.alike(m.bright[:], sig.bright[:], mostLight), m.alike(m.dark[:], sig.dark[:], mostLight)
	if m.share == 0 && sig.share == 0 {
		edge := m.alike(two(&m.edge, &m.colour), two(&sig.edge, &sig.colour), mostLight)
		plain := m.alike(two(&m.plain, &m.grey), two(&sig.plain, &sig.grey), mostLight)
		return (bright+dark+2*edge+plain)/6 >= 70
	}
	edge, plain := m.alike(m.edge[:], sig.edge[:], mostLight), m.alike(m.plain[:], sig.plain[:], mostLight)
	colour, grey := uint32(0), uint32(0)
	if m.share != 0 && sig.share != 0 {
		colour, grey = m.alike(m.colour[:], sig.colour[:], mostColour), m.alike(m.grey[:], sig.grey[:], mostColour)
	}
	spread := (near(m.red, sig.red) + near(m.green, sig.green) + near(m.blue, sig.blue) + near(m.share, sig.share)) / 4
	return (colour+(grey+bright+plain)*2/3+dark+edge+spread)/6 >= uint32(64+4*(2-m.size()))
}

// near is 100 for equal shares, and nothing from ten percent apart on.
func near(a, b uint32) uint32 {
	return 100 - min(distance(a, b)*10, 100)
}

func distance(a, b uint32) uint32 { return max(a, b) - min(a, b) }

// alike tells, of 100, how near the areas are to those of a signature, each to the best.
func (m *Metrics) alike(have, want []area, most uint32) (sum uint32) {
	reach := uint32(m.Side/4) * 3 / 4
	for _, h := range have {
		best := uint32(0)
		for _, w := range want {
			x, y := distance(h.x, w.x), distance(h.y, w.y)
			if away := uint32(math.Sqrt(float64(x*x + y*y))); away <= reach && distance(h.average, w.average) <= most/5 {
				best = max(best, 100-away*60/reach)
			}
		}
		sum += best
	}
	return sum / uint32(len(have))
}
