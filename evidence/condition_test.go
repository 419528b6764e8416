package evidence

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// record is a finding with that rule and those matches in a layer of 4,000 bytes.
func withRule(language, name, file, text string, counts []int64, m ...Match) *Statement {
	s := sampleFinding()
	s.Rules.Rule = &Rule{Language: language, Name: name, File: file, Line: 1}
	s.Rules.Rule.SetText(text)
	s.Matches, s.Counts = &Matches{List: m}, counts
	return s
}

func TestCondition(t *testing.T) {
	ed, _ := sampleKeys(t)
	many := func(pattern int64, n int) (out []Match) {
		for i := range n {
			out = append(out, Match{pattern, int64(10 * i), 2})
		}
		return out
	}
	const yara = "rule Marker {\n strings:\n $a = \"mark\"\n $b = \"mork\"\n condition: "
	const one = "rule Marker { strings: $a = \"mark\" condition: "
	exact := func(s *Statement, d Digests) *Statement { s.Derivation[1].Digest = d; return s }
	var files [][]byte
	var python []func(pyAnswer)
	for _, c := range []struct {
		name string
		s    *Statement
		bad  Code     // "" for none
		note NoteCode // one that must be there
	}{
		{"ldb holds", withRule("clamav", "A.UNOFFICIAL", "x.ldb", "A;Target:0;0&1;6d61726b;6d6f726b", nil, Match{0, 5, 4}, Match{1, 9, 4}), "", NoteCondition},
		{"ldb lacks one", withRule("clamav", "A", "x.ldb", "A;Target:0;0&1;6d61726b;6d6f726b", nil, Match{0, 5, 4}), BadCondition, ""},
		{"ldb negative", withRule("clamav", "A", "x.ldb", "A;Target:0;0&(1=0);6d61726b;6d6f726b", nil, Match{0, 5, 4}, Match{1, 9, 4}), BadCondition, ""},
		{"ldb more than are kept, by counts", withRule("clamav", "A", "x.ldb", "A;Target:0;0>20;6d61", []int64{21}, many(0, 16)...), "", NoteCondition},
		{"ldb too few by counts", withRule("clamav", "A", "x.ldb", "A;Target:0;0>20;6d61", []int64{20}, many(0, 16)...), BadCondition, ""},
		{"ldb more than are kept", withRule("clamav", "A", "x.ldb", "A;Target:0;0>20;6d61", nil, many(0, 16)...), "", NoteCut},
		{"ldb 16 are enough", withRule("clamav", "A", "x.ldb", "A;Target:0;0>14;6d61", nil, many(0, 16)...), "", NoteCondition},
		{"ldb other name", withRule("clamav", "B", "x.ldb", "A;Target:0;0;6d61726b", nil, Match{0, 5, 4}), BadRuleName, ""},
		{"ldb no such pattern", withRule("clamav", "A", "x.ldb", "A;Target:0;0;6d61726b", nil, Match{0, 5, 4}, Match{1, 9, 4}), BadMatch, ""},
		{"ldb malformed", withRule("clamav", "A", "x.ldb", "A;Target:0;0&3;6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ldb size guard", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0,FileSize:1-100;0;6d61726b", nil, Match{0, 5, 4}), BadCondition, ""},
		{"ldb container", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0,Container:CL_TYPE_ZIP;0;6d61726b", nil, Match{0, 5, 4}), "", NoteGuard},
		{"ldb regular expression", withRule("clamav", "A", "x.ldb", "A;Target:0;0&1;6d61726b;0/abc/", nil, Match{0, 5, 4}, Match{1, 9, 3}), "", NoteCondition},
		{"ldb regular expression without a match", withRule("clamav", "A", "x.ldb", "A;Target:0;0&1;6d61726b;0/abc/", nil, Match{0, 5, 4}), BadCondition, ""},
		{"ldb for PE files", withRule("clamav", "A", "x.ldb", "A;Target:1;0;6d61726b", nil, Match{0, 5, 4}), "", NoteGuard},
		{"ndb for PE files", withRule("clamav", "A", "x.ndb", "A:1:*:6d61726b", nil, Match{0, 5, 4}), "", NoteGuard},
		{"ldb modifier without an offset", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0;0&1;11223344::i;5:6d6f726b::i", nil, Match{0, 50, 4}, Match{1, 5, 4}), "", NoteCondition},
		{"ldb modifier and an offset", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0;0&1;11223344::i;5:6d6f726b::i", nil, Match{0, 50, 4}, Match{1, 6, 4}), BadMatch, ""},
		{"no database", withRule("clamav", "A", "x.txt", "A;Target:0;0;6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"a kind that is not loaded", withRule("clamav", "A", "x.cat", "A:CL_TYPE_ZIP:*:*:*:*:*:*:*:*", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"members", withRule("clamav", "A", "x.cdb", "A:CL_TYPE_ZIP:*:*:*:*:*:*:*:*", nil, Match{0, 5, 4}), "", NoteReads},
		{"a kind that is not ClamAV's", withRule("clamav", "A", "x.yar", "rule A { condition: true }", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"a file without an extension", withRule("clamav", "A", "ndb", "A:0:*:6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ndb of no bytes", withRule("clamav", "A", "x.ndb", "A:0:*:zzzz", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ndb of no target", withRule("clamav", "A", "x.ndb", "A:9x:*:6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ndb of no offset", withRule("clamav", "A", "x.ndb", "A:0:zork:6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ndb, a comment", withRule("clamav", "#A", "x.ndb", "#A:0:*:6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ldb of no bytes", withRule("clamav", "A", "x.ldb", "A;Target:0;0;zzzz", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ldb without attributes", withRule("clamav", "A", "x.ldb", "A;;0;6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ldb with two sizes, the last holds", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0,FileSize:1-2,FileSize:0-9999;0;6d61726b", nil, Match{0, 5, 4}), "", NoteCondition},
		{"ldb with two sizes, the first holds", withRule("clamav", "A", "x.ldb", "A;Engine:51-255,Target:0,FileSize:0-9999,FileSize:1-2;0;6d61726b", nil, Match{0, 5, 4}), BadCondition, ""},
		{"ldb of later engines", withRule("clamav", "B", "x.ldb", "A;Engine:500-600,Target:0;0;6d61726b", nil, Match{0, 5, 4}), "", NoteReads},
		{"ndb with an escaped name", withRule("clamav", `\xff\\a`, "x.ndb", "\xff\\a:0:*:6d61726b", nil, Match{0, 5, 4}), "", NoteCondition},
		{"ndb with another escaped name", withRule("clamav", `\xfe\\a`, "x.ndb", "\xff\\a:0:*:6d61726b", nil, Match{0, 5, 4}), BadRuleName, ""},
		{"two rules", withRule("clamav", "A", "x.ldb", "A;Target:0;0;6d61726b\nB;Target:0;0;6d61726b", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"ndb", withRule("clamav", "A", "main.cvd/main.ndb", "A:0:*:6d61726b", nil, Match{0, 5, 4}), "", NoteCondition},
		{"ndb without a match", withRule("clamav", "A", "x.ndb", "A:0:*:6d61726b", nil), BadCondition, ""},
		{"ndb anchored", withRule("clamav", "A", "x.ndb", "A:0:3,4:6d61726b", nil, Match{0, 7, 4}), "", NoteCondition},
		{"ndb outside its anchor", withRule("clamav", "A", "x.ndb", "A:0:3,4:6d61726b", nil, Match{0, 8, 4}), BadMatch, ""},
		{"ndb by the end", withRule("clamav", "A", "x.ndb", "A:0:EOF-10:6d61726b", nil, Match{0, 3990, 4}), "", NoteCondition},
		{"ndb not by the end", withRule("clamav", "A", "x.ndb", "A:0:EOF-10:6d61726b", nil, Match{0, 3989, 4}), BadMatch, ""},
		{"sha256", withRule("clamav", "A", "x.hsb", sum("innermost")+":4000:A", nil, Match{0, 0, 4000}), "", NoteCondition},
		{"sha256 of another", withRule("clamav", "A", "x.hsb", sum("other")+":4000:A", nil, Match{0, 0, 4000}), BadCondition, ""},
		{"sha256, other size", withRule("clamav", "A", "x.hsb", sum("innermost")+":4001:A", nil, Match{0, 0, 4000}), BadCondition, ""},
		{"sha256, a part", withRule("clamav", "A", "x.hsb", sum("innermost")+":4000:A", nil, Match{0, 0, 3999}), BadMatch, ""},
		{"sha256, allow-list", withRule("clamav", "A", "x.sfp", sum("innermost")+":4000:A", nil, Match{0, 0, 4000}), BadCondition, ""},
		{"md5, not recorded", withRule("clamav", "A", "x.hdb", "00112233445566778899aabbccddeeff:4000:A", nil, Match{0, 0, 4000}), "", NoteReads},
		{"md5", exact(withRule("clamav", "A", "x.hdb", "00112233445566778899AABBCCDDEEFF:4000:A", nil, Match{0, 0, 4000}),
			Digests{SHA256: sum("x"), MD5: "00112233445566778899aabbccddeeff"}), "", NoteCondition},
		{"md5 of another", exact(withRule("clamav", "A", "x.hdb", "00112233445566778899aabbccddee00:4000:A", nil, Match{0, 0, 4000}),
			Digests{SHA256: sum("x"), MD5: "00112233445566778899aabbccddeeff"}), BadCondition, ""},
		{"section", withRule("clamav", "A", "x.mdb", "512:00112233445566778899aabbccddeeff:A", nil, Match{0, 100, 512}), "", NoteReads},
		{"section of another size", withRule("clamav", "A", "x.mdb", "512:00112233445566778899aabbccddeeff:A", nil, Match{0, 100, 511}), BadCondition, ""},

		{"yara holds", withRule("yara", "Marker", "x.yar", yara+"$a and #b == 2 and filesize == 4000 }", nil, Match{0, 5, 4}, Match{1, 9, 4}, Match{1, 19, 4}), "", NoteCondition},
		{"yara lacks one", withRule("yara", "Marker", "x.yar", yara+"all of them }", nil, Match{0, 5, 4}), BadCondition, ""},
		{"yara not", withRule("yara", "Marker", "x.yar", yara+"$a and not $b }", nil, Match{0, 5, 4}, Match{1, 9, 4}), BadCondition, ""},
		{"yara place", withRule("yara", "Marker", "x.yar", yara+"$a at 5 and for all i in (1..#b) : (@b[i] > @a) }", nil, Match{0, 5, 4}, Match{1, 9, 4}), "", NoteCondition},
		{"yara another place", withRule("yara", "Marker", "x.yar", one+"$a at 6 }", nil, Match{0, 5, 4}), BadCondition, ""},
		{"yara size", withRule("yara", "Marker", "x.yar", yara+"any of them and filesize < 1KB }", nil, Match{0, 5, 4}), BadCondition, ""},
		{"yara counted", withRule("yara", "Marker", "x.yar", one+"#a > 30 }", []int64{31}, many(0, 16)...), "", NoteCondition},
		{"yara counted, place asked", withRule("yara", "Marker", "x.yar", one+"#a in (0..100) > 3 }", []int64{31}, many(0, 16)...), "", NoteReads},
		{"yara cut", withRule("yara", "Marker", "x.yar", one+"#a > 30 }", nil, many(0, 16)...), "", NoteCut},
		{"yara bytes", withRule("yara", "Marker", "x.yar", one+"$a and uint16(0) == 0x5a4d }", nil, Match{0, 5, 4}), "", NoteReads},
		{"yara module", withRule("yara", "Marker", "x.yar", one+"$a and pe.number_of_sections > 3 }", nil, Match{0, 5, 4}), "", NoteReads},
		{"yara other rule", withRule("yara", "Marker", "x.yar", one+"$a and Other }", nil, Match{0, 5, 4}), "", NoteReads},
		{"yara name", withRule("yara", "Marked", "x.yar", one+"$a }", nil, Match{0, 5, 4}), BadRuleName, ""},
		{"yara namespace", withRule("yara", "default:Marker", "x.yar", one+"$a }", nil, Match{0, 5, 4}), "", NoteCondition},
		{"yara name in the metadata", withRule("yara", "Test/Marker", "x.yar", "rule m { meta: name = \"Test/Marker\" strings: $a = \"x\" condition: $a }", nil, Match{0, 5, 1}), "", NoteCondition},
		{"yara name with points", withRule("yara", "Test.One.Two", "showcause.yar", "rule Test_One_Two { strings: $a = \"x\" condition: $a }", nil, Match{0, 5, 1}), "", NoteCondition},
		{"yara name with other points", withRule("yara", "Test.One_Two", "showcause.yar", "rule Test_One_Two { strings: $a = \"x\" condition: $a }", nil, Match{0, 5, 1}), BadRuleName, ""},
		{"yara no rule", withRule("yara", "Marker", "x.yar", yara+"$a and }", nil, Match{0, 5, 4}), BadRuleText, ""},
		{"yara pattern", withRule("yara", "Marker", "x.yar", one+"$a }", nil, Match{0, 5, 4}, Match{1, 5, 4}), BadMatch, ""},
		{"yara private", withRule("yara", "Marker", "x.yar", "rule Marker { strings: $a = \"abc\" private condition: $a }", nil), "", NoteReads},
	} {
		r, err := Seal(c.s, ed)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s, err := r.Verify(VerifyOptions{Keys: []PublicKey{ed.Public()}})
		var p Problems
		switch errors.As(err, &p); {
		case c.bad == "" && err != nil, c.bad != "" && !p.Has(c.bad):
			t.Errorf("%s: %v, want %s", c.name, err, c.bad)
		case err == nil && !slices.ContainsFunc(s.Notes(), func(n Note) bool { return n.Code == c.note }):
			t.Errorf("%s: notes %v, want %s", c.name, s.Notes(), c.note)
		}
		if c.s.Rules.Rule.Language == "clamav" {
			files = append(files, r.Bytes())
			python = append(python, func(a pyAnswer) {
				if strings.Contains(c.name, "regular expression") { // verify.py leaves it to the scanner
					c.bad, c.note = "", NoteReads
				}
				if c.bad == "" && len(a.Problems) > 0 || c.bad != "" && !a.has(c.bad) {
					t.Errorf("%s: verify.py: %v, want %s", c.name, a.Problems, c.bad)
				}
				if c.bad == "" && !slices.ContainsFunc(a.Notes, func(n [3]string) bool { return n[0] == string(c.note) }) {
					t.Errorf("%s: verify.py: %v, want %s", c.name, a.Notes, c.note)
				}
			})
		}
		// A copy that hides places, or all, never says more than the original.
		for _, hide := range []string{"/predicate/matches", ""} {
			_, err := r.Share(func(at string) bool { return hide != "" && at != hide }).Verify(VerifyOptions{Keys: []PublicKey{ed.Public()}})
			if c.bad == "" && err != nil {
				t.Errorf("%s, hidden %q: %v", c.name, hide, err)
			}
		}
	}
	for i, a := range runPython(t, []PublicKey{ed.Public()}, files) {
		python[i](a)
	}
}
