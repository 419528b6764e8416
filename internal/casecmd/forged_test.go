package casecmd

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
)

const examples = "../../docs/format/examples"

// exit is the error by which a command ends with a code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// host is a program with one store.
func host(dir string) Host {
	return Host{
		Version:   "test",
		StoreFlag: func(*pflag.FlagSet, *string) {},
		StoreDir:  func(string) (string, bool, error) { return dir, true, nil },
		PasswordFlags: func(*pflag.FlagSet) func() ([][]byte, error) {
			return func() ([][]byte, error) { return nil, nil }
		},
		Scratch: func() (*os.File, error) { return os.CreateTemp("", "") },
		Exit:    func(code int) error { return exit(code) },
	}
}

// run runs a command, and returns all that it printed.
func run(c *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.Execute()
	return out.String(), err
}

func example(t *testing.T, name string) *evidence.Record {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := evidence.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKey(t *testing.T) *evidence.Key {
	t.Helper()
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forge signs a payload of which change has made something else; with no key it is
// signed by nobody. Nothing of it is disclosed.
func forge(t *testing.T, r *evidence.Record, k *evidence.Key, signed bool, change func(predicate map[string]any)) []byte {
	t.Helper()
	spell := func(v any) []byte {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return bytes.TrimRight(b.Bytes(), "\n")
	}
	var s map[string]any
	d := json.NewDecoder(bytes.NewReader(r.Payload()))
	d.UseNumber()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	p := s["predicate"].(map[string]any)
	p["context"].(map[string]any)["keys"] = []string{k.Public().ID()}
	if change != nil {
		change(p)
	}
	payload := spell(s)
	const kind = "application/vnd.in-toto+json"
	sigs := []any{}
	if signed {
		sig := ed25519.Sign(k.Ed25519(), fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload))
		sigs = append(sigs, map[string]string{"keyid": k.Public().ID(), "sig": base64.StdEncoding.EncodeToString(sig)})
	}
	return append(spell(map[string]any{"payloadType": kind, "payload": base64.StdEncoding.EncodeToString(payload), "signatures": sigs}), '\n')
}

// own seals what an example says under the keys of a store, puts it there if in is
// set, and returns its file.
func own(t *testing.T, s *store.Store, in bool, name string, change func(*evidence.Statement)) (*evidence.Record, string) {
	t.Helper()
	st := example(t, name).Statement()
	if change != nil {
		change(st)
	}
	r, err := evidence.Seal(st, s.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	if in {
		if err := s.Append([]*evidence.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	return r, write(t, r.Bytes())
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "r.scf")
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t *testing.T) (string, *store.Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dir, s
}

func count(t *testing.T, dir string) (n int) {
	t.Helper()
	s, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Names("", func(string) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// forged are records that do not hold together, and sound ones that nobody of this
// host has signed, by what is wrong.
func forged(t *testing.T, k *evidence.Key) map[string][]byte {
	out := map[string][]byte{}
	for kind, members := range map[string][]string{
		"finding":  {"input", "rules", "policy", "coverage", "verdict"},
		"coverage": {"coverage", "rules", "policy", "verdict"},
		"contest":  {"contest"}, "decision": {"decision"}, "action": {"action"},
	} {
		r := example(t, kind+".scf")
		for _, m := range members {
			out[kind+" without "+m] = forge(t, r, k, true, func(p map[string]any) { delete(p, m) })
		}
		out[kind+" of nothing"] = forge(t, r, k, true, func(p map[string]any) {
			maps.DeleteFunc(p, func(k string, _ any) bool { return !slices.Contains([]string{"id", "engine", "context", "time"}, k) })
		})
		out[kind+" unsigned"] = forge(t, r, k, false, nil)
	}
	out["rules without rule"] = forge(t, example(t, "finding.scf"), k, true, func(p map[string]any) { delete(p["rules"].(map[string]any), "rule") })
	return out
}

// Nothing takes members of a record for granted that is not one, with keys or without.
func TestForged(t *testing.T) {
	dir, s := open(t)
	h, other := host(dir), newKey(t)
	s.Close()
	file := write(t, []byte("a file"))
	before := count(t, dir)
	for name, b := range forged(t, other) {
		p := write(t, b)
		page := filepath.Join(t.TempDir(), "page.html")
		if out, err := run(h.Report(), filepath.Dir(p), "-o", page); err != exit(1) {
			t.Errorf("%s: report: %v\n%s", name, err, out)
		} else if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("record refused")) {
			t.Errorf("%s: the page does not say that it is refused: %v", name, err)
		}
		for _, c := range []struct {
			cmd  *cobra.Command
			args []string
		}{
			{h.Recheck(), []string{"--file", file, "--jail", "off"}},
			{h.Show(), nil},
			{h.Contest(), []string{"--reason", "so"}},
			{h.Decide(), []string{"--reason", "so", "--withdrawn"}},
		} {
			if out, err := run(c.cmd, append([]string{p}, c.args...)...); err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %s: %v\n%s", name, c.cmd.Name(), err, out)
			}
		}
	}
	if n := count(t, dir); n != before {
		t.Errorf("%d records were sealed", n-before)
	}
}

// A sound record of another's can be shown without a key, and nothing is sealed over it.
func TestStrangers(t *testing.T) {
	dir, s := open(t)
	finding, _ := own(t, s, true, "finding.scf", nil)
	s.Close()
	h, other := host(dir), newKey(t)
	pub := write(t, other.Public().PEM())
	b := forge(t, finding, other, true, nil)
	p := write(t, b)
	if out, err := run(h.Show(), p); err != nil || !strings.Contains(out, "not checked") {
		t.Errorf("%v\n%s", err, out)
	}
	before := count(t, dir)
	if _, err := run(h.Contest(), p, "--reason", "so"); err == nil || !strings.Contains(err.Error(), "--key") {
		t.Errorf("contest: %v", err)
	}
	if n := count(t, dir); n != before {
		t.Error("something was sealed")
	}
	if out, err := run(h.Contest(), p, "--reason", "so", "--key", pub); err != nil {
		t.Errorf("contest: %v\n%s", err, out)
	}
	contest := write(t, forge(t, example(t, "contest.scf"), other, true, nil))
	for _, args := range [][]string{{contest}, {contest, "--key", pub}} {
		if _, err := run(h.Decide(), append(args, "--reason", "so", "--withdrawn")...); err == nil || !strings.Contains(err.Error(), "--key") && !strings.Contains(err.Error(), "not in this store") {
			t.Errorf("decide: %v", err)
		}
	}
	if n := count(t, dir); n != before+1 {
		t.Errorf("%d records more", n-before)
	}
}

// What a scan found and did not record one by one is said.
func TestUnrecorded(t *testing.T) {
	dir, s := open(t)
	_, file := own(t, s, true, "coverage.scf", func(s *evidence.Statement) { s.Coverage.Unrecorded = 44 })
	s.Close()
	if out, err := run(host(dir).Show(), file); err != nil || !strings.Contains(out, "44 have no record of their own") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A contest is decided where it is, and only one of a finding.
func TestDecidable(t *testing.T) {
	dir, s := open(t)
	defer s.Close()
	finding, _ := own(t, s, true, "finding.scf", nil)
	scan, _ := own(t, s, true, "coverage.scf", nil)
	of := func(name string) func(*evidence.Statement) {
		return func(s *evidence.Statement) { s.Contest.Record = name }
	}
	_, good := own(t, s, true, "contest.scf", of(finding.Name()))
	_, away := own(t, s, false, "contest.scf", of(finding.Name()))
	_, none := own(t, s, true, "contest.scf", of(scan.Name()))
	elsewhere := strings.Repeat("ab", 32)
	_, unknown := own(t, s, true, "contest.scf", of(elsewhere))
	// Who can write into the folder puts what is no finding there.
	bad := forge(t, finding, s.Keys()[0], true, func(p map[string]any) { delete(p["rules"].(map[string]any), "rule") })
	r, err := evidence.Parse(bad)
	if err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(dir, "records", r.Name()[:2])
	if err := os.MkdirAll(planted, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(planted, r.Name()+".scf"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	_, overBad := own(t, s, true, "contest.scf", of(r.Name()))
	s.Close()
	h := host(dir)
	for _, c := range []struct{ name, file, want string }{
		{"good", good, ""},
		{"away", away, "not in this store"},
		{"of a scan", none, "no finding"},
		{"of what is elsewhere", unknown, ""},
		{"of what is damaged", overBad, ""},
	} {
		before := count(t, dir)
		out, err := run(h.Decide(), c.file, "--withdrawn", "--reason", "so")
		switch {
		case c.want == "" && (err != nil || count(t, dir) != before+1):
			t.Errorf("%s: %v\n%s", c.name, err, out)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || count(t, dir) != before):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case c.name == "of what is damaged" && !strings.Contains(out, "is not looked at"):
			t.Errorf("%s: %s", c.name, out)
		}
	}
}

// Of a copy that hides the file's digest, the contest hides what stands there.
func TestContestHides(t *testing.T) {
	dir, s := open(t)
	finding, whole := own(t, s, true, "finding.scf", nil)
	s.Close()
	shared := write(t, finding.Share(func(string) bool { return false }).Bytes())
	h := host(dir)
	for name, hides := range map[string]bool{whole: false, shared: true} {
		out := filepath.Join(t.TempDir(), "contest.scf")
		if text, err := run(h.Contest(), name, "--reason", "so", "-o", out); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		r, err := evidence.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		d := r.Statement().Subject
		if (d.Commitment != "") != hides || bytes.Contains(b, []byte(`"sha256":"`+finding.Name())) || !hides && d.SHA256 != finding.Statement().Subject.SHA256 {
			t.Errorf("hides %t: %+v", hides, d)
		}
		if text, err := run(h.Decide(), out, "--upheld", "--reason", "so"); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// A record goes to the file that is named and through no link.
func TestOut(t *testing.T) {
	dir, s := open(t)
	_, file := own(t, s, true, "finding.scf", nil)
	s.Close()
	h := host(dir)
	precious := write(t, []byte("precious"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(precious, link); err != nil {
		t.Fatal(err)
	}
	before := count(t, dir)
	if _, err := run(h.Contest(), file, "--reason", "so", "-o", link); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" || count(t, dir) != before {
		t.Errorf("%q %v", b, err)
	}
	other := filepath.Join(filepath.Dir(precious), "same") // a second name of a file stays what it was
	if err := os.Link(precious, other); err != nil {
		t.Fatal(err)
	}
	if out, err := run(h.Contest(), file, "--reason", "so", "-o", other); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
		t.Errorf("%q %v", b, err)
	}
	if f, err := os.Open(other); err != nil {
		t.Error(err)
	} else {
		defer f.Close()
		if b, err := io.ReadAll(f); err != nil || !bytes.Contains(b, []byte("payload")) {
			t.Errorf("%q %v", b, err)
		}
	}
}
