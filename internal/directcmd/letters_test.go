package directcmd

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
)

// The vendor contests the order: notice, an extension of a week, a response, a decision
// that moves or suspends duties; each with its dates and what was handed in.
func TestVendorContests(t *testing.T) {
	d := newDesk(t)
	d.now = time.Date(2017, 11, 1, 0, 0, 0, 0, time.UTC)
	d.do("case", "open", "--order", "bod-17-01", "--received", "2017-09-13", "--by", "A. Officer", "--organisation", "Small Agency")
	d.fails("flags --to, --due", "notice", "--order", "bod-17-01", "--by", "DHS")
	d.fails("want a finding, or --order", "notice", "--to", "Vendor", "--due", "2017-11-03", "--by", "DHS")
	out := d.do("notice", "--order", "bod-17-01", "--to", "Vendor", "--due", "2017-11-03", "--grounds", "82 FR 43782", "--by", "DHS", "--attach", d.write("letter.txt", "concerns"))
	n := d.pick(out, `notice ([0-9a-f]{16})`)
	d.now = time.Date(2017, 12, 6, 15, 0, 0, 0, time.UTC)
	late := d.do("respond", n, "--from", "Vendor", "--at", "2017-11-10", "--by", "DHS", "--attach", d.write("response.pdf", "we object"))
	d.has(late, "received 2017-11-10, which is after 2017-11-03")
	d.fails("flag --reason", "extend", n, "--to", "2017-11-10", "--by", "DHS")
	d.do("extend", n, "--to", "2017-11-10", "--reason", "as asked", "--by", "DHS")
	out = d.do("respond", n, "--from", "Vendor", "--at", "2017-11-10", "--receipt", "7", "--by", "DHS", "--reason", "offers source review")
	if strings.Contains(out, "which is after") {
		t.Errorf("after the extension:\n%s", out)
	}
	r := d.pick(out, `response ([0-9a-f]{16})`)
	d.fails("are of a finding", "decide", r, "--withdrawn", "--reason", "x", "--by", "DHS")
	d.fails("say what is moved", "decide", r, "--modify", "--reason", "x", "--by", "DHS")
	d.fails("want one of them", "decide", r, "--maintain", "--modify", "--reason", "x", "--by", "DHS")
	d.do("decide", r, "--modify", "--duty", "begin", "--to", "2018-01-12", "--reason", "new information", "--by", "DHS")
	d.has(d.do("case", "show"), "Fri 12 Jan 2018", "bod-17-01 begin", "was Tue 12 Dec 2017", "Sun 11 Feb 2018")
	d.do("decide", r, "--suspend", "--again", "--reason", "review", "--by", "DHS")
	d.has(d.do("case", "show"), "suspended")
	d.has(d.do("order", "report", "bod-17-01"), "Contests and decisions", "notice", "respond", "extend", "decide: modify", "decide: suspend")
	out = d.do("contest", "--order", "bod-17-01", "--reason", "no evidence was shown", "--by", "Vendor")
	d.has(out, " of bod-17-01\nnext: ")
	d.do("decide", d.pick(out, `contest ([0-9a-f]{16})`), "--maintain", "--reason", "as above", "--by", "DHS")
}

