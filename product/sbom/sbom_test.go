package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/published"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/sbom"
)

func inventory() *product.Inventory {
	sum := showcause.SHA256{1, 2, 3}
	at := func(path string) product.Place {
		return product.Place{Path: path, Trail: showcause.Trail{{Index: 1, Op: "tar.file", Name: "a\x1bb\"ü"}}}
	}
	fact := func(k product.Kind, v string) product.Fact { return product.Fact{Kind: k, Value: v} }
	return &product.Inventory{
		Format: product.Format, Target: "/mnt/\nroot", Kind: "root", System: product.System{Name: "debian"},
		Observations: []product.Observation{
			{
				Source: "dpkg", Platform: product.Deb, Class: product.Installed, Place: at("/var/lib/dpkg/status"), Evidence: product.Evidence{SHA256: sum, Size: 900, Offset: 10, Length: 80, Record: "Package: g++"},
				Facts: []product.Fact{fact(product.Package, "g++"), fact(product.Version, "4:12.2.0-3+b1"), fact(product.Publisher, "Debian GCC (Maintainers) <x@y>")},
			},
			{
				Source: "pe", Platform: product.Windows, Class: product.Embedded, Place: at("/a.exe"), Evidence: product.Evidence{SHA256: sum, Size: 5},
				Facts: []product.Fact{fact(product.Program, "Agent"), {Kind: product.Signer, Value: "Acme", Verified: true, Trusted: true}, fact(product.Version, "1")},
			},
			{Source: "chrome", Platform: product.Chrome, Class: product.Installed, Place: at("/m"), Facts: []product.Fact{fact(product.Extension, "abcdefghijklmnopabcdefghijklmnop")}},
			{Source: "folder", Class: product.Installed, Place: at("/opt/x"), Facts: []product.Fact{fact(product.Path, "/opt/x")}},
			{Source: "dpkg", Platform: product.Deb, Class: product.Remnant, Place: at("/s"), Facts: []product.Fact{fact(product.Package, "removed")}},
			{Source: "name", Class: product.Mention, Place: at("/l"), Facts: []product.Fact{fact(product.Title, "a list")}},
		},
		Coverage: product.Coverage{
			Begun: time.Unix(1790000000, 0), Ended: time.Unix(1790000001, 0), Engine: "showcause devel-1 (x)",
			Gaps: []product.Gap{{Code: showcause.Encrypted, Length: -1}}, Files: product.Files{Seen: 1, Unread: 1},
		},
	}
}

// TestCycloneDX validates against the published schema, which the library's module carries.
func TestCycloneDX(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Skip("the module's folder is not known: ", err)
	}
	schemas := filepath.Join(strings.TrimSpace(string(dir)), "schema")
	c := jsonschema.NewCompiler()
	for url, name := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json": "bom-1.6.schema.json", "http://cyclonedx.org/schema/spdx.schema.json": "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schema.json",
	} {
		b, err := os.ReadFile(filepath.Join(schemas, name))
		if err != nil {
			b, err = os.ReadFile(filepath.Join(schemas, strings.Replace(name, ".schema.", ".schemax.", 1)))
		}
		if err != nil {
			t.Skip("no schema: ", err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sbom.CycloneDX(&out, inventory()); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	for _, want := range []string{`"pkg:deb/debian/g%2B%2B@4:12.2.0-3%2Bb1"`, `"aggregate": "incomplete"`, `"name": "Agent"`, `"showcause:verified-signer"`, `"content": "010203`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.Bytes())
		}
	}
	for _, not := range []string{"removed", "a list", "/opt/x", "\x1b"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("%q in\n%s", not, out.Bytes())
		}
	}
	// The schema sees what is wrong.
	bad, _ := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(out.String(), `"type": "application"`, `"type": "apple"`, 1)))
	if schema.Validate(bad) == nil {
		t.Error("the schema takes anything")
	}
}

// TestSPDXSchema validates against the published schema.
func TestSPDXSchema(t *testing.T) {
	var out bytes.Buffer
	if err := sbom.SPDX(&out, inventory()); err != nil {
		t.Fatal(err)
	}
	schema := published.SPDX().Compile(t)
	if err := published.Validate(schema, out.String()); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	for was, is := range map[string]string{`"dataLicense"`: `"license"`, `"algorithm": "SHA256"`: `"algorithm": "SHA257"`} {
		broken := strings.Replace(out.String(), was, is, 1)
		if broken == out.String() || published.Validate(schema, broken) == nil {
			t.Errorf("the schema takes %s", is)
		}
	}
}

// TestSPDX has the reference's own checker read the document.
func TestSPDX(t *testing.T) {
	var out bytes.Buffer
	if err := sbom.SPDX(&out, inventory()); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Packages      []struct{ Name, Supplier string }
		Relationships []any
		Comment       string
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || len(doc.Packages) != 4 || len(doc.Relationships) != 4 || !strings.Contains(doc.Comment, "1 files") {
		t.Fatalf("%v %+v", err, doc)
	}
	tool, err := exec.LookPath("pyspdxtools")
	if err != nil {
		t.Skip("pyspdxtools is not installed (pip install spdx-tools)")
	}
	name := filepath.Join(t.TempDir(), "x.spdx.json")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(tool, "-i", name, "--version", "SPDX-2.3").CombinedOutput(); err != nil || bytes.Contains(b, []byte("invalid")) {
		t.Errorf("%v: %s\n%s", err, b, out.Bytes())
	}
	broken := strings.Replace(out.String(), `"CC0-1.0"`, `"MIT"`, 1)
	if err := os.WriteFile(name, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(tool, "-i", name, "--version", "SPDX-2.3").CombinedOutput(); err == nil {
		t.Errorf("the checker takes anything: %s", b)
	}
}
