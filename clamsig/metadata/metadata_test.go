package metadata

import (
	"errors"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func known(string) bool { return true }

// TestHolds: what clamscan 1.4.6 found in a zip whose first member is one.txt, 54 bytes in 34.
func TestHolds(t *testing.T) {
	m := &Member{Name: "one.txt", Packed: 34, Size: 54, Number: 1, Sum: 0x0de7a5ed}
	for line, want := range map[string]bool{
		"A:CL_TYPE_ZIP:*:one:*:*:*:*:*:*":                 true,
		"A:CL_TYPE_RAR:*:one:*:*:*:*:*:*":                 false,
		"A:*:*:ONE:*:*:*:*:*:*":                           false,
		"A:CL_TYPE_ANY:*:^one\\.txt$:*:*:*:*:*:*":         true,
		"A:CL_TYPE_ZIP:*:one:34:54:0:1:233285102:*":       true, // no CRC is compared
		"A:CL_TYPE_ZIP:*:one:34:54:1:1:*:*":               false,
		"A:CL_TYPE_ZIP:*:one:30-40:*:*:*:*:*":             true,
		"A:CL_TYPE_ZIP:*:one:0-30:*:*:*:*:*":              false,
		"A:CL_TYPE_ZIP:*:one:30-0:*:*:*:*:*":              true,
		"A:CL_TYPE_ZIP:1- 999x:one:*:*:*:*:*:*":           true,
		"A:CL_TYPE_ZIP:99-999:one:*:*:*:*:*:*":            true,
		"A:CL_TYPE_ZIP::one:*:*:*:*:*:*":                  false,
		"A:CL_TYPE_ZIP:*:one:*:*:*:0-0:*:*":               false,
		"A:CL_TYPE_ZIP:*:(?i)ONE:*:*:*:*:*:*":             true,
		"A (Clam)x:CL_TYPE_ZIP:*:one:*:*:*:*:*:*:1:2":     true,
		"zmd A:0:one:*:*:0de7a5ed:*:*:*":                  true,
		"zmd A:0:one:*:*:0de7a5ee:*:*:*":                  false,
		"zmd A:0:one:*:*:00000000:*:*:*":                  true,
		"zmd A:1:one:54:34:*:*:*:*":                       false,
		"zmd A::one:54:34:*:8:1:3":                        true,
		"zmd A:0:one:54:34:*:8:2:3":                       false,
		"A:CL_TYPE_ANY:*:*:*:*:*:*:*:*":                   true,
		"A:CL_TYPE_ANY:100:*:34:54:0:1:any text:and this": true,
	} {
		kind := "cdb"
		line, old := strings.CutPrefix(line, "zmd ")
		if old {
			kind = "zmd"
		}
		e, _, err := Parse(kind, line, known)
		if err != nil || e.Name != "A" {
			t.Errorf("%q: %v, %v", line, e, err)
		} else if got := e.Holds([]string{"CL_TYPE_ZIP"}, 100, m); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestRefused(t *testing.T) {
	no := func(string) bool { return false }
	for _, line := range []string{
		"A:CL_TYPE_FOO:*:one:*:*:*:*:*:*", "A:*:*:one:-40:*:*:*:*:*", "A:*:*:one:30-:*:*:*:*:*", "A:*:*:one:x:*:*:*:*:*", "A:*:*:one:*:*:2:*:*:*",
		"A:*:*:one:*:*:*:*:*", "A:*:*:one:*:*:*:*:*:*:1:300:2", "A:*:*::*:*:*:*:*:*", ":*:*:one:*:*:*:*:*:*", "", "A:*:*:one:*:*:01:*:*:*", "A:*:*:one: 5:*:*:*:*:*",
	} {
		if e, _, err := Parse("cdb", line, no); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v, %v", line, e, err)
		}
	}
	for _, line := range []string{"A:0:one:50-60:34:*:0:1:*", "A:0:one:54:34:xyz:8:1:*", "A:0:one:54:34:de7a5ed:8:1:*", "A:x:one:*:*:*:*:*:*", "A:0:one:*:*:*:*:*", ":0:one:*:*:*:*:*:*"} {
		if e, _, err := Parse("zmd", line, no); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v, %v", line, e, err)
		}
	}
	if _, _, err := Parse("cdb", "A:*:*:(one:*:*:*:*:*:*", no); err == nil || errors.Is(err, ErrForm) {
		t.Errorf("an expression that is none: %v", err)
	}
}

// TestHits: each place once, in order, as many as are kept, and all counted.
func TestHits(t *testing.T) {
	var h Hits
	for _, at := range []int64{30, 10, 10, 20, 99, 1 << 40, -5} {
		h.Add(&Member{At: at, Length: 8}, 100, 4)
	}
	want := []showcause.Match{{Offset: 0, Length: 8}, {Offset: 10, Length: 8}, {Offset: 20, Length: 8}, {Offset: 30, Length: 8}}
	if h.Count != 6 || len(h.Matches) != 4 {
		t.Fatalf("%+v", h)
	}
	for i, m := range want {
		if h.Matches[i] != m {
			t.Errorf("%+v, want %+v", h.Matches, want)
		}
	}
}

// FuzzParse: no line and no member makes it panic.
func FuzzParse(f *testing.F) {
	f.Add("A:CL_TYPE_ZIP:1-2:(?i)one[[.a.]]:30-40:*:0:1:*:*:1:300", "one", int64(3))
	f.Add("A:0:one:54:34:0de7a5ed:8:1:*", "\xff", int64(-1))
	f.Fuzz(func(t *testing.T, line, name string, n int64) {
		for _, kind := range []string{"cdb", "zmd", "rmd"} {
			if e, _, err := Parse(kind, line, known); err == nil {
				var h Hits
				if m := (&Member{Name: name, Packed: n, Size: n, At: n, Length: n}); e.Holds([]string{"CL_TYPE_ZIP"}, n, m) {
					h.Add(m, 100, 3)
				}
			}
		}
	})
}
