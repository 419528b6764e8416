package servecmd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/clamdconf"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// observable has, for each option of clamd.conf that is said to be honoured, lines that make
// the service other than it is without the last of them.
var observable = map[string][]string{
	"AlertExceedsMax":         {"AlertExceedsMax yes"},
	"AlertEncrypted":          {"AlertEncrypted yes"},
	"AlertEncryptedArchive":   {"AlertEncryptedArchive yes"},
	"AlertEncryptedDoc":       {"AlertEncryptedDoc yes"},
	"AllowAllMatchScan":       {"AllowAllMatchScan no"},
	"ArchiveBlockEncrypted":   {"ArchiveBlockEncrypted yes"},
	"BlockMax":                {"BlockMax yes"},
	"CacheSize":               {"CacheSize 1000"},
	"CommandReadTimeout":      {"CommandReadTimeout 7"},
	"CrossFilesystems":        {"CrossFilesystems no"},
	"DatabaseDirectory":       {"DatabaseDirectory /srv/rules"},
	"DetectPUA":               {"DetectPUA yes"},
	"Debug":                   {"Debug yes"},
	"DisableCache":            {"DisableCache yes"},
	"EnableReloadCommand":     {"EnableReloadCommand no"},
	"EnableShutdownCommand":   {"EnableShutdownCommand no"},
	"EnableStatsCommand":      {"EnableStatsCommand no"},
	"EnableVersionCommand":    {"EnableVersionCommand no"},
	"ExcludePath":             {"ExcludePath ^/proc/"},
	"ExcludePUA":              {"DetectPUA yes", "ExcludePUA NetTool"},
	"IncludePUA":              {"DetectPUA yes", "IncludePUA NetTool"},
	"ExtendedDetectionInfo":   {"ExtendedDetectionInfo yes"},
	"FailIfCvdOlderThan":      {"FailIfCvdOlderThan 7"},
	"FixStaleSocket":          {"LocalSocket /run/a", "FixStaleSocket no"},
	"FollowDirectorySymlinks": {"FollowDirectorySymlinks yes"},
	"FollowFileSymlinks":      {"FollowFileSymlinks yes"},
	"LocalSocket":             {"LocalSocket /run/b"},
	"LocalSocketGroup":        {"LocalSocket /run/a", "LocalSocketGroup mail"},
	"LocalSocketMode":         {"LocalSocket /run/a", "LocalSocketMode 600"},
	"LogClean":                {"LogClean yes"},
	"LogFacility":             {"LogSyslog yes", "LogFacility LOG_MAIL"},
	"LogFile":                 {"LogFile /var/log/x"},
	"LogFileMaxSize":          {"LogFile /var/log/x", "LogFileMaxSize 2M"},
	"LogSyslog":               {"LogSyslog yes"},
	"LogTime":                 {"LogFile /var/log/x", "LogTime yes"},
	"LogVerbose":              {"LogVerbose yes"},
	"MaxDirectoryRecursion":   {"MaxDirectoryRecursion 3"},
	"MaxFileSize":             {"MaxFileSize 25M"},
	"MaxFiles":                {"MaxFiles 9"},
	"MaxQueue":                {"MaxQueue 9"},
	"MaxRecursion":            {"MaxRecursion 9"},
	"MaxScanSize":             {"MaxScanSize 25M"},
	"MaxScanTime":             {"MaxScanTime 3000"},
	"MaxThreads":              {"MaxThreads 1"},
	"PidFile":                 {"PidFile /run/x"},
	"ReadTimeout":             {"ReadTimeout 9"},
	"SelfCheck":               {"SelfCheck 0"},
	"SendBufTimeout":          {"SendBufTimeout 9000"},
	"StreamMaxLength":         {"StreamMaxLength 3M"},
	"TCPAddr":                 {"TCPSocket 3310", "TCPAddr 127.0.0.1"},
	"TCPSocket":               {"TCPSocket 3310"},
	"TemporaryDirectory":      {"TemporaryDirectory /var/tmp"},
	"User":                    {"User nobody"},
	"VirusEvent":              {"VirusEvent /bin/true"},

	"AlertBrokenExecutables":         {"AlertBrokenExecutables yes"},
	"AlertOLE2Macros":                {"AlertOLE2Macros yes"},
	"AlertPartitionIntersection":     {"AlertPartitionIntersection yes"},
	"PartitionIntersection":          {"PartitionIntersection yes"},
	"AlertPhishingCloak":             {"AlertPhishingCloak yes"},
	"AlertPhishingSSLMismatch":       {"AlertPhishingSSLMismatch yes"},
	"AlgorithmicDetection":           {"AlgorithmicDetection no"},
	"Bytecode":                       {"Bytecode no"},
	"BytecodeUnsigned":               {"BytecodeUnsigned yes"},
	"CVDCertsDirectory":              {"CVDCertsDirectory /etc/certs"},
	"HeuristicAlerts":                {"HeuristicAlerts no"},
	"HeuristicScanPrecedence":        {"HeuristicScanPrecedence yes"},
	"OLE2BlockMacros":                {"OLE2BlockMacros yes"},
	"PhishingAlwaysBlockCloak":       {"PhishingAlwaysBlockCloak yes"},
	"PhishingAlwaysBlockSSLMismatch": {"PhishingAlwaysBlockSSLMismatch yes"},
	"PhishingScanURLs":               {"PhishingScanURLs no"},
	"PhishingSignatures":             {"PhishingSignatures no"},
	"StructuredCCOnly":               {"StructuredCCOnly yes"},
	"StructuredDataDetection":        {"StructuredDataDetection yes"},
	"StructuredMinCreditCardCount":   {"StructuredMinCreditCardCount 9"},
	"StructuredMinSSNCount":          {"StructuredMinSSNCount 9"},
	"StructuredSSNFormatNormal":      {"StructuredSSNFormatNormal no"},
	"StructuredSSNFormatStripped":    {"StructuredSSNFormatStripped yes"},
}

