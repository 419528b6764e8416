package casefile

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
	"github.com/showcause/showcause/rules/products"
)

// TestEndCutOff holds that the host that wrote the end of a case sees that it is gone, though nothing follows it that names
// it; and that a copy without it is not refused to others.
func TestEndCutOff(t *testing.T) {
	c, st, dir := begun(t)
	for _, n := range []string{"host1", "host2"} {
		if _, err := c.Append(Endpoints, &Body{Endpoints: []string{n}}); err != nil {
			t.Fatal(err)
		}
	}
	if again := load(t, dir, Options{Store: st}); len(again.Refused) > 0 {
		t.Fatal(again.Refused)
	}
	last := c.entries[2].Name
	if err := os.Remove(filepath.Join(dir, "records", last[:2], last+".scf")); err != nil {
		t.Fatal(err)
	}
	if again := load(t, dir, Options{Store: st}); len(again.Refused) != 1 || !strings.Contains(again.Refused[0], "which this host appended last, is not here") {
		t.Errorf("%q", again.Refused)
	}
	if again := load(t, dir, Options{Store: openStore(t, filepath.Join(t.TempDir(), "other"), nil)}); len(again.Refused) > 0 {
		t.Errorf("another host: %q", again.Refused)
	}
}

// appendAt appends an entry as a host does that says any time, and anything.
func appendAt(t *testing.T, c *Case, st *store.Store, at string, act Act, b *Body) {
	t.Helper()
	text, err := b.bytes()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := c.Attach(text)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := draft.Engine()
	if err != nil {
		t.Fatal(err)
	}
	s := &evidence.Statement{Kind: evidence.Entry, Subject: evidence.Digests{SHA256: digest}, Predicate: evidence.Predicate{
		Input: &evidence.Input{Size: int64(len(text)), Type: "json"}, Engine: engine,
		Case: &evidence.CaseEntry{Name: c.name, Act: string(act), After: c.heads()}, Context: draft.Here(), Time: evidence.Time{Observed: at},
	}}
	r, err := evidence.Seal(s, st.Keys()...)
	if err == nil {
		err = errors.Join(c.keepKeys(st.Public()), c.incoming.WriteFile(r.Name()+suffix, r.Bytes(), 0o600), c.finish(r.Name()+suffix, r))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestClockSetBack holds that an entry that says that it is older than what it follows is named.
func TestClockSetBack(t *testing.T) {
	c, st, dir := begun(t)
	appendAt(t, c, st, draft.At(time.Now().Add(time.Second)).Observed, Endpoints, &Body{Endpoints: []string{"a"}})
	if again := load(t, dir, Options{}); len(again.Refused) > 0 {
		t.Fatalf("%q", again.Refused)
	}
	appendAt(t, load(t, dir, Options{Store: st}), st, "2017-10-01T00:00:00Z", Endpoints, &Body{Endpoints: []string{"b"}})
	again := load(t, dir, Options{})
	if len(again.Refused) != 1 || !strings.Contains(again.Refused[0], "a clock was set back") {
		t.Errorf("%q", again.Refused)
	}
}

// TestUnsound holds that entries which a host that is accepted wrote, and which lack what their act needs, are named and break
// nothing.
func TestUnsound(t *testing.T) {
	for act, b := range map[Act]*Body{
		Waive: {Finding: "x"}, Propose: {Finding: "x"}, Done: {Finding: "x"}, Notice: {Order: "x"}, Respond: {Order: "x"},
	} {
		c, st, dir := begun(t)
		appendAt(t, c, st, draft.Now().Observed, act, b)
		again := load(t, dir, Options{})
		if len(again.Refused) != 1 || len(again.Entries()) != 1 {
			t.Errorf("%s: %d entries, refused %q", act, len(again.Entries()), again.Refused)
		}
		again.State(&product.Set{}, orders.Calendar, time.Now())
	}
	for _, expires := range []string{"", "never", "2027-02-30"} {
		if (&Body{Waiver: &Waiver{Authority: "a", Control: "c", Expires: expires}}).sound(Waive) == nil {
			t.Errorf("a waiver until %q", expires)
		}
	}
}

// TestConflicts holds that copies of a case that say different things of the same, once merged, say that they do: no text of an
// order takes the place of another of its version, and a decision that another host turned round is told.
func TestConflicts(t *testing.T) {
	c, _, dir := begun(t)
	text, err := orders.Text("bod-17-01")
	if err != nil {
		t.Fatal(err)
	}
	attach := func(c *Case, b []byte) string {
		d, err := c.Attach(b)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	add := func(c *Case, act Act, b *Body) *Entry {
		e, err := c.Append(act, b)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	receive := func(c *Case, text []byte, version int) {
		add(c, Receive, &Body{Order: "bod-17-01", Version: version, Text: attach(c, text), Name: "o.yaml", At: "2017-09-19"})
	}
	receive(c, text, 1)
	inv := product.Inventory{Format: product.Format, Target: "/", Observations: []product.Observation{{
		Source: "dpkg", Platform: product.Deb, Class: product.Installed, Evidence: product.Evidence{Record: "Package: kesl"}, Facts: []product.Fact{{Kind: product.Package, Value: "kesl"}},
	}}}
	inv.Coverage.Files = product.Files{Seen: 1, Read: 1, Records: 1}
	b, err := json.Marshal(&inv)
	if err != nil {
		t.Fatal(err)
	}
	add(c, Search, &Body{Endpoint: "desk", Text: attach(c, b)})
	set, err := product.Load(products.Files())
	if err != nil {
		t.Fatal(err)
	}
	finding := c.State(set, orders.Calendar, time.Now()).Findings[0].ID
	contest := add(c, Contest, &Body{Finding: finding, By: "Owner", Reason: "x"})

	stick := filepath.Join(t.TempDir(), "stick")
	if err := os.CopyFS(stick, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	other := openStore(t, filepath.Join(t.TempDir(), "other"), nil)
	away := load(t, stick, Options{Store: other})
	add(away, Decide, &Body{Finding: finding, About: contest.Name, Value: "withdrawn", By: "B"})
	receive(away, []byte(strings.Replace(string(text), "rule: exclude", "rule: include", 1)), 1)
	receive(away, []byte(strings.Replace(string(text), "version: 1", "version: 2", 1)), 2)
	receive(away, text, 1) // an older one again
	add(c, Decide, &Body{Finding: finding, About: contest.Name, Value: "upheld", By: "C"})
	if _, err := c.Merge(load(t, stick, Options{})); err != nil {
		t.Fatal(err)
	}
	add(c, Accept, &Body{Key: string(other.Public()[0].PEM())})
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	s := c.State(set, orders.Calendar, time.Now())
	if len(s.Orders) != 1 || s.Orders[0].Version != 2 || len(s.Problems) != 2 || !strings.Contains(s.Problems[0], "another text of the order") {
		t.Errorf("version %d, %q", s.Orders[0].Version, s.Problems)
	}
	if notes := strings.Join(s.Findings[0].Notes, "; "); !strings.Contains(notes, "decided twice: ") {
		t.Errorf("%q", notes)
	}
}
