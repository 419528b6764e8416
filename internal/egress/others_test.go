//go:build !airgap

package egress

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/showcause/showcause/ledger"
)

// Nothing of the environment goes to the process but the word that forbids.
func TestEnvironment(t *testing.T) {
	for _, v := range []string{
		"SSL_CERT_FILE", "SSL_CERT_DIR", "LD_PRELOAD", "LD_LIBRARY_PATH", "GODEBUG", "GOTRACEBACK", "GOGC", "GOCOVERDIR", "RES_OPTIONS", "LOCALDOMAIN",
		"HOSTALIASES", "HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "TZ", "ZONEINFO", "TMPDIR", "HOME", "PATH", "SSLKEYLOGFILE",
	} {
		t.Setenv(v, "/forged")
	}
	t.Setenv(ledger.AirGapVariable, "0")
	want := []string{"TZ=UTC", "GODEBUG=containermaxprocs=0,updatemaxprocs=0", ledger.AirGapVariable + "=0"}
	if got := command(t.Context(), false).Env; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A folder in which others have a hand, or may have prepared something.
func TestFolderOfOthers(t *testing.T) {
	outside := t.TempDir()
	keep := filepath.Join(outside, "keep")
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"for all":          {func(d string) error { return os.Chmod(d, 0o777) }, "has mode 0777"},
		"for the group":    {func(d string) error { return os.Chmod(d, 0o775) }, "has mode 0775"},
		"incoming for all": {func(d string) error { i := filepath.Join(d, incoming); os.Mkdir(i, 0o700); return os.Chmod(i, 0o733) }, "has mode 0733"},
		"incoming a link":  {func(d string) error { return os.Symlink(outside, filepath.Join(d, incoming)) }, "not a folder"},
		"incoming a link inside": {func(d string) error {
			os.Mkdir(filepath.Join(d, "mine"), 0o700)
			os.WriteFile(filepath.Join(d, "mine", "keep"), nil, 0o600)
			return os.Symlink("mine", filepath.Join(d, incoming))
		}, "not a folder"},
		"incoming a pipe": {func(d string) error { return syscall.Mkfifo(filepath.Join(d, incoming), 0o600) }, "not a folder"},
		"of another":      {func(d string) error { return os.Chown(d, 65534, 65534) }, "belongs to user 65534"},
	} {
		if name == "of another" && os.Getuid() != 0 {
			continue
		}
		if err := os.WriteFile(keep, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "rules")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := c.change(dir); err != nil {
			t.Fatal(err)
		}
		in, err := OpenFolder(dir)
		if err == nil {
			in.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(keep); err != nil {
			t.Fatalf("%s: what is elsewhere is gone", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "mine")); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "mine", "keep")); err != nil {
				t.Errorf("%s: what is elsewhere in it is gone", name)
			}
		}
	}

	// Who owns the folder above puts others in its place while it is open.
	above := t.TempDir()
	dir := filepath.Join(above, "rules")
	in, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := put(t, in, 0, "A")
	if err := os.Rename(dir, dir+"x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, incoming)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Create(1); err != nil {
		t.Error(err)
	}
	in.Take([]string{"a.ndb"}, []string{"u/a.ndb"}, []Answer{a}, func(string) error { return nil })
	in.Close()
	if left := content(t, outside); len(left) != 1 {
		t.Errorf("elsewhere there is %v", left)
	}
}
