package directcmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
)

// One embedded component, three orders, three verdicts with their reasons.
func TestEmbedded(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01", "far-52-204-23", "commerce-icts-2024")
	out := d.search("bod-17-01", inventory("desk1", engine(9)...))
	d.has(out, "embedded", "bod-17-01: not-covered: embedded code is excluded", "far-52-204-23: covered", "embedded code is included", "commerce-icts-2024: covered", "embedded code is included")
	out = d.do("case", "show")
	d.has(out, "bod-17-01 (version 1", "0 present", "far-52-204-23 (version 1", "1 present", "commerce-icts-2024 (version 1", "1 present")
}

// A text that names the product counts nowhere.
func TestMention(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	script := observation("text", "", product.Mention, "/home/anna/remove-av.sh", 3, product.Fact{Kind: product.Driver, Value: "klif.sys"}, product.Fact{Kind: product.Signer, Value: "AO Kaspersky Lab", Verified: true, Trusted: true})
	out := d.search("bod-17-01", inventory("desk1", script))
	d.has(out, "mention of", "counts nowhere")
	d.has(d.do("case", "show"), "of 1 endpoints 0 present, 1 not found", "(mention)", "counts nowhere")
	d.has(d.do("attest", "bod-17-01", "--by", "A. Officer"), "Not found", "not a statement that nothing is there", "attestation")
}

// A false positive that is withdrawn is withdrawn on every host with the same bytes, and
// the numbers of reports that went out are corrected.
func TestFalsePositive(t *testing.T) {
	d := newDesk(t)
	d.open("far-52-204-23")
	out := d.search("far-52-204-23", inventory("desk1", engine(9)...), inventory("desk2", engine(9)...), inventory("desk3", engine(50)...))
	id := d.pick(out, findingID)
	out = d.do("order", "report", "far-52-204-23", "--format", "csv", "-o", d.t.TempDir()+"/r.csv")
	d.has(out, "signed by record")
	out = d.do("contest", id, "--reason", "a list of names, no engine", "--by", "Owner of desk1")
	contest := d.pick(out, `contest ([0-9a-f]{64})`)
	d.has(d.do("case", "show"), "contested")
	out = d.do("decide", contest[:16], "--withdrawn", "--reason", "the rule was wrong", "--by", "B. Reviewer")
	d.has(out, "withdrawn with it, being of the same bytes", "desk2", "said 3 present and 3 findings; it is 1 and 1")
	d.fails("decided already", "decide", contest[:16], "--upheld", "--reason", "x", "--by", "B")
	d.search("far-52-204-23", inventory("desk1", engine(9)...))
	d.has(d.do("case", "show"), "1 present")
	d.has(d.search("far-52-204-23", inventory("desk1", engine(60)...)), "was withdrawn; this rests on something else")
	d.has(d.do("decide", contest[:16], "--upheld", "--again", "--reason", "it was right", "--by", "C. Reviewer"), "upheld")
	d.has(d.do("case", "show"), "of 3 endpoints 3 present")
	d.has(d.do("order", "report", "far-52-204-23", "--format", "far"), "Corrections of earlier reports", "said 3 present")
	if out := d.do("order", "report", "far-52-204-23", "--format", "html"); !strings.Contains(out, "Corrections of earlier reports") {
		t.Error("the page does not retract")
	}
}

