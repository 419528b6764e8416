package clamsig

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/rule"
)

// TestBodies compares the trees of bodies, each in a rule of target 1.
func TestBodies(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"41424344", "41424344"},
		{"4142??44", "4142 {1-1} 44"},
		{"????4142", "{2-2} 4142"},
		{"4142????", "4142 {2-2}"},
		{"41424?43", "41424043/fffff0ff"},
		{"4142?34?", "41420340/ffff0ff0"},
		{"4142*4344", "4142 {0-} 4344"},
		{"4142{5}4344", "4142 {5-5} 4344"},
		{"4142{200}4344", "4142 {200-200} 4344"},
		{"4142{2-5}4344", "4142 {2-5} 4344"},
		{"4142{-5}4344", "4142 {0-5} 4344"},
		{"4142{5-}4344", "4142 {5-} 4344"},
		{"4142{0}4344", "4142 {0-} 4344"},
		{"4142{0-0}4344", "4142 {0-} 4344"},
		{"4142??{2-5}??4344", "4142 {4-7} 4344"},
		{"4142??*4344", "4142 {1-} 4344"},
		{"4142*4344{3}45*4647", "4142 {0-} 4344 {3-3} 45 {0-} 4647"},
		{"41[2-4]424344", "[-5--3:41] 424344"},
		{"414243[2-4]44", "414243 [2-4:44]"},
		{"41[1-2]424344[3]45", "[-3--2:41] 424344 [3-3:45]"},
		{"4?[1-2]424344", "424344"},
		{"??[1-2]4243", "4243"},
		{"0d0a{3-30}28[1-2]2920", "0d0a {3-30} [-3--2:28] 2920"},
		{"0d0a{3-}28[1-1]2920", "0d0a {3-} [-2--2:28] 2920"},
		{"0d0a[1-2]28{3-9}2920", "0d0a [1-2:28] {3-9} 2920"},
		{"4142(43|44)45", "4142 (43|44) 45"},
		{"4142(4344)4546", "414243444546"},
		{"4142(43|444546)45", "4142 (43|444546) 45"},
		{"4142(43|)45", "4142 (43|) 45"},
		{"4142(43(44|45)46|47)48", "4142 (43 (44|45) 46|47) 48"},
		{"4142(43??|4?)48", "4142 (43 {1-1}|40/f0) 48"},
		{"4142(43{2}44|45)48", "4142 (43 {2-2} 44|45) 48"},
		{"4142!(43|44)45", "4142 !(43|44) 45"},
		{"4142!(4343|4444)45", "4142 !(4343|4444) 45"},
		{"(B)4142(B)", "B< 4142 B>"},
		{"(L)4142(L)", "L< 4142 L>"},
		{"(W)4142(W)", "W< 4142 W>"},
		{"4142(W)*(B)4344", "4142 W> {0-} B< 4344"},
		{"4142(L)43", "4142 (0a|0d0a) 43"},
		{"4142*(L)4344(W)[1-2]45", "4142 {0-} L< 4344 W> [1-2:45]"},
	} {
		got, _ := load(t, "x.ndb", "N:1:*:"+tt.body+"\n", Options{})
		want := "rule N.UNOFFICIAL target=1 0>0 [" + tt.want + "]"
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s:\n got %q\nwant %q", tt.body, got, want)
		}
	}
}

// endings is a sink that writes down how matches are told apart.
type endings struct {
	null
	byEnd []bool
}

func (e *endings) Rule(r *rule.Rule) error {
	for _, p := range r.Patterns {
		e.byEnd = append(e.byEnd, p.ByEnd)
	}
	return nil
}

// TestByEnd tells bodies that are cut, which clamscan counts by their last
// part, from those that are not.
func TestByEnd(t *testing.T) {
	var e endings
	_, err := LoadReader("x.ldb", strings.NewReader("N;Target:0;0&1&2&3&4&5;4142;4142??4344;4142{9}4344;4142*4344;4142{1-2}4344;4142*4344::aw\n"), Options{Strict: true}, &e)
	if want := []bool{false, false, false, true, true, true}; err != nil || !slices.Equal(e.byEnd, want) {
		t.Errorf("%v %v, want %v", err, e.byEnd, want)
	}
}

// TestClasses looks at (B), (L) and (W) inside of a body, which are bytes.
func TestClasses(t *testing.T) {
	for _, tt := range []struct {
		body   string
		negate string
		alts   int
	}{
		{"4142(W)43", "!(", 62},
		{"4142!(W)43", "(", 62},
		{"!(W)4142", "(", 62},
		{"4142!(W)", "(", 62},
		{"4142(B)43", "(", len(wordAny)},
		{"4142!(B)43", "!(", len(wordAny)},
		{"4142!(B)", "!(", len(wordEnd)},
	} {
		got, _ := load(t, "x.ndb", "N:1:*:"+tt.body+"\n", Options{})
		if len(got) != 1 || strings.Count(got[0], "|")+1 != tt.alts || !strings.Contains(got[0], " "+tt.negate) && !strings.Contains(got[0], "["+tt.negate) {
			t.Errorf("%s: %q", tt.body, got)
		}
	}
}

