package quarantine

import (
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
)

// What a loss of power may undo is what was not synced: nothing goes on before
// that which it rests on is durable.
func TestOrder(t *testing.T) {
	b := newBench(t)
	p := b.file("victim", "x")
	s := b.find(p)
	b.close()
	var ops []string
	o := b.options()
	o.FS = &disk.FS{Fault: func(op, name string) error {
		ops = append(ops, op+" "+name)
		return noSync(op, name)
	}}
	var err error
	if b.store, err = store.Open(b.at, store.Options{FS: o.FS}); err != nil {
		t.Fatal(err)
	}
	if b.q, err = Open(b.store, o); err != nil {
		t.Fatal(err)
	}
	ops = nil
	out := b.take(s, Done, "")
	id := out.Item
	follow := func(what string, want ...string) {
		t.Helper()
		rest := ops
		for _, w := range want {
			i := slices.IndexFunc(rest, func(op string) bool {
				ok := op == w
				if strings.HasSuffix(w, "*") {
					ok = strings.HasPrefix(op, strings.TrimSuffix(w, "*"))
				}
				return ok
			})
			if i < 0 {
				t.Fatalf("%s: %q does not follow in\n%s", what, w, strings.Join(ops, "\n"))
			}
			rest = rest[i+1:]
		}
	}
	temp := disk.TempPrefix + id + ".json.tmp"
	follow("take",
		"write *", "fsync .", "linkat "+id+".age", "fsync .", // content: bytes (a nameless file is "."), name
		"write "+temp, "fsync "+temp, "renameat2 "+temp, "fsync .", // taking
		"renameat2 victim", "fsync .", "fsync .", // moved: where it was, where it is
		"write "+temp, "fsync "+temp, "renameat2 "+temp, "fsync .", // taken
		"renameat2 .showcause-pending.tmp", "fsync .", "renameat2 .showcause-checkpoint.tmp", "fsync .", // the deed in the log
		"unlinkat "+id+".0", "fsync .",
		"renameat2 "+temp, "fsync .", // stored
	)
	if n := slices.Index(ops, "renameat2 victim"); slices.Contains(ops[:n], "unlinkat "+id+".0") {
		t.Error("removed before it was moved")
	}
	ops = nil
	if err := b.q.Restore(id, "", ""); err != nil {
		t.Fatal(err)
	}
	follow("restore",
		"renameat2 "+temp, "fsync .", // restoring
		"write .", "fchown .", "fchmod .", "utimensat .", "fsync .", // bytes and metadata, then durable
		"renameat2 "+temp, "fsync .", // which inode
		"linkat victim", "fsync .",
		"renameat2 "+temp, "fsync .", // the deed is sealed
		"renameat2 .showcause-checkpoint.tmp", "fsync .",
		"renameat2 "+temp, "fsync .", // restored
		"unlinkat "+id+".age", "fsync .",
	)
}
