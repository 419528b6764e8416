package inventorycmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/estate"
)

var errExit = errors.New("exit 2")

// command runs the command without the jail.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	h := Host{
		Version: "test", Exit: func(int) error { return errExit }, Scratch: func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") },
		Size: func(*int64) pflag.Value { return pflag.NewFlagSet("", 0).VarPF(&size{}, "x", "", "").Value },
	}
	c := h.Command()
	var out, log bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&log)
	c.SetArgs(append(args, "--jail=off"))
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

type size struct{}

func (*size) String() string   { return "" }
func (*size) Set(string) error { return nil }
func (*size) Type() string     { return "size" }

func TestText(t *testing.T) {
	dir := t.TempDir()
	tree := estate.Tree{
		"var/lib/dpkg/status":               estate.Status(estate.Deb{Name: "kesl", Version: "11.4\x1b[2J"}),
		"Program Files/Acronis\n/x/mms.exe": estate.PE(nil, "CompanyName", "Acronis AG"),
		"a.zip":                             []byte("PK\x03\x04\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00xabcdefghijklmnop"),
	}
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, dir)
	if !errors.Is(err, errExit) {
		t.Errorf("with a gap: %v", err)
	}
	for _, want := range []string{
		"Kaspersky Endpoint Security for Linux (kaspersky.kesl): installed: package kesl\n", "/var/lib/dpkg/status: package kesl", "SHA-256 ", "bytes 0 to ",
		"0 judged by path and first bytes alone, 1 unread, 0 excluded", "not reached: /a.zip",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\x1b") {
		t.Errorf("%q", out)
	}
	if out, err := command(t, filepath.Join(dir, "none")); !errors.Is(err, errExit) || !strings.Contains(out, "not reached: ") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := command(t, dir, "--format", "xml"); err == nil || !strings.Contains(err.Error(), "--format") {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	dir := t.TempDir()
	if err := (estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "kesl", Version: "1"})}).Write(dir); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.yaml")
	text := "format: showcause-products/1\nfamily: own\nvendor: O\nversion: 2026-01-01\nsources: {s: s}\nproducts:\n  - {id: own.x, name: X, identities: [{kind: package, value: kesl, match: exact, proves: installed, confidence: primary, source: s}]}\n"
	if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, dir, "--format=json", "--identities", own)
	if err != nil {
		t.Fatal(err)
	}
	var inv product.Inventory
	if err := json.Unmarshal([]byte(out), &inv); err != nil || inv.Format != product.Format || len(inv.Observations) != 1 {
		t.Fatalf("%v %+v", err, inv)
	}
	set, err := Load([]string{own})
	if err != nil {
		t.Fatal(err)
	}
	if p := product.Match(&inv, set); len(p) != 2 || !p[0].Present || !p[1].Present {
		t.Errorf("%+v", p)
	}
	if err := os.WriteFile(own, []byte(text+"x: y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t, dir, "--identities", own); err == nil || !strings.Contains(err.Error(), "own.yaml:8:") {
		t.Error(err)
	}
}
