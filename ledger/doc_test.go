package ledger

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The checker that docs/ledger.md gives in Python agrees with ours.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	text, err := os.ReadFile("../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(text), "```python\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("docs/ledger.md: no code")
	}
	script := filepath.Join(t.TempDir(), "check.py")
	if err := os.WriteFile(script, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, file := tempLog(t, 3)
	tail, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	tail.WriteString("half\na li")
	tail.Close()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	if _, err := l.append(t.Context(), &Entry{Kind: KindQuery, Query: &Query{
		Purpose: Witness, Host: "a.test", Network: "udp", Address: "192.0.2.1:53", BytesOut: 2, Packet: []byte("\xff\x00"), SHA256: digest([]byte("\xff\x00")),
	}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := mustRead(t, dir)
	check := func() (string, bool) {
		out, err := exec.Command(python, script, file).CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := check(); !ok || !strings.Contains(out, s.Head) {
		t.Fatalf("good: %s", out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += len(b)/8 + 1 {
		c := bytes.Clone(b)
		c[i] ^= 1
		if err := os.WriteFile(file, c, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, ok := check(); ok {
			t.Errorf("byte %d changed: %s", i, out)
		}
	}
}
