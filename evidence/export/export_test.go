package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
)

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

// records are two findings, one of them shared, a scan and a contest, with
// hostile names.
func records(t *testing.T) []*evidence.Sealed {
	t.Helper()
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	engine := evidence.Engine{Version: "showcause v1", Binary: sum("binary"), Go: "go1.26", Target: "linux/amd64"}
	at := evidence.Time{Observed: "2026-11-21T14:00:00Z"}
	rule := &evidence.Rule{Language: "clamav", Name: "Test.<b>&Marker", File: "x.ndb", Line: 1}
	rule.SetText("Test.<b>&Marker:0:*:6d61726b6572")
	finding := func(path string) *evidence.Statement {
		return &evidence.Statement{Kind: evidence.Finding, Subject: evidence.Digests{SHA256: sum(path), MD5: sum(path)[:32]}, Predicate: evidence.Predicate{
			Verdict: "found", Input: &evidence.Input{Size: 100, Type: "zip"}, Engine: engine,
			Rules:      &evidence.Rules{Database: sum("db"), Rule: rule},
			Policy:     &evidence.Policy{Limits: showcause.Limits{}.WithDefaults()},
			Derivation: []evidence.Step{{Index: 3, Op: "zip.deflate", Digest: evidence.Digests{SHA256: sum("inner")}, Size: 50}},
			Matches:    &evidence.Matches{List: []evidence.Match{{Pattern: 0, Offset: 7, Length: 6}, {Pattern: 0, Offset: 17, Length: 6}}},
			Coverage: &evidence.Coverage{
				Objects: 2, Bytes: 150, Depth: 1, Work: 9,
				Gaps: []evidence.Gap{{Code: "encrypted", Trail: []evidence.GapStep{{Index: 1, Op: "zip.stored"}}, Length: 5}, {Code: "ambiguous.zip.size", Length: -1}},
			},
			Context: evidence.Context{Path: evidence.Private{Text: path}, Host: evidence.Private{Text: "desk7"}}, Time: at,
		}}
	}
	scan := &evidence.Statement{Kind: evidence.Scan, Subject: evidence.Digests{Scan: sum("scan")}, Predicate: evidence.Predicate{
		Verdict: "error", Engine: engine, Rules: &evidence.Rules{Database: sum("db")}, Policy: &evidence.Policy{Limits: showcause.Limits{}.WithDefaults()},
		Coverage: &evidence.Coverage{Objects: 1, Bytes: 9, Files: 2, Verdicts: map[string]int64{"incomplete": 1, "error": 1}, Inputs: []evidence.Looked{
			{Size: 9, Verdict: "incomplete", Gaps: []evidence.Gap{{Code: "corrupt", Length: -1}}}, {Size: -1, Verdict: "error"},
		}},
		Context: evidence.Context{Scan: sum("scan"), Paths: []evidence.Private{{Text: "/a b"}, {Text: "rel"}}}, Time: at,
	}}
	contest := &evidence.Statement{Kind: evidence.Contest, Subject: evidence.Digests{SHA256: sum("x")}, Predicate: evidence.Predicate{
		Engine: engine, Contest: &evidence.Contention{Record: sum("r"), Reason: evidence.Private{Text: "+1 \"mine\""}}, Time: at,
	}}
	var out []*evidence.Sealed
	for i, s := range []*evidence.Statement{finding("=cmd|' /C calc'!A0"), finding("/home/<script>alert(1)</script>\\n x"), scan, contest} {
		r, err := evidence.Seal(s, key)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			out = append(out, verified(t, r.Share(func(string) bool { return false }), key))
		}
		out = append(out, verified(t, r, key))
	}
	return out
}

