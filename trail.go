package showcause

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Step is one step of a trail, from a layer to one of its children.
type Step struct {
	Index int    `json:"index"`          // which child, from 0, in the container's order
	Op    string `json:"op"`             // how its bytes were derived: "zip.deflate", "mime.base64", "view.text"; our word
	Name  string `json:"name,omitempty"` // what the container calls it: the attacker's bytes, data only
}

// Trail leads from an input to a layer in it. The indexes identify the layer;
// the names are shown, and nothing is decided by them.
type Trail []Step

// Child returns the trail extended by one step. The receiver is not changed
// and shares no memory with the result.
func (t Trail) Child(s Step) Trail {
	c := make(Trail, len(t)+1)
	copy(c, t)
	c[len(t)] = s
	return c
}

// MarshalJSON implements json.Marshaler: the trail of the input itself is [].
func (t Trail) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]Step(t))
}

// String renders the trail for a person, each name escaped, with " / " between
// the steps: "part 2 base64 / invoice.zip" is "#1 mime.base64 / invoice.zip".
func (t Trail) String() string {
	var b strings.Builder
	for i, s := range t {
		if i > 0 {
			b.WriteString(" / ")
		}
		b.WriteString(s.String())
	}
	return b.String()
}

// String renders one step: the escaped name if there is one, else the index
// and the operation.
func (s Step) String() string {
	if s.Name == "" {
		return fmt.Sprintf("#%d %s", s.Index, s.Op)
	}
	return strings.ReplaceAll(Escape(s.Name), " / ", ` \x2f `)
}

// MarshalJSON implements json.Marshaler. The name is escaped as in String, so
// that it is valid text and does no harm where the JSON is shown.
func (s Step) MarshalJSON() ([]byte, error) {
	type plain Step
	p := plain(s)
	p.Name = Escape(p.Name)
	return json.Marshal(p)
}

// Escape makes bytes that an attacker chose safe to show on one line of a
// terminal, a log or a protocol reply: control and format characters (bidi
// overrides among them), line ends, backslashes and bytes that are not UTF-8 become
// backslash escapes. The result is printable, and different inputs give
// different results.
func Escape(s string) string {
	clean := true
	for _, r := range s {
		if r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}
