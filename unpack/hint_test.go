package unpack

import "testing"

func TestNamed(t *testing.T) {
	for name, want := range map[string]Hint{
		"": NoHint, "x": NoHint, ".": NoHint, "x.": NoHint, "a.br/x": NoHint, "x.BR": HintBrotli, `a\b/x.tar.br`: HintBrotli, "x.js.brotli": HintBrotli,
		"x.7z.001": NoHint, "x.7z.002": HintVolume, "dir/x.ZIP.0010": HintVolume, "x.7z.02": NoHint, "x.002": NoHint, "x.txt.002": NoHint, "x.tar.gz.017": HintVolume,
		"x.z01": HintVolume, "x.Z99": HintVolume, "x.z123": HintVolume, "x.z00": NoHint, "x.z1": NoHint, "x.zip": NoHint, "x.z0a": NoHint, "x.7z.99999999999999999999": NoHint,
		"x.7z.-02": NoHint, "x.part2.rar": NoHint, "x.r01": NoHint,
	} {
		if got := Named(name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	for _, c := range []struct {
		name, kind string
		size       int64
		want       bool
	}{{"/x/a.7z.002", "data", 5, true}, {"a.7z.002", "text", 5, false}, {"a.7z.002", "data", 0, false}, {"a.7z.001", "data", 5, false}} {
		if g, ok := NamedVolume(c.name, c.kind, c.size); ok != c.want || g.Length != c.size || g.Code != SplitVolume {
			t.Errorf("%v: %v %v", c, g, ok)
		}
	}
}
