package updatecmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/update"
)

func TestReadConf(t *testing.T) {
	c, err := readConf(strings.NewReader(`# Debian's
DatabaseDirectory /var/lib/clamav
DatabaseMirror database.clamav.net
databasemirror http://two.example/clam/
DNSDatabaseInfo current.cvd.clamav.net
ScriptedUpdates no
MaxAttempts 5
Bytecode no
ExtraDatabase safebrowsing
DatabaseCustomURL https://example.org/mine.ndb
HTTPProxyServer proxy.example
HTTPProxyPort 3128
TestDatabases yes
LogTime yes
OnUpdateExecute "run me"
HTTPUserAgent x
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.dir != "/var/lib/clamav" || c.tries != 5 || c.proxy != "http://proxy.example:3128" || c.noTry || len(c.notes) != 3 {
		t.Errorf("%+v", c)
	}
	all, err := update.Sources()
	if err != nil {
		t.Fatal(err)
	}
	if all, err = c.apply(all); err != nil {
		t.Fatal(err)
	}
	s, last := all[0], all[len(all)-1]
	if !slices.Equal(s.Mirrors, []string{"https://database.clamav.net", "http://two.example/clam"}) || !s.Whole || s.DNS != "current.cvd.clamav.net" ||
		!slices.Equal(s.Databases, []string{"main", "daily", "safebrowsing"}) || last.Name != "custom" || !last.Default || last.URLs[0] != "https://example.org/mine.ndb" {
		t.Errorf("%+v %+v", s, last)
	}
	// A private mirror takes the place of the others, and no name server is asked.
	c, err = readConf(strings.NewReader("DatabaseMirror a.example\nPrivateMirror b.example\nDatabaseMirror c.example\nPrivateMirror http://d.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	all, _ = update.Sources()
	if all, err = c.apply(all); err != nil || all[0].DNS != "" || !slices.Equal(all[0].Mirrors, []string{"https://b.example", "http://d.example"}) {
		t.Errorf("%+v %v", all[0], err)
	}
	for text, want := range map[string]string{
		"Example\n": "line 1: take the word Example away", "\nNoSuch x\n": "line 2: no option", "Checks\n": "without a value", "ScriptedUpdates perhaps\n": "neither yes nor no",
		"MaxAttempts x\n": "MaxAttempts", "PrivateMirror ftp://x\n": "is no mirror",
	} {
		if _, err := readConf(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReadConf(f *testing.F) {
	f.Add("DatabaseMirror a.example\nPrivateMirror b.example\nBytecode no\nDatabaseCustomURL https://x/a.ndb\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readConf(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range c.mirrors {
			if !strings.HasPrefix(m, "http") {
				t.Errorf("mirror %q", m)
			}
		}
	})
}
