package servecmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve/queue"
)

// resolved are the settings of flags and a clamd.conf.
func resolved(t *testing.T, conf string, args ...string) (*settings, error) {
	t.Helper()
	if conf != "" {
		path := filepath.Join(t.TempDir(), "clamd.conf")
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	var s settings
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s.flags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return &s, s.resolve(f)
}

// A flag goes before clamd.conf, and that before the default; each says where it is from.
func TestPrecedence(t *testing.T) {
	conf := strings.Join([]string{
		"# a comment", "LocalSocket /run/a", "LocalSocketMode 660", "TCPSocket 3310", "TCPAddr 127.0.0.1", "MaxQueue 7", "MaxFileSize 25M", "StreamMaxLength 5M",
		"User clamav", "AlertEncrypted yes", "MaxScanTime 3000", "LogFile /var/log/x", "SelfCheck 60", "ScanPDF no", "DatabaseDirectory /srv/rules", "",
	}, "\n")
	s, err := resolved(t, conf)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.listen) != 2 || s.listen[0].Address != "/run/a" || s.listen[0].Mode != 0o660 || s.listen[1].Address != "127.0.0.1:3310" {
		t.Errorf("doors: %+v", s.listen)
	}
	if s.queue != 7 || s.limits.FileSize != 25<<20 || s.clamd.StreamMaxLength != 5<<20 || s.user != "clamav" || !s.policy.AlertEncrypted || s.policy.AlertExceedsMax ||
		s.scanTime != 3*time.Second || s.log.File != "/var/log/x" || s.selfCheck != time.Minute || len(s.db) != 1 || s.db[0] != "/srv/rules" {
		t.Errorf("%+v", s)
	}
	if len(s.notes) != 1 || !strings.Contains(s.notes[0], ":14: ScanPDF: ") {
		t.Errorf("notes: %q", s.notes)
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"clamd.conf:7\n", "clamd.conf:2\n", "max-scansize       0                                        # default\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	s, err = resolved(t, conf, "--socket", "/run/b", "--max-queue", "9", "--max-filesize", "0", "--db", "/x", "--incomplete", "found", "--accept", "encrypted", "--self-check", "0s")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.listen) != 2 || s.listen[0].Address != "/run/b" || s.listen[1].Address != "127.0.0.1:3310" || s.queue != 9 || s.limits.FileSize != 0 || s.db[0] != "/x" || s.selfCheck != 0 ||
		s.policy.Incomplete != queue.IncompleteFound || s.policy.Accept[0] != "encrypted" {
		t.Errorf("%+v", s)
	}
	if w := policyWords(&s.policy); w["incomplete"] != "found" || w["accept"] != "encrypted" {
		t.Errorf("the policy of records: %v", w)
	}
	s, err = resolved(t, conf, "--tcp", "127.0.0.1:3311") // and the socket stays
	if err != nil || len(s.listen) != 2 || s.listen[0].Address != "/run/a" || s.listen[1].Address != "127.0.0.1:3311" {
		t.Errorf("%+v %v", s.listen, err)
	}
	if s.control == "" {
		t.Error("no control socket")
	}
	if s, err = resolved(t, conf, "--control", "off"); err != nil || s.control != "" {
		t.Errorf("control %q %v", s.control, err)
	}
	out.Reset()
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	s.given.VisitAll(func(f *pflag.Flag) { // each setting is shown
		if f.Name != "config" && !strings.Contains("\n"+out.String(), "\n"+f.Name+" ") {
			t.Errorf("--%s is not in\n%s", f.Name, &out)
		}
	})
}

// Limits of ClamAV that nobody set do not count: what is over one is no OK here.
func TestDefaults(t *testing.T) {
	s, err := resolved(t, "LocalSocket /run/a\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.limits.FileSize != 0 || s.limits.ScanSize != 0 || s.limits.Objects != 0 || s.limits.Depth != 0 || s.clamd.StreamMaxLength != 100<<20 || s.queue != 1000 || s.policy.Incomplete != queue.IncompleteError {
		t.Errorf("%+v", s)
	}
	if s, err = resolved(t, ""); err != nil || len(s.listen) != 0 || len(s.db) != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		conf string
		args []string
		want string
	}{
		"unknown option": {"LocalSocket /run/a\nNonsense yes\n", nil, "clamd.conf:2: "},
		"no file":        {"", []string{"--config", "/nowhere/clamd.conf"}, "no such file"},
		"mode":           {"", []string{"--socket-mode", "999"}, "not octal"},
		"incomplete":     {"", []string{"--incomplete", "maybe"}, "error, found, ok"},
		"accept":         {"", []string{"--accept", "everything"}, "is no reason"},
		"size":           {"", []string{"--cache", "much"}, "flag --cache"},
		"tcp":            {"", []string{"--tcp", "3310"}, "flag --tcp"},
		"queue":          {"", []string{"--max-queue", "0"}, "at least 1"},
		"memory":         {"", []string{"--max-memory", "1M"}, "at least 64M"},
		"bad number":     {"", []string{"--max-files", "many"}, "--max-files"},
	} {
		if _, err := resolved(t, c.conf, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRulesVersion(t *testing.T) {
	m := ruledb.Meta{Sources: []ruledb.Source{{File: "main.cvd", Version: "62, 16 Sep 2021 08-32 -0400"}, {File: "daily.cld", Version: "27700, 16 Jul 2026 08-32 +0000"}}}
	if got := versionOf(m); got != "27700/"+time.Date(2026, 7, 16, 8, 32, 0, 0, time.UTC).Local().Format("Mon Jan _2 15:04:05 2006") {
		t.Errorf("%q", got)
	}
	if got := versionOf(ruledb.Meta{Sources: m.Sources[:1]}); got != "" {
		t.Errorf("%q", got)
	}
}

// Which signatures of possibly unwanted applications count is said, and where they cannot.
func TestUnwanted(t *testing.T) {
	if _, err := resolved(t, "DetectPUA yes\nIncludePUA A\nExcludePUA B\n"); err == nil || !strings.Contains(err.Error(), "IncludePUA") {
		t.Errorf("both: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.ndb", []byte("Plain:0:*:63636363\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{dir + "/a.ndb"}, rules.Options{})
	if err == nil {
		err = os.WriteFile(dir+"/compiled", data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{"": {"--db", dir}, "compiled is compiled already": {"--db", dir + "/compiled"}} {
		s, err := resolved(t, "DetectPUA yes\nIncludePUA A\nIncludePUA B\n", args...)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := s.print(&b); err != nil || !strings.Contains(b.String(), "pua-only           A,B ") || strings.Contains(b.String(), "without effect") != (want != "") || !strings.Contains(b.String(), want) {
			t.Errorf("%q: %v\n%s", args, err, &b)
		}
	}
}
