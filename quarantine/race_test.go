package quarantine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain plays the attacker where it is told to, and the process that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("SHOWCAUSE_QUARANTINE_TEST") {
	case "attack":
		attack(os.Args[1], os.Args[2])
	case "deal":
		os.Exit(dealMain(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// attack changes a folder as fast as it can, until it is killed.
//
//	link    the folder of the file is a link to one with a victim of the same name, by turns
//	swap    the file is the malware and a victim, by turns
//	write   the file's bytes change
//	remove  the file goes away and comes back
func attack(how, dir string) {
	file, victim := filepath.Join(dir, "d", "a"), filepath.Join(dir, "victims", "a")
	evil := []byte(marker + "evil")
	for i := 0; ; i++ {
		switch how {
		case "link":
			os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "d.away"))
			os.Symlink("victims", filepath.Join(dir, "d"))
			os.Remove(filepath.Join(dir, "d"))
			os.Rename(filepath.Join(dir, "d.away"), filepath.Join(dir, "d"))
		case "swap":
			unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, victim, unix.RENAME_EXCHANGE)
		case "write":
			if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
				f.WriteAt([]byte{"eE"[i%2]}, int64(len(marker)))
				f.Close()
			}
		case "remove":
			os.Rename(file, file+".away")
			os.Rename(file+".away", file)
			if _, err := os.Stat(file); err != nil {
				os.WriteFile(file, evil, 0o644)
			}
		}
	}
}

// Against a process that swaps folders for links, files for others, and bytes:
// nothing but the finding's bytes is ever taken, the victim stays, and no file is
// lost.
func TestRaces(t *testing.T) {
	rounds := 25
	if *full {
		rounds = 400
	}
	for _, how := range []string{"link", "swap", "write", "remove"} {
		t.Run(how, func(t *testing.T) {
			b := newBench(t)
			victims := filepath.Join(b.dir, "victims")
			os.Mkdir(victims, 0o755)
			results := map[Result]int{}
			for round := range rounds {
				os.RemoveAll(filepath.Join(b.dir, "d"))
				os.RemoveAll(filepath.Join(b.dir, "d.away"))
				p := b.file("d/a", "evil")
				os.WriteFile(filepath.Join(victims, "a"), []byte(marker+"good"), 0o644)
				s := b.find(p)
				c := exec.Command(os.Args[0], how, b.dir)
				c.Env = append(os.Environ(), "SHOWCAUSE_QUARANTINE_TEST=attack")
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(5+round%7) * time.Millisecond) // it is going
				for range 3 {
					out, err := b.q.Take(t.Context(), []Request{{Finding: s, Paths: []string{p}}}, true)
					if err != nil {
						t.Fatal(err)
					}
					results[out[0].Result]++
				}
				c.Process.Kill()
				c.Wait()
				b.open(nil)
				// Where are the two files now?
				good, evil := 0, 0
				note := func(content string) {
					switch content {
					case marker + "good":
						good++
					case marker + "evil", marker + "Evil":
						evil++
					default:
						t.Errorf("round %d: bytes %q", round, content)
					}
				}
				for _, dir := range []string{b.dir, filepath.Join(b.at, folder, heldName)} {
					filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
						if err == nil && e.Type().IsRegular() {
							note(read(t, p))
							if strings.HasPrefix(e.Name(), ".showcause-") {
								t.Errorf("round %d: %s is left", round, e.Name())
							}
						}
						return nil
					})
				}
				items, err := b.q.Items()
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range items {
					if it.SHA256 != s.Statement().Subject.SHA256 {
						t.Fatalf("round %d: took other bytes", round)
					}
					switch it.State {
					case Stored:
						evil++
						if err := b.q.Purge(it.ID, "a test"); err != nil {
							t.Fatal(err)
						}
					case Stranded: // what is held was counted
						t.Logf("round %d: stranded: %s", round, it.Note)
						for _, n := range it.Names {
							os.Remove(filepath.Join(b.at, folder, heldName, n.Held))
						}
						os.Remove(filepath.Join(b.at, folder, it.ID+itemSuffix))
					}
				}
				if good < 1 || evil < 1 {
					t.Errorf("round %d: the victim is there %d times, the file %d times; outcomes %v", round, good, evil, results)
				}
			}
			b.sound()
			t.Logf("%v", results)
		})
	}
}

// A folder that is a mount of another, and a file that is mounted itself.
func TestBindMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	b := newBench(t)
	p := b.file("d/a", "x")
	s := b.find(p)
	at := filepath.Join(b.dir, "mount")
	os.Mkdir(at, 0o755)
	if err := unix.Mount(filepath.Dir(p), at, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("no mount here: %v", err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	// The file by its path in the mount: it is the same file, whose name moves
	// within one mount and not across two.
	before := identity(t, p)
	out, err := b.q.Take(t.Context(), []Request{{Finding: s, Paths: []string{filepath.Join(at, "a")}}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Result == Done {
		if err := b.q.Restore(out[0].Item, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if identity(t, p) != before {
		t.Errorf("%+v: %s", out[0], identity(t, p))
	}
	if out[0].Result != Done {
		t.Errorf("a mounted folder: %+v", out[0])
	}
	b.sound()
	// The file is a mount itself: its name cannot be moved.
	single := b.file("single", "x")
	if err := unix.Mount(p, single, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(single, unix.MNT_DETACH)
	out, err = b.q.Take(t.Context(), []Request{{Finding: s, Paths: []string{single}}}, true)
	if err != nil || out[0].Result != Undone {
		t.Errorf("%+v, %v", out, err)
	}
	if identity(t, p) != before {
		t.Error("changed")
	}
	b.sound()
}

// A file that may not be changed stays, and nothing is half done.
func TestImmutable(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "x")
	fd, err := unix.Open(p, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	v, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, v|0x10)
	}
	if err != nil {
		t.Skipf("no immutable files here: %v", err)
	}
	defer unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, v)
	before := identity(t, p)
	b.take(b.find(p), Undone, environment)
	if identity(t, p) != before {
		t.Error("changed")
	}
	b.sound()
}