func TestUnfitBodies(t *testing.T) {
	for _, tt := range []struct{ off, body, want string }{
		{"*", "4142!(L)43", "negated line boundary"},
		{"*", "4142!(W)[1-2]43", "negated boundary that is wide, or with something behind it"},
		{"*", "4142!(W)*4344", "negated boundary that is wide, or with something behind it"},
	} {
		got, stats := load(t, "x.ndb", "N:1:"+tt.off+":"+tt.body+"\n", Options{})
		want := "skip x.ndb:1 N.UNOFFICIAL pattern: " + tt.want
		if len(got) != 1 || got[0] != want || stats.Known() != 1 {
			t.Errorf("%s: known %d\n got %q\nwant %q", tt.body, stats.Known(), got, want)
		}
	}
}

func TestOffsets(t *testing.T) {
	for _, tt := range []struct{ off, want string }{
		{"*", ""},
		{"0", "@1.0+0,0 "},
		{"", "@1.0+0,0 "},
		{"17,5", "@1.0+17,5 "},
		{"EOF-30", "@2.0+30,0 "},
		{"EOF-30,7", "@2.0+30,7 "},
		{"EP+4", "@3.0+4,0 "},
		{"EP-4,9", "@3.0-4,9 "},
		{"S2+10", "@4.2+10,0 "},
		{"S0+0,3", "@4.0+0,3 "},
		{"SE1", "@5.1+0,0 "},
		{"SE12,4", "@5.12+0,4 "},
		{"SL+6", "@6.0+6,0 "},
		{"VI", "@7.0+0,0 "},
	} {
		got, _ := load(t, "x.ndb", "N:1:"+tt.off+":4142??43\n", Options{})
		want := "rule N.UNOFFICIAL target=1 0>0 [" + tt.want + "4142 {1-1} 43]"
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s:\n got %q\nwant %q", tt.off, got, want)
		}
	}
}

