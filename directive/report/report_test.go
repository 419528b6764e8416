package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/published"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
	"github.com/showcause/showcause/rules/products"
)

// sample is a case with one covered finding on the first of two endpoints, whose names are
// an attacker's; or with none.
func sample(t *testing.T, present bool) *Input {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := casefile.Create(filepath.Join(t.TempDir(), "case"), casefile.Options{Store: s}, casefile.Opening{Title: "T", Organisation: "Agency\n<b>"}, "A. Officer")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	attach := func(b []byte) string {
		d, err := c.Attach(b)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	add := func(act casefile.Act, b *casefile.Body) {
		if _, err := c.Append(act, b); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := orders.Text("bod-17-01")
	add(casefile.Receive, &casefile.Body{Order: "bod-17-01", Version: 1, Text: attach(text), Name: "bod-17-01.yaml", At: "2017-09-19"})
	for id, v := range map[string]string{"federal-executive": "yes", "national-security-system": "no", "dod-ic-system": "no"} {
		add(casefile.Answer, &casefile.Body{Condition: id, Value: v})
	}
	for _, host := range []string{"<script>alert(1)</script>", "=cmd()"} {
		inv := product.Inventory{Format: product.Format, Target: "/", Kind: "host", System: product.System{Host: host}}
		inv.Coverage.Methods, inv.Coverage.Files = []string{"dpkg"}, product.Files{Seen: 1, Read: 1, Records: 1}
		if present && host[0] == '<' {
			inv.Observations = []product.Observation{{
				Source: "dpkg", Platform: product.Deb, Class: product.Installed, Place: product.Place{Path: "/var/lib/dpkg/status"},
				Evidence: product.Evidence{Size: 99, Record: "Package: kesl"}, Facts: []product.Fact{{Kind: product.Package, Value: "kesl"}},
			}}
		}
		b, err := json.Marshal(&inv)
		if err != nil {
			t.Fatal(err)
		}
		add(casefile.Search, &casefile.Body{Endpoint: host, Text: attach(b)})
	}
	set, err := product.Load(products.Files())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2017, 10, 1, 12, 0, 0, 0, time.UTC)
	st := c.State(set, orders.Calendar, now)
	for _, f := range st.Findings { // all that can be said of one, so that every format says it
		add(casefile.Confirm, &casefile.Body{Finding: f.ID, By: "A. Officer", At: "2017-09-20"})
		add(casefile.Contest, &casefile.Body{Finding: f.ID, By: "Owner", Reason: "not <i>ours</i>"})
		add(casefile.Decide, &casefile.Body{Finding: f.ID, By: "B. Reviewer", Value: "upheld", Reason: "it is"})
		add(casefile.Propose, &casefile.Body{Finding: f.ID, By: "A. Officer", Removal: &casefile.Removal{Method: "by-hand"}})
		add(casefile.Waive, &casefile.Body{Finding: f.ID, By: "A. Officer", Reason: "laboratory", Waiver: &casefile.Waiver{Authority: "Head", Code: "security-research", Control: "no network", Expires: "2017-12-31"}})
		st = c.State(set, orders.Calendar, now)
	}
	if len(st.Problems) > 0 {
		t.Fatal(st.Problems)
	}
	return &Input{State: st, Order: st.Orders[0], Case: c.Name(), Made: now, Version: "showcause test", File: c.File, Fields: map[string]string{}}
}

func written(t *testing.T, format string, in *Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, in); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func TestBODReport(t *testing.T) {
	out := written(t, "bod", sample(t, true))
	for _, want := range []string{
		"a. Products found, or that none were found\n   Kaspersky Endpoint Security for Linux (kaspersky.kesl)", "Kaspersky Endpoint Security for Linux: 1",
		"of 2 endpoints: 1 present, 1 not found, 0 unreached, 0 excluded", "readers: dpkg", "cannot be seen by them: services that leave no file", "Not confirmed about the order",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out = written(t, "bod", sample(t, false))
	if !strings.Contains(out, "no covered product was found, by the methods and over the coverage below, on 2 endpoints") || strings.Contains(out, "is absent") {
		t.Errorf("nil:\n%s", out)
	}
}

// What the case does not say is not known; what a person says is said.
func TestPlanIsNotInvented(t *testing.T) {
	in := sample(t, true)
	in.Form = in.Order.Plan
	in.Fields["h"] = "contract 7\ncontract 8"
	out := written(t, "bod", in)
	for _, id := range strings.Fields("b f g j k l m n") {
		part := regexp.MustCompile(`(?m)^` + id + `\. .*\n   (.*)$`).FindStringSubmatch(out)
		if part == nil || part[1] != NotKnown {
			t.Errorf("element %s: %q, want %q", id, part, NotKnown)
		}
	}
	if !strings.Contains(out, "   contract 7\n   contract 8\n") || !strings.Contains(out, "Fri 13 Oct 2017") {
		t.Errorf("elements h and i:\n%s", out)
	}
}

func TestCSV(t *testing.T) {
	out := written(t, "csv", sample(t, true))
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if !strings.HasPrefix(rows[2][1], "'=") && !strings.HasPrefix(rows[1][1], "'=") {
		t.Errorf("a formula: %q", rows)
	}
}

// TestCells holds that no cell of a table begins a formula, also where a semicolon ends cells.
func TestCells(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a;b": "a;b", "=1": "'=1", " @x": "' @x", "＝1": "'＝1", "/a;=cmd()": `'/a\x3b=cmd()`, `/a; "+1`: `'/a\x3b "+1`, "\t=1": `\t=1`, "covered; 1-2": "covered; 1-2",
	} {
		if got := cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestHTML(t *testing.T) {
	out := written(t, "html", sample(t, true))
	if strings.Contains(out, "<script") {
		t.Error("an endpoint's name is a program of the page")
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(out, -1) {
		if !strings.Contains(out, `id="`+m[1]+`"`) {
			t.Errorf("#%s leads nowhere", m[1])
		}
	}
	for _, want := range []string{`class="badge ">12 days left`, "Fri 13 Oct 2017", "Package: kesl", "kaspersky.yaml:", `<a href="files/`, `<a href="records/`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// walk collects identifiers and references of a document.
func walk(v any, key string, ids, refs map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			walk(x, k, ids, refs)
		}
	case []any:
		for _, x := range v {
			walk(x, key, ids, refs)
		}
	case string:
		if key == "uuid" {
			ids[v] = true
		} else if strings.HasSuffix(key, "-uuid") {
			refs[v] = true
		}
	}
}

func TestOSCAL(t *testing.T) {
	for _, v := range []struct {
		format, root string
		present      bool
	}{{"oscal-ar", "assessment-results", true}, {"oscal-ar", "assessment-results", false}, {"oscal-poam", "plan-of-action-and-milestones", true}} {
		out := written(t, v.format, sample(t, v.present))
		var doc map[string]any
		if err := json.Unmarshal([]byte(out), &doc); err != nil || doc[v.root] == nil || strings.Contains(out, "null") {
			t.Fatalf("%s: %v\n%s", v.format, err, out)
		}
		ids, refs := map[string]bool{}, map[string]bool{}
		walk(doc, "", ids, refs)
		for id := range ids {
			if !uuidForm.MatchString(id) {
				t.Errorf("%s: uuid %s", v.format, id)
			}
		}
		for r := range refs {
			if !ids[r] {
				t.Errorf("%s: %s refers to nothing", v.format, r)
			}
		}
		satisfied := strings.Contains(out, `"state": "satisfied"`)
		if v.format == "oscal-ar" && satisfied == v.present {
			t.Errorf("present %t, satisfied %t", v.present, satisfied)
		}
	}
	var b bytes.Buffer
	if err := Write(&b, "oscal-poam", sample(t, false)); err == nil || b.Len() > 0 {
		t.Error("a POA&M said nil")
	}
}

// The documents fit the published schema of OSCAL 1.2.2, and it sees what does not.
func TestOSCALSchema(t *testing.T) {
	schema := published.OSCAL().Compile(t)
	for _, v := range []struct {
		format  string
		present bool
	}{{"oscal-ar", true}, {"oscal-ar", false}, {"oscal-poam", true}} {
		out := written(t, v.format, sample(t, v.present))
		if err := published.Validate(schema, out); err != nil {
			t.Errorf("%s, present %t: %v", v.format, v.present, err)
		}
		for was, is := range map[string]string{`"last-modified"`: `"modified"`, `"type": "organization"`: `"type": "club"`, `"state": "`: `"status": "`} {
			if broken := strings.Replace(out, was, is, 1); broken != out && published.Validate(schema, broken) == nil {
				t.Errorf("%s: the schema takes %s", v.format, is)
			}
		}
	}
}
