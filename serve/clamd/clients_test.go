package clamd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/clamdtalk"
)

// A client is a program of others, and what it is to say.
type client struct {
	name  string
	needs string   // a program, or "npm NAME", or "go MODULE"
	run   []string // TREE, SOCKET, PORT and CONF stand for what they name
	code  int      // how it ends
	want  []string // each is in what it says
	never []string // none of these is
}

const hit = "Win.Test.EICAR_HDB-1.UNOFFICIAL"

var clients = []client{
	{"clamdscan", "clamdscan", []string{"clamdscan", "-c", "CONF", "TREE/e.txt", "TREE/d/x/c"}, 1, []string{"TREE/e.txt: " + hit + " FOUND\n", "TREE/d/x/c: OK\n", "Infected files: 1\n"}, []string{"ERROR"}},
	{"clamdscan --fdpass", "clamdscan", []string{"clamdscan", "-c", "CONF", "--fdpass", "TREE/e.txt", "TREE/d/x/c"}, 1, []string{"TREE/e.txt: " + hit + " FOUND\n", "TREE/d/x/c: OK\n", "Infected files: 1\n"}, []string{"ERROR"}},
	{"clamdscan --stream", "clamdscan", []string{"clamdscan", "-c", "CONF", "--stream", "TREE/e.txt", "TREE/d/x/c"}, 1, []string{"TREE/e.txt: " + hit + " FOUND\n", "TREE/d/x/c: OK\n", "Infected files: 1\n"}, []string{"ERROR"}},
	{"clamdscan clean", "clamdscan", []string{"clamdscan", "-c", "CONF", "TREE/d/x"}, 0, []string{"TREE/d/x: OK\n", "Infected files: 0\n"}, []string{"ERROR"}},
	{"clamdscan folder", "clamdscan", []string{"clamdscan", "-c", "CONF", "TREE/d"}, 1, []string{"TREE/d/a: " + hit + " FOUND\n", "TREE/d/b: Test.Sub.UNOFFICIAL FOUND\n", "Infected files: 2\n"}, []string{"ERROR"}},
	{"clamdscan --fdpass folder", "clamdscan", []string{"clamdscan", "-c", "CONF", "--fdpass", "TREE/some"}, 1, []string{"TREE/some/7: " + hit + " FOUND\n", "TREE/some/13: " + hit + " FOUND\n", "Infected files: 2\n"}, []string{"ERROR"}},
	{"clamdscan --stream folder", "clamdscan", []string{"clamdscan", "-c", "CONF", "--stream", "TREE/some"}, 1, []string{"TREE/some/7: " + hit + " FOUND\n", "TREE/some/13: " + hit + " FOUND\n", "Infected files: 2\n"}, []string{"ERROR"}},
	{"clamdscan --multiscan", "clamdscan", []string{"clamdscan", "-c", "CONF", "--multiscan", "TREE/some"}, 1, []string{"TREE/some/7: " + hit + " FOUND\n", "TREE/some/13: " + hit + " FOUND\n", "Infected files: 2\n"}, []string{"ERROR"}},
	{"clamdscan --multiscan --fdpass", "clamdscan", []string{"clamdscan", "-c", "CONF", "--multiscan", "--fdpass", "TREE/some"}, 1, []string{"TREE/some/7: " + hit + " FOUND\n", "TREE/some/13: " + hit + " FOUND\n", "Infected files: 2\n"}, []string{"ERROR"}},
	{"clamdscan --allmatch", "clamdscan", []string{"clamdscan", "-c", "CONF", "--allmatch", "TREE/d/b"}, 1, []string{"TREE/d/b: Test.Sub.UNOFFICIAL FOUND\n", "TREE/d/b: Test.Sub2.UNOFFICIAL FOUND\n"}, []string{"ERROR"}},
	{"clamdscan stdin", "clamdscan", []string{"clamdscan", "-c", "CONF", "-"}, 1, []string{"stream: " + hit + " FOUND\n"}, []string{"ERROR"}},
	{"clamdscan --ping", "clamdscan", []string{"clamdscan", "-c", "CONF", "--ping", "1"}, 0, []string{"PONG"}, nil},
	{"clamdscan --version", "clamdscan", []string{"clamdscan", "-c", "CONF", "--version"}, 0, []string{"ClamAV 1.4.6/27700/"}, nil},
	{"clamdscan --reload", "clamdscan", []string{"clamdscan", "-c", "CONF", "--reload"}, 0, nil, []string{"ERROR"}},
	{"pyclamd", "/usr/bin/python3", []string{"/usr/bin/python3", "-c", `
import pyclamd, io
for c in (pyclamd.ClamdUnixSocket("SOCKET"), pyclamd.ClamdNetworkSocket("127.0.0.1", PORT)):
    print(c.ping(), c.version(), c.reload())
    print("file", c.scan_file("TREE/e.txt"), c.scan_file("TREE/d/x/c"))
    print("all", c.allmatchscan("TREE/d/b"))
    print("cont", c.contscan_file("TREE/d"), "multi", c.multiscan_file("TREE/some"))
    print("stream", c.scan_stream(open("TREE/e.txt","rb").read()), c.scan_stream(b"clean"))
    print("stats", c.stats().split(chr(10))[0])
    try:
        c.scan_stream(b"x" * (2 << 20))
    except (pyclamd.BufferTooLongError, pyclamd.ConnectionError, BrokenPipeError, ConnectionResetError) as e:
        print("long", type(e).__name__)
`}, 0, []string{
		"True ClamAV 1.4.6/27700/", "RELOADING", "file {'TREE/e.txt': ('FOUND', '" + hit + "')} None\n", "'TREE/d/b': [('FOUND', 'Test.Sub.UNOFFICIAL'), ('FOUND', 'Test.Sub2.UNOFFICIAL')]", "'TREE/some/13': ('FOUND', '" + hit + "')",
		"stream {'stream': ('FOUND', '" + hit + "')} None\n", "stats POOLS: 1\n", "long ",
	}, []string{"Traceback"}},
	{"ClamAV::Client", "perl", []string{"perl", "-e", `
use ClamAV::Client;
for my $c (ClamAV::Client->new(socket_name => "SOCKET"), ClamAV::Client->new(socket_host => "127.0.0.1", socket_port => PORT)) {
    print "ping ", $c->ping ? 1 : 0, "\n", "version ", $c->version, "\n";
    my ($path, $name) = $c->scan_path("TREE/e.txt"); print "file $path $name\n";
    my @clean = $c->scan_path("TREE/d/x/c"); print "clean ", defined $clean[1] ? 1 : 0, "\n";
    my %all = $c->scan_path_complete("TREE/d"); print "complete $_ $all{$_}\n" for sort keys %all;
    $c->reload;
}`}, 0, []string{"ping 1\n", "version ClamAV 1.4.6/27700/", "file TREE/e.txt " + hit + "\n", "clean 0\n", "complete TREE/d/a " + hit + "\n", "complete TREE/d/b Test.Sub.UNOFFICIAL\n"}, nil},
	{"npm clamscan", "npm clamscan", []string{"node", "-e", `
const Clam = require("clamscan"), { Readable } = require("stream");
(async () => {
  for (const at of [{ socket: "SOCKET" }, { host: "127.0.0.1", port: PORT }]) {
    const c = await new Clam().init({ clamdscan: { ...at, localFallback: false, multiscan: true }, preference: "clamdscan" });
    console.log("version", await c.getVersion());
    for (const f of ["TREE/e.txt", "TREE/d/x/c"]) { const r = await c.isInfected(f); console.log("file", r.file, r.isInfected, r.viruses.join()); }
    const d = await c.scanDir("TREE/d"); console.log("folder", d.badFiles.sort().join());
    for (const s of [require("fs").readFileSync("TREE/e.txt"), "clean"]) { const r = await c.scanStream(Readable.from([Buffer.from(s)])); console.log("stream", r.isInfected, r.viruses.join()); }
  }
})().catch(e => { console.log("Error ", e); process.exit(3); });`}, 0, []string{"version ClamAV 1.4.6/27700/", "file TREE/e.txt true " + hit, "file TREE/d/x/c false", "TREE/d/a,TREE/d/b\n", "stream true " + hit, "stream false"}, []string{"Error "}},
	{"npm clamdjs", "npm clamdjs", []string{"node", "-e", `
const c = require("clamdjs");
(async () => {
  console.log("ping", await c.ping("127.0.0.1", PORT)); console.log("version", await c.version("127.0.0.1", PORT));
  const s = c.createScanner("127.0.0.1", PORT);
  console.log("hit", await s.scanFile("TREE/e.txt")); console.log("clean", await s.scanBuffer(Buffer.from("clean"))); console.log("folder", JSON.stringify(await s.scanDirectory("TREE/d")));
})().catch(e => { console.log("Error ", e); process.exit(3); });`}, 0, []string{"ping true", "version ClamAV 1.4.6/27700/", "hit stream: " + hit + " FOUND", "clean stream: OK", `"ScannedFiles":3,"Infected":2,"EncounterError":0`}, []string{"Error "}},
	{"npm clamav.js", "npm clamav.js", []string{"node", "-e", `
const c = require("clamav.js"), { Readable } = require("stream");
c.ping(PORT, "127.0.0.1", 1000, (e) => console.log("ping", e || "good"));
c.version(PORT, "127.0.0.1", 1000, (e, v) => console.log("version", e || v));
for (const [n, b] of [["hit", require("fs").readFileSync("TREE/e.txt")], ["clean", Buffer.from("clean")]])
  c.createScanner(PORT, "127.0.0.1").scan(Readable.from([b]), (e, o, m) => console.log(n, e, m));`}, 0, []string{"ping good", "hit undefined " + hit, "clean undefined undefined"}, nil},
	{
		"go-clamd", "go github.com/dutchcoders/go-clamd@v0.0.0-20170520113014-b970184f4d9e",
		[]string{"go", "run", "."},
		0,
		[]string{"ping <nil>\n", "file TREE/e.txt FOUND " + hit, "file TREE/d/x/c OK", "stream FOUND " + hit, "stream OK", "multi FOUND"},
		[]string{"panic"},
	},
}

