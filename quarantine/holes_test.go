package quarantine

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sparseFiles are files by where they have bytes; the last one is the size.
var sparseFiles = map[string][]int64{
	"end":    {0, 8 << 20},
	"middle": {0, 4 << 20, 4<<20 + 1},
	"many":   {0, 1 << 20, 2 << 20, 3 << 20, 3<<20 + 1},
	"both":   {0, 1<<20 + 7, 5<<20 + 3},
}

// sparse makes a file with the marker at each place but the last, which is its size.
func (b *bench) sparse(name string, places []int64) string {
	b.t.Helper()
	p := b.file(name, "")
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	for _, at := range places[:len(places)-1] {
		if _, err := f.WriteAt([]byte(marker), at); err != nil {
			b.t.Fatal(err)
		}
	}
	last := places[len(places)-1]
	if err := f.Truncate(last); err != nil {
		b.t.Fatal(err)
	}
	when := time.Date(2020, 1, 2, 3, 4, 5, 678912345, time.UTC)
	os.Chtimes(p, when, when)
	if blocks(b.t, p)*512 >= last {
		b.t.Skip("no holes on this file system")
	}
	return p
}

func blocks(t testing.TB, p string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks
}

// A file with holes is kept without them, and has them again when it is back.
func TestHoles(t *testing.T) {
	b := newBench(t)
	for name, places := range sparseFiles {
		p := b.sparse(name, places)
		before, space := identity(t, p), blocks(t, p)
		item := b.take(b.find(p), Done, "").Item
		st, err := os.Stat(filepath.Join(b.at, folder, item+dataSuffix))
		if err != nil || st.Size() > 512<<10 {
			t.Errorf("%s: %d bytes are kept, %v", name, st.Size(), err)
		}
		it, err := b.q.Find(item)
		if err != nil || len(it.Holes) == 0 || !strings.Contains(strings.Join(it.Lines(), "\n"), "in holes") {
			t.Errorf("%s: %+v, %v", name, it, err)
		}
		b.open(nil)
		if err := b.q.Restore(item, "", "a test"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if after := identity(t, p); after != before {
			t.Errorf("%s:\n  was %s\n  is  %s", name, before, after)
		}
		if now := blocks(t, p); now > space+64 {
			t.Errorf("%s has %d blocks, had %d", name, now, space)
		}
		b.sound()
	}
}

// Holes that are not those of the content are refused, and nothing is lost.
func TestHolesForged(t *testing.T) {
	b := newBench(t)
	p := b.sparse("x", sparseFiles["many"])
	id := b.take(b.find(p), Done, "").Item
	it, err := b.q.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	good := slices.Clone(it.Holes)
	for name, forge := range map[string]func(){
		"none":     func() { it.Holes = nil },
		"fewer":    func() { it.Holes = good[:len(good)-1] },
		"moved":    func() { it.Holes[0].At = 3 },
		"longer":   func() { it.Holes[0].Size += 1 },
		"past it":  func() { it.Holes[len(good)-1].Size += 1 << 30 },
		"overflow": func() { it.Holes[len(good)-1].Size = math.MaxInt64 },
	} {
		it.Holes = slices.Clone(good)
		forge()
		text, _ := it.encode()
		at := filepath.Join(b.at, folder, id+itemSuffix)
		os.WriteFile(at, text, 0o600)
		if err := b.q.Restore(id, "", ""); err == nil {
			t.Errorf("%s: restored", name)
		}
		if _, err := os.Lstat(p); err == nil {
			t.Fatalf("%s: the file is there", name)
		}
		it.Holes = slices.Clone(good)
		text, _ = it.encode()
		os.WriteFile(at, text, 0o600)
	}
	if err := b.q.Restore(id, "", ""); err != nil {
		t.Error(err)
	}
}

// Bytes that come into a hole while the file is read are noticed.
func TestHoleWritten(t *testing.T) {
	o := &omitter{holes: []Hole{{4, 8}}, write: func([]byte, int64) error { return nil }}
	if _, err := o.Write([]byte("1234\x00\x00\x00x")); err != errChanged {
		t.Error(err)
	}
}

// What is left out when it is kept is put in again, whatever the holes and the
// reader's portions are.
func TestOmitFill(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		content := make([]byte, r.IntN(200<<10))
		for i := range content {
			content[i] = byte(r.Uint32() | 1)
		}
		var holes []Hole
		for at := 0; at < len(content); {
			at += r.IntN(60 << 10)
			if n := min(r.IntN(60<<10)+1, len(content)-at); n > 0 {
				clear(content[at : at+n])
				holes = append(holes, Hole{int64(at), int64(n)})
				at += n
			}
		}
		if err := checkHoles(holes, int64(len(content))); err != nil {
			t.Fatal(err)
		}
		var kept bytes.Buffer
		o := &omitter{holes: holes, write: func(b []byte, _ int64) error { kept.Write(b); return nil }}
		for rest := content; len(rest) > 0; {
			n := min(r.IntN(70<<10)+1, len(rest))
			if m, err := o.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if want := stored(holes, int64(len(content))); int64(kept.Len()) != want {
			t.Fatalf("%d bytes kept, want %d", kept.Len(), want)
		}
		got, err := io.ReadAll(&filler{r: &kept, holes: holes})
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(content), err)
		}
	}
}

