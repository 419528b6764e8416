package lower

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// one compiles one rule over the patterns $a = "ab", $b = "b" and $c = "zz" and
// runs it over "abcab".
func one(t *testing.T, cond string, d source.Dialect, externals map[string]module.Value) string {
	t.Helper()
	text := "import \"test_proto2\"\nrule r { strings: $a = \"ab\" $b = \"b\" $c = \"zz\" condition: (" + cond + ") and #a >= 0 and #b >= 0 and #c >= 0 }"
	var set source.Sources
	src, err := set.Add("t.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Module: moduleType, Externals: externals})
	if res.Failed() {
		return "-"
	}
	out := runCompiled(t, res, newInput(res, []byte("abcab")), externals, 100000)
	switch {
	case out.stopped[res.Rules[0]]:
		return "s"
	case out.holds[res.Rules[0]]:
		return "t"
	}
	return "f"
}

// TestSemantics pins what compiled conditions are in both dialects: t, f, s for
// one that is stopped, - for one that does not compile. uint8(9) is undefined.
func TestSemantics(t *testing.T) {
	const least = "(~9223372036854775807 + (filesize - 5))"
	for _, c := range []struct{ cond, yara, x string }{
		{"defined (" + least + " \\ (4 - filesize))", "f", "f"},
		{"defined (" + least + " % (4 - filesize))", "f", "t"},
		{least + " % (4 - filesize) == 0", "f", "t"},
		{"filesize \\ (filesize - 5) == 0 or defined (filesize % (filesize - 5))", "f", "f"},
		{"-7 \\ (filesize - 3) == -3 and -7 % (filesize - 3) == -1", "t", "t"},
		{"1 << (filesize + 59) == 0 and 1 << (filesize + 58) < 0", "t", "t"},
		{"1 << (filesize + 58) == -9223372036854775807 - 1", "t", "t"},
		{"-1 >> (filesize + 59) == 0 and -1 >> (filesize + 58) == -1", "t", "t"},
		{"defined (1 << (4 - filesize)) or defined (1 >> (4 - filesize))", "f", "f"},
		{"9223372036854775807 + filesize == -9223372036854775804", "t", "t"},
		{"not (uint8(9) == 0)", "f", "f"},
		{"not (uint8(9) == 0 and true)", "t", "t"},
		{"not (uint8(9) == 0 or false)", "t", "t"},
		{"not defined (uint8(9) + 1) and not defined -uint8(9) and not defined ~uint8(9) and not defined (1.0 + uint8(9))", "t", "t"},
		{"defined (uint8(9) == 1 or true)", "t", "t"},
		{"not defined @a[uint8(9)] and not defined #a in (0..uint8(9))", "t", "t"},
		{"not defined ($a in (0..uint8(9)))", "t", "t"},
		{"defined ($a at uint8(9))", "t", "f"},
		{"not ($a at uint8(9))", "t", "f"},
		{"test_proto2.int64_undef == 0 or not test_proto2.int64_undef == 0", "f", "f"},
		{"not defined test_proto2.array_string[7 + filesize]", "t", "t"},
		{"\"a\" contains test_proto2.string_undef or not (\"a\" matches /b/)", "t", "t"},
		{"0 of them", "f", "f"},
		{"none of ($c)", "t", "t"},
		{"0 of ($c)", "t", "t"},
		{"(filesize - 5) of ($c)", "t", "t"},
		{"(filesize - 6) of ($c)", "t", "t"},
		{"uint8(9) of ($a, $b)", "t", "f"},
		{"not uint8(9) of ($a, $b)", "f", "f"},
		{"uint8(9) of them", "f", "f"},
		{"66% of them and not 67% of them", "t", "t"},
		{"1% of them and not 1% of ($c)", "t", "t"},
		{"(filesize * 20)% of ($a, $b) and not (filesize * 20)% of them", "t", "t"},
		{"2 of them and not 3 of them and not all of them and any of them and not none of them", "t", "t"},
		{"all of ($a, $b) in (0..1) and not all of ($a, $b) in (0..0)", "t", "t"},
		{"any of them at 4 and not any of them at 2 and none of them at 2", "t", "t"},
		{"for all i in (filesize..0 + #a) : (true)", "f", "f"},
		{"for none i in (filesize..0 + #a) : (false)", "f", "f"},
		{"for (filesize - 5) i in (1, 2) : (i > 2)", "t", "t"},
		{"for (filesize - 5) i in (1, 2) : (i > 1)", "f", "f"},
		{"for (filesize - 6) i in (1, 2) : (i > 2)", "t", "t"},
		{"for uint8(9) i in (1, 2) : (i > 0)", "t", "f"},
		{"for uint8(9) i in (1, 2) : (i > 1)", "f", "f"},
		{"for 34% i in (1, 2, 3) : (i > 1) and not for 67% i in (1, 2, 3) : (i > 1)", "-", "t"},
		{"for any i in (0..uint8(9)) : (true) or for none i in (0..uint8(9)) : (false)", "f", "f"},
		{"for 2 i in (0..9) : (uint8(i) == 0x61) and not for 3 i in (0..9) : (uint8(i) == 0x61)", "t", "t"},
		{"for all i in (9223372036854775806..9223372036854775807) : (i > 0)", "t", "t"},
		{"for any i in (0..9223372036854775807) : (i == 3)", "t", "t"},
		{"for any i in (0..9223372036854775807) : (i == -1)", "s", "s"},
		{"for all i in (0..9223372036854775807) : (i < 3)", "f", "f"},
		{"for any i in (-9223372036854775807..9223372036854775807) : (for all j in (0..9223372036854775807) : (j >= 0))", "s", "-"},
		{`for any s in ("a", "b", "c") : (s == "b")`, "t", "t"},
		{`for 2 s in ("aa", "ba", "c") : (s contains "a") and for none s in ("x") : (s == "y")`, "t", "t"},
		{"for any i in (uint8(9), 1) : (i == 1) and for any i in (uint8(9), 1) : (not defined i)", "t", "t"},
		{"for all x in (1.5, 2.5) : (x > 1)", "-", "t"},
		{"for any b in test_proto2.array_bool : (b) or true", "t", "t"},
		{"with x = uint8(9), y = 2 : (not defined x and y == 2)", "-", "t"},
		{"with x = uint8(9) : (x == 1) or with x = uint8(0) : (x == 97)", "-", "t"},
		{"with x = 1 : (with x = 2, y = x : (x == 2 and y == 2))", "-", "t"},
		{"with s = \"abc\" : (s.len() == 3)", "-", "t"},
		{"with r = /b+/ : (\"abc\" matches r)", "-", "t"},
		{"with q = test_proto2.nested : (defined q)", "-", "t"},
		{"2 of ($a, false, filesize == 5) and none of (false, $c) and not all of (true, $c)", "-", "t"},
		{"for all of ($a, $b) : ($ and # == 2 and @[2] > 2 and for any i in (1..#) : (@[i] < 2))", "t", "t"},
		{"for all of ($*) : (for any of ($a, $b) : ($))", "t", "t"},
		{"for 2 of them : ($) and for none of ($c) : ($) and for 50% of them : ($) and not for all of them : ($)", "t", "t"},
		{"1 == 1.0 and 7 \\ 2 == 3 and filesize \\ 2.0 == 2.5 and filesize * 0.5 == 2.5", "t", "t"},
		{"filesize \\ 0.0 > 100 and -filesize \\ 0.0 < -100", "t", "t"},
		{"0.0 * (filesize \\ 0.0) != 0.0 * (filesize \\ 0.0)", "f", "t"}, // not a number: measured with yara 4.2.3
		{"0.0 * (filesize \\ 0.0) == 0.0 * (filesize \\ 0.0)", "f", "f"},
		{"filesize \\ 0.0 == 1.0 \\ 0.0", "f", "t"},
		{"filesize \\ 0.0 != 1.0 \\ 0.0", "f", "f"},
		{"0.1 + 0.2 == 0.3", "t", "f"},
		{"0.1 + 0.2 != 0.3 or 0.3 < 0.1 + 0.2 - 0.1 * 0", "t", "t"},
		{"filesize * 0.02 + 0.2 != 0.3", "f", "t"},
		{"filesize * 0.02 + 0.2 == 0.3", "t", "f"},
		{"filesize * 0.02 + 0.2 <= 0.3", "f", "f"},
		{"1_0 == 10 and 0xF_F == 255 and 1_0.5_0 == 10.5 and 1_0KB == 10240", "-", "t"},
		{"for any i in (0..0) : (int64(i) == 1) or not defined int64(0) and not defined uint64be(-1)", "-", "t"}, // of five bytes
		{"0.0 * (filesize \\ 0.0) < 1 or 0.0 * (filesize \\ 0.0) >= 1", "f", "f"},
		{`"AbC" icontains "BC" and "Abc" istartswith "aB" and "abC" iendswith "Bc" and "A" iequals "a"`, "t", "t"},
		{"\"\" or 0 or 0.0 or \"\" matches /a/", "f", "f"},
		{"\"\" matches /^$/ and \"\" matches /a*/", "t", "t"},
		{"ext and not ext2 and ext3 == \"x\" and ext4 > 2", "t", "t"},
		{"entrypoint == 0 or not defined entrypoint", "t", "-"},
		{"uint16be(3) == 0x6162 and int8(0) == 97 and not defined uint16(4) and not defined uint32(2) and defined uint32(1)", "t", "t"},
		{"#a == #b and #a + #c == 2 and @b[2] - @b[1] == 3 and !a == 2", "t", "t"},
	} {
		externals := map[string]module.Value{
			"ext": module.IntValue(4), "ext2": module.BoolValue(false), "ext3": module.TextValue("x"), "ext4": module.FloatValue(2.5),
		}
		for _, d := range []source.Dialect{source.YARA, source.YARAX} {
			want := c.yara
			if d == source.YARAX {
				want = c.x
			}
			if got := one(t, c.cond, d, externals); got != want {
				t.Errorf("%s in %s: %s, want %s", c.cond, d, got, want)
			}
		}
		compare(t, "import \"test_proto2\"\nrule r { strings: $a = \"ab\" $b = \"b\" $c = \"zz\" condition: ("+c.cond+") and #a >= 0 and #b >= 0 and #c >= 0 }",
			source.Either, []byte("abcab"), externals, 100000)
	}
}

// lowered compiles the last rule of a text.
func lowered(t *testing.T, text string) condition {
	t.Helper()
	res := checked(t, text, source.Either)
	c, err := lowerCondition(res, res.Rules[len(res.Rules)-1], nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestNecessary pins what must hold of the patterns and of the layer, and what
// of the matches is looked at.
func TestNecessary(t *testing.T) {
	const all = "all"
	for _, c := range []struct{ cond, node, guard, needs string }{
		{"all of them", "0&1&2", "", "1 1 1"},
		{"any of them", "0|1|2", "", "1 1 1"},
		{"2 of them", "(0|1|2)>0,2", "", "1 1 1"},
		{"2 of ($a, $b) and none of ($c)", "0&1", "", "1 1 1"},
		{"60% of them", "(0|1|2)>0,2", "", "1 1 1"},
		{"$a and ($b or $c)", "0&(1|2)", "", "1 1 1"},
		{"$a or filesize < 10 and any of them", "0|0|1|2", "", "1 1 1"},
		{"not $a and not ($b and $c)", "true", "", "1 1 1"},
		{"#a > 3 and #b >= 2 and 4 < #c", "0>3&1>1&2>4", "", "4 2 5"},
		{"#a == 2 and not #b < 3 and #c != 0", "0>1&1>2&2", "", "3 3 1"},
		{"#a < 3 or any of them", "true", "", "3 1 1"},
		{"$a at 0 and $b in (0..9) and @c < 9", "0&1&2", "0/2=4142", "1@0 all 1"},
		{"$a at 0 and ($a at 5 or $b) and $c", "0&(0|1)&2", "0/2=4142", "all 1 1"},
		{"$a at 0 and $a and $b and $c", "0&1&2", "0/2=4142", "all 1 1"},
		{"for any of ($a, $b) : ($ at 0) and $c", "(0|1)&2", "", "1@0 1@0 1"},
		{"for all of ($a, $b) : (# > 2 and @ > 3) and $c", "0>2&1>2&0&1&2", "", "3 3 1"},
		{"for all i in (1..#a) : (@a[i] > 3 and !b[2] > 1 and $c)", "0&0&1>1&2", "", "all 2 1"},
		{"for none i in (1..#a) : (@a[i] > 3 and !b[2] > 1 and $c)", "0", "", "all 2 1"},
		{"@a[3] - @b > 4 or #c > 0", "(0>2&1)|2", "", "3 1 1"},
		{"uint16(0) == 0x5A4D and filesize < 1MB and 2 of them", "(0|1|2)>0,2", "size 0-1048575 0/2=4d5a", "1 1 1"},
		{"(uint16(0) == 0x5A4D or uint32(0) == 0x464C457F) and any of them", "0|1|2", "0/2=4d5a,7f45", "1 1 1"},
		{"uint16(uint32(0x3C)) == 0x4550 and uint32be(4) == 0x01020304 and filesize > 10 and any of them", "0|1|2", "size 11-18446744073709551615 *60/2=5045 4/4=1020304", "1 1 1"},
		{"(uint16(0) == 0x5A4D or filesize > 10) and any of them", "0|1|2", "", "1 1 1"},
		{"(filesize > 10 and filesize < 20 or 30 >= filesize and filesize >= 15) and any of them", "0|1|2", "size 11-30", "1 1 1"},
		{"uint8(0) == 300 and any of them", "0|1|2", "never", "1 1 1"},
		{"false and any of them", "true", "never", "1 1 1"},
		{"int16(2) == -1 and any of them", "0|1|2", "2/2=ffff", "1 1 1"},
		{"any of ($a, $b) at 0 and $c", "(0|1)&2", "0/2=4142,4344", "1@0 1@0 1"},
		{"with x = 1 : (x == filesize and $a) and $b and $c", "0&1&2", "size 1-1", "1 1 1"},
		{"defined @a and not defined @b and defined !c[2]", "0&2>1", "", "1 1 2"},
	} {
		got := lowered(t, `rule r { strings: $a = "AB" $b = { 43 44 ?? } $c = "EF" nocase condition: `+c.cond+" }")
		node := "true"
		if got.cond.Op != rule.True {
			node = got.cond.String()
		}
		var needs []string
		for _, n := range got.needs {
			s := fmt.Sprint(n.count)
			if n.count == everything {
				s = all
			}
			if n.at >= 0 {
				s += fmt.Sprint("@", n.at)
			}
			needs = append(needs, s)
		}
		if node != c.node || guardText(&got.guard) != c.guard || strings.Join(needs, " ") != c.needs {
			t.Errorf("%s:\n  %s; %s; %s, want\n  %s; %s; %s", c.cond, node, guardText(&got.guard), strings.Join(needs, " "), c.node, c.guard, c.needs)
		}
	}
}

func guardText(g *rule.Guard) string {
	var out []string
	if g.Size != nil {
		out = append(out, fmt.Sprintf("size %d-%d", g.Size.Min, g.Size.Max))
	}
	for _, m := range g.Magic {
		if len(m.Values) == 0 {
			return "never"
		}
		var values []string
		for _, v := range m.Values {
			values = append(values, fmt.Sprintf("%x", v))
		}
		star := ""
		if m.Pointer {
			star = "*"
		}
		out = append(out, fmt.Sprintf("%s%d/%d=%s", star, m.Offset, m.Width, strings.Join(values, ",")))
	}
	return strings.Join(out, " ")
}

// TestAbsent pins which conditions more matches can make false.
func TestAbsent(t *testing.T) {
	for cond, want := range map[string]bool{
		"$a and any of them":                         false,
		"2 of them in (0..9) and $a at 0":            false,
		"#a > 3 and filesize < 10 and not false":     false,
		"not $a and #b >= 0":                         true,
		"#a < 3":                                     true,
		"none of them":                               true,
		"(filesize - 3) of them":                     true,
		"@a == 3":                                    true,
		"not (filesize > 3) and $a":                  false,
		"for any of them : ($ at 0)":                 false,
		"for all i in (1..3) : ($a at i)":            false,
		"for any i in (1..#a) : (@a[i] == 3)":        true,
		"base and $a":                                false,
		"never and $a":                               true,
		"any of (base, base2) and $a":                false,
		"$a at @b":                                   true,
		"for any i in (0..3) : (not uint8(i) == 97)": false,
	} {
		got := lowered(t, `rule base { strings: $x = "xy" condition: $x } rule base2 { strings: $x = "xyz" condition: $x } rule never { condition: not base }
rule r { strings: $a = "AB" $b = "CD" condition: (`+cond+") and #a >= 0 and #b >= 0 }")
		if got.absent != want {
			t.Errorf("%s: %v", cond, got.absent)
		}
	}
}
