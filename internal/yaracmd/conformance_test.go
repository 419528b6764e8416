package yaracmd

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
)

// exit is a code that ends a command.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// testHost is a program of these commands alone.
func testHost() Host {
	return Host{
		Version: "test",
		Scratch: func() (*os.File, error) { return os.CreateTemp("", "showcause-") },
		Source: func(_ context.Context, f *os.File) (showcause.Source, error) {
			b, err := os.ReadFile(f.Name())
			return showcause.Bytes(b), err
		},
		FlagError: func(_ *cobra.Command, err error) error { return err },
		Exit:      func(code int) error { return exit(code) },
		Terminal:  func(io.Writer) bool { return false },
	}
}

// runYARA runs the command.
func runYARA(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := testHost().YARA()
	var out, err bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&err)
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	switch e := c.ExecuteContext(t.Context()).(type) {
	case nil:
	case exit:
		code = int(e)
	default:
		t.Fatalf("%v: %v", args, e)
	}
	return out.String(), err.String(), code
}

// conformance is a case of the outside data.
type conformance struct {
	ID, Suite, Expect, Rule, Input, Capture string
	RuleHex                                 string `json:"rule_hex"`
	Error                                   string
	Count                                   *int
	Modules                                 []string
	Externals                               map[string]any
	StrictEscape                            bool `json:"strict_escape"`
}

// excused are cases that are not passed, with the reason; docs/yara-compatibility.md
// names them too.
var excused = map[string]string{
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance runs every case of the outside data through the command, as it is
// shipped: yara -s -L --dialect DIALECT RULES FILE. With SHOWCAUSE_BINARY that program
// is run, in its jail.
func TestConformance(t *testing.T) {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	file, err := os.ReadFile(filepath.Join(root, "yara/conformance.jsonl"))
	if err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	text, err := os.ReadFile("../../docs/yara-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all, failed := 0, 0
	for line := range bytes.Lines(file) {
		var c conformance
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		all++
		why := c.run(t, dir)
		_, is := excused[c.ID]
		switch {
		case why == "" && is:
			t.Errorf("%s passes, and need not be excused", c.ID)
		case why == "":
		case is:
			failed++
			if !strings.Contains(string(text), c.ID) {
				t.Errorf("%s is not named in docs/yara-compatibility.md", c.ID)
			}
		default:
			failed++
			t.Errorf("%s %s: %s\n%s\n%.200q", c.Suite, c.ID, why, c.Rule, c.Input)
		}
	}
	t.Logf("%d of %d cases pass", all-failed, all)
	if failed*100 > all {
		t.Errorf("more than one in a hundred fail")
	}
}

// run says why a case fails, empty if it does not.
func (c *conformance) run(t *testing.T, dir string) string {
	rule := []byte(c.Rule)
	var err error
	if c.RuleHex != "" {
		if rule, err = hex.DecodeString(c.RuleHex); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := hex.DecodeString(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	rules, target := filepath.Join(dir, "rules.yar"), filepath.Join(dir, "target")
	for name, data := range map[string][]byte{rules: rule, target: bin} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-s", "-L", "--dialect", c.Suite}
	for name, v := range c.Externals {
		args = append(args, "-d", fmt.Sprintf("%s=%v", name, v))
	}
	if c.StrictEscape {
		args = append(args, "-E")
	}
	args = append(args, rules, target)
	var stdout, stderr string
	var code int
	if program := os.Getenv("SHOWCAUSE_BINARY"); program != "" {
		stdout, stderr, code = runBinary(t, program, args)
	} else {
		stdout, stderr, code = runYARA(t, append([]string{"--jail=off"}, args...)...)
	}
	switch {
	case c.Expect == "compile_error":
		if code != 1 || !strings.Contains(stderr, "error") || stdout != "" {
			return fmt.Sprintf("exit %d, %q", code, stderr)
		}
		return ""
	case code != 0:
		return fmt.Sprintf("exit %d: %s", code, stderr)
	case c.Expect == "warning" && !strings.Contains(stderr, "warning"):
		return "no warning"
	case c.Expect == "nowarning" && stderr != "":
		return stderr
	case c.Expect == "warning", c.Expect == "nowarning", c.Expect == "compile_ok":
		return ""
	}
	return c.judge(t, stdout, bin, target)
}

// runBinary runs the command of a program that was built.
func runBinary(t *testing.T, program string, args []string) (stdout, stderr string, code int) {
	cmd := exec.CommandContext(t.Context(), program, append([]string{"yara"}, args...)...)
	cmd.Env = append(os.Environ(), "SHOWCAUSE_STORE=off")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		code = exited.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return out.String(), errs.String(), code
}

var (
	ruleLine  = regexp.MustCompile(`^(\w+) (.*)$`)
	matchLine = regexp.MustCompile(`^0x([0-9a-f]+):(\d+):(\$\w*): (.*)$`)
)

// judge compares what was printed with what the case expects.
func (c *conformance) judge(t *testing.T, stdout string, bin []byte, target string) string {
	want, err := hex.DecodeString(c.Capture)
	if err != nil {
		t.Fatal(err)
	}
	n, captured := 0, c.Capture == ""
	var have []string
	for line := range strings.Lines(stdout) {
		line = strings.TrimSuffix(line, "\n")
		m := matchLine.FindStringSubmatch(line)
		if m == nil {
			r := ruleLine.FindStringSubmatch(line)
			if r == nil || r[2] != target {
				if strings.Contains(c.Rule, "console") {
					continue
				}
				return fmt.Sprintf("line %q", line)
			}
			n++
			continue
		}
		off, _ := strconv.ParseInt(m[1], 16, 64)
		length, _ := strconv.ParseInt(m[2], 10, 64)
		if off+length > int64(len(bin)) {
			return fmt.Sprintf("line %q is past the end", line)
		}
		got := bin[off : off+length]
		if text, hexed := string(appendPrintable(nil, got)), fmt.Sprintf("% X", got[:min(len(got), 64)]); m[4] != text && !strings.HasPrefix(m[4], hexed) {
			return fmt.Sprintf("line %q is not of the bytes there", line)
		}
		captured = captured || bytes.Equal(got, want)
		have = append(have, m[4])
	}
	switch {
	case c.Expect == "nomatch" && n > 0:
		return "matches"
	case c.Expect != "nomatch" && n == 0:
		return "does not match"
	case c.Count != nil && *c.Count != n:
		return fmt.Sprintf("%d rules match, want %d", n, *c.Count)
	case !captured:
		return fmt.Sprintf("no match is %q: %.300s", want, strings.Join(have, " "))
	}
	return ""
}

// appendPrintable is bytes as yara prints those of a text string.
func appendPrintable(out, data []byte) []byte {
	for _, b := range data {
		if b >= ' ' && b <= '~' {
			out = append(out, b)
		} else {
			out = fmt.Appendf(out, `\x%02X`, b)
		}
	}
	return out
}