// An exception needs authority, control and an end; the finding stays visible, and opens
// again when the time is over.
func TestException(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	id := d.pick(d.search("bod-17-01", inventory("desk1", kesl())), findingID)
	args := []string{"waive", id, "--by", "A. Officer", "--code", "security-research", "--reason", "laboratory", "--control", "no network"}
	d.fails("flag --authority", append(args, "--expires", "2026-12-31")...)
	args = append(args, "--authority", "head of the agency")
	d.fails("flag --expires", args...)
	d.fails("is over", append(args, "--expires", "2026-11-01")...)
	d.fails("want YYYY-MM-DD", append(args, "--expires", "never")...)
	d.fails("more than 366 days", append(args, "--expires", "9999-12-31")...)
	d.do(append(args, "--expires", "2026-12-31")...)
	d.has(d.do("case", "show"), "1 present", "waived")
	d.has(d.do("order", "report", "bod-17-01", "--format", "oscal-poam"), "deviation-approved")
	d.now = time.Date(2027, 1, 3, 12, 0, 0, 0, time.UTC)
	d.has(d.do("case", "show"), "LATE by 2 days", "waiver of "+id, "candidate", "the waiver ended on 2026-12-31")
}

// Who was not reached is neither: it is in every total, and blocks the nil report.
func TestOffline(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.do("case", "endpoints", "desk1", "desk2", "desk3")
	d.search("bod-17-01", inventory("desk1"))
	d.has(d.do("case", "show"), "of 3 endpoints 0 present, 1 not found, 2 unreached", "desk2", "never searched")
	out, err := d.try("attest", "bod-17-01", "--by", "A. Officer")
	if err == nil {
		t.Fatal("nil was attested over two hosts that nobody searched")
	}
	d.has(out, "refused", "desk2: never searched", "desk3: never searched")
	d.has(d.do("order", "report", "bod-17-01", "--format", "bod"), "no covered product was found on 1 of 3 endpoints; 2 were not reached")
	d.search("bod-17-01", inventory("desk2", kesl()), inventory("desk3"))
	d.has(d.do("case", "show"), "of 3 endpoints 1 present, 2 not found, 0 unreached")
}

// Found again after it was verified gone: another finding, another clock; presence that
// goes on starts none.
func TestReinstall(t *testing.T) {
	d := newDesk(t)
	d.open("far-52-204-23")
	one := d.pick(d.search("far-52-204-23", inventory("desk1", kesl())), findingID)
	d.has(d.do("case", "confirm", one, "--by", "A. Officer", "--at", "2026-11-24"), "Mon 30 Nov 2026")
	d.search("far-52-204-23", inventory("desk1", kesl()))
	d.fails("continuous presence starts no clock anew", "case", "confirm", one, "--by", "A. Officer")
	d.search("far-52-204-23", inventory("desk1"))
	d.has(d.do("case", "show"), "verified-gone", "gone without a removal")
	out := d.search("far-52-204-23", inventory("desk1", kesl()))
	two := d.pick(out, findingID)
	d.has(out, "found again after "+one)
	if two == one {
		t.Fatal("the same finding")
	}
	d.now = time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	d.has(d.do("case", "confirm", two, "--by", "A. Officer", "--at", "2026-12-01"), "Fri 4 Dec 2026")
}

// The vendor's own replacement removes nothing that a search has not verified.
func TestVendorReplacement(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	id := d.pick(d.search("bod-17-01", inventory("desk1", kesl())), findingID)
	out := d.do("remove", id, "--by-hand", "the vendor's update replaces it by UltraAV", "--by", "A. Officer")
	p := d.pick(out, `proposal ([0-9a-f]{16})`)
	d.do("remove", id, "--approve", p, "--by", "B. Reviewer")
	d.do("remove", id, "--run", p, "--by", "A. Officer")
	d.has(d.do("case", "show"), "1 present", "removed-unverified")
	d.search("bod-17-01", inventory("desk1", kesl()))
	d.has(d.do("case", "show"), "1 present", "still there after the removal")
	other := observation("pe", product.Windows, product.Installed, "/Program Files/UltraAV/u.exe", 77, product.Fact{Kind: product.Signer, Value: "UltraAV", Verified: true, Trusted: true})
	d.search("bod-17-01", inventory("desk1", other))
	d.has(d.do("case", "show"), "0 present", "verified-gone")
}

