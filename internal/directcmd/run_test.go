package directcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/casecmd"
	"github.com/showcause/showcause/internal/ordercmd"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/worker/workertest"
)

var errRefused = errors.New("refused")

// desk is a host with its store, and a clock that a test sets.
type desk struct {
	t     *testing.T
	store string
	dir   string // of the case
	now   time.Time
	host  Host
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, store: filepath.Join(t.TempDir(), "store"), dir: filepath.Join(t.TempDir(), "case"), now: time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)}
	d.host = Host{
		Version:   "showcause test",
		StoreFlag: func(f *pflag.FlagSet, to *string) { f.StringVar(to, "store", "", "") },
		StoreDir:  func(flag string) (string, bool, error) { return d.store, true, nil },
		Refused:   errRefused,
		Now:       func() time.Time { return d.now },
	}
	return d
}

// try runs a command line.
func (d *desk) try(args ...string) (string, error) {
	d.t.Helper()
	root := &cobra.Command{Use: "showcause", SilenceErrors: true, SilenceUsage: true}
	cases := casecmd.Host{StoreFlag: d.host.StoreFlag, StoreDir: d.host.StoreDir}
	root.AddCommand(d.host.Commands()...)
	root.AddCommand(ordercmd.Host{Refused: errRefused}.Order(d.host.Orders()...), d.host.Join(cases.Contest()), d.host.Join(cases.Decide()))
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	d.t.Setenv("SHOWCAUSE_CASE", d.dir)
	for _, name := range []string{"contest", "decide"} {
		if args[0] == name {
			args = append(args, "--case", d.dir)
		}
	}
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

// do runs a command line that must end well, or with Refused.
func (d *desk) do(args ...string) string {
	d.t.Helper()
	out, err := d.try(args...)
	if err != nil && !errors.Is(err, errRefused) {
		d.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// fails runs a command line that must be refused with these words.
func (d *desk) fails(want string, args ...string) {
	d.t.Helper()
	out, err := d.try(args...)
	if err == nil || !strings.Contains(err.Error()+"\n"+out, want) {
		d.t.Fatalf("%s: %v, want %q\n%s", strings.Join(args, " "), err, want, out)
	}
}

// has fails unless all texts are in out, in this order.
func (d *desk) has(out string, want ...string) {
	d.t.Helper()
	at := 0
	for _, w := range want {
		i := strings.Index(out[at:], w)
		if i < 0 {
			d.t.Fatalf("no %q after byte %d of\n%s", w, at, out)
		}
		at += i + len(w)
	}
}

// pick returns the first group of a pattern in a text.
func (d *desk) pick(out, pattern string) string {
	d.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(out)
	if m == nil {
		d.t.Fatalf("no %s in\n%s", pattern, out)
	}
	return m[1]
}

// open begins a case, with all questions of the orders answered so that they apply.
func (d *desk) open(orders ...string) {
	d.t.Helper()
	args := []string{"case", "open", "--received", "2026-11-20", "--by", "A. Officer", "--organisation", "Small Agency"}
	for _, o := range orders {
		args = append(args, "--order", o)
	}
	d.do(args...)
	answers := map[string][]string{
		"bod-17-01":           {"federal-executive=yes", "national-security-system=no", "dod-ic-system=no"},
		"far-52-204-23":       {"federal-contract=yes", "clause-2023=yes"},
		"commerce-icts-2024":  {"us-person-dealing=yes"},
		"fascsa-2025-acronis": {"ic-or-sci=yes"},
	}
	scope := []string{"case", "scope", "--by", "A. Officer"}
	for _, o := range orders {
		scope = append(scope, answers[o]...)
	}
	if len(scope) > 4 {
		d.do(scope...)
	}
}

// inventory is a search of a host that was read whole, with what a test adds.
func inventory(host string, list ...product.Observation) *product.Inventory {
	at := time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC)
	return &product.Inventory{
		Format: product.Format, Target: "/", Kind: "host", System: product.System{Name: "debian", Host: host}, Observations: list,
		Coverage: product.Coverage{
			Begun: at, Ended: at, Engine: "showcause test", Methods: []string{"dpkg", "elf", "pe"},
			Files: product.Files{Seen: 100, Read: 40, Judged: 60}, Layers: 7, Limits: []string{"use of a service through a browser"},
		},
	}
}

func observation(source, platform string, class product.Class, path string, digest byte, facts ...product.Fact) product.Observation {
	o := product.Observation{Source: source, Platform: platform, Class: class, Place: product.Place{Path: path}, Facts: facts}
	o.Evidence.Size = 1000
	for i := range o.Evidence.SHA256 {
		o.Evidence.SHA256[i] = digest
	}
	if source == "dpkg" {
		o.Evidence.Record = "Package: x"
	}
	return o
}

// kesl is the Linux product, by its package record.
func kesl() product.Observation {
	return observation("dpkg", product.Deb, product.Installed, "/var/lib/dpkg/status", 1,
		product.Fact{Kind: product.Package, Value: "kesl"}, product.Fact{Kind: product.Version, Value: "12.0.0"})
}

// engine is a library of the vendor, in the folder of somebody else's application.
func engine(digest byte) []product.Observation {
	lib := observation("pe", product.Windows, product.Installed, "/Program Files/Gateway/kavengine.dll", digest,
		product.Fact{Kind: product.Signer, Value: "AO Kaspersky Lab", Verified: true, Trusted: true})
	lib.Place.App = "/Program Files/Gateway"
	exe := observation("pe", product.Windows, product.Installed, "/Program Files/Gateway/gateway.exe", digest+100,
		product.Fact{Kind: product.Signer, Value: "Gateway Makers Inc.", Verified: true, Trusted: true})
	exe.Place.App = lib.Place.App
	return []product.Observation{lib, exe}
}

// search takes inventories into the case.
func (d *desk) search(order string, list ...*product.Inventory) string {
	d.t.Helper()
	args := []string{"identify", order}
	for _, inv := range list {
		b, err := json.Marshal(inv)
		if err != nil {
			d.t.Fatal(err)
		}
		path := filepath.Join(d.t.TempDir(), "inventory.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			d.t.Fatal(err)
		}
		args = append(args, "--inventory", path)
	}
	return d.do(args...)
}

const findingID = `finding ([0-9a-f]{16})`

func gap(code showcause.Code, path string) product.Gap {
	return product.Gap{Place: product.Place{Path: path}, Code: code, Length: -1}
}

func (d *desk) write(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// TestMain keeps stores and cases in memory where that is possible: thousands of files are written and made durable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workertest.Args()[1] {
		workertest.Main(m)
	}
	if dir, err := os.MkdirTemp("/dev/shm", "directcmd"); err == nil {
		os.Setenv("TMPDIR", dir)
		code := m.Run()
		os.RemoveAll(dir)
		os.Exit(code)
	}
	os.Exit(m.Run())
}
