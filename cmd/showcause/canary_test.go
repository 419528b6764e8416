package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// canaryScript scans files while rules are fetched from a local server, in a
// network of its own that tcpdump watches, and kills its readers in the middle: on a
// busy machine none may come to read in one of the scans.
const canaryScript = `set -eu
ulimit -c unlimited
ip link set lo up
tcpdump -i lo -U -w "$D/lo.pcap" 2>"$D/tcpdump.log" &
dump=$!
python3 -m http.server -b 127.0.0.1 -d "$D/www" 8089 >"$D/server.log" 2>&1 &
server=$!
until grep -q listening "$D/tcpdump.log" && python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8089))' 2>/dev/null; do sleep 0.1; done
(while :; do pkill -SEGV -P "$(cat "$D/scanner" 2>/dev/null || echo 0)" -f '^showcause worker' && echo killed >>"$D/kills" || true; sleep 0.2; done) &
killer=$!
(while [ ! -e "$D/done" ]; do "$SHOWCAUSE" rules fetch http://127.0.0.1:8089/a.ndb -o "$D/rules" --ledger "$D/ledger" >>"$D/fetch.log" 2>&1 || echo "fetch: $?" >>"$D/failed"; done) &
fetcher=$!
i=0
while [ $i -lt 4 ]; do
	"$SHOWCAUSE" scan --db "$D/www/a.ndb" --format json "$D/files" >>"$D/scan" 2>>"$D/scan.log" &
	echo $! >"$D/scanner"
	wait $! || true
	i=$((i+1))
done
kill $killer
touch "$D/done"
wait $fetcher
kill $server
sleep 0.3
kill $dump
wait $dump || true
`

// canary is a text that stands nowhere else, in files of several kinds.
func canary(t *testing.T, dir string) []byte {
	var raw [24]byte
	if _, err := rand.Read(raw[:]); err != nil {
		t.Fatal(err)
	}
	token := []byte(fmt.Sprintf("%x", raw))
	text := []byte("harmless words, then the marker of the rule: " + string(token) + "\n")
	var z, g, m, tb bytes.Buffer
	zw := zip.NewWriter(&z)
	for i, method := range []uint16{zip.Store, zip.Deflate} {
		w, _ := zw.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i, ".txt"), Method: method})
		w.Write(bytes.Repeat(text, 100))
	}
	zw.Close()
	gw := gzip.NewWriter(&g)
	gw.Write(bytes.Repeat(text, 100))
	gw.Close()
	fmt.Fprintf(&m, "From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n%s\n", base64.StdEncoding.EncodeToString(text))
	tw := tar.NewWriter(&tb)
	big := bytes.Repeat(text, 24<<20/len(text)) // more than is unpacked in memory
	gz := gzip.NewWriter(&tb)
	gz.Write(big)
	gz.Close()
	tw.Close()
	for i := range 60 {
		for name, b := range map[string][]byte{"txt": text, "zip": z.Bytes(), "gz": g.Bytes(), "eml": m.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.%s", i, name)), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "big.gz"), tb.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return token
}

// disguises are the ways to write a token that are looked for.
func disguises(token []byte) map[string][]byte {
	out := map[string][]byte{"plain": token, "hex": []byte(hex.EncodeToString(token)), "HEX": []byte(strings.ToUpper(string(token)))}
	for i := range 3 {
		b := base64.StdEncoding.EncodeToString(append(make([]byte, i), token...))
		out[fmt.Sprint("base64.", i)] = []byte(b[4 : len(b)-4])
	}
	for k := 1; k < 256; k++ {
		x := slices.Clone(token)
		for i := range x {
			x[i] ^= byte(k)
		}
		out[fmt.Sprint("xor.", k)] = x
	}
	back := slices.Clone(token)
	slices.Reverse(back)
	out["backwards"] = back
	wide := make([]byte, 2*len(token))
	for i, c := range token {
		wide[2*i] = c
	}
	out["utf16"] = wide
	if raw, err := hex.DecodeString(string(token)); err == nil {
		out["bytes"] = raw
	}
	return out
}

// traces names the files below dir that hold a token in some form.
func traces(t *testing.T, dir string, token []byte) (found []string) {
	looks := disguises(token)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for how, form := range looks {
			if bytes.Contains(b, form) {
				found = append(found, filepath.Base(path)+" "+how)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestCanary: what stands in scanned files is in no packet, ledger, log,
// temporary file or core, while rules are fetched and readers are killed.
func TestCanary(t *testing.T) {
	for _, tool := range []string{"unshare", "ip", "tcpdump", "python3", "pkill"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	enter := []string{"-n"}
	if os.Getuid() != 0 {
		enter = []string{"-rn"}
	}
	if out, err := exec.Command("unshare", append(enter, "ip", "link", "set", "lo", "up")...).CombinedOutput(); err != nil {
		t.Skipf("no network namespace of its own: %v: %s", err, out)
	}
	d := t.TempDir()
	for _, sub := range []string{"files", "www", "tmp", "cache", "state", "cwd"} {
		if err := os.Mkdir(filepath.Join(d, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(d, 0o755); err != nil { // tcpdump writes as a user of its own
		t.Fatal(err)
	}
	files := t.TempDir()
	token := canary(t, files)
	if err := os.Remove(filepath.Join(d, "files")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(files, filepath.Join(d, "files")); err != nil {
		t.Fatal(err)
	}
	served := []byte(fmt.Sprintf("Test.Marker:0:*:%x\n", "the marker of the rule"))
	if err := os.WriteFile(filepath.Join(d, "www", "a.ndb"), served, 0o644); err != nil {
		t.Fatal(err)
	}
	program := buildPure(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "unshare", append(enter, "sh", "-c", canaryScript)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	c.Dir = filepath.Join(d, "cwd")
	c.Env = append(os.Environ(), "D="+d, "SHOWCAUSE="+program, "TMPDIR="+filepath.Join(d, "tmp"),
		"XDG_CACHE_HOME="+filepath.Join(d, "cache"), "XDG_STATE_HOME="+filepath.Join(d, "state"), "HOME="+d)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(d, "failed")); err == nil {
		log, _ := os.ReadFile(filepath.Join(d, "fetch.log"))
		t.Fatalf("%s%s", b, log)
	}
	// What was watched was there: the server's file crossed the wire and the scan found the marker, in the packed files too.
	for name, want := range map[string]string{"lo.pcap": "Test.Marker", "scan": `"verdict":"found"`, "kills": "killed"} {
		if b, err := os.ReadFile(filepath.Join(d, name)); err != nil || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: no %q, %v", name, want, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(d, "ledger", "ledger.jsonl")); err == nil && !bytes.Contains(b, []byte("/a.ndb")) {
		t.Error("the ledger has no request")
	}
	if at := traces(t, files, token); len(at) < 60 {
		t.Errorf("the token is in %d files that were scanned", len(at))
	}
	if at := traces(t, d, token); len(at) > 0 {
		t.Errorf("what was scanned is in %v", at)
	}
}

// buildPure builds the program as it is released.
func buildPure(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "showcause")
	c := exec.Command("go", "build", "-o", program, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("cannot be built without cgo here: %v: %s", err, out)
	}
	return program
}
