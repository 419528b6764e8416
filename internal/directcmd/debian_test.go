package directcmd

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/product/survey"
)

const helloOrder = `format: showcause-order/1
id: no-hello
version: 1
title: Instruction to remove GNU Hello
issuer: Test
strength: require
time_zone: UTC
authority:
  - {cite: a test}
covers:
  vendors: [gnutest]
  components: {rule: silent, why: a test}
duties:
  - {id: final, kind: final, title: All of it is removed, anchor: order.received, offset: 30, unit: calendar-day}
`

const helloIdentity = `format: showcause-products/1
family: gnutest
vendor: 'GNU'
version: 2026-11-22
sources:
  debian: 'packages of Debian'
products:
  - id: gnutest.hello
    name: 'GNU Hello'
    identities:
      - {kind: package, value: 'hello', match: exact, platform: deb, proves: installed, confidence: primary, source: debian}
`

// A real Debian system: a package that an order names is installed, found, planned, removed
// by its package manager after another person approved it, verified by a later search, and
// attested. A process that was killed on the way is gone on with.
func TestDebian(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root installs and removes packages")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("no apt-get")
	}
	if exec.Command("dpkg-query", "--status", "hello").Run() == nil {
		t.Skip("the package hello is installed, and is not ours to remove")
	}
	if out, err := exec.Command("apt-get", "--yes", "-qq", "-o", "DPkg::Lock::Timeout=60", "install", "hello").CombinedOutput(); err != nil {
		t.Skipf("hello cannot be installed: %v: %s", err, out)
	}
	t.Cleanup(func() {
		exec.Command("apt-get", "--yes", "-qq", "-o", "DPkg::Lock::Timeout=60", "purge", "hello").Run()
	})
	d := newDesk(t)
	d.host.Look = func(_ context.Context, request []byte, f *os.File, part func([]byte) error) error {
		return survey.Here(request, f, part)
	}
	d.host.Scratch = func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") }
	d.open(d.write("order.yaml", helloOrder))
	ids := d.write("gnutest.yaml", helloIdentity)
	do := func(args ...string) string { t.Helper(); return d.do(append(args, "--identities", ids)...) }
	identify := []string{"identify", "no-hello", "/", "--no-processes"} // a busy machine's come and go
	entries, err := os.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	vars, err := os.ReadDir("/var")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries { // the records of packages are enough, and do not change under others' hands
		if n := e.Name(); n != "var" {
			identify = append(identify, "--exclude", "/"+n)
		}
	}
	for _, e := range vars {
		if e.Name() != "lib" {
			identify = append(identify, "--exclude", "/var/"+e.Name())
		}
	}
	libs, err := os.ReadDir("/var/lib")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range libs {
		if e.Name() != "dpkg" {
			identify = append(identify, "--exclude", "/var/lib/"+e.Name())
		}
	}
	out := do(identify...)
	d.has(out, "GNU Hello, installed", "no-hello: covered")
	id := d.pick(out, findingID)
	do("plan", "no-hello", "-o", d.dir+"/plan.yaml")
	do("plan", "no-hello", "--from", d.dir+"/plan.yaml", "--by", "A. Officer")
	out = do("remove", id, "--by", "A. Officer")
	d.has(out, "Remv hello", "nothing was removed", "would run: apt-get")
	if exec.Command("dpkg-query", "--status", "hello").Run() != nil {
		t.Fatal("the dry run removed it")
	}
	p := d.pick(out, `proposal ([0-9a-f]{16})`)
	d.fails("nobody approved it", "remove", id, "--run", p, "--by", "A. Officer", "--identities", ids)
	do("remove", id, "--approve", p, "--by", "B. Reviewer")
	leaveBegun(t, d, id, p)
	d.has(do("case", "show"), "removing")
	d.has(do("remove", id, "--run", p, "--by", "A. Officer"), "begun before and did not end", "not verified until a search")
	if out, err := exec.Command("dpkg-query", "--show", "-f", "${db:Status-Abbrev}", "hello").Output(); err == nil && strings.HasPrefix(string(out), "ii") {
		t.Fatal("it was not removed")
	}
	d.has(do("case", "show"), "1 present", "removed-unverified")
	d.fails("refused", "attest", "no-hello", "--by", "A. Officer", "--identities", ids)
	do(identify...)
	out = do("case", "show")
	d.has(out, "verified-gone")
	d.has(do("attest", "no-hello", "--by", "A. Officer"), "Not found: what the order no-hello", "attestation")
}

// leaveBegun leaves the case as a process does that was killed when it had begun.
func leaveBegun(t *testing.T, d *desk, finding, proposal string) {
	t.Helper()
	held, err := store.Open(d.store, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	c, err := casefile.Load(d.dir, casefile.Options{Store: held})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at, err := c.Entry(proposal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(casefile.Begin, &casefile.Body{Finding: finding, About: at.Name, By: "A. Officer"}); err != nil {
		t.Fatal(err)
	}
}
