package sqlite_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/sqlite"
)

// database has sqlite3 make a database.
func database(t testing.TB, page int, statements string) []byte {
	t.Helper()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("sqlite3 is not installed")
	}
	name := filepath.Join(t.TempDir(), "db")
	out, err := exec.Command("sqlite3", name, fmt.Sprintf("PRAGMA page_size=%d;", page)+statements).CombinedOutput()
	if err != nil {
		t.Fatalf("sqlite3: %v: %s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const statements = `CREATE TABLE other(x); CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB, t TEXT, n, r REAL, none);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<500)
INSERT INTO Packages SELECT x, CAST(printf('%.*c', x*37, 'z')||'end' AS BLOB), 'text '||x, x*-70000, x/2.0, NULL FROM c;`

func TestTable(t *testing.T) {
	for _, page := range []int{512, 4096, 65536} {
		b := database(t, page, statements)
		f := sqlite.Open(showcause.Bytes(b), nil)
		n := 0
		ok := f.Table("Packages", func(r sqlite.Row) bool {
			n++
			blob, _ := r.Columns[1].([]byte)
			if r.ID != int64(n) || len(blob) != 3+37*n || string(blob[37*n:]) != "end" || r.Columns[2] != fmt.Sprintf("text %d", n) ||
				r.Columns[3] != int64(n*-70000) || fmt.Sprint(r.Columns[4]) != fmt.Sprint(float64(n)/2) || r.Columns[5] != nil || r.Columns[0] != nil {
				t.Errorf("page %d, row %d: %d bytes, %v", page, n, len(blob), r.Columns[2:])
			}
			return true
		})
		if !ok || n != 500 || f.Short() {
			t.Errorf("page %d: %v, %d rows, short %v", page, ok, n, f.Short())
		}
		if f.Table("none", func(sqlite.Row) bool { return true }) {
			t.Error("a table that there is not")
		}
	}
}

// TestCut holds that what is missing of a database that is cut is said.
func TestCut(t *testing.T) {
	b := database(t, 512, strings.ReplaceAll(statements, "500", "40"))
	for n := 0; n < len(b); n += 97 {
		f := sqlite.Open(showcause.Bytes(b[:n]), nil)
		rows := 0
		found := f.Table("Packages", func(sqlite.Row) bool { rows++; return true })
		if f.OK && (!found || rows < 40) && !f.Short() {
			t.Fatalf("%d of %d bytes: %d rows, and nothing says so", n, len(b), rows)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(database(f, 512, strings.ReplaceAll(statements, "500", "40")))
	f.Fuzz(func(t *testing.T, b []byte) {
		left := int64(1 << 16)
		sqlite.Open(showcause.Bytes(b), func(n int64) bool { left -= n; return left > 0 }).Table("Packages", func(sqlite.Row) bool { return true })
	})
}