func verified(t *testing.T, r *evidence.Record, k *evidence.Key) *evidence.Sealed {
	t.Helper()
	s, err := r.Verify(evidence.VerifyOptions{Keys: []evidence.PublicKey{k.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, format string, r []*evidence.Sealed) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, "showcause v1", r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// document is any JSON, for looking at it by paths.
func document(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFormats(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "pdf", "x", nil); err == nil {
		t.Error("pdf is a format")
	}
	for _, f := range Formats() {
		a, b := write(t, f, nil), write(t, f, nil)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: not the same twice", f)
		}
		r := records(t)
		if a, b = write(t, f, r), write(t, f, r); !bytes.Equal(a, b) {
			t.Errorf("%s: not the same twice", f)
		}
		// What a shared copy hides is in no export of it.
		shared := write(t, f, r[1:2])
		for _, secret := range []string{sum("/home/<script>alert(1)</script>\\n x"), sum("inner"), "desk7", "/home"} {
			if bytes.Contains(shared, []byte(secret)) {
				t.Errorf("%s shows %s", f, secret)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	r := records(t)
	lines := bytes.Split(bytes.TrimSpace(write(t, "json", r)), []byte("\n"))
	if len(lines) != len(r) {
		t.Fatalf("%d lines of %d records", len(lines), len(r))
	}
	for i, l := range lines {
		d := document(t, l)
		st := d["statement"].(map[string]any)
		if d["record"] != r[i].Record().Name() || st["_type"] != "https://in-toto.io/Statement/v1" {
			t.Errorf("%s", l)
		}
	}
}

func TestCSV(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(write(t, "csv", records(t)))).ReadAll()
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		for _, v := range r {
			if v != "" && strings.ContainsAny(v[:1], "=+-@\t\r") {
				t.Errorf("%q is a formula", v)
			}
		}
	}
	if c := slices.Index(rows[0], "path"); rows[1][c] != "'=cmd|' /C calc'!A0" || rows[2][c] != "" {
		t.Errorf("%q", rows[1:3])
	}
	if c := slices.Index(rows[0], "gap codes"); rows[1][c] != "ambiguous.zip.size 1, encrypted 1" || rows[4][c] != "corrupt 1" || rows[5][c] != "" {
		t.Errorf("%q", rows)
	}
	if c := slices.Index(rows[0], "matches"); rows[1][c] != "0@7+6 0@17+6" {
		t.Errorf("%q", rows[1][c])
	}
}

func TestHTML(t *testing.T) {
	b := string(write(t, "html", records(t)))
	if strings.Contains(b, "<script") || strings.Contains(b, "<b>") || !strings.Contains(b, "&lt;script&gt;") {
		t.Error("a name is markup")
	}
	if regexp.MustCompile(`(src|href)=|url\(|@import`).MatchString(b) {
		t.Error("loads something")
	}
	if strings.Count(b, "<tr>") != 6 {
		t.Errorf("%d rows", strings.Count(b, "<tr>"))
	}
}

// The members that SARIF 2.1.0 requires, and that indexes lead somewhere.
func TestSARIF(t *testing.T) {
	d := document(t, write(t, "sarif", records(t)))
	if d["version"] != "2.1.0" {
		t.Error(d["version"])
	}
	run := d["runs"].([]any)[0].(map[string]any)
	rules := run["tool"].(map[string]any)["driver"].(map[string]any)["rules"].([]any)
	artifacts := run["artifacts"].([]any)
	results := run["results"].([]any)
	if len(rules) != 1 || len(artifacts) != 6 || len(results) != 3 {
		t.Fatalf("%d rules, %d artifacts, %d results", len(rules), len(artifacts), len(results))
	}
	for i, a := range artifacts {
		p, ok := a.(map[string]any)["parentIndex"]
		if ok != (i%2 == 1) || ok && int(p.(float64)) != i-1 {
			t.Errorf("artifact %d: parent %v", i, p)
		}
	}
	for i, r := range results {
		r := r.(map[string]any)
		if r["ruleId"] != rules[int(r["ruleIndex"].(float64))].(map[string]any)["id"] {
			t.Errorf("result %d: %v", i, r["ruleId"])
		}
		l := r["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
		if at := int(l["artifactLocation"].(map[string]any)["index"].(float64)); at != 2*i+1 {
			t.Errorf("result %d: artifact %d", i, at)
		}
		if _, ok := l["region"]; ok == (i == 1) {
			t.Errorf("result %d: region %v", i, ok)
		}
	}
	call := run["invocations"].([]any)[0].(map[string]any)
	if call["executionSuccessful"] != false || len(call["toolExecutionNotifications"].([]any)) != 8 {
		t.Errorf("%v", call)
	}
}

// The members that STIX 2.1 requires of each object, the form of ids, and that
// references lead to objects of the bundle.
func TestSTIX(t *testing.T) {
	required := map[string][]string{
		"identity":         {"name", "identity_class"},
		"indicator":        {"pattern", "pattern_type", "valid_from"},
		"sighting":         {"sighting_of_ref"},
		"observed-data":    {"first_observed", "last_observed", "number_observed", "object_refs"},
		"malware-analysis": {"product", "result"},
		"note":             {"content", "object_refs", "abstract"},
		"file":             {},
	}
	id := regexp.MustCompile(`^[a-z-]+--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	d := document(t, write(t, "stix", records(t)))
	if d["type"] != "bundle" || !id.MatchString(d["id"].(string)) {
		t.Errorf("%v", d["id"])
	}
	ids, kinds := map[string]bool{}, map[string]int{}
	for _, o := range d["objects"].([]any) {
		o := o.(map[string]any)
		kind := o["type"].(string)
		kinds[kind]++
		want, ok := required[kind]
		if !ok || o["spec_version"] != "2.1" || !id.MatchString(o["id"].(string)) || !strings.HasPrefix(o["id"].(string), kind+"--") || ids[o["id"].(string)] {
			t.Errorf("%v", o)
		}
		ids[o["id"].(string)] = true
		if kind == "file" {
			if o["hashes"] == nil && o["name"] == nil {
				t.Error("a file without hashes and name")
			}
		} else {
			want = append(slices.Clone(want), "created", "modified")
		}
		for _, m := range want {
			if o[m] == nil {
				t.Errorf("%s without %s", kind, m)
			}
		}
	}
	for _, o := range d["objects"].([]any) {
		for k, v := range o.(map[string]any) {
			var refs []any
			if strings.HasSuffix(k, "_ref") {
				refs = []any{v}
			} else if strings.HasSuffix(k, "_refs") {
				refs = v.([]any)
			}
			for _, r := range refs {
				if !ids[r.(string)] {
					t.Errorf("%s: %v leads nowhere", k, r)
				}
			}
		}
	}
	// The copy that hides the file has a sighting and an analysis with the
	// original's ids: they are of one record.
	if kinds["sighting"] != 2 || kinds["file"] != 4 || kinds["note"] != 4 || kinds["indicator"] != 1 || kinds["identity"] != 1 {
		t.Errorf("%v", kinds)
	}
	if d := document(t, write(t, "stix", nil)); d["objects"] != nil {
		t.Error("an empty list of objects, which STIX forbids")
	}
}

// What was not read, and what was said of a finding, is in OCSF and STIX too: of
// class 6007, and as updates of the finding.
func TestRest(t *testing.T) {
	r := records(t)
	lines := bytes.Split(bytes.TrimSpace(write(t, "ocsf", r[3:])), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("%d events", len(lines))
	}
	scan := document(t, lines[0])
	for k, v := range map[string]float64{
		"activity_id": 2, "category_uid": 6, "class_uid": 6007, "type_uid": 600702, "severity_id": 3, "status_id": 2, "time": 1795269600000,
		"num_files": 2, "num_skipped_items": 2, "num_detections": 0, "total": 2,
	} {
		if scan[k] != v {
			t.Errorf("%s is %v, want %v", k, scan[k], v)
		}
	}
	more := scan["unmapped"].(map[string]any)
	if scan["status_code"] != "error" || scan["status_detail"] != "corrupt 1" || more["showcause_complete"] != false || len(more["showcause_inputs"].([]any)) != 2 {
		t.Errorf("%s", lines[0])
	}
	if o := scan["scan"].(map[string]any); o["uid"] != sum("scan") || o["type_id"] != 0.0 || scan["metadata"] == nil {
		t.Errorf("%v", o)
	}
	said := document(t, lines[1])
	for k, v := range map[string]any{"activity_id": 2.0, "class_uid": 2004.0, "type_uid": 200402.0, "status_id": 2.0, "comment": `contested: +1 "mine"`} {
		if said[k] != v {
			t.Errorf("%s is %v, want %v", k, said[k], v)
		}
	}
	if i := said["finding_info"].(map[string]any); i["uid"] != sum("r") || i["title"] == nil {
		t.Errorf("%v", i)
	}

	text := string(write(t, "stix", r[3:]))
	for _, want := range []string{"complete false", "corrupt 1", "incomplete: corrupt 1", "error: not read", `contested (finding ` + sum("r") + `): +1 \"mine\"`, `"name": "/a b"`} {
		if !strings.Contains(text, want) {
			t.Errorf("STIX does not say %q", want)
		}
	}
}

// Findings of one file have one artifact for it, and what was not read of it is said once.
func TestSARIFOnce(t *testing.T) {
	r := records(t)
	d := document(t, write(t, "sarif", []*evidence.Sealed{r[0], r[0], r[0], r[2]}))
	run := d["runs"].([]any)[0].(map[string]any)
	told := run["invocations"].([]any)[0].(map[string]any)["toolExecutionNotifications"].([]any)
	if a := run["artifacts"].([]any); len(a) != 4 || len(told) != 4 || len(run["results"].([]any)) != 4 {
		t.Errorf("%d artifacts, %d notifications", len(a), len(told))
	}
	// A rule for exact bytes has more digests of the file than another.
	x := sarif{artifact: map[string]int{}}
	for _, h := range []evidence.Digests{{SHA256: sum("a")}, {SHA256: sum("a"), MD5: sum("m")[:32]}, {SHA256: sum("b")}} {
		st := *r[0].Statement()
		st.Subject, st.Derivation = h, nil
		x.artifacts(&st)
	}
	if a := x.run.Artifacts; len(a) != 2 || len(a[0].Hashes) != 2 {
		t.Errorf("%+v", a)
	}
	// Two copies that hide the file are not told to be of one.
	d = document(t, write(t, "sarif", []*evidence.Sealed{r[1], r[1]}))
	if a := d["runs"].([]any)[0].(map[string]any)["artifacts"].([]any); len(a) != 4 {
		t.Errorf("%d artifacts of two copies", len(a))
	}
}

// The members that OCSF 1.3.0 requires of class 2004.
func TestOCSF(t *testing.T) {
	lines := bytes.Split(bytes.TrimSpace(write(t, "ocsf", records(t))), []byte("\n"))
	if len(lines) != 5 {
		t.Fatalf("%d events", len(lines))
	}
	for i, l := range lines[:3] {
		d := document(t, l)
		for k, v := range map[string]float64{"activity_id": 1, "category_uid": 2, "class_uid": 2004, "type_uid": 200401, "severity_id": 4, "time": 1795269600000} {
			if d[k] != v {
				t.Errorf("%s is %v, want %v", k, d[k], v)
			}
		}
		m := d["metadata"].(map[string]any)
		if m["version"] != "1.3.0" || m["product"].(map[string]any)["vendor_name"] == nil {
			t.Errorf("%v", m)
		}
		info := d["finding_info"].(map[string]any)
		if info["uid"] == nil || info["title"] == nil || d["malware"].([]any)[0].(map[string]any)["classification_ids"] == nil {
			t.Errorf("%s", l)
		}
		f := d["evidences"].([]any)[0].(map[string]any)["file"].(map[string]any)
		if f["name"] == nil || f["type_id"] != 1.0 || (f["hashes"] == nil) != (i == 1) {
			t.Errorf("%v", f)
		}
	}
}
