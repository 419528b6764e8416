package clamdconf

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("c", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestValues(t *testing.T) {
	f := parse(t, "# a comment\n\nx\n\tLogTime\tYES  \nFixStaleSocket FALSE\nLogFile \"/a b\" c\nUser clamav # not a comment\n"+
		"MaxThreads 3\nMaxThreads 4\nTCPAddr a\nTCPAddr \"b\"\nMaxFileSize 25m\nStreamMaxLength 0\nMaxScanSize 010K\nPidFile /p\r\n")
	for _, x := range []struct{ got, want any }{
		{f.Bool("LogTime"), true},
		{f.Bool("FixStaleSocket"), false},
		{f.Bool("CrossFilesystems"), true},
		{f.Bool("LogClean"), false},
		{f.Text("LogFile"), "/a b"},
		{f.Text("User"), "clamav # not a comment"},
		{f.Text("LocalSocket"), ""},
		{f.Text("LogFacility"), "LOG_LOCAL6"},
		{f.Text("PidFile"), "/p"},
		{f.Number("MaxThreads"), 3},
		{f.Number("MaxQueue"), 100},
		{f.Number("TCPSocket"), 0},
		{strings.Join(f.Texts("TCPAddr"), ","), "a,b"},
		{len(f.Texts("ExcludePath")), 0},
		{f.Size("MaxFileSize"), int64(25 << 20)},
		{f.Size("StreamMaxLength"), int64(math.MaxInt64)},
		{f.Size("MaxScanSize"), int64(8 << 10)},
		{f.Size("LogFileMaxSize"), int64(1 << 20)},
		{f.Given("MaxThreads"), 8},
		{f.Given("MaxQueue"), 0},
		{f.Place("MaxThreads"), "c:8"},
		{f.Place("MaxQueue"), "default"},
	} {
		if x.got != x.want {
			t.Errorf("got %v, want %v", x.got, x.want)
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"\nNoSuch yes\n":              `c:2: unknown option "NoSuch"`,
		"logtime yes\n":               `c:1: unknown option "logtime"; the name is written LogTime`,
		"LogTime\n":                   "c:1: option LogTime: no value",
		"LogTime \t \n":               "c:1: option LogTime: no value",
		"LogTime on\n":                `c:1: option LogTime: "on" is not one of yes, no, true, false, 1, 0`,
		"MaxThreads -1\n":             `c:1: option MaxThreads: "-1" is not a number`,
		"MaxThreads 4294967297\n":     `c:1: option MaxThreads: "4294967297" is more than 2147483647`,
		"MaxFileSize 1T\n":            `c:1: option MaxFileSize: "1T" is not a size: digits, and K, M or G behind them`,
		"MaxFileSize M\n":             `c:1: option MaxFileSize: "M" is not a size: digits, and K, M or G behind them`,
		"MaxFileSize 08\n":            `c:1: option MaxFileSize: "08" begins with 0 and is not octal`,
		"BytecodeMode None\n":         `c:1: option BytecodeMode: "None" is not one of Auto, ForceJIT, ForceInterpreter, Test`,
		"LogFile \"a\n":               "c:1: option LogFile: the closing quotation mark is missing",
		"LogFile \"\"\n":              "c:1: option LogFile: no value between the quotation marks",
		"#\n  ExampleOf\n":            "c:2: " + ErrExample.Error(),
		"LogFile " + big + "\n":       "c:1: bufio.Scanner: token too long",
		"LogTime yes\nxy\nLogTime no": `c:2: unknown option "xy"`,
	} {
		_, err := Parse("c", strings.NewReader(text))
		if err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse("c", strings.NewReader("Example\n")); !errors.Is(err, ErrExample) {
		t.Errorf("Example: %v", err)
	}
}

var big = strings.Repeat("a", maxLine+1)

func TestNotes(t *testing.T) {
	f := parse(t, "ScanPE no\nScanOnAccess yes\nMaxThreads 2\nMaxThreads 3\nScanPE yes\nOnAccessIncludePath /a\nOnAccessIncludePath /b\n")
	var got []string
	for _, n := range f.Notes() {
		got = append(got, fmt.Sprintf("%d %s %s", n.Line, n.Option, n.Text))
	}
	want := []string{
		"1 ScanPE not applicable: " + whyParse,
		"2 ScanOnAccess ClamAV passes over it: " + whyRemoved,
		"4 MaxThreads is given a second time; the value of line 3 counts, as with clamd",
		"5 ScanPE is given a second time; the value of line 1 counts, as with clamd",
		"6 OnAccessIncludePath not applicable: " + whyOnAccess,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// The configuration that Debian's package writes is read whole.
const debian = `LocalSocket /var/run/clamav/clamd.ctl
FixStaleSocket true
LocalSocketGroup clamav
LocalSocketMode 666
User clamav
ArchiveBlockEncrypted false
ReadTimeout 180
MaxConnectionQueueLength 15
LogFacility LOG_LOCAL6
PreludeAnalyzerName ClamAV
SendBufTimeout 200
MaxScanTime 120000
MaxFileSize 25M
BytecodeSecurity TrustSigned
OnAccessMaxFileSize 5M
`

func TestSettings(t *testing.T) {
	f := parse(t, debian)
	all := f.Settings()
	if len(all) != len(Options()) {
		t.Fatalf("%d settings", len(all))
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] {
			t.Errorf("%s is in the table twice", s.Name)
		}
		seen[s.Name] = true
		switch s.Name {
		case "ReadTimeout":
			if s.Place != "c:7" || s.Values[0] != "180" {
				t.Errorf("%+v", s)
			}
		case "CommandReadTimeout":
			if s.Place != "default" || s.Values[0] != "30" {
				t.Errorf("%+v", s)
			}
		case "TCPSocket":
			if s.Place != "default" || s.Values != nil {
				t.Errorf("%+v", s)
			}
		}
		if s.Fate != Honoured && s.Why == "" {
			t.Errorf("%s: no reason", s.Name)
		}
		if s.Default != "" {
			if _, err := s.number(s.Default); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

// The table says of each option what clamconf, which prints all that clamd knows, says.
func TestAgainstClamconf(t *testing.T) {
	clamconf, err := exec.LookPath("clamconf")
	if err != nil {
		t.Skip("clamconf is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "clamd.conf"), []byte("LogTime yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(clamconf, "-c", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	said := string(out)
	if !strings.Contains(said, "Version: 1.4.") {
		t.Skip("clamconf is not that of ClamAV 1.4")
	}
	theirs := map[string]string{}
	section := said[strings.Index(said, "Config file: clamd.conf"):]
	section = section[:strings.Index(section, "\n\n")+1]
	for line := range strings.Lines(section) {
		if name, ok := strings.CutSuffix(line, " disabled\n"); ok {
			theirs[name] = "" // not set, or no
		} else if name, v, ok := strings.Cut(line, " = "); ok {
			theirs[name] = strings.Trim(v, "\"\n")
		}
	}
	if len(theirs) < 120 {
		t.Fatalf("clamconf names %d options", len(theirs))
	}
	delete(theirs, "LogTime")
	for _, o := range Options() {
		if o.Fate == Removed || o.Since != "" || o.Name == "LogTime" {
			if _, ok := theirs[o.Name]; ok {
				t.Errorf("clamconf has %s", o.Name)
			}
			continue
		}
		def, ok := theirs[o.Name]
		if !ok || def != o.Default {
			t.Errorf("%s: default %q, clamconf has %q (%v)", o.Name, o.Default, def, ok)
		}
		delete(theirs, o.Name)
	}
	for name := range theirs {
		t.Errorf("%s is missing", name)
	}
}

// Every option of the manual page and the sample that ClamAV ships is in the table.
func TestAgainstManual(t *testing.T) {
	known := map[string]bool{"Example": true}
	for _, o := range Options() {
		known[o.Name] = true
	}
	read := false
	for path, form := range map[string]string{
		"/usr/share/man/man5/clamd.conf.5.gz":                     `(?m)^\\fB([A-Z][A-Za-z0-9]+)(?: [A-Z]+)?\\fR$`,
		"/usr/share/doc/clamav-daemon/examples/clamd.conf.sample": `(?m)^#?([A-Z][A-Za-z0-9]+)(?: [^ \n]+)?$`,
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		read = true
		names := regexp.MustCompile(form).FindAllSubmatch(b, -1)
		for _, n := range names {
			switch name := string(n[1]); name {
			case "BOOL", "STRING", "SIZE", "NUMBER": // kinds
			default:
				if !known[name] {
					t.Errorf("%s: %s is not in the table", path, name)
				}
			}
		}
		if len(names) < 90 {
			t.Errorf("%s names %d options", path, len(names))
		}
	}
	if !read {
		t.Skip("neither ClamAV's manual page nor its sample is installed")
	}
}

// differences are files that are judged otherwise than clamd judges them, and why.
var differences = map[string]string{
	"MaxThreads 5\r\n":       "clamd wants no carriage return",
	"LogFile \"/a b\r\n":     "",
	"MaxThreads 99999999999": "clamd takes the remainder by 2^32 for it",
}

// What clamd refuses is refused, and what it takes is taken with the same value.
func TestAgainstClamd(t *testing.T) {
	clamd, err := exec.LookPath("clamd")
	if err != nil {
		t.Skip("clamd is not installed")
	}
	clamconf, err := exec.LookPath("clamconf")
	if err != nil {
		t.Skip("clamconf is not installed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "clamd.conf")
	for _, text := range []string{
		"", "x\n", "xy\n", "LogTime yes", "LogTime YES\n", "LogTime on\n", "LogTime\n", "LogTime \t\n", " LogTime\tyes  \n", "logtime yes\n",
		"LogFile \"DIR/a b\"\n", "LogFile \"DIR/a b\n", "LogFile \"\"\n", "LogFile \"DIR/a\" x\n", "LogFile DIR/a b c\n", "MaxThreads 3\nMaxThreads 4\n",
		"MaxThreads 0\n", "MaxThreads 5 # c\n", "MaxThreads -1\n", "MaxThreads 99999999999", "MaxThreads 5\r\n",
		"TCPAddr a\nTCPAddr b\n", "ExampleX\n", " Example\n", "#Example\n", "NoSuch yes\n", "Milter yes\n", "SelfCheck 0\n",
		"MaxFileSize 0\n", "MaxFileSize 5G\n", "MaxFileSize 5g\n", "MaxFileSize 7k\n", "MaxFileSize 010K\n", "MaxFileSize 08\n", "MaxFileSize 1T\n", "MaxFileSize -1\n",
		"MaxFileSize 99999999999999999999\n", "MaxFileSize 17179869184G\n", "MaxFileSize 0x10\n", "MaxFileSize 1_0\n", "MaxFileSize K\n", "MaxFileSize 10 K\n",
		"BytecodeMode auto\n", "BytecodeMode None\n", "BytecodeSecurity trustsigned\n", "BytecodeSecurity None\n", "ScanOnAccess yes\n", "MailMaxRecursion 5\n", "OnAccessExcludeUID 5\nOnAccessExcludeUID 6\n",
		"StreamMaxLength 10m\n", "FixStaleSocket 0\n", "EnableShutdownCommandX no\n", "ArchiveBlockEncrypted maybe\n", "DevACDepth 3\n",
	} {
		text := strings.ReplaceAll(text, "DIR", dir)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(clamd, "-c", conf).CombinedOutput()
		refused := strings.Contains(string(out), "open/parse the config file")
		f, err := Parse(conf, strings.NewReader(text))
		if _, known := differences[text]; known {
			if refused == (err != nil) {
				t.Errorf("%q: no difference any more: %v, %s", text, err, out)
			}
			continue
		}
		if refused != (err != nil) {
			t.Errorf("%q: %v; clamd says %s", text, err, out)
		}
		if err != nil {
			continue
		}
		out, _ = exec.Command(clamconf, "-c", dir).Output()
		for _, s := range f.Settings() {
			if f.Given(s.Name) == 0 || s.Fate == Removed {
				continue
			}
			want := ""
			for i, v := range f.given[s.Name] {
				word := v.text
				if s.Kind == Size || s.Kind == Number {
					word = fmt.Sprint(v.num)
				} else if s.Kind == Bool {
					word = "yes"
				}
				want += [...]string{s.Name + " = ", ", "}[min(i, 1)] + `"` + word + `"`
			}
			if v := f.given[s.Name][0]; s.Kind != Text && v.num == 0 {
				want = s.Name + " disabled"
			}
			if !strings.Contains(string(out), "\n"+want+"\n") {
				t.Errorf("%q: want %s; clamconf says\n%s", text, want, out)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(debian)
	f.Add("LogFile \"a b\" c\nMaxFileSize 10M\n#\n\nExample\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("c", strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "c:") {
				t.Fatalf("no place: %v", err)
			}
			return
		}
		for _, s := range c.Settings() {
			switch s.Kind {
			case Bool:
				c.Bool(s.Name)
			case Number:
				if n := c.Number(s.Name); n < 0 {
					t.Fatalf("%s is %d", s.Name, n)
				}
			case Size:
				if n := c.Size(s.Name); n < 0 {
					t.Fatalf("%s is %d", s.Name, n)
				}
			case Text:
				c.Texts(s.Name)
			}
		}
	})
}
