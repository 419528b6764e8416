package ruledb

import (
	"bytes"
	"errors"
	"testing"

	"github.com/showcause/showcause/rule"
)

// TestLater holds that what is decided later comes back as it was given, is no trigger, and
// is proven.
func TestLater(t *testing.T) {
	data := small(t)
	if !bytes.Equal(data, small(t)) {
		t.Error("two builds differ")
	}
	db, err := New(data)
	if err != nil {
		t.Fatal(err)
	}
	i := uint32(db.Rules() - 1)
	body := db.Rule(i)
	if !body.Program.Gated() || len(body.Patterns) != 3 {
		t.Fatalf("rule %+v", body)
	}
	first, re, cmp := db.Pattern(body.Patterns[0]), db.Pattern(body.Patterns[1]), db.Pattern(body.Patterns[2])
	if len(first.Triggers) == 0 || first.Later != nil || first.Count < 1<<31 {
		t.Errorf("what triggers: %+v", first)
	}
	if l := re.Later; l == nil || !l.Global || l.Rolling || !l.Encompass || l.Compare != nil || re.Regexp == nil || re.NoAtoms || len(re.Triggers) > 0 || re.Anchor.Offset != 4 {
		t.Errorf("expression: %+v %+v", re, re.Later)
	}
	if l := cmp.Later; l == nil || l.Compare == nil || l.Compare.From != int(body.Patterns[0]) || l.Compare.Width != 4 || cmp.Program != nil || cmp.Regexp != nil {
		t.Errorf("comparison: %+v", cmp.Later)
	}
	if p := db.Partition(rule.PE, []byte("MZ")); p.IsEager(body.Patterns[1]) || !p.IsEager(body.Patterns[0]) {
		t.Error("the expression is searched for in every layer")
	}
	row := &db.patterns[body.Patterns[2]]
	was := row.Number
	for _, bad := range []int32{-1, int32(len(db.patterns)), int32(body.Patterns[1])} {
		if row.Number = bad; !errors.Is(db.proveRows(), ErrCorrupt) {
			t.Errorf("a comparison from pattern %d is sound", bad)
		}
	}
	if row.Number = was; db.proveRows() != nil {
		t.Error("not sound as it was")
	}
}
