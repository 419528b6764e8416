package product_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
)

// testSet are identities of an invented vendor, and of its neighbour.
func testSet(t testing.TB) *product.Set {
	t.Helper()
	text := `format: showcause-products/1
family: acme
vendor: Acme
version: 2026-11-22
sources: {s: a source}
products:
  - id: acme.agent
    name: Acme Agent
    identities:
`
	for _, row := range []string{
		"package acme-agent exact deb installed primary", "signer Acme exact '' installed primary", "signer OldAcme exact '' installed unconfirmed",
		"team-id ABCDE12345 exact macos installed primary", "bundle-id com.acme.agent exact macos installed primary",
		"company Acme exact windows installed secondary", "company Lead exact windows installed unconfirmed", "path /opt/acme under linux remnant primary",
		"path /ProgramData/Acme under windows remnant primary", "registry HKLM\\SOFTWARE\\Acme under windows remnant primary",
		"title Acme prefix windows installed primary", "process acmed exact linux running primary", "rule acme_engine exact '' installed primary",
		"file acme.dll fold windows embedded primary",
	} {
		f := strings.Fields(row)
		text += "      - {kind: " + f[0] + ", value: '" + f[1] + "', match: " + f[2] + ", platform: " + f[3] + ", proves: " + f[4] + ", confidence: " + f[5] + ", source: s}\n"
	}
	s := &product.Set{}
	if err := s.Add("acme.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

var digests byte

// seen is an observation of facts "kind value", with its own bytes; "kind!" is of a signature that holds and whose signer is
// trusted, "kind~" of one that holds.
func seen(source, platform string, class product.Class, path string, facts ...string) product.Observation {
	digests++
	o := product.Observation{
		Source: source, Platform: platform, Class: class, Place: product.Place{Path: path, App: product.Apps(path)},
		Evidence: product.Evidence{SHA256: showcause.SHA256{digests}, Size: 10},
	}
	for _, f := range facts {
		kind, value, _ := strings.Cut(f, " ")
		kind, trusted := strings.CutSuffix(kind, "!")
		kind, holds := strings.CutSuffix(kind, "~")
		o.Facts = append(o.Facts, product.Fact{Kind: product.Kind(kind), Value: value, Verified: trusted || holds, Trusted: trusted})
	}
	return o
}

func TestMatch(t *testing.T) {
	const in, back, gone = product.Installed, product.Backup, product.Remnant
	type list = []product.Observation
	for name, c := range map[string]struct {
		list list
		want string // "class" or "class?" where it is not closed, with " " between
	}{
		"a record":                {list{seen("dpkg", "deb", in, "/var/lib/dpkg/status", "package acme-agent")}, "installed"},
		"a record of removal":     {list{seen("dpkg", "deb", gone, "/var/lib/dpkg/status", "package acme-agent")}, "remnant?"},
		"a record in a backup":    {list{seen("dpkg", "deb", back, "/b.tar", "package acme-agent")}, "backup"},
		"another platform":        {list{seen("rpm", "rpm", in, "/x", "package acme-agent")}, ""},
		"a verified signer":       {list{seen("pe", "windows", in, "/a.exe", "signer! Acme")}, "installed"},
		"a signer by nobody":      {list{seen("pe", "windows", in, "/a.exe", "signer~ Acme", "company Acme")}, "remnant?"},
		"by nobody, and a key":    {list{seen("pe", "windows", in, "/a.exe", "signer~ Acme"), seen("registry", "windows", in, "/S", "title Acme Suite")}, "installed"},
		"two by nobody":           {list{seen("pe", "windows", in, "/a.exe", "signer~ Acme"), seen("pe", "windows", in, "/b.exe", "company Acme")}, "remnant?"},
		"bundle and self-made":    {list{seen("bundle", "macos", in, "/Applications/A.app/Contents/Info.plist", "bundle-id com.acme.agent"), seen("macho", "macos", in, "/Applications/A.app/Contents/MacOS/A", "team-id~ ABCDE12345")}, "remnant?"},
		"a claimed signer":        {list{seen("pe", "windows", in, "/a.exe", "signer Acme")}, "remnant?"},
		"an unconfirmed signer":   {list{seen("pe", "windows", in, "/a.exe", "signer! OldAcme")}, "remnant?"},
		"a mention with signer":   {list{seen("text", "", product.Mention, "/a.txt", "rule acme_engine")}, "mention?"},
		"a rule in a program":     {list{seen("elf", "linux", in, "/x", "rule acme_engine")}, "installed"},
		"folders and keys":        {list{seen("folder", "windows", in, "/ProgramData/Acme", "path /ProgramData/Acme"), seen("registry", "windows", in, "/S", `registry HKLM\SOFTWARE\Acme`)}, "remnant?"},
		"an uninstall key":        {list{seen("folder", "windows", in, "/ProgramData/Acme", "path /ProgramData/Acme"), seen("registry", "windows", in, "/S", "title Acme Suite")}, "remnant?"},
		"a name and a program":    {list{seen("registry", "windows", in, "/S", "title Acme Suite"), seen("pe", "windows", in, "/x.exe", "company Acme")}, "installed"},
		"a program alone":         {list{seen("pe", "windows", in, "/x.exe", "company Acme", "title Acme X")}, "remnant?"},
		"two programs":            {list{seen("pe", "windows", in, "/x.exe", "company Acme"), seen("pe", "windows", in, "/y.exe", "company Acme")}, "remnant?"},
		"a lead and a key":        {list{seen("registry", "windows", in, "/S", "title Acme"), seen("pe", "windows", in, "/x.exe", "company Lead")}, "remnant?!"},
		"bundle alone":            {list{seen("bundle", "macos", in, "/Applications/A.app/Contents/Info.plist", "bundle-id com.acme.agent")}, "remnant?"},
		"bundle and team":         {list{seen("bundle", "macos", in, "/Applications/A.app/Contents/Info.plist", "bundle-id com.acme.agent"), seen("macho", "macos", in, "/Applications/A.app/Contents/MacOS/A", "team-id! ABCDE12345")}, "installed"},
		"bundle and claimed team": {list{seen("bundle", "macos", in, "/Applications/A.app/Contents/Info.plist", "bundle-id com.acme.agent"), seen("macho", "macos", in, "/Applications/A.app/Contents/MacOS/A", "team-id ABCDE12345")}, "remnant?"},
		"bundle and other team":   {list{seen("bundle", "macos", in, "/Applications/A.app/Contents/Info.plist", "bundle-id com.acme.agent"), seen("macho", "macos", in, "/Applications/A.app/Contents/MacOS/A", "team-id! OTHER")}, "remnant?"},
		"in another's folder":     {list{seen("pe", "windows", in, "/Program Files/Other/Suite/a.exe", "signer! Other Inc"), seen("pe", "windows", in, "/Program Files/Other/Suite/lib/e.dll", "signer! Acme")}, "embedded"},
		"in its own folder":       {list{seen("pe", "windows", in, "/ProgramData/Acme/Suite/a.exe", "signer! Other Inc"), seen("pe", "windows", in, "/ProgramData/Acme/Suite/e.dll", "signer! Acme")}, "installed"},
		"a process and a folder":  {list{seen("process", "linux", product.Running, "/opt/acme/x", "process acmed"), seen("folder", "linux", in, "/opt/acme", "path /opt/acme")}, "running"},
		"a component by name":     {list{seen("pe", "windows", in, "/Program Files/Other/acme.dll", "file acme.dll")}, "remnant?"},
	} {
		inv := &product.Inventory{Observations: c.list}
		var got []string
		for _, p := range product.Match(inv, testSet(t)) {
			s := string(p.Class)
			if !p.Present {
				s += "?"
			}
			if p.Unconfirmed {
				s += "!"
			}
			got = append(got, s)
			if strings.Contains(name, "by nobody") && len(p.Hits) == 2 && !p.Present && !strings.Contains(p.Why, "leads to no root that is trusted") {
				t.Errorf("%s: %s", name, p.Why)
			}
			if p.Why == "" || len(p.Hits) == 0 {
				t.Errorf("%s: %+v says nothing of why", name, p)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// TestRootsStayApart holds that half of a proof in one backup and half in another is none.
func TestRootsStayApart(t *testing.T) {
	a, b := seen("registry", "windows", product.Backup, "/S", "title Acme"), seen("pe", "windows", product.Backup, "/x.exe", "company Acme")
	a.Place.Root, b.Place.Root = "one.tar", "two.tar"
	for _, p := range product.Match(&product.Inventory{Observations: []product.Observation{a, b}}, testSet(t)) {
		if p.Present {
			t.Errorf("%+v", p)
		}
	}
	b.Place.Root = a.Place.Root
	if p := product.Match(&product.Inventory{Observations: []product.Observation{a, b}}, testSet(t)); len(p) != 1 || !p[0].Present {
		t.Errorf("%+v", p)
	}
}

func TestJudgeBalances(t *testing.T) {
	all := func(string) bool { return true }
	found := &product.Inventory{Observations: []product.Observation{seen("dpkg", "deb", product.Installed, "/s", "package acme-agent")}}
	gap := &product.Inventory{Coverage: product.Coverage{Gaps: []product.Gap{{Code: showcause.Unreadable}}}}
	note := &product.Inventory{Coverage: product.Coverage{Gaps: []product.Gap{{Code: showcause.Ambiguous + ".zip"}}}}
	off := &product.Inventory{Coverage: product.Coverage{Unreached: "no such host"}}
	both := &product.Inventory{Observations: found.Observations, Coverage: gap.Coverage}
	old := &product.Inventory{Observations: []product.Observation{seen("dpkg", "deb", product.Backup, "/s", "package acme-agent")}}
	var totals product.Totals
	for i, c := range []struct {
		inv  *product.Inventory
		want product.Outcome
	}{{found, product.Present}, {gap, product.Unreached}, {note, product.NotFound}, {off, product.Unreached}, {both, product.Present}, {old, product.NotFound}} {
		got := product.Judge(c.inv, product.Match(c.inv, testSet(t)), all, nil)
		if got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
		totals.Count(got)
	}
	totals.Count(product.Excluded)
	if want := (product.Totals{Inventory: 7, Present: 2, Absent: 2, Unreached: 2, Excluded: 1}); totals != want {
		t.Errorf("%+v", totals)
	}
}

func TestPlaceRoundTrip(t *testing.T) {
	p := product.Place{Path: "/a", Trail: showcause.Trail{{Index: 1, Op: "zip.deflate", Name: "a\x00\"b"}}, Root: "r"}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q product.Place
	if err := json.Unmarshal(b, &q); err != nil || !reflect.DeepEqual(p, q) {
		t.Errorf("%+v, %v", q, err)
	}
	if s := p.String(); strings.ContainsAny(s, "\x00\n") {
		t.Errorf("%q", s)
	}
}