// A file of more holes than an item lists is taken all the same.
func TestManyHoles(t *testing.T) {
	b := newBench(t)
	var places []int64
	for i := range int64(maxHoles + 100) {
		places = append(places, i*16<<10)
	}
	places = append(places, places[len(places)-1]+64<<20)
	p := b.sparse("x", places)
	before := identity(t, p)
	id := b.take(b.find(p), Done, "").Item
	it, err := b.q.Find(id)
	if err != nil || len(it.Holes) == 0 || len(it.Holes) > maxHoles || it.Holes[len(it.Holes)-1].Size < 60<<20 {
		t.Fatalf("%d holes, %v", len(it.Holes), err)
	}
	if err := b.q.Restore(id, "", ""); err != nil {
		t.Fatal(err)
	}
	if after := identity(t, p); after != before {
		t.Errorf("\n  was %s\n  is  %s", before, after)
	}
}

// The brake counts the bytes that are kept.
func TestBrakeBytes(t *testing.T) {
	b := newBench(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := b.options()
	o.Limits.Bytes = 2 << 20
	o.Now = func() time.Time { return now }
	b.open(&o)
	big := strings.Repeat("x", 1<<20-len(marker))
	b.take(b.find(b.sparse("sparse", []int64{0, 64 << 20})), Done, "") // some kilobytes
	b.take(b.find(b.file("1", big)), Done, "")
	out := b.take(b.find(b.file("2", big)), Held, brake)
	if !strings.Contains(out.Text, "bytes more") {
		t.Error(out.Text)
	}
	b.open(&o) // another process
	b.take(b.find(filepath.Join(b.dir, "2")), Held, brake)
	plan, err := b.q.Take(t.Context(), []Request{{Finding: b.find(b.file("3", big[1<<19:]))}, {Finding: b.find(b.file("4", big[1<<18:]))}}, false)
	if err != nil || plan[0].Result != Planned || plan[1].Code != brake {
		t.Errorf("%+v, %v", plan, err)
	}
	now = now.Add(2 * time.Hour)
	b.take(b.find(filepath.Join(b.dir, "2")), Done, "")
	if d := (Limits{}).withDefaults().Bytes; d != 1<<30 {
		t.Errorf("%d", d)
	}
}

func TestHolesInJSON(t *testing.T) {
	text, err := json.Marshal(Item{Holes: []Hole{{1, 2}}})
	if err != nil || !strings.Contains(string(text), `"holes":[{"at":1,"size":2}]`) {
		t.Errorf("%s %v", text, err)
	}
}