// TestMalformed looks at the messages, and that Strict turns each into an error
// with its place.
func TestMalformed(t *testing.T) {
	logical := func(expr string, subs ...string) string {
		return "N;Engine:81-255,Target:1;" + expr + ";" + strings.Join(subs, ";")
	}
	body := func(s string) string { return "N:1:*:" + s }
	for _, tt := range []struct{ file, line, want string }{
		{"x.hdb", "", "1 fields, 3 to 5 expected"},
		{"x.hdb", "a:b:c:1:2:3", "6 fields, 3 to 5 expected"},
		{"x.hdb", strings.Repeat("a", 32) + ":0:n", `size "0"`},
		{"x.hdb", strings.Repeat("a", 31) + ":1:n", `hash "` + strings.Repeat("a", 31) + `": not hexadecimal, or not 32, 40 or 64 digits`},
		{"x.hdb", strings.Repeat("g", 32) + ":1:n", `hash "` + strings.Repeat("g", 32) + `": not hexadecimal, or not 32, 40 or 64 digits`},
		{"x.hdb", strings.Repeat("a", 32) + ":1:", "no name"},
		{"x.hdb", strings.Repeat("a", 32) + ":*:n", "any size, without a level of 73 or more"},
		{"x.hdb", "a\x00b", "zero byte in a line"},
		{"x.ign2", ":", `MD5 ""`},
		{"x.ign2", "a:b:c:d", "more than 3 fields"},
		{"x.ign2", "", "no name"},
		{"x.ndb", "N:1:*", "3 fields, 4 to 6 expected"},
		{"x.ndb", "N:x:*:414243", `target "x"`},
		{"x.ndb", "N:1:x:414243", `offset "x"`},
		{"x.ndb", "N:0:EP+0:414243", `offset "EP+0": target 0 has no sections`},
		{"x.ndb", "N:0:*:414243:x", `level "x"`},
		{"x.ndb", "N:0:*:4142", "body of less than 3 bytes"},
		{"x.ndb", "N:0:$40$:4142", `macro group in offset "$40$"`},
		{"x.ndb", ":0:*:414243", "no name"},
		{"x.ndb", body("41??42"), "part without 2 static bytes in a row"},
		{"x.ndb", body("4142*"), "part without 2 static bytes in a row"},
		{"x.ndb", body("41424"), `"4" is no byte`},
		{"x.ndb", body("4142zz"), `"zz" is no byte`},
		{"x.ndb", body("4142{1-x}4344"), "distance {1-x}"},
		{"x.ndb", body("4142{1-2"), "closing brace missing"},
		{"x.ndb", body("4142[1-2"), "closing bracket missing"},
		{"x.ndb", body("4142[2-1]43"), "distance [2-1]"},
		{"x.ndb", body("4142[1-33]43"), "distance [1-33]"},
		{"x.ndb", body("4142[1-2]4344"), "bracket with more than a single byte on both sides"},
		{"x.ndb", body("4142(43|44"), "parentheses that do not match"},
		{"x.ndb", body("4142()43"), "empty parentheses"},
		{"x.ndb", body("4142(|44)45"), "first alternative empty"},
		{"x.ndb", body("4142(43{1-2}44|45)46"), "unbounded or ranged distance in an alternative"},
		{"x.ndb", body("4142!(43|4444)"), "negated alternatives that are not plain bytes of one length"},
		{"x.ndb", body("4142(43!(44)|45)"), "negation within alternatives"},
		{"x.ndb", body("4142" + strings.Repeat("(", 17) + "43" + strings.Repeat(")", 17)), "parentheses nested deeper than 15"},
		{"x.ndb", body("41(4344|45)4647"), `too little before "(4344|45)"`},
		{"x.ldb", "N;Target:1;0", "3 fields, at least 4 expected"},
		{"x.ldb", logical("0&1", "4142"), "1 subsignatures, the expression asks for 2"},
		{"x.ldb", logical("0", make([]string, 65)...), "more than 64 subsignatures"},
		{"x.ldb", logical("0&", "4142"), `expression "0&": operand missing`},
		{"x.ldb", logical("(0", "4142"), `expression "(0": closing parenthesis missing`},
		{"x.ldb", logical("0)", "4142"), `expression "0)": opening parenthesis missing`},
		{"x.ldb", logical("0>x", "4142"), `expression "0>x": number missing`},
		{"x.ldb", logical("(0|1)=", "4142", "4142"), `expression "(0|1)=": number missing`},
		{"x.ldb", logical("x", "4142"), `expression: "x" is no subsignature`},
		{"x.ldb", logical(strings.Repeat("(", 300)+"0"+strings.Repeat(")", 300), "4142"), "expression nested deeper than 200"},
		{"x.ldb", logical(strings.Repeat("0&", 9000)+"0", "4142"), "expression of 18001 bytes"},
		{"x.ldb", logical("0", "4142::q"), `subsignature 0: modifier 'q'`},
		{"x.ldb", logical("0", "4142!(43)44::i"), "subsignature 0: negated alternatives that are not plain bytes of one length"},
		{"x.ldb", logical("0", "/a/"), `subsignature 0: regular expression "/a/"`},
		{"x.ldb", logical("0", "0/a/"), "subsignature 0: regular expression triggered by subsignature 0"},
		{"x.ldb", logical("0&1", "4142", "0/a/q"), `subsignature 1: flags "q" of a regular expression`},
		{"x.ldb", logical("0", "$x$"), `subsignature 0: macro "$x$"`},
		{"x.ldb", logical("0", "0(>>2#q#>1)"), `subsignature 0: byte comparison "0(>>2#q#>1)"`},
		{"x.ldb", logical("0", "fuzzy_img#00"), `subsignature 0: fuzzy image hash "00"`},
		{"x.ldb", "N;Target;0;4142", `attribute "Target"`},
		{"x.ldb", "N;Target:x;0;4142", `attribute "Target:x"`},
		{"x.ldb", "N;Engine:1-255;0;4142", "no target"},
		{"x.ldb", "N;Target:0,Engine:1-255;0;4142", "Engine is not the first attribute"},
		{"x.ldb", "N;Engine:50-255,Target:0,FileSize:1-2;0;4142", "attributes that ask for an Engine of 51 or more"},
		{"x.ldb", "N;Engine:51-255,Target:0,EntryPoint:1-2;0;4142", "entry point or sections for target 0"},
		{"x.ldb", "N;Engine:51-255,Target:0,IconGroup1:A;0;4142", "icon group for target 0"},
		{"x.ldb", ";Target:0;0;4142", "no name"},
	} {
		got, stats := load(t, tt.file, "# comment\n"+tt.line+"\n", Options{})
		if len(got) != 1 || !strings.HasPrefix(got[0], "skip "+tt.file+":2 ") || !strings.HasSuffix(got[0], " malformed: "+tt.want) {
			t.Errorf("%q:\n got %q\nwant malformed: %s", clip(tt.line), got, tt.want)
		}
		if stats.Known() != 0 || stats.Skipped() != 1 {
			t.Errorf("%q: known %d, skipped %d", clip(tt.line), stats.Known(), stats.Skipped())
		}
		_, err := LoadReader(tt.file, strings.NewReader("# comment\n"+tt.line+"\n"), Options{Strict: true}, &null{})
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.file+":2: malformed signature: "+tt.want) {
			t.Errorf("%q: strict: %v", clip(tt.line), err)
		}
	}
}
