package directive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/rules/orders"
)

func shipped(t *testing.T, id string) *directive.Order {
	t.Helper()
	o, err := orders.Order(id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func moment(t *testing.T, o *directive.Order, s string) clock.Moment {
	t.Helper()
	m, err := clock.ParseMoment(s, o.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// dates are the first n known dates, "duty date".
func dates(due []directive.Due, n int) (out []string) {
	for _, d := range due {
		if d.Known && len(out) < n {
			out = append(out, d.Duty.ID+" "+d.When.String())
		}
	}
	return out
}

func TestBOD(t *testing.T) {
	o := shipped(t, "bod-17-01")
	day, _ := clock.ParseDay("2018-04-01")
	due := o.Schedule(directive.Events{"order.received": moment(t, o, "2017-10-02")}, day, nil)
	want := []string{
		"identify 2017-10-13", "plan 2017-11-12", "begin 2017-12-12", "status 2018-01-11", "status 2018-02-10",
		"status 2018-03-12",
	}
	if got := dates(due, 6); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, d := range due {
		if d.Duty.ID == "plan" && !strings.HasPrefix(strings.Join(d.Notes, ""), "a Sunday; the order has no rule") {
			t.Errorf("the 60th day is a Sunday: %q", d.Notes)
		}
		if d.Duty.ID == "begin" && !slices.Contains(d.Notes, "to begin then, not to be finished") {
			t.Errorf("90 days: %q", d.Notes)
		}
	}
	if n := len(o.Plan.Fields); n != 14 || o.Plan.Fields[0].ID != "a" || o.Plan.Fields[13].ID != "n" {
		t.Errorf("%d elements of the plan, want a to n", n)
	}
	if len(o.Covers.Products) != 10 || len(o.Covers.Exclusions) != 3 || !o.Form("identification").Nil {
		t.Error("ten products, three exclusions, a nil report")
	}
}

func TestClauses(t *testing.T) {
	for _, v := range []struct {
		order  string
		events map[string]string
		want   []string
	}{
		{"far-52-204-23", map[string]string{"identification": "2026-11-24T15:00:00-05:00"}, []string{"initial 2026-11-30"}},
		{"far-52-204-23", map[string]string{"identification": "2026-11-24", "submitted:initial": "2026-11-30"}, []string{"initial 2026-11-30", "follow-up 2026-12-14"}},
		{"section-889", map[string]string{"identification": "2026-11-24"}, []string{"initial 2026-11-25"}},
		{"far-52-204-23", nil, nil},
		{"commerce-icts-2024", nil, []string{"new-agreements 2024-07-20T00:00:00-04:00", "operations-end 2024-09-29T00:00:00-04:00"}},
		{"fascsa-2025-acronis", map[string]string{"order.received": "2025-12-01"}, []string{"sam-check 2025-10-11"}},
		{"company-template", map[string]string{"order.received": "2026-11-20"}, []string{"identify 2026-12-04", "plan 2026-12-21", "final 2027-02-18"}},
	} {
		o := shipped(t, v.order)
		ev := directive.Events{}
		for k, s := range v.events {
			ev[k] = moment(t, o, s)
		}
		due := o.Schedule(ev, 0, nil)
		if got := dates(due, len(v.want)+1); !slices.Equal(got[:min(len(got), len(v.want))], v.want) || v.want == nil && got != nil {
			t.Errorf("%s with %v:\n got %v\nwant %v", v.order, v.events, got, v.want)
		}
	}
}

// An order can be effective before it is published, and one that is received late
// keeps its dates.
func TestLateReceipt(t *testing.T) {
	o := shipped(t, "fascsa-2025-acronis")
	if e, p := o.Date("effective").Moment(), o.Date("published").Moment(); e.Day >= p.Day {
		t.Errorf("effective %v, published %v", e, p)
	}
	early := o.Schedule(directive.Events{"order.received": moment(t, o, "2025-09-20")}, 0, nil)
	late := o.Schedule(directive.Events{"order.received": moment(t, o, "2026-09-20")}, 0, nil)
	if !slices.Equal(dates(early, 9), dates(late, 9)) {
		t.Error("a late receipt moved a date")
	}
}

// A decision moves a duty, and what counts from it moves along.
func TestChanges(t *testing.T) {
	o := shipped(t, "bod-17-01")
	due := o.Schedule(nil, 0, []directive.Change{{Duty: "begin", To: moment(t, o, "2018-01-12"), By: "decision 1"}})
	want := []string{"identify 2017-10-13", "plan 2017-11-12", "begin 2018-01-12", "status 2018-02-11"}
	if got := dates(due, 4); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, d := range o.Schedule(nil, 0, []directive.Change{{Suspended: true, By: "x"}}) {
		if !d.Suspended {
			t.Errorf("%s is not suspended", d.Duty.ID)
		}
	}
}

// One embedded component, three orders, three verdicts; and who does not say where
// it is gets no verdict.
func TestThreeScopes(t *testing.T) {
	a := directive.Article{Vendor: "kaspersky", Identity: "kaspersky.engine", Class: directive.Embedded}
	answers := map[string]string{
		"federal-executive": "yes", "national-security-system": "no", "dod-ic-system": "no",
		"federal-contract": "yes", "clause-2023": "yes", "us-person-dealing": "yes",
	}
	for id, want := range map[string]directive.Verdict{
		"bod-17-01": directive.NotCovered, "far-52-204-23": directive.Covered, "commerce-icts-2024": directive.Covered,
		"section-889": directive.NotCovered,
	} {
		j := shipped(t, id).Judge(a, answers)
		if j.Verdict != want || len(j.Reasons) == 0 {
			t.Errorf("%s: %+v, want %s", id, j, want)
		}
	}
	o := shipped(t, "bod-17-01")
	for _, v := range []struct {
		a    directive.Article
		with map[string]string
		want directive.Verdict
	}{
		{directive.Article{Vendor: "kaspersky", Class: directive.Installed}, answers, directive.Covered},
		{directive.Article{Vendor: "kaspersky", Class: directive.Installed}, nil, directive.Undetermined},
		{directive.Article{Vendor: "kaspersky", Class: directive.Installed}, map[string]string{"national-security-system": "yes"}, directive.NotCovered},
		{directive.Article{Vendor: "kaspersky", Class: directive.Mention}, answers, directive.NotCovered},
		{directive.Article{Vendor: "kaspersky", Class: directive.Remnant}, answers, directive.Undetermined},
		{directive.Article{Vendor: "kaspersky", Class: directive.Backup}, answers, directive.NotCovered},
		{directive.Article{Vendor: "kaspersky", Class: directive.Installed, Weak: true}, answers, directive.Undetermined},
		{directive.Article{Vendor: "acronis", Class: directive.Installed}, answers, directive.NotCovered},
	} {
		if j := o.Judge(v.a, v.with); j.Verdict != v.want {
			t.Errorf("%+v: %+v, want %s", v.a, j, v.want)
		}
	}
}

const good = `format: showcause-order/1
id: mine
version: 1
title: T
issuer: I
strength: require
time_zone: UTC
authority:
  - {cite: C}
covers:
  vendors: [v]
  components: {rule: silent, why: W}
scope:
  - {id: ours, ask: "?", covered: "yes"}
duties:
  - {id: one, kind: identify, title: T, anchor: order.received, offset: 3, unit: calendar-day}
`

func TestErrorsHavePlaces(t *testing.T) {
	if _, err := directive.Parse("f", []byte(good), nil); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ old, new, want string }{
		{"strength: require", "strength: maybe", `o.yaml:6: strength: "maybe", want require, advise`},
		{"time_zone: UTC", "time_zone: Mars/Base", `o.yaml:7: time_zone: "Mars/Base" is no zone`},
		{"unit: calendar-day", "unit: fortnight", `o.yaml:16: duties[0].unit: "fortnight"`},
		{"unit: calendar-day", "unit: business-day", `o.yaml:16: duties[0].calendar: missing`},
		{"unit: calendar-day", "unit: business-day, calendar: moon", `"moon" is no calendar`},
		{"anchor: order.received", "anchor: due:two", `o.yaml:16: duties[0].anchor: "due:two"`},
		{"anchor: order.received", "anchor: due:one", `duties[0].anchor`},
		{"offset: 3", "offset: -3", `duties[0].offset: -3`},
		{"offset: 3", "offset: soon", `o.yaml:16: cannot unmarshal`},
		{"issuer: I", "issuer: I\nissuer: J", `already defined`},
		{"issuer: I", "isuer: I", `o.yaml:5: field isuer is no member of the format`},
		{"  vendors: [v]\n", "", `o.yaml:10: covers: neither vendors nor products`},
		{"vendors: [v]", "vendors: &a [v]", `o.yaml:11: anchors`},
		{"version: 1", "version: 0", `o.yaml:3: version`},
		{"  - {cite: C}\n", "", `authority: missing`},
		{"rule: silent", "rule: perhaps", `o.yaml:12: covers.components.rule`},
		{`covered: "yes"`, `covered: often`, `o.yaml:14: scope[0].covered`},
		{"title: T\nissuer", "title: T\n---\nissuer", `more than one document`},
		{"anchor: order.received", "anchor: order.received, report: r", `duties[0].report: "r" is no report`},
		{"authority:", "sources:\n  - {id: S, title: T, read: heard}\nauthority:", `sources[0].read: "heard"`},
		{"authority:", "sources:\n  - {id: S, title: T, read: primary}\nauthority:", `this fact has none`},
		{"authority:", "dates: {signed: {on: 2017-02-30}}\nauthority:", `o.yaml:8: dates.signed.on: time: "2017-02-30"`},
		{good, "", "empty"},
		{good, "a: [", "o.yaml"},
	} {
		text := strings.Replace(good, v.old, v.new, 1)
		_, err := directive.Parse("o.yaml", []byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%q for %q:\n got %v\nwant %s", v.new, v.old, err, v.want)
		}
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	text, err := os.ReadFile("../docs/format/order.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("order.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("order.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is a YAML text as a JSON value: dates are text.
func asJSON(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return asJSON(n.Content[0])
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = asJSON(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, asJSON(c))
		}
		return l
	}
	switch n.Tag {
	case "!!int", "!!bool":
		return json.Number(n.Value)
	case "!!null":
		return nil
	}
	return n.Value
}

func TestSchema(t *testing.T) {
	s := schema(t)
	for _, id := range orders.IDs() {
		text, _ := orders.Text(id)
		if err := validate(s, text); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, bad := range []string{strings.Replace(good, "issuer", "isuer", 1), strings.Replace(good, "calendar-day", "fortnight", 1), "format: x"} {
		if validate(s, []byte(bad)) == nil {
			t.Errorf("the schema takes %q", bad)
		}
	}
}

func validate(s *jsonschema.Schema, text []byte) error {
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		return err
	}
	v := asJSON(&n)
	b, err := json.Marshal(boolean(v))
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// boolean makes booleans of what asJSON left as words.
func boolean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = boolean(v[k])
		}
	case []any:
		for i := range v {
			v[i] = boolean(v[i])
		}
	case json.Number:
		if v == "true" || v == "false" {
			return v == "true"
		}
	}
	return v
}

// The schema has the members that the program reads, and no others.
func TestSchemaMembers(t *testing.T) {
	text, err := os.ReadFile("../docs/format/order.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || seen[ty] || ty.PkgPath() == "time" {
			return
		}
		seen[ty] = true
		var want []string
		for i := range ty.NumField() {
			if tag := ty.Field(i).Tag.Get("yaml"); tag != "" {
				want = append(want, tag)
				walk(ty.Field(i).Type)
			}
		}
		has := doc.Properties
		if ty.Name() != "Order" {
			has = doc.Defs[ty.Name()].Properties
		}
		var got []string
		for k := range has {
			got = append(got, k)
		}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the program %v", ty.Name(), got, want)
		}
	}
	walk(reflect.TypeFor[directive.Order]())
}

func TestUnconfirmed(t *testing.T) {
	for _, v := range []struct{ order, duty, want string }{
		{"commerce-icts-2024", "operations-end", "not confirmed: the day is reported"},
		{"far-52-204-23", "follow-up", "read in others' words"},
		{"far-52-204-23", "initial", ""},
		{"bod-17-01", "identify", ""},
	} {
		o := shipped(t, v.order)
		got := o.Unconfirmed(&directive.Due{Duty: o.Duty(v.duty)})
		if !strings.HasPrefix(got, v.want) || v.want == "" && got != "" {
			t.Errorf("%s %s: %q, want %q", v.order, v.duty, got, v.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, id := range orders.IDs() {
		text, err := orders.Text(id)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := directive.Parse("f", text, orders.Calendar)
		if err != nil {
			return
		}
		if _, err := directive.Parse("f", o.Text(), orders.Calendar); err != nil {
			t.Fatal(err)
		}
		at := clock.At(time.Unix(1_700_000_000, 0), o.Zone())
		ev := directive.Events{"order.received": at, "identification": at, "notification": at}
		for _, d := range o.Schedule(ev, at.Day+400, nil) {
			_ = fmt.Sprint(d.When, d.Rule, o.Unconfirmed(&d))
		}
	})
}
