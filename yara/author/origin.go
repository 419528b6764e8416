package author

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
)

// Origin is the text of a rule out of a database, with the texts of the rules that it
// asks for: what it takes to tell its condition where the database is not.
type Origin struct {
	Namespace string `json:"namespace"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	// Rules are in the order of the database; the last is the rule itself.
	Rules     []OriginRule      `json:"rules"`
	Externals map[string]string `json:"externals"` // kinds by name
}

// OriginRule is one rule of an Origin.
type OriginRule struct {
	Name     string `json:"name"`
	Text     string `json:"text"`
	Patterns int    `json:"patterns"`
}

// OriginOf is the origin of rule i; nil if it is not one of YARA's, or needs too many.
func OriginOf(db *ruledb.DB, i uint32) *Origin {
	o, _ := originOf(db, i)
	return o
}

func originOf(db *ruledb.DB, i uint32) (*Origin, []uint32) {
	order := closure(db, i)
	if order == nil {
		return nil, nil
	}
	o := &Origin{Externals: map[string]string{}}
	for _, i := range order {
		info, err := db.Info(i)
		if err != nil || info.YARA == nil {
			return nil, nil
		}
		o.Rules = append(o.Rules, OriginRule{info.Name, info.Text, len(info.YARA.Names)})
		o.Namespace, o.File, o.Line = info.YARA.Namespace, info.File, info.Line
	}
	for _, name := range yara.UsualExternals() {
		o.Externals[name] = "string"
	}
	maps.Copy(o.Externals, db.Meta().Externals)
	return o, order
}

// maxNeeded is how many rules a rule may need to be told of.
const maxNeeded = 64

// closure are a rule of YARA's and those that it asks for, in the order of the database;
// nil for another rule, and for one that needs too many.
func closure(db *ruledb.DB, i uint32) []uint32 {
	out := []uint32{i}
	for k := 0; k < len(out); k++ {
		y, ok := db.YARA(out[k])
		if !ok {
			return nil
		}
		for _, d := range y.Deps {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
		if len(out) > maxNeeded {
			return nil
		}
	}
	slices.Sort(out)
	if out[len(out)-1] != i { // it asks for rules before it alone
		return nil
	}
	return out
}

// check checks the texts; nil if they do not stand as they stood.
func (o *Origin) check() *check.Result {
	var body strings.Builder
	for _, r := range o.Rules {
		body.WriteString(r.Text + "\n")
	}
	var text strings.Builder
	for _, name := range module.Names() {
		if strings.Contains(body.String(), name+".") {
			text.WriteString(`import "` + name + `" `)
		}
	}
	text.WriteString(body.String())
	c := yara.NewCompiler(yara.Options{RelaxedRegexps: true})
	for name, kind := range o.Externals {
		if v, ok := blankOf(kind); !ok || c.Define(name, v) != nil {
			return nil
		}
	}
	if err := c.AddSource(o.Namespace, o.File, text.String()); err != nil {
		return nil
	}
	res, diags := c.Check()
	if len(diags.Errors()) > 0 || len(res.Rules) != len(o.Rules) || len(res.Rules) == 0 {
		return nil
	}
	for i, r := range res.Rules {
		if r.Name.Name != o.Rules[i].Name || len(r.Patterns) != o.Rules[i].Patterns {
			return nil
		}
	}
	return res
}

// Asks says whether a word stands in the rules.
func (o *Origin) Asks(word string) bool {
	return slices.ContainsFunc(o.Rules, func(r OriginRule) bool { return strings.Contains(r.Text, word) })
}

// Explain searches src for the strings of the rules and evaluates the condition, as
// the function Explain does. The result is nil where that does not come out as a match:
// what was found then rests on something that is not known here.
func (o *Origin) Explain(ctx context.Context, src showcause.Source, externals map[string]module.Value, h fields.Host) *Explanation {
	for name := range o.Externals {
		if _, ok := externals[name]; !ok && o.Asks(name) {
			return nil // its value stands in the database alone
		}
	}
	res := o.check()
	if res == nil {
		return nil
	}
	in, err := NewInput(ctx, res.Rules, src, h)
	if err != nil {
		return nil
	}
	x := Explain(res, res.Rules[len(res.Rules)-1], in, externals)
	if x == nil || x.Cond == nil || !x.Matches || x.Stopped {
		return nil
	}
	x.Line = o.Line
	return x
}

// blankOf is some value of a kind: what an external variable was is not known here.
func blankOf(kind string) (any, bool) {
	switch kind {
	case "string":
		return "", true
	case "integer":
		return 0, true
	case "float":
		return 0.0, true
	case "boolean":
		return false, true
	}
	return nil, false
}
