package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
)

func said(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(context.Background(), args, &out, &errs); got != code {
		t.Errorf("%q: exit code %d, want %d: %s%s", args, got, code, &out, &errs)
	}
	return out.String() + errs.String()
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	eicar := file("e", `X5O!P%@AP[4\PZX54(P^)7CC)7}$`+`EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
	plain := file("plain", "nothing to see")
	yar := file("a.yar", `rule mine { strings: $a = "nothing to" condition: $a }`)
	bad := file("b.yar", `rule mine { condition: $a }`)
	cut := file("cut.zip", "PK\x03\x04\x14\x00\x00\x00\x08\x00")
	if s := said(t, 1, "scan", dir); !strings.Contains(strings.ToLower(s), "eicar") {
		t.Error(s)
	}
	if s := said(t, 0, "scan", plain); !strings.Contains(s, "jail") {
		t.Errorf("the report does not say that there is no jail: %s", s)
	}
	if s := said(t, 1, "scan", "--format", "json", "--db", yar, plain); !strings.Contains(s, "mine") {
		t.Error(s)
	}
	said(t, 2, "scan", cut)
	said(t, 2, "scan", filepath.Join(dir, "none"))
	said(t, 0, "yara", "check", yar)
	if s := said(t, 1, "yara", "check", bad); !strings.Contains(s, "$a") {
		t.Error(s)
	}
	said(t, 2, "unpack", cut)
	out := filepath.Join(dir, "out")
	said(t, 0, "unpack", "-o", out, eicar)
	if b, err := os.ReadFile(filepath.Join(out, "000001")); err != nil || !strings.Contains(string(b), "EICAR") {
		t.Errorf("%q %v", b, err)
	}
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pub := file("key.pub", string(key.Public().PEM()))
	said(t, 1, "evidence", "verify", "--key", pub, plain)
	example, err := filepath.Abs("../../docs/format/examples")
	if err != nil {
		t.Fatal(err)
	}
	records, _ := filepath.Glob(filepath.Join(example, "*.scf"))
	keys, _ := filepath.Glob(filepath.Join(example, "*.pub"))
	if len(records) == 0 || len(keys) == 0 {
		t.Skipf("no examples of records in %s", example)
	}
	if s := said(t, 0, "evidence", "verify", "--key", keys[0], records[0]); !strings.Contains(s, "verified") {
		t.Error(s)
	}
	said(t, 1, "evidence", "verify", "--key", pub, records[0])
}

// It is built for the systems that it is for.
func TestBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for other systems")
	}
	for _, goos := range []string{"darwin", "windows"} {
		c := exec.Command("go", "vet", "-unusedresult=false", ".")
		c.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", goos, err, out)
		}
	}
}
