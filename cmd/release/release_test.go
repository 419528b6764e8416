package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/release"
)

// clone makes a clone of the checkout that is tested, as it was committed.
func clone(t *testing.T, to string) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("not in a git checkout: ", err)
	}
	config := filepath.Join(t.TempDir(), "gitconfig") // what -c says does not reach the process that reads the other's checkout
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", to},
		{"-C", to, "fetch", "-q", "--no-tags", "--update-shallow", root, "HEAD"},
		{"-C", to, "checkout", "-q", "--detach", "FETCH_HEAD"},
	} {
		if _, err := command(t.Context(), root, append(os.Environ(), "GIT_CONFIG_GLOBAL="+config), "git", args...); err != nil {
			t.Fatal(err)
		}
	}
}

func keyFile(t *testing.T, dir, name string) (private, public string) {
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, name), filepath.Join(dir, name+".pub")
	if err := errors.Join(os.WriteFile(private, k.PEM(), 0o600), os.WriteFile(public, k.Public().PEM(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return private, public
}

// TestReproducible builds the release from two clones in two folders, the second
// time with nothing compiled before, and by another user where this is root: the
// digests are the same. Then it holds the release as a stranger would, who
// builds it a third time, and as one who was given another program.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program from nothing")
	}
	dir := t.TempDir()
	key, pub := keyFile(t, dir, "key")
	logKey, logPub := keyFile(t, dir, "logkey")
	a := filepath.Join(dir, "a", "folder of one")
	clone(t, a)
	out := filepath.Join(dir, "release")
	if err := run(t.Context(), []string{"-source", a, "-o", out, "-only", "linux/amd64", "-version", "v0.0.1", "-key", key, "-log", filepath.Join(dir, "log"), "-log-key", logKey}, io.Discard); err != nil {
		t.Fatal(err)
	}
	again := elsewhere(t, a)
	first, err := os.ReadFile(filepath.Join(out, release.Sums))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, again) {
		t.Errorf("two builds differ:\n%s%s", first, again)
	}
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-source", a, "-compare", out}, &said); err != nil || strings.Count(said.String(), ": same\n") != 3 {
		t.Errorf("%v: %s", err, &said)
	}
	program := filepath.Join(out, "showcause-linux-amd64")
	verify := func(code int, args ...string) string {
		c := exec.Command(program, append([]string{"verify-self", "--release", out, "--key", pub, "--log-key", logPub}, args...)...)
		b, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != code {
			t.Errorf("verify-self: exit code %d, want %d: %s", c.ProcessState.ExitCode(), code, b)
		}
		return string(b)
	}
	if s := verify(0); !strings.Contains(s, "verified") || !strings.Contains(s, "v0.0.1") {
		t.Error(s)
	}
	_, other := keyFile(t, dir, "other")
	verify(1, "--key", other)
	verify(1, "--log-key", other)
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "showcause")
	if err := os.WriteFile(program, append(b, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	if s := verify(1); !strings.Contains(s, "no program of this digest") {
		t.Error(s)
	}
	if err := os.WriteFile(filepath.Join(out, "showcause-linux-amd64"), append(b, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-source", a, "-compare", out}, &said); !errors.Is(err, errDiffers) {
		t.Errorf("another program in the folder: %v", err)
	}
	modules(t, a, out)
}

// elsewhere builds it in another folder, with another cache, and as another user if
// that can be; it returns the list.
func elsewhere(t *testing.T, source string) []byte {
	dir, err := os.MkdirTemp("/var/tmp", "showcause-elsewhere-") // not below t.TempDir, which is the first user's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command0(exec.Command("chmod", "-R", "u+w", dir))
		os.RemoveAll(dir)
	})
	b := filepath.Join(dir, "b")
	clone(t, b)
	self := filepath.Join(dir, "release")
	goroot, err := command(t.Context(), source, os.Environ(), "go", "env", "GOROOT", "GOMODCACHE")
	if err != nil {
		t.Fatal(err)
	}
	root, cache, _ := strings.Cut(goroot, "\n")
	if _, err := command(t.Context(), source, os.Environ(), "go", "build", "-o", self, "./cmd/release"); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-source", b, "-o", filepath.Join(dir, "out"), "-only", "linux/amd64", "-version", "v0.0.1")
	c.Env = []string{
		"PATH=" + filepath.Join(root, "bin") + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"), "TMPDIR=" + dir, "LANG=de_DE.UTF-8", "TZ=Asia/Tokyo",
		"GOCACHE=" + filepath.Join(dir, "cache"), "GOFLAGS=-tags=nothing", "GOAMD64=v3",
	}
	if os.Getuid() == 0 && readable(root) {
		// The modules are unpacked anew from what was downloaded.
		mod := filepath.Join(dir, "mod")
		env := append(os.Environ(), "GOMODCACHE="+mod, "GOPROXY=file://"+filepath.Join(cache, "cache", "download"), "GOSUMDB=off", "GOFLAGS=-modcacherw")
		if _, err := command(t.Context(), b, env, "go", "mod", "download"); err == nil {
			cache = mod
			if err := command0(exec.Command("chown", "-R", "65534:65534", dir)); err != nil {
				t.Fatal(err)
			}
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			c.Dir = dir
		} else {
			t.Logf("by the same user: not all modules are at hand: %v", err)
		}
	} else {
		t.Log("by the same user: this is not root, or the Go tree is not for others to read")
	}
	c.Env = append(c.Env, "GOMODCACHE="+cache, "GOPROXY=off", "GOSUMDB=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	list, err := os.ReadFile(filepath.Join(dir, "out", release.Sums))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func command0(c *exec.Cmd) error { return c.Run() }

// readable tells whether others can read a folder.
func readable(dir string) bool {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm()&0o5 != 0o5 {
			return false
		}
	}
	return true
}

// modules holds the SBOM against what the packages of the program are of, as go list says.
func modules(t *testing.T, source, out string) {
	env := append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	listed, err := command(t.Context(), source, env, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}", "./cmd/showcause")
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		Components []struct{ Name, Version string }
	}
	b, err := os.ReadFile(filepath.Join(out, release.SBOM))
	if err == nil {
		err = json.Unmarshal(b, &bom)
	}
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, c := range bom.Components {
		have = append(have, c.Name+"@"+c.Version)
	}
	want := slices.Compact(slices.Sorted(strings.SplitSeq(strings.TrimSpace(listed), "\n")))
	n := 0
	for _, m := range want {
		if m = strings.TrimSpace(m); m != "" {
			n++
			if !slices.Contains(have, m) {
				t.Errorf("the SBOM lacks %s", m)
			}
		}
	}
	if n < 10 || len(have) != n+1 {
		t.Errorf("%d modules are linked, the SBOM has %d", n, len(have)-1)
	}
	info, err := buildinfo.ReadFile(filepath.Join(out, "showcause-linux-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.modified" && s.Value != "false" {
			t.Errorf("built from changed sources")
		}
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{}, {"-o", "x", "-compare", "x"}, {"-o", "x", "-version", "1; rm"}, {"-compare", t.TempDir()}, {"-o", "x", "-only", "plan9/mips"}, {"-o", "x", "-revision", "--upload-pack=x"}} {
		if err := run(context.Background(), append([]string{"-source", "../.."}, args...), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	os.Remove("x")
}

// A list, a signature and a provenance that disagree are refused.
func TestForged(t *testing.T) {
	if _, err := release.ParseSums([]byte("")); err == nil {
		t.Error("an empty list")
	}
	sum := strings.Repeat("ab", 32)
	for _, text := range []string{sum + " x\n", sum + "  ../x\n", strings.ToUpper(sum) + "  x\n", sum + "  b\n" + sum + "  a\n", sum + "  a\n" + sum + "  a\n", "ab  x\n"} {
		if _, err := release.ParseSums([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	dir := t.TempDir()
	write(dir, release.Sums, []byte(sum+"  "+release.Provenance+"\n"))
	write(dir, release.Provenance, []byte("{}"))
	if _, err := release.Open(dir); err == nil {
		t.Error("a provenance that is not in the list")
	}
	_, key, _ := ed25519.GenerateKey(nil)
	if err := (&release.Release{}).Signed(key.Public().(ed25519.PublicKey)); err == nil {
		t.Error("no signature")
	}
}
