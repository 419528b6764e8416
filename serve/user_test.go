package serve

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root has in a folder is given, but no link, nothing behind one, and nothing that has another name.
func TestGiveAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	_, uid, gid, err := account("nobody")
	if err != nil {
		t.Skip("no user nobody: ", err)
	}
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path string) string {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sub := filepath.Join(dir, "sub", "deeper")
	if err := os.MkdirAll(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	inside := write(outside + "/inside")
	two, others := write(outside+"/two"), write(dir+"/others")
	if err := os.Chown(others, 1, 1); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Link(two, dir+"/two"), os.Symlink(outside, dir+"/away"), os.Symlink(inside, sub+"/file"), syscall.Mkfifo(dir+"/pipe", 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	given := map[string]bool{
		dir: true, filepath.Dir(sub): true, sub: true, write(dir + "/one"): true, write(sub + "/one"): true,
		outside: false, inside: false, two: false, others: false, dir + "/away": false, sub + "/file": false, dir + "/pipe": false,
	}
	for range 2 { // the second time the folder is the user's
		if err := GiveAll(dir, "nobody"); err != nil {
			t.Fatal(err)
		}
		for path, want := range given {
			i, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			st := i.Sys().(*syscall.Stat_t)
			if got := int(st.Uid) == uid && int(st.Gid) == gid; got != want {
				t.Errorf("%s: of %d and %d", path, st.Uid, st.Gid)
			}
		}
	}
	if err := GiveAll(dir+"/missing", "nobody"); err == nil {
		t.Error("a folder that is not there was given")
	}
}
