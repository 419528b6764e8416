// Package workertest makes a program of tests its own reader, and gives it rules to read with.
package workertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/worker"
)

// Main is the TestMain of a package whose tests start readers: the program is the reader
// too, where it is started as Args say.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Args()[1] {
		if err := worker.Read(worker.Reading{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Args starts a reader.
func Args() []string { return []string{"showcause", "reader"} }

// Pool is the options of a pool of so many readers.
func Pool(workers int) worker.Options {
	return worker.Options{Workers: workers, Names: true, Args: Args()}
}

// Rule is a database with one rule, of a name, for a text, and the database's digest.
func Rule(t testing.TB, name, text string) (db *ruledb.DB, digest string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one.ndb")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s:0:*:%x\n", name, text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Compiled(t, path)
}

// Compiled is a database with the rules of files, and its digest.
func Compiled(t testing.TB, files ...string) (db *ruledb.DB, digest string) {
	t.Helper()
	data, err := rules.Compile(files, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if db, err = ruledb.New(data); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return db, hex.EncodeToString(sum[:])
}
