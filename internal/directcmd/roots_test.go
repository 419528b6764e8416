package directcmd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/product/estate"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/quarantine"
	"github.com/showcause/showcause/worker/workertest"
)

// searching lets a desk look into targets itself.
func (d *desk) searching() {
	d.host.Look = func(_ context.Context, request []byte, f *os.File, part func([]byte) error) error {
		return survey.Here(request, f, part)
	}
	d.host.Scratch = func() (*os.File, error) { return os.CreateTemp(d.t.TempDir(), "") }
}

// identityOf knows GNU Hello on a platform.
func identityOf(platform string) string {
	return strings.Replace(helloIdentity, "platform: deb", "platform: "+platform, 1)
}

// removed has a finding of a root proposed, approved, removed and verified.
func (d *desk) removed(root string, do func(...string) string) {
	d.t.Helper()
	out := do("identify", "no-hello", root, "--endpoint", "image")
	d.has(out, "GNU Hello, installed", "no-hello: covered")
	id := d.pick(out, findingID)
	p := d.pick(do("remove", id, "--by", "A. Officer"), `proposal ([0-9a-f]{16})`)
	do("remove", id, "--approve", p, "--by", "B. Reviewer")
	d.has(do("remove", id, "--run", p, "--by", "A. Officer"), "not verified until a search")
	do("identify", "no-hello", root, "--endpoint", "image")
	d.has(do("case", "show"), "1 not found", "verified-gone")
	d.has(do("attest", "no-hello", "--by", "A. Officer"), "Not found: what the order no-hello", "attestation")
}

// TestRPMRoot removes a package from a root with rpm, which is not the system that runs.
func TestRPMRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root changes another root")
	}
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool)
		}
	}
	top := t.TempDir()
	spec := filepath.Join(top, "hello.spec")
	text := "Name: hello\nVersion: 1\nRelease: 1\nSummary: x\nLicense: GPL\nBuildArch: noarch\n%description\nx\n%install\nmkdir -p %{buildroot}/opt\necho x > %{buildroot}/opt/hello\n%preun\ntouch /showcause-ran-a-script\n%files\n/opt/hello\n"
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpmbuild", "-bb", "--quiet", "--define", "_topdir "+top+"/b", spec).CombinedOutput(); err != nil {
		t.Skipf("rpmbuild: %v: %s", err, out)
	}
	files, _ := filepath.Glob(top + "/b/RPMS/noarch/*.rpm")
	if len(files) != 1 {
		t.Fatal(files)
	}
	root := filepath.Join(t.TempDir(), "root")
	for _, args := range [][]string{{"--root", root, "--initdb"}, {"--root", root, "--nodeps", "--noscripts", "-i", files[0]}} {
		if out, err := exec.Command("rpm", args...).CombinedOutput(); err != nil {
			t.Skipf("rpm %v: %v: %s", args, err, out)
		}
	}
	d := newDesk(t)
	d.searching()
	d.open(d.write("order.yaml", helloOrder))
	ids := d.write("gnutest.yaml", identityOf("rpm"))
	d.removed(root, func(args ...string) string { t.Helper(); return d.do(append(args, "--identities", ids)...) })
	if _, err := os.Stat(root + "/opt/hello"); err == nil {
		t.Error("its file is there")
	}
	for _, p := range []string{"/showcause-ran-a-script", root + "/showcause-ran-a-script"} {
		if _, err := os.Stat(p); err == nil {
			t.Error("a script of the package was run")
		}
	}
}

// TestDpkgRoot removes a package from a root with dpkg; nothing of this host is touched.
func TestDpkgRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root changes another root")
	}
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("no dpkg")
	}
	root := filepath.Join(t.TempDir(), "root")
	tree := estate.Tree{
		"var/lib/dpkg/status":          []byte("Package: hello\nStatus: install ok installed\nMaintainer: x <x@y.example>\nArchitecture: all\nVersion: 1\nDescription: x\n\n"),
		"var/lib/dpkg/info/hello.list": []byte("/.\n/opt\n/opt/hello\n"), "var/lib/dpkg/info/hello.md5sums": nil, "var/lib/dpkg/info/format": []byte("1\n"),
		"var/lib/dpkg/available": nil, "opt/hello": []byte("x"),
	}
	if err := tree.Write(root); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(root+"/var/lib/dpkg/updates", 0o755); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.searching()
	d.open(d.write("order.yaml", helloOrder))
	ids := d.write("gnutest.yaml", helloIdentity)
	do := func(args ...string) string { t.Helper(); return d.do(append(args, "--identities", ids)...) }
	d.removed(root, do)
	if _, err := os.Stat(root + "/opt/hello"); err == nil {
		t.Error("its file is there")
	}
}