// effect is all that settings come to, as text.
func effect(t *testing.T, lines []string) string {
	t.Helper()
	conf := ""
	for _, l := range lines {
		conf += l + "\n"
	}
	s, err := resolved(t, conf+"PidFile /run/y\n") // so that there is a file, even without lines
	if err != nil {
		t.Fatal(err)
	}
	var excluded []string
	for _, re := range s.clamd.Exclude {
		excluded = append(excluded, re.String())
	}
	timeout := Host{}.options(s, nil).Queue.Pool.Timeout
	s.rows, s.notes, s.given, s.file, s.config, s.clamd.Exclude = nil, nil, nil, nil, "", nil
	for i := range s.listen {
		s.listen[i].From = ""
	}
	return fmt.Sprintf("%+v %q %v", *s, excluded, timeout != nil)
}

// Whatever is said to be honoured changes something.
func TestHonoured(t *testing.T) {
	known := map[string]bool{}
	for _, o := range clamdconf.Options() {
		known[o.Name] = o.Fate == clamdconf.Honoured
		lines := observable[o.Name]
		if o.Fate != clamdconf.Honoured {
			continue
		}
		if lines == nil {
			t.Errorf("%s is said to be honoured; nothing here shows that it is", o.Name)
			continue
		}
		if effect(t, lines) == effect(t, lines[:len(lines)-1]) {
			t.Errorf("%s changes nothing", lines[len(lines)-1])
		}
	}
	for name := range observable {
		if !known[name] {
			t.Errorf("%s is not said to be honoured", name)
		}
	}
}

// clamd's bound of its log counts for the log that its file names; its cache's for nothing
// that it does not say.
func TestLogging(t *testing.T) {
	for _, c := range []struct {
		conf string
		args []string
		max  int64
	}{
		{"LogFile /x\n", nil, 1 << 20},
		{"LogFile /x\nLogFileMaxSize 0\n", nil, 0},
		{"LogFile /x\nLogFileMaxSize 3M\n", []string{"--log-file", "/y"}, 3 << 20},
		{"LogFile /x\n", []string{"--log-file", "/y"}, 0},
		{"LogSyslog yes\n", nil, 0},
	} {
		s, err := resolved(t, c.conf, c.args...)
		if err != nil || s.log.MaxBytes != c.max || s.cache != 16<<20 || s.log.Syslog != (s.log.Facility == "LOG_LOCAL6") {
			t.Errorf("%q: %+v, cache %d, %v", c.conf, s.log, s.cache, err)
		}
	}
}

