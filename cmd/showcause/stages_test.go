package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/rule"
)

// staged writes a rule of each stage into db, as an update leaves them.
func (s *service) staged() {
	text, stages := "", rule.StagesHead+"\nfile mine.ndb\n"
	for _, stage := range []string{"shadow", "report", "act"} {
		line := fmt.Sprintf("Stage.%s:0:*:%x", stage, "stage-test marker "+stage)
		text += line + "\n"
		stages += fmt.Sprintf("%x %s Stage.%s\n", sha256.Sum256([]byte(line)), stage, stage)
	}
	s.write("db/mine.ndb", text)
	s.write("db/mine.stages", stages)
}

// records are the rules of the findings in the store, with their stages and verdicts.
func (s *service) records() string {
	names, _ := filepath.Glob(filepath.Join(s.dir, "store/records/*/*.scf"))
	var out []string
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			s.t.Fatal(err)
		}
		r, err := evidence.Parse(b)
		if err != nil {
			s.t.Fatal(err)
		}
		if st := r.Statement(); st.Kind == evidence.Finding {
			out = append(out, fmt.Sprintf("%s %s %s", st.Rules.Rule.Name, st.Rules.Rule.Stage, st.Verdict))
		}
	}
	return strings.Join(out, "\n")
}

// A rule that is only tried leads to a record, and to no door's FOUND; what it found is
// recorded, verified and derived again like any other finding.
func TestServeStages(t *testing.T) {
	s := began(t, "", "--api", "SOCKET")
	s.staged()
	if got := s.ask("nRELOAD\n"); got != "RELOADING\n" {
		t.Fatal(got)
	}
	s.until("the new rules", func() bool {
		return strings.Contains(s.ask("nINSTREAM\n"+instream("stage-test marker act")), "FOUND")
	})
	if got := s.ask("nINSTREAM\n" + instream("stage-test marker shadow")); got != "stream: OK\n" {
		t.Errorf("%q", got)
	}
	if got := s.ask("nINSTREAM\n" + instream("stage-test marker report")); got != "stream: Stage.report.UNOFFICIAL FOUND\n" {
		t.Errorf("%q", got)
	}
	if code, b := s.http("POST", "/v1/scan", "a stage-test marker shadow"); code != 200 || !strings.Contains(string(b), `"answer":"ok"`) || !strings.Contains(string(b), `"stage":"shadow"`) {
		t.Errorf("%d %s", code, b)
	}
	path := s.write("files/x", "b stage-test marker shadow")
	var a answered
	reply := s.ask("nSHOWCAUSE-SCAN record -- " + path + "\n")
	if err := json.Unmarshal([]byte(reply), &a); err != nil || a.Verdict != "nothing-found" || len(a.Records) != 1 {
		t.Fatalf("%v %s", err, reply)
	}
	file := s.write("record.scf", string(a.Record)+"\n")
	if out, err := s.run("evidence", "verify", file); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if out, err := s.run("evidence", "recheck", "--db", filepath.Join(s.dir, "db"), "--file", path, file); err != nil || !strings.Contains(out, "REPRODUCED") {
		t.Errorf("%v %s", err, out)
	}
	out, err := s.run("scan", "--db", filepath.Join(s.dir, "db"), path)
	if err != nil || strings.Contains(out, "FOUND") { // exit code 0
		t.Errorf("%v %s", err, out)
	}
	if out, _ := s.run("scan", "--explain", "--db", filepath.Join(s.dir, "db"), path); !strings.Contains(out, "SHADOW Stage.shadow") {
		t.Error(out)
	}
	s.end()
	if got := s.records(); !strings.Contains(got, "Stage.shadow.UNOFFICIAL shadow nothing-found") || !strings.Contains(got, "Stage.report.UNOFFICIAL report found") || !strings.Contains(got, "Stage.act.UNOFFICIAL act found") {
		t.Error(got)
	}
}

// Only what a rule finds that may act is refused and taken, whatever the host's own file says.
func TestWatchStages(t *testing.T) {
	s, folder := watchedWith(t, func(s *service) {
		s.staged()
		s.write("store/stages", "act *\n")
	}, "--block", "--quarantine")
	for _, stage := range []string{"shadow", "report", "act"} {
		path := filepath.Join(folder, stage)
		if err := os.WriteFile(path, []byte("stage-test marker "+stage), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cat", path).CombinedOutput(); (err == nil) == (stage == "act") {
			t.Errorf("%s: %v %s", stage, err, out)
		}
	}
	s.until("act is taken", func() bool { _, err := os.Lstat(filepath.Join(folder, "act")); return err != nil })
	s.until("report is said", func() bool { return strings.Contains(s.logged(), "Stage.report.UNOFFICIAL FOUND") })
	s.end()
	for _, stage := range []string{"shadow", "report"} {
		if _, err := os.Lstat(filepath.Join(folder, stage)); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(s.logged(), "Stage.shadow.UNOFFICIAL FOUND") {
		t.Error(s.logged())
	}
	if got := s.deeds(); strings.Join(got, " ") != "block take" {
		t.Errorf("%q", got)
	}
	if got := s.records(); !strings.Contains(got, "Stage.shadow.UNOFFICIAL shadow nothing-found") {
		t.Error(got)
	}
}
