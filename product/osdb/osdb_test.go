package osdb_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
	"github.com/showcause/showcause/product/osdb"
)

// read is what the readers say of a file.
func read(t testing.TB, path string, b []byte) []product.Observation {
	t.Helper()
	f := look.NewFile(path, showcause.Bytes(b))
	var out []product.Observation
	for _, r := range osdb.Readers() {
		if r.Match(f) {
			o := &look.Out{Reader: r.Name}
			r.Read(f, o)
			out = append(out, o.Observations...)
			for _, g := range o.Gaps {
				t.Logf("%s: %+v", path, g)
			}
		}
	}
	return out
}

// TestHiddenRecords holds that a record of a product is seen, or that it was not understood is said, however it is written.
func TestHiddenRecords(t *testing.T) {
	const other = "Package: other\nStatus: install ok installed\n"
	for _, v := range []struct {
		path, text string
		gap        bool
	}{
		{"/var/lib/dpkg/status", "Package: hidden\n", false},
		{"/var/lib/dpkg/status", "package: hidden\nSTATUS: install ok installed\n", false},
		{"/var/lib/dpkg/status", "Package : hidden\n", false},
		{"/var/lib/dpkg/status", "\ufeffPackage: hidden\r\n\r\n" + other, false},
		{"/var/lib/dpkg/status", other + " \n" + "Package: hidden\n", true},
		{"/var/lib/dpkg/status", other + "package: hidden\n", true},
		{"/var/lib/dpkg/status", other + "\n" + "Status: install ok installed\nVersion: 1\n", true},
		{"/var/lib/dpkg/updates/0001", "Package: hidden\nStatus: install ok installed\n", false},
		{"/lib/apk/db/installed", "P:hidden\nV:1\n", false},
		{"/lib/apk/db/installed", "P:other\nV:1\nP:hidden\n", true},
		{"/lib/apk/db/installed", "V:1\nm:x\n", true},
	} {
		f := look.NewFile(v.path, showcause.Bytes(v.text))
		o := &look.Out{}
		for _, r := range osdb.Readers() {
			if r.Match(f) {
				r.Read(f, o)
			}
		}
		seen := false
		for _, ob := range o.Observations {
			seen = seen || ob.Get(product.Package) == "hidden" && ob.Class == product.Installed
		}
		if want := strings.Contains(v.text, "hidden"); seen != want || len(o.Gaps) > 0 != v.gap {
			t.Errorf("%s %q: seen %v, gaps %v", v.path, v.text, seen, o.Gaps)
		}
	}
}

