package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const units = "../../dist/systemd"

// systemd takes the units as they are, but for the place of the command.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(dir string) string {
		files, _ := filepath.Glob(filepath.Join(dir, "showcause-*"))
		c := exec.Command(analyze, append([]string{"verify", "--man=no", "--recursive-errors=no"}, files...)...)
		out, err := c.CombinedOutput()
		if err != nil && len(out) == 0 {
			out = []byte(err.Error())
		}
		return string(out)
	}
	copyTo := func(change func(name, text string) string) string {
		dir := t.TempDir()
		files, err := filepath.Glob(filepath.Join(units, "showcause-*"))
		if err != nil || len(files) < 4 {
			t.Fatalf("units: %q %v", files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(b), "=/usr/bin/showcause ", "="+self+" ")
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(change(filepath.Base(f), text)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	// That it sees what is wrong, and does not just fail here.
	spoilt := verify(copyTo(func(_, text string) string {
		return strings.Replace(text, "[Service]\n", "[Service]\nNoSuchKey=1\n", 1)
	}))
	if !strings.Contains(spoilt, "NoSuchKey") {
		t.Skipf("systemd-analyze verify does not work here: %s", spoilt)
	}
	if out := verify(copyTo(func(_, text string) string { return text })); out != "" {
		t.Errorf("%s", out)
	}
}

// unitValues are the values of a key in a file of units or of assignments.
func unitValues(t *testing.T, name, key string) (out []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(units, name))
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), key+"="); ok {
			out = append(out, v)
		}
	}
	return out
}

// The command has the flags that the units and the example of settings give it.
func TestUnitsFlags(t *testing.T) {
	settings := func(key string) []string {
		all := append(unitValues(t, "showcause.default", key), unitValues(t, "showcause.default", "#"+key)...)
		if len(all) < 1 {
			t.Fatalf("no %s in the example", key)
		}
		return all
	}
	for _, unit := range []string{"showcause-scan.service", "showcause-fetch.service", "showcause-update.service"} {
		start := unitValues(t, unit, "ExecStart")
		if len(start) != 1 || len(unitValues(t, unit, "EnvironmentFile")) != 1 {
			t.Fatalf("%s: %q", unit, start)
		}
		lines := start
		for _, key := range []string{"SCAN_PATHS", "SCAN_OPTIONS", "FETCH_URLS", "UPDATE_OPTIONS"} {
			var next []string
			for _, l := range lines {
				if !strings.Contains(l, "$"+key) {
					next = append(next, l)
					continue
				}
				for _, v := range settings(key) {
					next = append(next, strings.ReplaceAll(l, "$"+key, strings.Trim(v, `"`)))
				}
			}
			lines = next
		}
		for _, l := range lines {
			args := append(strings.Fields(strings.TrimPrefix(l, "/usr/bin/showcause")), "--help")
			var out, complaints bytes.Buffer
			if code := run(t.Context(), args, strings.NewReader(""), &out, &complaints); code != 0 || !strings.Contains(out.String(), "Usage:") {
				t.Errorf("%s: %d %s", l, code, complaints.String())
			}
		}
	}
	caps := strings.Fields(strings.Join(unitValues(t, "showcause-scan.service", "CapabilityBoundingSet"), " "))
	for _, c := range []string{"CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"} { // root's readers are another user: starting and killing them
		if !slices.Contains(caps, c) {
			t.Errorf("showcause-scan.service: no %s", c)
		}
	}
	for _, timer := range []string{"showcause-scan.timer", "showcause-fetch.timer", "showcause-update.timer"} {
		if got := unitValues(t, timer, "WantedBy"); !slices.Equal(got, []string{"timers.target"}) {
			t.Errorf("%s: wanted by %q", timer, got)
		}
		service := strings.TrimSuffix(timer, "timer") + "service"
		if got := unitValues(t, service, "RemainAfterExit"); len(got) != 0 {
			t.Errorf("%s: stays active, and the timer does not start it again", service)
		}
	}
}

// A build that does not know its revision says so. (That of a test does not.)
func TestVersionText(t *testing.T) {
	if got := versionText(); version() == "showcause devel" && got != "showcause devel (revision unknown)" {
		t.Errorf("%q", got)
	}
}
