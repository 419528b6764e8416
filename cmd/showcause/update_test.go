//go:build !airgap

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/update/updatetest"
)

// mirror serves files to an update, on this machine, and counts what it is sent.
type mirror struct {
	t     *testing.T
	dir   string
	files map[string][]byte
	fail  func(w http.ResponseWriter, r *http.Request) bool
	tap   *wiretap
	url   string
	asked atomic.Int64
}

func newMirror(t *testing.T) *mirror {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{t: t, dir: t.TempDir(), files: map[string][]byte{}, tap: &wiretap{Listener: l}, url: "http://" + l.Addr().String()}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.asked.Add(1)
		if m.fail != nil && m.fail(w, r) {
			return
		}
		b, ok := m.files[r.URL.Path[1:]]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	})}
	go s.Serve(m.tap)
	t.Cleanup(func() { s.Close() })
	return m
}

// run updates from the mirror by a freshclam.conf.
func (m *mirror) run(more string, args ...string) (string, error) {
	m.t.Helper()
	conf := "# ours\nPrivateMirror " + m.url + "\nDatabaseDirectory " + filepath.Join(m.dir, "got") + "\nChecks 12\n" + more
	if err := os.WriteFile(filepath.Join(m.dir, "freshclam.conf"), []byte(conf), 0o644); err != nil {
		m.t.Fatal(err)
	}
	out, err := process(m.t, m.dir, append([]string{"update", "--config", "freshclam.conf", "--ledger", "led", "--sample", "0"}, args...)...).CombinedOutput()
	return string(out), err
}

// counted holds the ledger against what came over the wire.
func (m *mirror) counted() {
	m.t.Helper()
	var sent int64
	s, err := ledger.Read(filepath.Join(m.dir, "led"), func(e *ledger.Entry) error {
		if e.Close != nil {
			sent += e.Close.Sent
		}
		return nil
	})
	m.tap.mu.Lock()
	defer m.tap.mu.Unlock()
	if err != nil || s.Open != 0 || sent != int64(m.tap.all.Len()) || int64(s.Sends) != m.asked.Load() {
		m.t.Errorf("%d bytes in the ledger, %d came; %d requests, %d came: %v", sent, m.tap.all.Len(), s.Sends, m.asked.Load(), err)
	}
}

const onlyDaily = "ExcludeDatabase main\nExcludeDatabase bytecode\n"

func publish(t *testing.T, m *mirror, p *updatetest.Publisher, version int) {
	t.Helper()
	if err := p.Publish("daily", version, cvd.Set{"d.ndb": fmt.Appendf(nil, "V%d:0:*:6d61726b6572206f6620757064617465732c20696e206e6f207061636b616765\n", version)}); err != nil {
		t.Fatal(err)
	}
	m.files = p.Files
}

