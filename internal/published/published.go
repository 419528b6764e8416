// Package published has, for tests, the schemas that others publish. They are not copied into
// this repository: Go modules carry them, at a version, and each is held against its digest.
package published

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is where a schema is published.
type Schema struct {
	Module string // with its version: "example.org/module@v1.2.3"
	File   string // in the module
	SHA256 string // hexadecimal
}

// OSCAL is the schema of all of OSCAL's models, release 1.2.2 of usnistgov/OSCAL.
func OSCAL() Schema {
	return Schema{
		"github.com/defenseunicorns/go-oscal@v0.7.1", "src/internal/schemas/oscal_complete_schema-1-2-2.json",
		"cc97fde238ad26fc2f40c55115c12bb624ee9952bdcc7d4d8ebb04bb37496685",
	}
}

// SPDX is the schema of documents of version 2.3 of spdx/spdx-spec.
func SPDX() Schema {
	return Schema{
		"github.com/CycloneDX/sbom-utility@v0.16.0", "resources/schema/spdx/2.3/spdx-schema.json",
		"3646a54c24343414670cc8608b427ccd9000b24a0d333b9a20080bf6968ddf48",
	}
}

// Compile fetches the schema by the go command, from its cache where it has been before. A test is
// skipped, with the reason, if it cannot be had, and fails if it is another one.
func (s Schema) Compile(t testing.TB) *jsonschema.Schema {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.Module)
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := c.Output()
	var module struct{ Dir, Error string }
	if json.Unmarshal(out, &module) != nil || module.Dir == "" {
		t.Skipf("the module %s cannot be had: %v: %s", s.Module, err, module.Error)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, filepath.FromSlash(s.File)))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != s.SHA256 {
		t.Fatalf("%s of %s: SHA-256 %x, want %s", s.File, s.Module, sum, s.SHA256)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("published.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("published.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// Validate says what is wrong with a document of JSON.
func Validate(schema *jsonschema.Schema, document string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}