// A backup is listed and is no endpoint.
func TestBackup(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	b := kesl()
	b.Class, b.Place.Root, b.Place.Path = product.Backup, "/srv/backup.tar", "/srv/backup.tar"
	out := d.search("bod-17-01", inventory("nas", b))
	d.has(out, "backup", "not-covered: a copy in a backup is listed")
	d.has(d.do("case", "show"), "0 present, 1 not found", "backup")
}

// What could not be read blocks the nil report, and is named.
func TestUnreadable(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	inv := inventory("desk1")
	inv.Coverage.Files = product.Files{Seen: 100, Read: 40, Judged: 59, Unread: 1}
	inv.Coverage.Gaps = []product.Gap{gap("encrypted", "/home/anna/vault.img")}
	d.search("bod-17-01", inv)
	out, err := d.try("attest", "bod-17-01", "--by", "A. Officer")
	if err == nil {
		t.Fatal("nil was attested over an encrypted volume")
	}
	d.has(out, "/home/anna/vault.img", "encrypted", "leave it out by name, which every report then lists", "a report says all of this as it is")
	d.has(d.do("order", "report", "bod-17-01", "--format", "html"), "/home/anna/vault.img")
	inv = inventory("desk1", kesl())
	inv.Coverage.Gaps = []product.Gap{gap("encrypted", "/home/anna/vault.img")}
	d.search("bod-17-01", inv)
	d.has(d.do("order", "report", "bod-17-01", "--format", "bod"), "1 present", "desk1, /: not read whole, beside what was found: 1 gaps")
}

// An order that is amended is applied to what was found, without a search.
func TestAmended(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.search("bod-17-01", inventory("desk1", engine(9)...))
	d.has(d.do("case", "show"), "0 present")
	text, err := orders.Text("bod-17-01")
	if err != nil {
		t.Fatal(err)
	}
	amended := strings.Replace(strings.Replace(string(text), "version: 1", "version: 2", 1), "rule: exclude", "rule: include", 1)
	d.now = time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	d.fails("an amended one has a higher version", "case", "receive", d.write("same.yaml", string(text)), "--received", "2026-12-01", "--by", "A. Officer")
	out := d.do("case", "receive", d.write("amended.yaml", amended), "--received", "2026-12-01", "--by", "A. Officer")
	d.has(out, "covered: a product of the vendor", "embedded code is included", "(was not-covered: embedded code is excluded")
	d.has(d.do("case", "show"), "version 2", "1 present")
	d.has(d.do("case", "receive", "far-52-204-23", "--received", "2026-12-01", "--by", "A. Officer"), "far-52-204-23", "undetermined")
}

// Two orders, one finding: two verdicts, two clocks, the earlier first.
func TestTwoOrders(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01", "far-52-204-23")
	out := d.search("bod-17-01", inventory("desk1", kesl()))
	id := d.pick(out, findingID)
	d.has(out, "bod-17-01: covered", "far-52-204-23: covered")
	if strings.Count(out, "  finding ") != 1 {
		t.Errorf("one finding:\n%s", out)
	}
	d.do("case", "confirm", id, "--by", "A. Officer", "--at", "2026-11-24")
	d.has(d.do("case", "show"), "Fri 13 Oct 2017", "LATE", "bod-17-01 identify", "Mon 30 Nov 2026", "far-52-204-23 initial of "+id)
}

// A search alone identifies nothing; the tool asks, and records who and when.
func TestCandidate(t *testing.T) {
	d := newDesk(t)
	d.open("far-52-204-23")
	out := d.search("far-52-204-23", inventory("desk1", kesl()))
	id := d.pick(out, findingID)
	d.has(out, "confirm it as an identification?")
	d.has(d.do("case", "show"), "waits: the identification is not known")
	d.fails("flag --by", "case", "confirm", id)
	d.do("case", "confirm", id, "--by", "A. Officer", "--at", "2026-11-24T15:00:00-05:00")
	d.has(d.do("case", "show"), "Mon 30 Nov 2026", "6 days left")
	d.now = time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC)
	d.do("order", "submitted", "far-52-204-23", "initial", "--finding", id, "--at", "2026-11-30", "--receipt", "e-mail 17", "--by", "A. Officer")
	d.has(d.do("case", "show"), "submitted 2026-11-30", "Mon 14 Dec 2026", "follow-up")
}