// From a mirror on this machine, by a process that is locked in: the whole, then
// scripts, then nothing; each byte is in the ledger.
func TestUpdate(t *testing.T) {
	m := newMirror(t)
	p, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	publish(t, m, p, 10)
	// ClamAV's keys are not this publisher's.
	out, err := m.run(onlyDaily)
	if err == nil || !strings.Contains(out, "digital signature does not hold") || !strings.Contains(out, "licence: GPL-2.0") || !strings.Contains(out, "line 4: Checks: when it runs") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "got", "daily.cvd")); err == nil {
		t.Error("put in all the same")
	}
	if out, err = m.run(onlyDaily, "--unsigned"); err != nil || !strings.Contains(out, "daily: 10, whole; unsigned") || strings.Contains(out, "licence") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = m.run(onlyDaily, "--unsigned"); err != nil || !strings.Contains(out, "daily: 10, up to date") {
		t.Errorf("%v: %s", err, out)
	}
	for v := 11; v < 14; v++ {
		publish(t, m, p, v)
	}
	if out, err = m.run(onlyDaily, "--unsigned", "--check"); err == nil || !strings.Contains(out, "daily: 10; there is 13") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = m.run(onlyDaily, "--unsigned"); err != nil || !strings.Contains(out, "daily: 13, from 10 by 3 scripts") {
		t.Errorf("%v: %s", err, out)
	}
	got, err := process(t, m.dir, "update", "status", "-o", "got", "--ledger", "led").CombinedOutput()
	if err != nil || !strings.Contains(string(got), "daily.cld: version 13 of 01 Jan 2026 10-00 +0000, 3 signatures") {
		t.Errorf("%v: %s", err, got)
	}
	eicar := filepath.Join(m.dir, "x")
	if err := os.WriteFile(eicar, []byte("marker of updates, in no package"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := process(t, m.dir, "rules", "compile", "--unsigned", "got", "-o", "db").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, _ := process(t, m.dir, "scan", "--db", "db", "x").CombinedOutput(); !strings.Contains(string(out), "V13") {
		t.Errorf("%s", out)
	}
	// What was patched here goes on to a host without a network, as it is; and generations are compared by their numbers.
	if out, err := m.run(onlyDaily, "--unsigned", "--from", "got", "-o", "third"); err != nil || !strings.Contains(out, "daily: 13, whole; unsigned") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "third", "daily.cld")); err != nil {
		t.Error(err)
	}
	if out, err := m.run(onlyDaily, "--unsigned", "--from", "got", "-o", "third"); err != nil || !strings.Contains(out, "daily: 13, up to date") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := process(t, m.dir, "rules", "diff", "1", "2", "-o", "got").CombinedOutput(); err == nil || !strings.Contains(string(out), "V13") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := process(t, m.dir, "rules", "diff", "1", "7", "-o", "got").CombinedOutput(); err == nil || !strings.Contains(string(out), "generation 7") {
		t.Errorf("%v: %s", err, out)
	}
	m.counted()
}

// What ClamAV signed is taken by its own keys.
func TestUpdateReal(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(os.Getenv("SHOWCAUSE_DATA"), "clamav", "bytecode.cvd"))
	if err != nil {
		t.Skip("SHOWCAUSE_DATA: ", err)
	}
	m := newMirror(t)
	m.files["bytecode.cvd"] = b
	const only = "ExcludeDatabase main\nExcludeDatabase daily\n"
	if out, err := m.run(only); err != nil || !strings.Contains(out, "bytecode: 268, whole; signature in the header (RSA, MD5) and of the list of members") {
		t.Errorf("%v: %s", err, out)
	}
	if got, _ := os.ReadFile(filepath.Join(m.dir, "got", "bytecode.cvd")); !bytes.Equal(got, b) {
		t.Error("other bytes")
	}
	m.counted()
	// The same from a folder, with no network: nothing more is in the ledger.
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "bytecode.cvd"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := m.run(only, "--from", from, "--air-gap", "-o", "other"); err != nil || !strings.Contains(out, "bytecode: 268, whole") {
		t.Errorf("%v: %s", err, out)
	}
	m.counted()
}

