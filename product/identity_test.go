package product_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/products"
)

func shipped(t testing.TB) *product.Set {
	t.Helper()
	s, err := product.Load(products.Files())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShipped holds that the files that ship load, follow the schema, and say of leads what they are.
func TestShipped(t *testing.T) {
	s := shipped(t)
	if len(s.Products) < 20 || len(s.Identities) < 100 {
		t.Fatalf("%d products, %d identities", len(s.Products), len(s.Identities))
	}
	for _, i := range s.Identities {
		if lead := i.Source == "reference"; lead != (i.Confidence == product.Unconfirmed) {
			t.Errorf("%s:%d: source %s with confidence %s", i.File, i.Line, i.Source, i.Confidence)
		}
		if !strings.HasPrefix(i.Product, i.Vendor+".") {
			t.Errorf("%s:%d: %s is not of %s", i.File, i.Line, i.Product, i.Vendor)
		}
	}
	c := jsonschema.NewCompiler()
	schema, err := c.Compile("../docs/format/products.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	names, _ := fs.Glob(products.Files(), "*.yaml")
	for _, name := range names {
		text, err := fs.ReadFile(products.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("T00:00:00Z"), nil) // dates without quotes
		var doc any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile("../docs/format/products.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range product.Kinds() {
		if !bytes.Contains(text, []byte(`"`+string(k)+`"`)) {
			t.Errorf("schema: no kind %s", k)
		}
		if k.Family() == "" {
			t.Errorf("%s has no family", k)
		}
	}
}

const good = `format: showcause-products/1
family: example
vendor: Example
version: 2026-11-22
sources:
  s: a source
products:
  - id: example.a
    name: A
    identities:
      - {kind: package, value: aa, match: exact, platform: deb, proves: installed, confidence: primary, source: s}
`

func TestErrorsNameFileAndLine(t *testing.T) {
	if err := (&product.Set{}).Add("x.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"showcause-products/1", "showcause-products/2", "x.yaml:1: format: want showcause-products/1"},
		{"family: example", "family: Exa mple", "x.yaml:2: family:"},
		{"version: 2026-11-22", "version: soon", "x.yaml:4: version:"},
		{"s: a source", "s: ''", "x.yaml:6: sources: s"},
		{"id: example.a", "id: A", "x.yaml:8: id:"},
		{"kind: package", "kind: pakage", "x.yaml:11: kind: want one of"},
		{"match: exact", "match: under", "x.yaml:11: match: under"},
		{"match: exact", "mode: exact", "x.yaml:11: field mode not found"},
		{"source: s", "source: t", `x.yaml:11: source: "t"`},
		{"platform: deb", "platform: bed", "x.yaml:11: platform"},
		{"proves: installed", "proves: guilt", "x.yaml:11: proves"},
		{"confidence: primary", "confidence: sure", "x.yaml:11: confidence"},
		{"source: s}", "source: s, from: 2026-02-30}", "x.yaml:11: from"},
		{"source: s}", "source: s, from: 2026-02-03, to: 2025-01-01}", "x.yaml:11: to"},
		{"value: aa", "value: [a]", "x.yaml:11: cannot unmarshal"},
		{"value: aa", "value: a", "x.yaml:11: value"},
		{"vendor: Example", "vendor: Example\nowner: me", "x.yaml:4: field owner not found"},
		{"sources:", "sources", "x.yaml:5:"},
	} {
		err := (&product.Set{}).Add("x.yaml", []byte(strings.Replace(good, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
	s := &product.Set{}
	_ = s.Add("x.yaml", []byte(good))
	if err := s.Add("y.yaml", []byte(good)); err == nil || !strings.Contains(err.Error(), "y.yaml:2: family") || !strings.Contains(err.Error(), "y.yaml:8: id") {
		t.Error(err)
	}
}

func TestAgrees(t *testing.T) {
	for _, c := range []struct {
		mode        product.Mode
		kind        product.Kind
		value, fact string
		want, have  string // platforms
		agrees      bool
	}{
		{product.Exact, product.Package, "kesl", "kesl", "deb", "deb", true},
		{product.Exact, product.Package, "kesl", "Kesl", "deb", "deb", false},
		{product.Exact, product.Package, "kesl", "kesl", "deb", "rpm", false},
		{product.Exact, product.Package, "kesl", "kesl", "linux", "rpm", true},
		{product.Fold, product.Driver, "klif", "KLIF", "windows", "windows", true},
		{product.Fold, product.Driver, "klif", "klifx", "windows", "windows", false},
		{product.Prefix, product.Title, "Kaspersky ", "kaspersky Total Security", "", "windows", true},
		{product.Word, product.Publisher, "acme", "Acme, Inc.", "", "deb", true},
		{product.Word, product.Publisher, "acme", "Acmeville and acme-x", "", "deb", true},
		{product.Word, product.Publisher, "acme", "Placmer", "", "deb", false},
		{product.Under, product.Path, "/opt/x", "/opt/x/bin/y", "linux", "linux", true},
		{product.Under, product.Path, "/opt/x/", "/opt/X", "linux", "linux", true},
		{product.Under, product.Path, "/opt/x", "/opt/xy", "linux", "linux", false},
		{product.Under, product.Registry, `HKLM\SOFTWARE\K`, `HKLM\SOFTWARE\K\L`, "windows", "windows", true},
	} {
		i := product.Identity{Kind: c.kind, Value: c.value, Match: c.mode, Platform: c.want}
		if got := i.Agrees(c.have, product.Fact{Kind: c.kind, Value: c.fact}); got != c.agrees {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestApps(t *testing.T) {
	for path, want := range map[string]string{
		"/opt/v/p/bin/x": "/opt/v/p", "/opt/p/x": "/opt/p", "/opt/p": "/opt/p", "/opt": "", "/usr/bin/x": "",
		"/Program Files (x86)/V/P/a/b.dll": "/Program Files (x86)/V/P", "/program files/V/x.exe": "/program files/V",
		"/Applications/A.app/Contents/MacOS/A":                                               "/Applications/A.app",
		"/Applications/A.app/Contents/Library/SystemExtensions/b.systemextension/Contents/x": "/Applications/A.app",
		"/Library/SystemExtensions/U/b.systemextension/Contents/MacOS/b":                     "/Library/SystemExtensions/U/b.systemextension",
		"/snap/hello/12/bin/x": "/snap/hello", "/usr/local/v/p/x": "/usr/local/v/p",
	} {
		if got := product.Apps(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestClasses holds that every class has a rank, so that orders of lists are total.
func TestClasses(t *testing.T) {
	if c := product.Classes(); c[0] != product.Running || c[len(c)-1] != product.Mention || len(slices.Compact(c)) != 7 {
		t.Error(c)
	}
}