// From an order to a signed report, as a new user would, each command saying what is next.
func TestFiveCommands(t *testing.T) {
	d := newDesk(t)
	next := func(out string) string {
		t.Helper()
		return d.pick(out, `(?m)^next: (?:send it, then )?showcause (\S+ ?\S*)`)
	}
	out := d.do("case", "open", "--order", "bod-17-01", "--received", "2017-09-13", "--by", "A. Officer", "--organisation", "Small Agency")
	d.has(out, "to be answered: federal-executive")
	if n := next(out); n != "identify bod-17-01" {
		t.Errorf("next: %s", n)
	}
	if n := next(d.search("bod-17-01", inventory("desk1"))); n != "case scope" {
		t.Errorf("next: %s", n)
	}
	d.fails("refused: this cannot be said", "attest", "bod-17-01", "--by", "A. Officer")
	if show := d.do("case", "show"); strings.Contains(show, "absent") || !strings.Contains(show, "not found  no product counts here") {
		t.Errorf("an endpoint on which nothing was found:\n%s", show)
	}
	if n := next(d.do("case", "scope", "federal-executive=yes", "national-security-system=no", "dod-ic-system=no", "--by", "A. Officer")); n != "attest bod-17-01" {
		t.Errorf("next: %s", n)
	}
	if n := next(d.do("attest", "bod-17-01", "--by", "A. Officer")); n != "order report" {
		t.Errorf("next: %s", n)
	}
	path := filepath.Join(t.TempDir(), "report.txt")
	if n := next(d.do("order", "report", "bod-17-01", "-o", path)); n != "order submitted" {
		t.Errorf("next: %s", n)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d.has(string(text), "no covered product was found, by the methods and over the coverage below, on 1 endpoints", "readers: dpkg, elf, pe")
	d.has(d.do("order", "submitted", "bod-17-01", "identify", "--at", "2017-10-12", "--receipt", "e-mail", "--by", "A. Officer"), "recorded", "next: plan due Sun 12 Nov 2017")
}

// What a plan says fills the plan: its letters name something else in the other forms.
func TestPlanFillsThePlan(t *testing.T) {
	d := newDesk(t)
	d.do("case", "open", "--order", "bod-17-01", "--order", "far-52-204-23", "--received", "2017-09-13", "--by", "A. Officer", "--organisation", "Small Agency")
	d.search("bod-17-01", inventory("desk1"))
	for _, order := range []string{"bod-17-01", "far-52-204-23"} {
		path := filepath.Join(t.TempDir(), "plan.yaml")
		d.do("plan", order, "-o", path)
		d.has(d.do("plan", order, "--from", path, "--by", "A. Officer"), "next: showcause order report "+order+" --format bod --form plan")
		d.has(d.do("order", "report", order, "--form", "plan"), "of 1 endpoints: ")
	}
	out := d.do("order", "report", "bod-17-01")
	d.has(out, "a. Products found, or that none were found\n   no covered product", "b. Number of endpoints that each product affects\n   of 1 endpoints")
}

// What is said to have happened has; and no field that a person fills in is dropped in silence.
func TestRefusedWords(t *testing.T) {
	d := newDesk(t)
	d.fails("flag --received: Mon 24 Nov 2036 is yet to come", "case", "open", "--order", "bod-17-01", "--received", "2036-11-24", "--by", "A. Officer")
	d.do("case", "open", "--order", "bod-17-01", "--received", "2017-09-13", "--by", "A. Officer")
	d.fails("flag --at: Thu 26 Nov 2026 is yet to come", "order", "submitted", "bod-17-01", "identify", "--at", "2026-11-26", "--receipt", "e-mail", "--by", "A. Officer")
	d.fails(`flag --field: "contact" is no field of "Report of identification", which has: a, b, c`, "order", "report", "bod-17-01", "--field", "contact=A. Officer")
}

// Two hosts, one case: the other's entries count once an officer accepted its key, and
// numbers that went out before are corrected.
func TestMergeHosts(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.do("case", "endpoints", "desk1", "desk2")
	d.search("bod-17-01", inventory("desk1"))
	stick := filepath.Join(t.TempDir(), "stick")
	if err := os.CopyFS(stick, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	d.do("order", "report", "bod-17-01", "--format", "csv", "-o", filepath.Join(t.TempDir(), "r.csv"))
	other := newDesk(t)
	other.dir = stick
	other.search("bod-17-01", inventory("desk2", kesl()))
	out := d.do("case", "merge", stick)
	key := d.pick(out, `not accepted: key ([0-9a-f]{64})`)
	if out, err := d.try("case", "show"); err == nil || !strings.Contains(out, "of 2 endpoints 0 present, 1 not found, 1 unreached") {
		t.Errorf("%v\n%s", err, out)
	}
	d.has(d.do("case", "accept", key[:16], "--by", "A. Officer"), "accepted: key "+key, "said 0 present and 0 findings; it is 1 and 1")
	d.has(d.do("case", "show"), "of 2 endpoints 1 present, 1 not found, 0 unreached")
}

// A search that looked at less verifies nothing.
func TestLessCoverage(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.search("bod-17-01", inventory("desk1", kesl()))
	for _, v := range []struct {
		change func(*product.Coverage)
		why    string
	}{
		{func(c *product.Coverage) { c.Methods = []string{"elf", "pe"} }, "without the method dpkg"},
		{func(c *product.Coverage) { c.Unreached = "no such host" }, "not reached"},
		{func(c *product.Coverage) { c.Files = product.Files{Seen: 10, Read: 10, Records: 10} }, "it saw 10 files where the other saw 100"},
		{func(c *product.Coverage) { c.Excluded = []product.Exclusion{{Path: "/opt", Why: "excluded"}} }, "it left out /opt"},
		{func(c *product.Coverage) { c.Gaps = []product.Gap{gap("unreadable", "/var/lib/dpkg/status")} }, "could not read /var/lib/dpkg/status"},
	} {
		inv := inventory("desk1")
		v.change(&inv.Coverage)
		d.search("bod-17-01", inv)
		d.has(d.do("case", "show"), "1 present", "proves nothing", v.why)
	}
	d.search("bod-17-01", inventory("desk1"))
	d.has(d.do("case", "show"), "0 present, 1 not found", "verified-gone")
}

// A case whose order's text was taken away is told, and breaks nothing.
func TestOrderGone(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.search("bod-17-01", inventory("desk1", kesl()))
	text, err := orders.Text("bod-17-01")
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(text))
	if err := os.Remove(filepath.Join(d.dir, "files", digest[:2], digest)); err != nil {
		t.Fatal(err)
	}
	d.has(d.do("case", "show"), digest)
	d.fails("not in this case", "identify", "bod-17-01", "/")
	d.fails("not in this case", "order", "report", "bod-17-01")
}
