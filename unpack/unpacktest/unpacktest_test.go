package unpacktest

import (
	"bytes"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// lines is a toy format: "LINES\n", then lines that are children, then ".\n".
func lines(honest bool) unpack.Format {
	return unpack.Format{
		Name:  "lines",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("LINES\n")) },
		Walk: func(l showcause.Source, out *unpack.Out) {
			b, _ := bound.ReadAt(l, 0, l.Size(), 1<<20)
			if len(b) < 6 {
				return
			}
			for b = b[6:]; out.Work(1); {
				line, rest, ok := bytes.Cut(b, []byte("\n"))
				if string(line) == "." && ok {
					return
				}
				if len(line) > 0 && !out.Child(unpack.Child{Op: "lines.line", Source: showcause.Bytes(line), Size: -1}) {
					return
				}
				if !ok {
					if honest {
						out.Gap(showcause.Corrupt, l.Size(), -1)
					}
					return
				}
				b = rest
			}
		},
	}
}

var sample = []byte("LINES\none\ntwo\nthree\n.\n")

func TestHonestFormatConforms(t *testing.T) {
	Conform(t, lines(true), map[string][]byte{"three": sample})
}

// A format that loses a child silently must be seen.
func TestSilentLossIsSeen(t *testing.T) {
	want := Walk(t, lines(false), sample, showcause.Limits{})
	got := Walk(t, lines(false), sample[:12], showcause.Limits{})
	if c, lost := missing(want, got); !lost || got.Unread() {
		t.Fatalf("missing = %v, %v", c, lost)
	}
	got = Walk(t, lines(true), sample[:12], showcause.Limits{})
	if !got.Unread() || !got.Has(showcause.Corrupt) {
		t.Fatalf("honest format: %s", got)
	}
}

func FuzzLines(f *testing.F) { Fuzz(f, lines(true), sample) }
