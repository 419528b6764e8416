package clamsig

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestLink: lines of phishing data are handed over without their levels, those for this engine.
func TestLink(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		want       []string
		known      int
		reasons    []Reason
	}{
		{"x.pdb", "# c\nH:example.com\nH:example.org:17-\nR:.+\\.a\\.b:.+\\.c\\.d:17-99999\nH:old.org:1-2\nM:a:b\n", []string{"H:example.com", "H:example.org", `R:.+\.a\.b:.+\.c\.d`}, 3, []Reason{FunctionalityLevel, Malformed}},
		{"x.wdb", "M:a.example:b.example\nX:a(:b\n", []string{"M:a.example:b.example"}, 0, []Reason{Pattern}},
		{"x.gdb", "S1:F:" + strings.Repeat("0a", 32) + ":17-\nS:P:0a0b0c0d\n", []string{"S1:F:" + strings.Repeat("0a", 32), "S:P:0a0b0c0d"}, 2, nil},
	} {
		var got []string
		var sink reasons
		o := Options{Link: func(file, line string) {
			if file != tt.file {
				t.Errorf("of %s", file)
			}
			got = append(got, line)
		}}
		st, err := LoadReader(tt.file, strings.NewReader(tt.text), o, &sink)
		if err != nil || !slices.Equal(got, tt.want) || st.Loaded() != len(tt.want) || st.Known() != tt.known || !slices.Equal(sink.all, tt.reasons) {
			t.Errorf("%s: %q, %d loaded, %d known, left out %v, %v", tt.file, got, st.Loaded(), st.Known(), sink.all, err)
		}
		o.Strict = true
		if _, err := LoadReader(tt.file, strings.NewReader(tt.text), o, &sink); errors.Is(err, ErrMalformed) != slices.Contains(tt.reasons, Malformed) {
			t.Errorf("%s, strictly: %v", tt.file, err)
		}
	}
}

// reasons gathers why lines were left out.
type reasons struct {
	null
	all []Reason
}

func (r *reasons) Skip(s Skip) { r.all = append(r.all, s.Reason) }