const goClient = `package main

import (
	"bytes"
	"fmt"
	"os"

	clamd "github.com/dutchcoders/go-clamd"
)

func main() {
	for _, at := range []string{"unix://SOCKET", "tcp://127.0.0.1:PORT"} {
		c := clamd.NewClamd(at)
		fmt.Println("ping", c.Ping())
		for _, f := range []string{"TREE/e.txt", "TREE/d/x/c"} {
			r, err := c.ScanFile(f)
			if err != nil {
				panic(err)
			}
			for x := range r {
				fmt.Println("file", x.Path, x.Status, x.Description)
			}
		}
		r, err := c.MultiScanFile("TREE/some")
		if err != nil {
			panic(err)
		}
		for x := range r {
			fmt.Println("multi", x.Status, x.Description)
		}
		e, _ := os.ReadFile("TREE/e.txt")
		for _, b := range [][]byte{e, []byte("clean")} {
			r, err := c.ScanStream(bytes.NewReader(b), make(chan bool))
			if err != nil {
				panic(err)
			}
			for x := range r {
				fmt.Println("stream", x.Status, x.Description)
			}
		}
	}
}
`

// Programs of others say what they are to say. Those that are not here are skipped, each by
// name: npm packages are looked for below the folder that SHOWCAUSE_NODE_MODULES names, Go's in
// the module cache.
func TestClients(t *testing.T) {
	tree := filepath.Join(t.TempDir(), "tree")
	if err := clamdtalk.Tree(tree); err != nil {
		t.Fatal(err)
	}
	b := versioned{real(t)}
	d := open(t, b, Options{StreamMaxLength: 1 << 20, ReadTimeout: 5 * time.Second})
	_, port, _ := net.SplitHostPort(d.tcp)
	conf := filepath.Join(t.TempDir(), "clamd.conf")
	if err := os.WriteFile(conf, []byte("LocalSocket "+d.socket+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("TREE", tree, "SOCKET", d.socket, "PORT", port, "CONF", conf)
	for _, c := range clients {
		t.Run(strings.ReplaceAll(c.name, "/", "_"), func(t *testing.T) {
			dir, env := there(t, c.needs, fill)
			var args []string
			for _, a := range c.run {
				args = append(args, fill.Replace(a))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
			cmd.Stdin = strings.NewReader(clamdtalk.EICAR)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Run()
			said := out.String()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("it ended with %d, not %d", code, c.code)
			}
			for _, w := range c.want {
				if !strings.Contains(said, fill.Replace(w)) {
					t.Errorf("it does not say %q", fill.Replace(w))
				}
			}
			for _, w := range c.never {
				if strings.Contains(said, w) {
					t.Errorf("it says %q", w)
				}
			}
			if t.Failed() {
				t.Logf("%s", said)
			}
		})
	}
}

// versioned has rules of a version.
type versioned struct{ *Behind }

func (v versioned) Status() Status {
	s := v.Behind.Status()
	s.Rules = RulesVersion(27700, time.Date(2026, 11, 5, 9, 0, 1, 0, time.UTC))
	return s
}

// there skips the test if what a client needs is not here. It returns the folder to run it
// in, and its environment.
func there(t *testing.T, needs string, fill *strings.Replacer) (string, []string) {
	t.Helper()
	kind, name, ok := strings.Cut(needs, " ")
	if !ok {
		kind, name = "", needs
	}
	has := func(program string) {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	switch kind {
	case "npm":
		has("node")
		modules := os.Getenv("SHOWCAUSE_NODE_MODULES")
		if modules == "" {
			t.Skipf("SHOWCAUSE_NODE_MODULES is not set: the npm package %s is not here", name)
		}
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			t.Skipf("the npm package %s is not in SHOWCAUSE_NODE_MODULES", name)
		}
		return t.TempDir(), []string{"NODE_PATH=" + modules}
	case "go":
		has("go")
		module, version, _ := strings.Cut(name, "@")
		cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
		if err != nil {
			t.Skip("no module cache")
		}
		if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(cache)), "cache/download", module, "@v", version+".zip")); err != nil {
			t.Skipf("%s is not in the module cache: go mod download %s", module, name)
		}
		dir := t.TempDir()
		mod := fmt.Sprintf("module x\n\ngo 1.21\n\nrequire %s %s\n", module, version)
		if os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644) != nil || os.WriteFile(filepath.Join(dir, "main.go"), []byte(fill.Replace(goClient)), 0o644) != nil {
			t.Fatal("temporary files")
		}
		return dir, []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off"}
	}
	has(name)
	for program, module := range map[string][]string{"/usr/bin/python3": {"/usr/bin/python3", "-c", "import pyclamd"}, "perl": {"perl", "-MClamAV::Client", "-e", "1"}} {
		if name == program && exec.Command(module[0], module[1:]...).Run() != nil {
			t.Skipf("the client's package for %s is not installed (python3-pyclamd, libclamav-client-perl)", program)
		}
	}
	return t.TempDir(), nil
}