// A mirror that refuses, breaks off, lies about sizes or leads elsewhere: an
// error that says so, and the old rules stay.
func TestUpdateTrouble(t *testing.T) {
	p, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		fail func(w http.ResponseWriter, r *http.Request) bool
		want string
	}{
		"403": {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }, "status 403: the server wants no more questions"},
		"429": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(429)
			return true
		}, "status 429: too many questions"},
		"500":  {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }, "status 500"},
		"page": {func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte("<html>log in</html>")); return true }, "no ClamAV database"},
		"broken off": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") != "" {
				return false
			}
			w.Header().Set("Content-Length", "100000")
			w.Write([]byte("ClamAV-VDB:"))
			return true
		}, "unexpected EOF"},
		"to another machine": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "http://192.0.2.1/daily.cvd")
			w.WriteHeader(302)
			return true
		}, "http is sent to this machine only"},
		"to another server": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL+"/x", http.StatusFound)
			return true
		}, "update clamav"},
	} {
		m := newMirror(t)
		publish(t, m, p, 10)
		if out, err := m.run(onlyDaily, "--unsigned"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		before, _ := os.ReadFile(filepath.Join(m.dir, "got", "daily.cvd"))
		publish(t, m, p, 11)
		delete(m.files, "daily-11.cdiff")
		m.fail = c.fail
		out, err := m.run(onlyDaily, "--unsigned")
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		after, _ := os.ReadFile(filepath.Join(m.dir, "got", "daily.cvd"))
		if !bytes.Equal(before, after) || len(after) == 0 {
			t.Errorf("%s: the old rules are gone", name)
		}
		m.fail = nil
		asked := m.asked.Load()
		out, err = m.run(onlyDaily, "--unsigned")
		if name == "403" || name == "429" {
			if err == nil || !strings.Contains(out, "not to be asked yet") || m.asked.Load() != asked {
				t.Errorf("%s: asked again: %v: %s", name, err, out)
			}
		} else if err != nil {
			t.Errorf("%s: afterwards: %v: %s", name, err, out)
		}
		if name != "to another server" { // it is counted there
			m.counted()
		}
	}
}

// The text of a name server tells the version, through the process that is locked
// in; the question is in the ledger.
func TestUpdateTXT(t *testing.T) {
	m := newMirror(t)
	p, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	publish(t, m, p, 10)
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	var questions atomic.Int64
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			questions.Add(1)
			txt := fmt.Sprintf("1.5.0:62:10:%d:1:90:49192:335", time.Now().Unix())
			end := 12 + bytes.IndexByte(b[12:n], 0) + 5
			a := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, b[12:end]...)
			a = append(a, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, byte(len(txt)+1), byte(len(txt)))
			u.WriteTo(append(a, txt...), from)
		}
	}()
	conf := "DatabaseMirror " + m.url + "\nDNSDatabaseInfo current.example.test\nDatabaseDirectory " + filepath.Join(m.dir, "got") + "\n" + onlyDaily
	if err := os.WriteFile(filepath.Join(m.dir, "public.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"daily: 10, whole", "daily: 10, up to date"} {
		out, err := process(t, m.dir, "update", "--config", "public.conf", "--ledger", "led", "--unsigned", "--sample", "0", "--name-server", u.LocalAddr().String()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || m.asked.Load() != 1 || questions.Load() != int64(i+1) {
			t.Errorf("%v: %d requests, %d questions: %s", err, m.asked.Load(), questions.Load(), out)
		}
	}
	var asked []string
	if _, err := ledger.Read(filepath.Join(m.dir, "led"), func(e *ledger.Entry) error {
		if e.Query != nil {
			asked = append(asked, e.Query.Host)
		}
		return nil
	}); err != nil || len(asked) != 2 || asked[0] != "current.example.test" {
		t.Errorf("%q %v", asked, err)
	}
}

func TestUpdateSources(t *testing.T) {
	dir := t.TempDir()
	place := []string{"-o", "got", "--ledger", "led"}
	run := func(args ...string) (string, error) {
		out, err := process(t, dir, append(append([]string{"update"}, args...), place...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("sources"); err != nil || !strings.Contains(out, "on   clamav") || !strings.Contains(out, "off  yara-forge-core") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("yara-forge-core", "--air-gap"); err == nil || !strings.Contains(out, "source yara-forge-core is off: showcause update enable yara-forge-core") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("nobody"); err == nil || !strings.Contains(out, "no source \"nobody\"") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("enable", "signature-base"); err != nil || !strings.Contains(out, "Detection Rule License") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("disable", "clamav"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("sources"); err != nil || !strings.Contains(out, "off  clamav") || !strings.Contains(out, "on   signature-base") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("--air-gap"); err == nil || !strings.Contains(out, "air gap") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("status"); err != nil || !strings.Contains(out, "signature-base: never fetched") {
		t.Errorf("%v: %s", err, out)
	}
}