// Days are those of the order's zone and calendar, whatever this machine's clock says.
func TestZones(t *testing.T) {
	d := newDesk(t)
	d.open("far-52-204-23")
	id := d.pick(d.search("far-52-204-23", inventory("desk1", kesl())), findingID)
	// 03:00 UTC of the 25th is the evening of the 24th in New York; the 26th is Thanksgiving.
	d.has(d.do("case", "confirm", id, "--by", "A. Officer", "--at", "2026-11-25T03:00:00Z"), "Mon 30 Nov 2026")
	d.do("extend", "far-52-204-23/initial", "--to", "2026-12-02", "--reason", "the agency was closed by order", "--by", "Contracting officer")
	d.has(d.do("case", "show"), "Wed 2 Dec 2026", "was Mon 30 Nov 2026")
}

// An uninstaller that wants a password is a matter for a person.
func TestCredential(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	id := d.pick(d.search("bod-17-01", inventory("desk1", kesl())), findingID)
	out := d.do("remove", id, "--by-hand", "uninstall with the administrator's password", "--needs", "credential: password of the vendor's policy", "--by", "A. Officer")
	d.has(out, "needs: credential")
	d.fails("nobody approved it", "remove", id, "--run", d.pick(out, `proposal ([0-9a-f]{16})`), "--by", "A. Officer")
	d.fails("somebody else must approve it", "remove", id, "--approve", d.pick(out, `proposal ([0-9a-f]{16})`), "--by", "a.  officer")
	d.fails("neither this host's live system nor a root", "remove", id, "--by", "A. Officer")
}

// Who asked does not approve, however the name is written.
func TestSamePerson(t *testing.T) {
	for _, v := range []struct {
		a, b string
		same bool
	}{
		{"A. Officer", "A. Officer", true},
		{"A. Officer", "a  officer", true},
		{"A. Officer", "Officer, A.", true},
		{"A. Officer", "Anna Officer", true},
		{"A. Officer", "A. Officer, CISO", true},
		{"A. Officer", "Officer", true},
		{"A. Officer", "А. Оffiсеr", true},
		{"José Núñez", "Jose\u0301 Nunez", true},
		{"A.\u200b Officer", "A Officer", true},
		{"A. Officer", "A. 0fficer", true},
		{"A. Officer", "Ａ. Ｏｆｆｉｃｅｒ", true},
		{"", "A. Officer", true},
		{"...", "A. Officer", true},
		{"A. Officer", "B. Reviewer", false},
		{"A. Officer", "B. Officer", false},
		{"A. Officer, CISO", "B. Reviewer, CISO", false},
		{"A. Officer", "A. Reviewer", false},
		{"Анна Петрова", "Иван Сидоров", false},
		{"李 明", "王 芳", false},
	} {
		if got := samePerson(v.a, v.b); got != v.same {
			t.Errorf("%q and %q: %t", v.a, v.b, got)
		}
		if got := samePerson(v.b, v.a); got != v.same {
			t.Errorf("%q and %q: %t", v.b, v.a, got)
		}
	}
}

// A target that is not there is a slip, and no endpoint; where it is known or named as one, it was not reached.
func TestMistyped(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.searching()
	gone := filepath.Join(t.TempDir(), "gone")
	d.fails("nothing was noted", "identify", "bod-17-01", gone)
	if s := d.do("case", "show"); strings.Contains(s, gone) {
		t.Error(s)
	}
	d.do("identify", "bod-17-01", gone, "--endpoint", "far")
	d.do("case", "endpoints", gone)
	d.do("identify", "bod-17-01", gone)
	if s := d.do("case", "show"); !strings.Contains(s, gone) || !strings.Contains(s, "far") || !strings.Contains(s, "2 unreached") {
		t.Error(s)
	}
}

