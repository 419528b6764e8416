package scan_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// sharedStream is a stream that several may read at once.
type sharedStream struct{ stream }

func (*sharedStream) Shared() {}

// The report does not depend on how many processors there are, wherever the work or the layer ends.
func TestProcessors(t *testing.T) {
	const size = 21<<20 + 999
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for at := 100; at < size-200; at += 70_000 {
		copy(b[at:], "three of these, and a prefix that goes wron")
	}
	for at := 1 << 20; at < size-200; at += 1 << 20 {
		copy(b[at-7:], marker)
	}
	db := compile(t, map[string]string{
		"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\nTest.Slow:0:*:" + hexOf("a prefix that goes") + "*" + hexOf("nowhere at all") + "\n",
		"m.ldb": "Test.Many;Engine:51-255,Target:0;0>200;" + hexOf("three of these") + "\n",
		"m.hdb": fmt.Sprintf("%x:%d:Test.MD5\n", md5.Sum(b), size),
		"m.hsb": fmt.Sprintf("%x:*:Test.SHA256:73\n", sha256.Sum256(b)),
	})
	sources := map[string]func() showcause.Source{
		"windows": func() showcause.Source { return &stream{b: b, size: size, fail: -1} },
		"shared":  func() showcause.Source { return &sharedStream{stream{b: b, size: size, fail: -1}} },
		"memory":  func() showcause.Source { return showcause.Bytes(b[:15<<20]) },
		"failing": func() showcause.Source {
			return &sharedStream{stream{b: b, size: size, fail: 13<<20 + 5, err: errors.New("EIO")}}
		},
		"shorter": func() showcause.Source { return &sharedStream{stream{b: b, size: size + 5000, fail: -1}} },
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, source := range sources {
		for _, work := range []int64{0, 1 << 19, 3_000_000, 5_000_000, 1 << 23} {
			var first string
			for _, procs := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(procs)
				rep := scan.New(db, scan.Options{Limits: showcause.Limits{Work: work}}).Scan(source())
				text, err := json.Marshal(rep)
				if err != nil {
					t.Fatal(err)
				}
				if first == "" {
					first = string(text)
				}
				if string(text) != first {
					t.Errorf("%s, work %d: %d processors:\n%s\none:\n%s", name, work, procs, text, first)
				}
			}
			if work == 0 && !strings.Contains(first, "Test.Marker") {
				t.Errorf("%s: %s", name, first)
			}
			if whole := name == "windows" || name == "shared"; work == 0 && whole != strings.Contains(first, "Test.MD5") {
				t.Errorf("%s: %s", name, first)
			}
		}
	}
}