// Rules that are too old are none.
func TestYoung(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local) }
	for _, c := range []struct {
		version string
		days    int
		good    bool
	}{
		{"27700/Fri Nov 20 09:00:00 2026", 0, true},
		{"27700/Fri Nov 20 09:00:00 2026", 2, true},
		{"27700/Fri Nov 20 09:00:00 2026", 1, false},
		{"", 1, true},
	} {
		closed := false
		db, err := young(time.Duration(c.days)*24*time.Hour, now)(queue.Database{Version: c.version, Close: func() { closed = true }}, nil)
		if (err == nil) != c.good || closed == c.good || c.good && db.Version != c.version {
			t.Errorf("%+v: %v, closed %v", c, err, closed)
		}
	}
}

// What is shown of a service says what is wrong with it.
func TestShow(t *testing.T) {
	since := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	s := serve.Status{
		Version: "showcause 1", Pid: 7, Since: since, Now: since.Add(10 * time.Second), Readers: 2, Sealed: true,
		Doors: []serve.DoorStatus{{Door: "clamd", Open: 3, Connections: 40, Found: 1, Clean: 29, Refused: 4, Sockets: []serve.Listen{{Address: "/run/a"}, {Address: "127.0.0.1:3310"}}}},
		Rules: serve.RulesStatus{Count: 268056, Version: "27700/Fri Nov 20 09:00:00 2026", Released: since.Add(-49 * time.Hour), Loaded: since},
		Queue: queue.Stats{Requests: 30, Found: 1, Clean: 29, Bytes: 20e6, Memory: 3 << 20, Reading: 2, Waiting: 5},
	}
	s.Queue.Times[3] = 30
	last := s
	last.Doors = []serve.DoorStatus{{Door: "clamd", Clean: 10}}
	last.Queue.Requests, last.Queue.Bytes = 10, 0
	for _, c := range []struct {
		last *serve.Status
		want []string
	}{
		{nil, []string{"showcause 1, process 7", "268056, 27700/Fri", " 2 days old, loaded 10 s ago", "2 at most, sealed", "none are kept", "2 with readers, 5 waiting", "3.0 MiB received", "3.0 answers/s, 2.00 MB/s since the start", "clamd  3     40     30       1      0           4        -   /run/a 127.0.0.1:3310\n"}},
		{&last, []string{"10.0 answers/s, 10.00 MB/s since the last look", "4        10.0  /run/a"}},
	} {
		var b bytes.Buffer
		if err := show(&b, &s, c.last, 2*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, w := range c.want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%q is not in\n%s", w, &b)
			}
		}
	}
	s.Sealed, s.Rules.Failed = false, "no\nfile"
	s.Records = &records.Status{Made: 5, Missed: 2, Waiting: 1, Failed: "no\nspace", Unsealed: "a limit"}
	s.Jail = []jail.Given{{Wall: "seccomp", Why: "not in this kernel"}, {Wall: "landlock", On: true}, {Wall: "uid", Why: "runs as the caller", Needless: true}}
	var b bytes.Buffer
	want := `5 durable, 1 waiting, 2 MISSED; THE STORE IS NOT WRITTEN TO: no\nspace; THE LAST COULD NOT BE MADE: a limit`
	if err := show(&b, &s, nil, 0); err != nil || !strings.Contains(b.String(), want) || !strings.Contains(b.String(), "NOT SEALED") || !strings.Contains(b.String(), `THE LAST RELOAD FAILED: no\nfile`) || !strings.Contains(b.String(), "not there: seccomp: not in this kernel") || strings.Contains(b.String(), "landlock") || strings.Contains(b.String(), "uid") {
		t.Errorf("%v\n%s", err, &b)
	}
}
