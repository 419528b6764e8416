package lines_test

import (
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/showcause/showcause/clamsig/lines"
)

// TestLines compares the line reader with strings.Split, for all sizes of read.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", lines.Max+5)
	for _, text := range []string{"", "\n", "a", "a\n", "a\r\nb\n\nc\r\r\n\r", strings.Repeat("line\n", 100_000), long, long + "\nb\n", "a\n" + long + "\nb", long + long + "\r\nb"} {
		var want []string
		for s := range strings.Lines(text) {
			if s = strings.TrimSuffix(s, "\n"); len(s) > lines.Max {
				s = "long"
			}
			want = append(want, strings.TrimRight(s, "\r"))
		}
		l := lines.New(iotest.HalfReader(strings.NewReader(text)))
		var got []string
		for {
			s, isLong, err := l.Next()
			if err != nil {
				break
			}
			if isLong {
				s = "long"
			}
			got = append(got, s)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %d lines, want %d", text[:min(len(text), 40)], len(got), len(want))
		}
	}
}