// TestWithin holds which databases are those of another root than the tree's own.
func TestWithin(t *testing.T) {
	for name, want := range map[string]string{
		"/var/lib/dpkg/status": "", "/usr/lib/apk/db/installed": "", "/lib/apk/db/installed": "", "/srv/x/usr/lib/apk/db/installed": "/srv/x", "/srv/c1/var/lib/dpkg/status": "/srv/c1",
		"/srv/c1/var/lib/rpm/packages": "/srv/c1", "/opt/program": "", "/srv/dpkg/status": "", "": "",
	} {
		if got := name[:osdb.Within(name)]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPlaces holds that a database is known where its system keeps it, and where somebody put it.
func TestPlaces(t *testing.T) {
	for name, v := range map[string]struct {
		head, reader string
	}{
		"/var/lib/dpkg/status": {"", "dpkg"}, "/opt/x/dpkg/status": {"Pack", "dpkg"}, "/srv/db/status": {"Package: hello\n", "dpkg"}, "/etc/status": {"ok\n", ""},
		"/root/.rpmdb/rpmdb.sqlite": {"SQLite format 3", "rpm"}, "/srv/rpmdb.sqlite": {"SQLite", "rpm"}, "/srv/Packages.db": {"RpmP", "rpm"}, "/srv/packages.db": {"x", ""},
		"/var/lib/rpm/Packages": {"", "rpm"}, "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal": {"", "rpm"}, "/srv/Packages": {"", ""},
	} {
		got := ""
		for _, r := range osdb.Readers() {
			if r.Match(&look.File{Path: name, Lower: look.Lower(name), Head: []byte(v.head)}) {
				got = r.Name
			}
		}
		if got != v.reader {
			t.Errorf("%s: %q, want %q", name, got, v.reader)
		}
	}
}

// TestMSI reads an installer that wixl makes.
func TestMSI(t *testing.T) {
	if _, err := exec.LookPath("wixl"); err != nil {
		t.Skip("wixl is not installed")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "a.wxs")
	text := `<?xml version="1.0"?><Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="01234567-89AB-CDEF-0123-456789ABCDEF" Name="Acme Agent" Version="1.2.3" Manufacturer="Acme, Inc." Language="1033" UpgradeCode="11234567-89AB-CDEF-0123-456789ABCDEF">
<Package InstallerVersion="200" Compressed="yes"/><Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Component Id="C" Guid="21234567-89AB-CDEF-0123-456789ABCDEF"><File Id="F" Source="a.wxs"/></Component></Directory>
<Feature Id="X" Level="1"><ComponentRef Id="C"/></Feature></Product></Wix>`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	msi := filepath.Join(dir, "a.msi")
	c := exec.Command("wixl", "-o", "a.msi", "a.wxs")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("wixl: %v: %s", err, out)
	}
	b, err := os.ReadFile(msi)
	if err != nil {
		t.Fatal(err)
	}
	list := read(t, "/a.msi", b)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	o := list[0]
	if o.Get(product.Title) != "Acme Agent" || o.Get(product.Version) != "1.2.3" || o.Get(product.Publisher) != "Acme, Inc." ||
		!strings.EqualFold(o.Get(product.Code), "{01234567-89AB-CDEF-0123-456789ABCDEF}") || o.Class != product.Installer || o.Get(product.Package) != "" {
		t.Errorf("%+v", o)
	}
	for n := 512; n < len(b); n += 509 {
		read(t, "/a.msi", b[:n])
	}
}

// manifest is a binary manifest with the texts as UTF-16 or UTF-8.
func manifest(narrow bool) []byte {
	le := binary.LittleEndian
	texts := []string{"manifest", "package", "com.example.app", "versionName", "1.5"}
	var places, data []byte
	for _, s := range texts {
		places = le.AppendUint32(places, uint32(len(data)))
		if narrow {
			data = append(append(append(data, byte(len(s)), byte(len(s))), s...), 0)
			continue
		}
		data = le.AppendUint16(data, uint16(len(s)))
		for _, c := range s {
			data = le.AppendUint16(data, uint16(c))
		}
		data = append(data, 0, 0)
	}
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	chunk := func(kind, head uint16, body []byte) []byte {
		b := le.AppendUint16(nil, kind)
		b = le.AppendUint16(b, head)
		return append(le.AppendUint32(b, uint32(8+len(body))), body...)
	}
	flags := uint32(0)
	if narrow {
		flags = 0x100
	}
	var pool []byte
	for _, v := range []uint32{uint32(len(texts)), 0, flags, uint32(28 + len(places)), 0} {
		pool = le.AppendUint32(pool, v)
	}
	none := ^uint32(0)
	var element []byte
	for _, v := range []uint32{1, none, none, 0, 20<<16 | 20, 2, 0} {
		element = le.AppendUint32(element, v)
	}
	for _, a := range [][2]uint32{{1, 2}, {3, 4}} {
		for _, v := range []uint32{none, a[0], a[1], 0x03000008, a[1]} {
			element = le.AppendUint32(element, v)
		}
	}
	body := append(chunk(1, 28, append(append(pool, places...), data...)), chunk(0x102, 16, element)...)
	return chunk(3, 8, body)
}

func TestAndroid(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		b := manifest(narrow)
		list := read(t, "/AndroidManifest.xml", b)
		if len(list) != 1 || list[0].Get(product.Package) != "com.example.app" || list[0].Get(product.Version) != "1.5" || list[0].Platform != product.Android {
			t.Errorf("narrow %v: %+v", narrow, list)
		}
		for n := range b {
			read(t, "/AndroidManifest.xml", b[:n])
			c := append([]byte(nil), b...)
			c[n] ^= 0xff
			read(t, "/AndroidManifest.xml", c)
		}
	}
}

// TestLog holds that changes which are only in a log are not passed over in silence.
func TestLog(t *testing.T) {
	f := look.NewFile("/var/lib/rpm/rpmdb.sqlite-wal", showcause.Bytes("changes"))
	said := false
	for _, r := range osdb.Readers() {
		if r.Match(f) {
			o := &look.Out{Reader: r.Name}
			r.Read(f, o)
			said = said || len(o.Gaps) == 1 && o.Gaps[0].Code.Unread()
		}
	}
	if !said {
		t.Error("a log with changes is no gap")
	}
}