// TestCommands holds what is run of each package manager, here and in a root; nothing that a name of a package could be is an option.
func TestCommands(t *testing.T) {
	for platform, m := range managers {
		dry, remove := m.commands("/", "hello")
		if remove[len(remove)-1] != "hello" || remove[len(remove)-2] != "--" {
			t.Errorf("%s: %q", platform, remove)
		}
		if m.dry != nil && dry[len(dry)-2] != "--" {
			t.Errorf("%s: %q", platform, dry)
		}
		dry, remove = m.commands("/mnt/x y", "hello")
		if m.rootRemove == nil {
			if dry != nil || remove != nil {
				t.Errorf("%s: %q", platform, remove)
			}
			continue
		}
		for _, argv := range [][]string{dry, remove} {
			if line := strings.Join(argv, " "); !strings.Contains(line, "/mnt/x y") || strings.Contains(line, "ROOT") || argv[len(argv)-2] != "--" {
				t.Errorf("%s: %q", platform, argv)
			}
		}
	}
}

// TestQuarantine takes a program that no package manager knows into the quarantine, by a finding of its digest; not one that has other
// bytes by then. It can be brought back.
func TestQuarantine(t *testing.T) {
	if err := jail.Available(); err != nil {
		t.Skip("jail: ", err)
	}
	top, err := os.MkdirTemp("/tmp", "showcause-root") // nothing in /dev is taken
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	root := filepath.Join(top, "root")
	program := filepath.Join(root, "opt/hello/bin/hello")
	bytes := estate.ELF("the program hello, which stands in no package")
	if err := (estate.Tree{"opt/hello/bin/hello": bytes, "opt/hello/readme": []byte("x")}).Write(root); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.searching()
	d.host.Reader = workertest.Args()
	d.open(d.write("order.yaml", helloOrder))
	ids := d.write("gnutest.yaml", strings.NewReplacer("kind: package, value: 'hello'", "kind: sha256, value: '"+fmt.Sprintf("%x", sha256.Sum256(bytes))+"'", "platform: deb, ", "").Replace(helloIdentity))
	do := func(args ...string) string { t.Helper(); return d.do(append(args, "--identities", ids)...) }
	out := do("identify", "no-hello", root, "--endpoint", "image")
	id := d.pick(out, findingID)
	out = do("remove", id, "--by", "A. Officer")
	d.has(out, "would go to the quarantine: "+program, "quarantine of gnutest.hello")
	p := d.pick(out, `proposal ([0-9a-f]{16})`)
	do("remove", id, "--approve", p, "--by", "B. Reviewer")
	if err := os.WriteFile(program, append(bytes[:len(bytes):len(bytes)], "changed"...), 0o700); err != nil {
		t.Fatal(err)
	}
	d.fails("has other bytes than the finding", "remove", id, "--run", p, "--by", "A. Officer", "--identities", ids)
	d.has(do("case", "show"), "1 present", "removing")
	if err := os.WriteFile(program, bytes, 0o700); err != nil {
		t.Fatal(err)
	}
	d.has(do("remove", id, "--run", p, "--by", "A. Officer"), "begun before and did not end", "not verified until a search")
	if _, err := os.Stat(program); err == nil {
		t.Error("the program is there")
	}
	if b, err := os.ReadFile(filepath.Join(root, "opt/hello/readme")); err != nil || string(b) != "x" {
		t.Error("something else went, too")
	}
	do("identify", "no-hello", root, "--endpoint", "image")
	d.has(do("case", "show"), "1 not found", "verified-gone")
	held, err := store.Open(d.store, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	q, err := quarantine.Open(held, quarantine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	items, err := q.Items()
	if err != nil || len(items) != 1 || !strings.HasPrefix(items[0].Rule, "Order.gnutest.hello") {
		t.Fatalf("%+v, %v", items, err)
	}
	if err := q.Restore(items[0].ID, "", "a test"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(program); err != nil || string(b) != string(bytes) {
		t.Errorf("it did not come back: %v", err)
	}
	d.has(do("identify", "no-hello", root, "--endpoint", "image"), "found again after "+id)
}
