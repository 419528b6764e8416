package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const formatDir = "../docs/format"

// exampleFiles are what docs/format/examples holds: a record of each kind, a
// copy that is shared, payloads with the values disclosed as they are, and the key.
func exampleFiles(t *testing.T) map[string][]byte {
	ed, _ := sampleKeys(t)
	out := map[string][]byte{"key.pub": ed.Public().PEM()}
	pretty := func(n *node) []byte {
		var b bytes.Buffer
		if err := json.Indent(&b, n.canonical(nil), "", "  "); err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), '\n')
	}
	for kind, r := range samples(t, ed) {
		out[string(kind)+".scf"] = r.Bytes()
		out[string(kind)+".clear.json"] = pretty(r.mustNode())
	}
	f := samples(t, ed)[Finding]
	out["finding.payload.json"] = pretty(mustParse(f.payload))
	out["finding.shared.scf"] = f.Share(func(at string) bool { return at == "/predicate/matches" }).Bytes()
	return out
}

// The examples are what the program writes. SHOWCAUSE_UPDATE=1 writes them anew.
func TestExamples(t *testing.T) {
	dir := filepath.Join(formatDir, "examples")
	want := exampleFiles(t)
	if os.Getenv("SHOWCAUSE_UPDATE") != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, b := range want {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if want[e.Name()] == nil {
			t.Errorf("%s: no test makes it", e.Name())
		}
	}
	for name, b := range want {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, b) {
			t.Errorf("%s: not what is written now (%v)", name, err)
		}
	}
}

// TestSchemaNames holds that the schema has the members of the Go types, no
// more and no fewer, and requires those that are never left out.
func TestSchemaNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(formatDir, "record.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Defs map[string]struct {
			Properties map[string]any
			Required   []string
			Additional *bool `json:"additionalProperties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for name, typ := range map[string]reflect.Type{
		"statement": reflect.TypeFor[wire](), "predicate": reflect.TypeFor[Predicate](), "input": reflect.TypeFor[Input](),
		"engine": reflect.TypeFor[Engine](), "rules": reflect.TypeFor[Rules](), "rule": reflect.TypeFor[Rule](), "policy": reflect.TypeFor[Policy](),
		"limits": reflect.TypeFor[Policy]().Field(1).Type, "step": reflect.TypeFor[Step](), "match": reflect.TypeFor[Match](), "coverage": reflect.TypeFor[Coverage](),
		"gap": reflect.TypeFor[Gap](), "gapStep": reflect.TypeFor[GapStep](), "looked": reflect.TypeFor[Looked](), "action": reflect.TypeFor[Action](),
		"contest": reflect.TypeFor[Contention](), "decision": reflect.TypeFor[Ruling](), "case": reflect.TypeFor[CaseEntry](), "context": reflect.TypeFor[Context](), "time": reflect.TypeFor[Time](),
	} {
		d, ok := s.Defs[name]
		if !ok || d.Additional == nil || *d.Additional {
			t.Errorf("%s: not in the schema, or open", name)
			continue
		}
		var all, required []string
		for i := range typ.NumField() {
			tag, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			all = append(all, tag)
			if options == "" {
				required = append(required, tag)
			}
		}
		var have []string
		for k := range d.Properties {
			have = append(have, k)
		}
		slices.Sort(all)
		slices.Sort(required)
		slices.Sort(have)
		slices.Sort(d.Required)
		if !slices.Equal(all, have) || !slices.Equal(required, d.Required) {
			t.Errorf("%s: has %v, required %v; want %v, required %v", name, have, d.Required, all, required)
		}
	}
}

// TestSchema validates the examples, where Python has the module.
func TestSchema(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if exec.Command(python, "-c", "import jsonschema").Run() != nil {
		t.Skip("Python's module jsonschema is not installed")
	}
	const program = `
import base64, copy, glob, json, jsonschema, sys
schema = json.load(open(sys.argv[1] + "/record.schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
def validator(name):
    return jsonschema.Draft202012Validator(dict(schema, **{"$ref": "#/$defs/" + name}))
file, statement = validator("file"), validator("statement")
n = 0
for path in sorted(glob.glob(sys.argv[1] + "/examples/*")):
    if path.endswith(".scf"):
        v = json.load(open(path))
        file.validate(v)
        statement.validate(json.loads(base64.b64decode(v["payload"])))
        n += 1
    elif path.endswith(".json"):
        v = json.load(open(path))
        statement.validate(v)
        for k in v["predicate"]:
            w = copy.deepcopy(v)
            w["predicate"]["x" + k] = w["predicate"].pop(k)
            if statement.is_valid(w):
                sys.exit("valid without " + k)
        n += 1
print(n)
`
	c := exec.Command(python, "-c", program, formatDir)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) || err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if strings.TrimSpace(string(out)) != "14" {
		t.Errorf("%s files", out)
	}
}
