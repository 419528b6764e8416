package document

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// mbxOf is a mailbox of mails.
func mbxOf(mails ...string) string {
	b := mbxMark + "654321ab00000003\r\n"
	b += strings.Repeat("\x00", mbxHead-len(b))
	for i, m := range mails {
		b += fmt.Sprintf(" 1-Jan-2026 12:00:00 +0000,%d;000000000000-%08x\r\n%s", len(m), i+1, m)
	}
	return b
}

func TestMbx(t *testing.T) {
	one, two := single("", "the first one\r\n"), single("Content-Transfer-Encoding: base64\r\n", b64(payload))
	r := unpacktest.Walk(t, Mbx(), []byte(mbxOf(one, two, "no header at all")), showcause.Limits{})
	if r.Ops() != "mbx.message; mbx.message; mbx.message.message" || string(r.Children[1].Data) != two || len(r.Gaps) > 0 {
		t.Error(r)
	}
	b := mbxOf(one, two, one)
	cut := b[:len(b)-5]
	broken := strings.Replace(b, ";000000000000-00000002", ";x", 1)
	for name, c := range map[string]struct{ box, ops string }{
		"cut": {cut, "mbx.message; mbx.message; mbx.message"}, "a line that breaks": {broken, "mbx.message; mbx.rest; mbx.message"}, "a length that lies": {strings.Replace(b, fmt.Sprintf(",%d;", len(two)), ",3;", 1), "mbx.message; mbx.message.message; mbx.rest; mbx.message"},
	} {
		if r := unpacktest.Walk(t, Mbx(), []byte(c.box), showcause.Limits{}); r.Ops() != c.ops || !r.Has("corrupt") {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestMbxPeer reads a mailbox that mailutil writes.
func TestMbxPeer(t *testing.T) {
	tool, err := exec.LookPath("mailutil")
	if err != nil {
		t.Skip("mailutil is not installed")
	}
	dir := t.TempDir()
	lf := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	one, two := "From a@a.example Thu Jan  1 12:00:00 2026\n"+lf(single("", "the first one\r\n")), "From a@a.example Thu Jan  1 12:00:00 2026\n"+lf(single("Content-Transfer-Encoding: base64\r\n", b64(payload)))
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte(one+"\n"+two+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// It takes names from the home folder on, which it has as the root where nobody logged in.
	c := exec.CommandContext(t.Context(), tool, "copy", filepath.Join(dir, "in")[1:], "#driver.mbx/"+filepath.Join(dir, "box")[1:])
	c.Dir = "/"
	msg, err := c.CombinedOutput()
	b, _ := os.ReadFile(filepath.Join(dir, "box"))
	if err != nil || len(b) == 0 {
		t.Skipf("mailutil does not write one here: %v %s", err, msg)
	}
	r := unpacktest.Walk(t, Mbx(), b, showcause.Limits{})
	if len(r.Children) != 2 || !strings.Contains(string(r.Children[1].Data), b64(payload)[:60]) || len(r.Gaps) > 0 {
		t.Error(r)
	}
}

func TestMbxConform(t *testing.T) {
	unpacktest.ConformWhole(t, Mbx(), map[string][]byte{"two": []byte(mbxOf(single("", "the first one\r\n"), single("", "x")))}, func(b []byte) bool {
		return strings.HasSuffix(string(b), "\r\nx") || len(b) == mbxHead || strings.HasSuffix(string(b), "the first one\r\n")
	})
}

func FuzzMbx(f *testing.F) {
	unpacktest.Fuzz(f, Mbx(), []byte(mbxOf(single("", "the first one\r\n"), single("", "x"))))
}
