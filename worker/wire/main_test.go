package wire

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// database is small, and has a rule of each kind. The logical rule has two patterns.
var database = sync.OnceValue(func() *ruledb.DB {
	dir, err := os.MkdirTemp("", "wire-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	digest := func(text, rule string) string {
		return fmt.Sprintf("%x:%d:%s\n", md5.Sum([]byte(text)), len(text), rule)
	}
	var files []string
	for name, text := range map[string]string{
		"a.ndb": "Test.Marker:0:*:" + hex.EncodeToString([]byte("a marker of this test")) + "\n",
		"b.ldb": "Test.Logical;Engine:51-255,Target:0;0&1;" + hex.EncodeToString([]byte("first half")) + ";" + hex.EncodeToString([]byte("second half")) + "\n",
		"c.hdb": digest("exact bytes", "Test.Digest"),
		"d.fp":  digest("what is allowed", "Test.Allow"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
		files = append(files, path)
	}
	data, err := rules.Compile(files, rules.Options{})
	if err != nil {
		panic(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		panic(err)
	}
	return db
})

// ruleOf returns the index of a rule.
func ruleOf(t testing.TB, name string) uint32 {
	t.Helper()
	is := database().Find(name, 1)
	if len(is) == 0 {
		t.Fatalf("no rule %s", name)
	}
	return is[0]
}

// has tells whether a report has a gap of that code.
func has(r *showcause.Report, c showcause.Code) bool {
	for i := range r.Gaps {
		if r.Gaps[i].Code == c {
			return true
		}
	}
	return false
}
