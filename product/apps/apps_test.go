package apps_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/apps"
	"github.com/showcause/showcause/product/look"
)

// TestWinget reads a database with the tables that winget has.
func TestWinget(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("sqlite3 is not installed")
	}
	name := filepath.Join(t.TempDir(), "installed.db")
	text := `CREATE TABLE ids(rowid INTEGER PRIMARY KEY, id TEXT NOT NULL); CREATE TABLE names(rowid INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE versions(rowid INTEGER PRIMARY KEY, version TEXT); CREATE TABLE manifest(id INT64, name INT64, moniker INT64, version INT64, channel INT64, pathpart INT64);
INSERT INTO ids VALUES(1,'Other.Tool'),(2,'Acme.Agent'); INSERT INTO names VALUES(1,'Tool'),(2,'Acme Agent'); INSERT INTO versions VALUES(1,'9'),(2,'1.2');
INSERT INTO manifest VALUES(2,2,1,2,1,1),(1,1,1,1,1,1);`
	if out, err := exec.Command("sqlite3", name, text).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f := look.NewFile("/Users/u/AppData/Local/Packages/Microsoft.DesktopAppInstaller/LocalState/Microsoft.Winget.Source/installed.db", showcause.Bytes(b))
	n := 0
	for _, r := range apps.Readers() {
		if r.Match(f) {
			o := &look.Out{Reader: r.Name}
			r.Read(f, o)
			n += len(o.Observations)
			if ob := o.Observations[0]; len(o.Gaps) != 0 || ob.Get(product.Package) != "Acme.Agent" || ob.Get(product.Title) != "Acme Agent" || ob.Get(product.Version) != "1.2" || ob.Platform != product.Winget {
				t.Errorf("%+v %+v", ob, o.Gaps)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d records", n)
	}
}