// What a case rests on and is not there any more leaves no nil report behind.
func TestEvidenceGone(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	d.search("bod-17-01", inventory("desk1"))
	d.search("bod-17-01", inventory("desk1", kesl()))
	found := ""
	_ = filepath.WalkDir(d.dir+"/files", func(path string, e os.DirEntry, err error) error {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), `"kesl"`) && strings.Contains(string(b), `"observations"`) {
			found = path
		}
		return err
	})
	if err := os.Remove(found); err != nil {
		t.Fatal(err)
	}
	out, err := d.try("attest", "bod-17-01", "--by", "A. Officer")
	if err == nil {
		t.Fatalf("nil was attested, the search that found it being taken away:\n%s", out)
	}
	d.has(out, "the case is not whole")
	d.has(d.do("order", "report", "bod-17-01", "--format", "bod"), "Entries of the case that do not count")
}

// A notification by others moves the clock to the earlier of the two, and duties that count from one begin with it.
func TestNotification(t *testing.T) {
	d := newDesk(t)
	d.open("far-52-204-23", d.write("told.yaml", strings.NewReplacer("id: no-hello", "id: told", "[gnutest]", "[kaspersky]", "anchor: order.received, offset: 30", "anchor: notification, offset: 2").Replace(helloOrder)))
	id := d.pick(d.search("far-52-204-23", inventory("desk1", kesl())), findingID)
	d.do("case", "confirm", id, "--by", "A. Officer", "--at", "2026-11-24")
	out := d.do("case", "show")
	d.has(out, "Mon 30 Nov 2026", "far-52-204-23 initial of "+id)
	d.has(out, "waits: the notification", "told final of "+id)
	d.fails("when was it told", "case", "confirm", id, "--by", "A. Officer", "--notified-by", "a subcontractor")
	d.do("case", "confirm", id, "--by", "A. Officer", "--notified-by", "a subcontractor", "--at", "2026-11-20", "--reason", "letter")
	out = d.do("case", "show")
	d.has(out, "Sun 22 Nov 2026", "told final of "+id)
	d.has(out, "Wed 25 Nov 2026", "far-52-204-23 initial of "+id)
	d.has(out, "notified by a subcontractor on 2026-11-20")
	d.do("case", "confirm", id, "--by", "A. Officer", "--notified-by", "another", "--at", "2026-11-23") // later: nothing moves
	d.has(d.do("case", "show"), "Wed 25 Nov 2026", "far-52-204-23 initial of "+id)
}

// What was left out is in the attestation and in every report; a folder without a file is no search.
func TestLeftOut(t *testing.T) {
	d := newDesk(t)
	d.open("bod-17-01")
	empty := inventory("desk1")
	empty.Coverage.Files = product.Files{}
	d.search("bod-17-01", empty)
	out, err := d.try("attest", "bod-17-01", "--by", "A. Officer")
	if err == nil {
		t.Fatal("nil was attested over nothing")
	}
	d.has(out, "desk1: no file was seen in /")
	inv := inventory("desk1")
	inv.Coverage.Excluded = []product.Exclusion{{Path: "/opt/kaspersky", Why: "excluded"}, {Path: "/proc", Why: "kernel file system"}}
	d.search("bod-17-01", inv)
	d.has(d.do("attest", "bod-17-01", "--by", "A. Officer"), "Coverage:", "left out on desk1 (/): excluded: /opt/kaspersky", "40 read", "60 judged by path and first bytes alone", "left out, so that nothing is said of it: excluded: /opt/kaspersky")
	for _, format := range []string{"bod", "html", "oscal-ar"} {
		d.has(d.do("order", "report", "bod-17-01", "--format", format), "/opt/kaspersky")
	}
}
