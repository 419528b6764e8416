package milter

import (
	"strings"
	"testing"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/accept/accepttest"
)

// FuzzTalk sends anything, in pieces of any size: the answers do not depend on them, are
// packets, and give back all that was taken.
func FuzzTalk(f *testing.F) {
	f.Add([]byte(hello(6, 0x1ff, postfix)+pack('C', client)+mailOf(subject, marker)), 3)
	f.Add([]byte(hello(2, 0x1ff, 0x7f)+mailOf([][2]string{{"X-Virus-Status", "x\ny"}}, "x")+pack('A', "")+pack('K', "")+pack('Q', "")), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		b := fake()
		o := Options{MaxLength: 1 << 20, Hostname: "h", Connections: accept.Options{Max: 4}}
		all, some := accepttest.Talk(New(b, o), text, len(text)), accepttest.Talk(New(b, o), text, piece&(1<<16-1))
		if all != some {
			t.Errorf("%q\n%q", all, some)
		}
		n := 0
		for _, p := range heard(t, strings.NewReader(all)) {
			n += len(p)
		}
		if n == 0 && all != "" {
			t.Errorf("%q", all)
		}
		if b.Open.Load() != 0 {
			t.Error("a stream is open")
		}
	})
}

// FuzzConf holds that any text is settings or an error.
func FuzzConf(f *testing.F) {
	f.Add("MilterSocket unix:/x\nLocalNet 10.0.0.0/8\nAddHeader Add\nMaxFileSize 1M\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "Whitelist") || strings.Contains(text, "file:") {
			return // these open files
		}
		if c, err := Parse("x", strings.NewReader(text)); err == nil && c.Network != "" && c.Address == "" {
			t.Error("a socket without an address")
		}
	})
}
