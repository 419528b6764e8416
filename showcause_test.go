package showcause_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/showcause/showcause"
)

func TestBytes(t *testing.T) {
	b := showcause.Bytes("some bytes to be read")
	if err := iotest.TestReader(io.NewSectionReader(b, 0, b.Size()), b); err != nil {
		t.Error(err)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain name.txt":       "plain name.txt",
		"größe 日本":             "größe 日本",
		"a\nb\r\tc":            `a\nb\r\tc`,
		"\x1b[31m":             `\x1b[31m`,
		"\u202egnp.exe":        `\u202egnp.exe`,
		`back\slash`:           `back\\slash`,
		"\xff\xfe":             `\xff\xfe`,
		"\U000e0041":           `\U000e0041`,
		"nul\x00":              `nul\x00`,
		"no\u00a0break \u2028": `no\u00a0break \u2028`,
	} {
		if got := showcause.Escape(in); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, bad := range []string{`\`, `\x`, `\x4`, `\x41`, `\q`, "\n", `\u202`, `\u0041`, `\U0001f600`, `\xzz`, `\uffff\`, `\u-001`} {
		if got, ok := showcause.Unescape(bad); ok {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a", "b")
	f.Add("\\n", "\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		ea, eb := showcause.Escape(a), showcause.Escape(b)
		if back, ok := showcause.Unescape(ea); !ok || back != a {
			t.Errorf("%q gives %q, which gives %q", a, ea, back)
		}
		if back, ok := showcause.Unescape(a); ok && showcause.Escape(back) != a {
			t.Errorf("%q is what %q gives", a, back)
		}
		if (a == b) != (ea == eb) {
			t.Errorf("%q and %q give %q and %q", a, b, ea, eb)
		}
		for _, r := range ea {
			if !unicode.IsPrint(r) {
				t.Errorf("%q gives %q", a, ea)
			}
		}
	})
}

func TestTrail(t *testing.T) {
	var root showcause.Trail
	one := root.Child(showcause.Step{Index: 1, Op: "mime.base64"})
	two := one.Child(showcause.Step{Index: 0, Op: "zip.deflate", Name: "a / b\n"})
	other := one.Child(showcause.Step{Index: 1, Op: "zip.deflate", Name: "c"})
	if got, want := two.String(), `#1 mime.base64 / a \x2f b\n`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if other.String() == two.String() || len(one) != 1 {
		t.Error("trails share memory")
	}
	b, err := json.Marshal(two)
	if err != nil || strings.Contains(string(b), "\\n\"") && !strings.Contains(string(b), `b\\n`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestConclude(t *testing.T) {
	gap := func(c showcause.Code) showcause.Gap { return showcause.Gap{Code: c} }
	hit, allowed := showcause.Finding{Rule: "r"}, showcause.Finding{Rule: "r", Allowed: "list"}
	for _, c := range []struct {
		findings []showcause.Finding
		gaps     []showcause.Gap
		want     showcause.Verdict
	}{
		{nil, nil, showcause.NothingFound},
		{nil, []showcause.Gap{gap("ambiguous.zip.size")}, showcause.NothingFound},
		{nil, []showcause.Gap{gap(showcause.Encrypted)}, showcause.Incomplete},
		{[]showcause.Finding{allowed}, nil, showcause.NothingFound},
		{[]showcause.Finding{allowed}, []showcause.Gap{gap(showcause.Corrupt)}, showcause.Incomplete},
		{[]showcause.Finding{allowed, hit}, []showcause.Gap{gap(showcause.Corrupt)}, showcause.Found},
	} {
		r := showcause.Report{Findings: c.findings, Gaps: c.gaps}
		if r.Conclude(); r.Verdict != c.want {
			t.Errorf("%+v: %v, want %v", c, r.Verdict, c.want)
		}
	}
}
