package check

import (
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// TestDialects holds what one dialect accepts and the other refuses, and that
// both accept it where both are taken.
func TestDialects(t *testing.T) {
	cond := func(c string) string { return "rule r { condition: " + c + " }" }
	pattern := func(p string) string { return "rule r { strings: $a = " + p + " condition: $a }" }
	with := func(c string) string {
		return "rule r { strings: $a = \"abcd\" $b = \"bcde\" condition: #a + #b > 0 and (" + c + ") }"
	}
	alphabet := strings.Repeat("ABCDEFGHIJKLMNOP", 4)
	twice := "\"" + strings.Repeat("A", 64) + "\""
	for _, c := range []struct {
		rule    string
		yara, x bool
	}{
		// Regular expressions.
		{pattern(`/ab{c/`), true, false},
		{pattern(`/ab\g/`), true, false},
		{pattern(`/ab\;/`), true, true},
		{pattern(`/(a+|b)*/`), true, false},
		{pattern(`/\b/`), true, false},
		{pattern(`/a{,0}/`), true, false},
		{pattern(`/(abc|)/`), true, false},
		{pattern(`/(|abc)ef/`), false, true},
		{pattern(`/a{2977952116}/`), false, false},
		{pattern(`/ab+c*?d/`), false, true},
		{pattern(`/\Aabc\z/`), true, true},
		{pattern(`/(?i)abc/`), false, true},
		{pattern(`/abc/si`), false, true},
		{pattern(`/abc/nocase`), true, false},
		// Strings.
		{pattern(`"ab" base64`), true, false},
		{pattern(`"abc" base64(` + twice + `)`), true, false},
		{pattern(`"abcd" base64("` + alphabet[:63] + `")`), false, false},
		{pattern(`"abcd" base64 base64wide("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/")`), false, true},
		{pattern(`"abcd" xor fullword`), true, true},
		{pattern(`{ 01 [0x4] 02 }`), false, true},
		{pattern(`{ 01 [0-2147483648] 02 }`), false, true},
		{pattern(`{ 01 ( 02 | 03 [-] 04 ) }`), false, true},
		{pattern(`"""abcd"""`), false, true},
		// Conditions.
		{cond(`9223372036854775807 + 1 > filesize`), false, true},
		{cond(`0xFFFFFFFFFFFFFFFF > filesize`), false, false}, // neither has numbers above 2^63-1
		{cond(`9223372036854775808 > filesize`), false, false},
		{cond(`-9223372036854775808 < filesize`), false, false},
		{cond(`0x7FFFFFFFFFFFFFFF > filesize`), true, true},
		{cond(`filesize == 1_000_000`), false, true},
		{cond(`filesize == 0xFF_FF`), false, true},
		{cond(`filesize == 0o7_7`), false, true},
		{cond(`filesize < 1_000KB`), false, true},
		{cond(`filesize * 1.0 == 1_000.5_0`), false, true},
		{"rule r { meta: a = 1_000 b = -2_000 condition: filesize > 1 }", false, true},
		{cond(`filesize == _1`), false, false},
		{"rule r { strings: $a = \"a\\0b\" condition: $a }", false, true},
		{cond(`uint64(0) == 1`), false, true},
		{cond(`int64be(0) == 1`), false, true},
		{"rule r { strings: $a = { 66 [-5] 6F } condition: $a }", false, true},
		{"rule r { strings: $a = { 66 [-] 6F } condition: $a }", true, true},
		{cond(`filesize % 0 == 1`), false, true},
		{cond(`entrypoint == 1`), true, false},
		{"rule a { condition: filesize > 1 } " + strings.Replace(cond(`1 of (a*)`), "rule r", "rule s", 1), true, false},
		{"rule a { condition: filesize > 1 } " + strings.Replace(cond(`1 of (a)`), "rule r", "rule s", 1), true, true},
		{with(`1050%100% of them`), true, false},
		{with(`(1050%100)% of them`), true, true},
		{cond(`for 50% i in (1..3) : (i > filesize)`), false, true},
		{cond(`for all x in (1.0, 2.0) : (x > 1.5)`), false, true},
		{cond(`all of (true, filesize > 1)`), false, true},
		{cond(`with a = filesize : (a > 1)`), false, true},
		{cond(`for any with in (1..2) : (with == filesize)`), true, false},
		{cond(`float32(0) > 1.0`), false, true},
		{with(`@a[-1] > 1`), true, false},
		{with(`$a at -1`), true, false},
		{cond(`1 == 2 == filesize`), false, true},
		{cond(`for any i in (1..2) : (for any i in (1..2) : (i == filesize))`), false, true},
		{cond(`/a/`), true, true},
		{"private private rule r { condition: filesize > 1 }", true, false},
		{"rule r { meta: a = 1.5 condition: filesize > 1 }", false, true},
		{"rule r { condition: filesize > 1 } /* the end", true, false},
		{"rule r { condition: \"\xff\" == \"a\" or filesize > 1 }", true, false},
		// Modules.
		{`import "math" ` + cond(`math.in_range(filesize, 1, 2)`), false, true},
		{`import "macho" ` + cond(`macho.segments[0].fsize == 1`), true, false},
		{`import "macho" ` + cond(`macho.has_rpath("x")`), false, true},
		{`import "pe" ` + cond(`pe.rich_signature.version_data == "a"`), true, false},
		{`import "pe" ` + cond(`pe.is_pe + 1 == 2`), true, false},
		{`import "pe" ` + cond(`pe.signatures[0].signer_info.length_of_chain == 1`), true, false},
		{`import "lnk" ` + cond(`lnk.is_lnk`), false, true},
		{`import "dex" ` + cond(`dex.header.magic == dex.DEX_FILE_MAGIC_035`), true, false},
		{`import "pe" ` + cond(`pe.sections.len() == 1`), false, true},
	} {
		for d, want := range map[source.Dialect]bool{source.YARA: c.yara, source.YARAX: c.x, source.Either: c.yara || c.x} {
			r, set := run(t, c.rule, Options{Dialect: d})
			if got := !r.Failed(); got != want {
				t.Errorf("%s in %s: accepted %v, want %v\n%s", c.rule, d, got, want, render(set, r.Diags))
			}
		}
	}
}

// TestEscapedNames holds which rules are read as YARA 4 for the sake of its names of
// certificates.
func TestEscapedNames(t *testing.T) {
	for _, c := range []struct {
		cond string
		d    source.Dialect
		yara bool
	}{
		{`pe.signatures[0].subject contains "\\xE6\\x97"`, source.Either, true},
		{`for any s in pe.signatures : (filesize > 1 and ("/CN=\\xe6" == (s.issuer)))`, source.Either, true},
		{`pe.signatures[0].signer_info.chain[0].issuer startswith "\\xE6"`, source.Either, true},
		{`pe.signatures[0].subject contains "\xE6\x97"`, source.Either, false}, // the bytes, not their escapes
		{`pe.signatures[0].subject contains "\\xG6" or pe.signatures[0].subject contains "\\x1"`, source.Either, false},
		{`pe.signatures[0].serial contains "\\xE6"`, source.Either, false},
		{`pe.signatures[0].subject contains "\\xE6"`, source.YARAX, false},
		// What YARA 4 does not take is YARA-X's.
		{`pe.signatures[0].subject contains "\\xE6" and math.in_range(filesize, 1, 2)`, source.Either, false},
	} {
		r, set := run(t, `import "pe" import "math" rule r { condition: `+c.cond+" }", Options{Dialect: c.d})
		want := c.d
		if c.yara {
			want = source.YARA
		}
		if r.Failed() || r.Rules[0].Dialect != want {
			t.Errorf("%s in %s: failed %v, read as %s, want %s\n%s", c.cond, c.d, r.Failed(), r.Rules[0].Dialect, want, render(set, r.Diags))
		}
		warned := false
		for _, d := range r.Diags {
			warned = warned || d.Code == source.DialectsDisagree
		}
		if warned != c.yara {
			t.Errorf("%s in %s: warned %v\n%s", c.cond, c.d, warned, render(set, r.Diags))
		}
	}
}
