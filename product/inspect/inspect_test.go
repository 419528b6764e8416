package inspect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/estate"
	"github.com/showcause/showcause/product/inspect"
	"github.com/showcause/showcause/product/look"
)

func person(t testing.TB, name string) *estate.Person {
	t.Helper()
	p, err := estate.NewPerson(name, name+" code signing")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// told is what observations say, a line each: source, class, root, facts.
func told(r inspect.Result) (out []string) {
	for _, o := range r.Observations {
		var facts []string
		for _, f := range o.Facts {
			s := string(f.Kind) + "=" + f.Value
			if f.Verified {
				s += "!"
			}
			facts = append(facts, s)
		}
		out = append(out, fmt.Sprintf("%s %s [%s] %s", o.Source, o.Class, o.Place.Root, strings.Join(facts, " ")))
	}
	return out
}

func lookAt(b []byte, path string, tree bool) inspect.Result {
	in := &inspect.Inspector{Readers: inspect.Readers()}
	return in.Look(showcause.Bytes(b), inspect.Task{Path: path, Tree: tree})
}

// TestReaders holds what each reader says of a file of its kind.
func TestReaders(t *testing.T) {
	acme := person(t, "Acme, Inc.")
	software, system := &estate.Key{}, &estate.Key{}
	un := `Microsoft\Windows\CurrentVersion\Uninstall\{01234567-89AB-CDEF-0123-456789ABCDEF}`
	software.Set(un, "DisplayName", "Acme Suite")
	software.Set(un, "Publisher", "Acme, Inc.")
	software.Set(un, "DisplayVersion", "3.1")
	software.Set(un, "InstallLocation", `C:\Program Files\Acme`)
	software.Set(`WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\old`, "DisplayName", "Old Acme")
	software.Set(`Acme\Agent`, "x", "y")
	software.Set(`Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\76543210BA98FEDC1032547698BADCFE\InstallProperties`, "DisplayName", "Acme MSI")
	software.Set(`Google\Chrome\NativeMessagingHosts\com.acme.host`, "", nil)
	system.Set(`ControlSet001\Services\acmedrv`, "Type", uint32(1))
	system.Set(`ControlSet001\Services\acmedrv`, "ImagePath", `\SystemRoot\system32\drivers\acmedrv.sys`)
	system.Set(`ControlSet001\Services\acmesvc`, "Type", uint32(0x10))
	system.Set(`ControlSet001\Services\acmesvc`, "ImagePath", `"C:\Program Files\Acme\svc.exe" --run`)
	system.Set(`ControlSet001\Services\acmesvc`, "DisplayName", "Acme Service")
	deb := estate.Deb{Name: "acme-agent", Version: "1.2-3", Maintainer: "Acme <a@acme.example>"}
	for _, c := range []struct {
		path string
		b    []byte
		want string // lines with "\n" between, each in what is told
	}{
		{
			"/var/lib/dpkg/status", estate.Status(deb, estate.Deb{Name: "gone", State: "deinstall ok config-files"}, estate.Deb{Name: "never", State: "purge ok not-installed"}),
			"dpkg installed [] package=acme-agent version=1.2-3 publisher=Acme <a@acme.example> status=install ok installed title=what it is\ndpkg remnant [] package=gone",
		},
		{"/var/lib/dpkg/status.d/acme", []byte("Package: acme\nVersion: 2\n"), "dpkg installed [] package=acme version=2"},
		{"/lib/apk/db/installed", estate.Alpine(deb), "apk installed [] package=acme-agent version=1.2-3"},
		{"/usr/lib/sysimage/rpm/Packages.db", estate.NDB(estate.RPMHeader("acme", "1", "2", "Acme")), "rpm installed [] package=acme version=1-2 publisher=Acme"},
		{"/var/lib/rpm/Packages", estate.BDB(estate.RPMHeader("acme", "1", "2", "Acme")), "rpm installed [] package=acme version=1-2 publisher=Acme"},
		{"/tmp/acme.rpm", estate.RPMFile(estate.RPMHeader("acme", "1", "2", "Acme")), "rpm installer [] package=acme"},
		{"/tmp/acme.deb", estate.DebFile(deb, estate.Tree{"./opt/acme/bin/agent": estate.ELF("x")}), "deb installer [/tmp/acme.deb!control.tar.gz / #0 gzip.deflate] package=acme-agent\nelf installer [/tmp/acme.deb!data.tar.gz / #0 gzip.deflate] file=agent\nfolder installer [/tmp/acme.deb!data.tar.gz / #0 gzip.deflate] path=/opt/acme"},
		{"/var/lib/snapd/state.json", []byte(`{"data":{"snaps":{"acme":{"active":true,"current":"12"}}}}`), "snapd installed [] package=acme status=active version=revision 12"},
		{"/snap/acme/1/meta/snap.yaml", []byte("name: acme\nversion: '3'\nsummary: S\n"), "snap installed [] package=acme version=3 title=S"},
		{"/var/lib/flatpak/app/org.acme/x/y/z/metadata", []byte("[Application]\nname=org.acme\ncommand=acme\n"), "flatpak installed [] package=org.acme title=acme"},
		{"/usr/local/Cellar/acme/1.2/INSTALL_RECEIPT.json", []byte("{}"), "homebrew installed [] package=acme version=1.2"},
		{"/var/db/receipts/com.acme.plist", estate.BinaryPlist("PackageIdentifier", "com.acme", "PackageVersion", "1"), "receipt remnant [] package=com.acme version=1"},
		{"/Windows/System32/config/SOFTWARE", estate.Hive(software), `registry installed [] registry=HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{01234567-89AB-CDEF-0123-456789ABCDEF} title=Acme Suite publisher=Acme, Inc. version=3.1 code={01234567-89AB-CDEF-0123-456789ABCDEF} path=/Program Files/Acme` +
			"\n" + `registry=HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\old title=Old Acme` + "\n" + `registry installed [] registry=HKLM\SOFTWARE\Acme\Agent` +
			"\ntitle=Acme MSI code={01234567-89AB-CDEF-0123-456789ABCDEF}\n" + `registry=HKLM\SOFTWARE\Google\Chrome\NativeMessagingHosts\com.acme.host`},
		{"/x/hive", estate.Hive(system), "driver=acmedrv path=/Windows/system32/drivers/acmedrv.sys file=acmedrv.sys\nservice=acmesvc path=/Program Files/Acme/svc.exe\nregistry remnant [] title=Acme Service"},
		{"/Applications/Acme.app/Contents/Info.plist", estate.Plist("CFBundleIdentifier", "com.acme.app", "CFBundleName", "Acme", "CFBundleShortVersionString", "4"), "bundle installed [] bundle-id=com.acme.app title=Acme version=4 path=/Applications/Acme.app"},
		{"/Library/LaunchDaemons/com.acme.plist", estate.Plist("Label", "com.acme", "Program", "/opt/acme"), "launchd installed [] service=com.acme path=/opt/acme"},
		{"/usr/lib/systemd/system/acmed.service", estate.Unit("/opt/acme/acmed"), "systemd installed [] service=acmed path=/opt/acme/acmed"},
		{"/home/u/.config/google-chrome/Default/Extensions/abcdefghijklmnopabcdefghijklmnop/1_0/manifest.json", []byte(`{"name":"Acme","version":"1","manifest_version":3}`), "chrome installed [] extension=abcdefghijklmnopabcdefghijklmnop title=Acme version=1"},
		{"/home/u/.mozilla/firefox/p/extensions.json", []byte(`{"addons":[{"id":"a@acme","version":"2","active":false,"defaultLocale":{"name":"Acme","creator":"A"}}]}`), "firefox installed [] extension=a@acme title=Acme version=2 publisher=A status=not active"},
		{"/home/u/.vscode/extensions/acme.x-1/package.json", []byte(`{"publisher":"acme","name":"x","version":"1"}`), "vscode installed [] extension=acme.x version=1 publisher=acme"},
		{
			"/Program Files/Acme/a.exe", estate.PE(acme, "CompanyName", "Acme, Inc.", "ProductName", "Acme Agent", "OriginalFilename", "a.exe", "ProductVersion", "9.8"),
			"pe installed [] file=a.exe company=Acme, Inc. program=Acme Agent original=a.exe version=9.8 signer=Acme, Inc.! signer=Acme, Inc. code signing!",
		},
		{"/Windows/System32/drivers/acme.sys", estate.PE(nil, "CompanyName", "Acme"), "pe installed [] file=acme.sys company=Acme driver=acme"},
		{"/Applications/A.app/Contents/MacOS/A", estate.MachO(acme, "com.acme.app", "ABCDE12345", "x"), "macho installed [] file=A bundle-id=com.acme.app team-id=ABCDE12345! signer=Acme, Inc.! signer=Acme, Inc. code signing!"},
		{"/etc/os-release", []byte("NAME=\"D\"\nID=debian\nVERSION_ID=\"12\"\n"), "os-release installed [] system=debian version=12"},
		{"/rules/klif.sys", []byte("a list of drivers: klif.sys"), "name mention [] file=klif.sys"},
	} {
		r := lookAt(c.b, c.path, true)
		got := strings.Join(told(r), "\n")
		for _, line := range strings.Split(c.want, "\n") {
			if !strings.Contains(got, line) {
				t.Errorf("%s: not told: %s\nbut: %s\n%+v", c.path, line, got, r.Gaps)
			}
		}
		for _, g := range r.Gaps {
			if g.Code.Unread() {
				t.Errorf("%s: %+v", c.path, g)
			}
		}
		for _, o := range r.Observations {
			if o.Source != "folder" && (o.Evidence.SHA256 == (showcause.SHA256{}) || o.Evidence.Size == 0 || o.Evidence.Offset+o.Evidence.Length > o.Evidence.Size) {
				t.Errorf("%s: evidence %+v", c.path, o.Evidence)
			}
		}
		if wanted, _ := inspect.Candidate(inspect.Readers(), look.NewFile(c.path, showcause.Bytes(c.b)), c.b[:min(len(c.b), inspect.MoreSize)]); !wanted {
			t.Errorf("%s: no candidate", c.path)
		}
	}
}

// TestClasses holds in what way the same record is there, by what it is in.
func TestClasses(t *testing.T) {
	status := estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: "acme", Version: "1"})}
	for name, c := range map[string]struct {
		b    []byte
		path string
		tree bool
		want string
	}{
		"a backup in a tree":        {status.Tar(), "/var/backups/root.tar", true, "backup"},
		"a packed backup":           {estate.Gzip(status.Tar()), "/var/backups/root.tar.gz", true, "backup"},
		"a root as a tar":           {status.Tar(), "root.tar", false, "installed"},
		"a backup in that":          {estate.Tree{"var/b.tar": status.Tar()}.Tar(), "root.tar", false, "backup"},
		"an image of a container":   {estate.Image(status), "image.tar", false, "installed"},
		"the same in a tree":        {estate.Image(status), "/srv/image.tar", true, "backup"},
		"replaced in a later layer": {estate.Image(status, estate.Tree{"var/lib/dpkg/.wh.status": {}}), "image.tar", false, "remnant"},
	} {
		r := lookAt(c.b, c.path, c.tree)
		var got []string
		for _, o := range r.Observations {
			if o.Source == "dpkg" {
				got = append(got, string(o.Class))
			}
		}
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %v, want %s\n%v", name, got, c.want, told(r))
		}
	}
}

// TestBrokenSignature holds that a program that was changed is not verified as its vendor's.
func TestBrokenSignature(t *testing.T) {
	b := estate.PE(person(t, "Acme"), "CompanyName", "Acme")
	b[0x404] ^= 1
	if got := strings.Join(told(lookAt(b, "/a.exe", true)), "\n"); !strings.Contains(got, "signer=Acme") || strings.Contains(got, "signer=Acme!") {
		t.Error(got)
	}
}

// TestDamage holds that each kind of file may be cut and changed anywhere: no panic, and the same twice.
func TestDamage(t *testing.T) {
	acme := person(t, "Acme")
	root := &estate.Key{}
	root.Set(`Microsoft\Windows\CurrentVersion\Uninstall\x`, "DisplayName", "Acme")
	for path, b := range map[string][]byte{
		"/a.exe": estate.PE(acme, "CompanyName", "Acme"), "/A.app/Contents/MacOS/A": estate.MachO(acme, "a", "T", "x"), "/SOFTWARE": estate.Hive(root),
		"/var/lib/dpkg/status": estate.Status(estate.Deb{Name: "a"}), "/lib/apk/db/installed": estate.Alpine(estate.Deb{Name: "a"}),
		"/x/Contents/Info.plist": estate.BinaryPlist("CFBundleIdentifier", "a.b"), "/var/lib/rpm/Packages": estate.BDB(estate.RPMHeader("a", "1", "1", "v")),
		"/home/p/extensions.json": []byte(`{"addons":[{"id":"a"}]}`), "/snap/a/1/meta/snap.yaml": []byte("name: a\n"),
	} {
		step := max(1, len(b)/150)
		for n := 0; n < len(b); n += step {
			changed := slices.Clone(b)
			changed[n] ^= 0x41
			for _, c := range [][]byte{b[:n], changed} {
				one, two := lookAt(c, path, true), lookAt(c, path, true)
				x, _ := json.Marshal(one)
				y, _ := json.Marshal(two)
				if string(x) != string(y) {
					t.Fatalf("%s at %d: not the same twice", path, n)
				}
				for _, g := range one.Gaps {
					if g.Code == showcause.Crash {
						t.Fatalf("%s at %d: %+v", path, n, g)
					}
				}
			}
		}
	}
}

func FuzzReaders(f *testing.F) {
	acme := person(f, "Acme")
	for path, b := range map[string][]byte{
		"a.exe": estate.PE(acme, "CompanyName", "Acme"), "a": estate.MachO(acme, "a", "T", "x"), "var/lib/dpkg/status": estate.Status(estate.Deb{Name: "a"}),
		"meta/snap.yaml": []byte("name: a\n"), "AndroidManifest.xml": []byte("\x03\x00\x08\x00\x00\x00\x00\x00\x01\x00\x1c\x00"), "a.msi": []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
	} {
		f.Add("/"+path, b)
	}
	readers := inspect.Readers()
	f.Fuzz(func(t *testing.T, path string, b []byte) {
		file := look.NewFile(path, showcause.Bytes(b))
		for _, r := range readers {
			if r.Match(file) {
				left := int64(1 << 16)
				r.Read(file, &look.Out{Reader: r.Name, Charge: func(n int64) bool { left -= n; return left > 0 }})
			}
		}
	})
}

var _ = product.Installed

// TestScriptPayload holds that what an installer has behind its script is looked into, and that bytes behind
// one that nobody can read are a gap.
func TestScriptPayload(t *testing.T) {
	script := "#!/bin/sh\n" + strings.Repeat("# words that do nothing\n", 60_000) + "exit 0\n"
	deb := estate.Deb{Name: "acme-agent", Version: "1"}
	for name, b := range map[string][]byte{
		"tar.gz": estate.Gzip(estate.Tree{"p/acme.deb": estate.DebFile(deb, estate.Tree{"./opt/acme/x": estate.ELF("x")})}.Tar()), "deb": estate.DebFile(deb, nil),
	} {
		r := lookAt(append([]byte(script), b...), "/home/u/setup.sh", true)
		if got := strings.Join(told(r), "\n"); !strings.Contains(got, "deb installer") || !strings.Contains(got, "package=acme-agent") || len(r.Gaps) > 0 || r.Way != product.Unpacked {
			t.Errorf("%s: %s %+v %s", name, got, r.Gaps, r.Way)
		}
	}
	r := lookAt(append([]byte(script), "\x00\x01\x02 of no kind that is known"...), "/home/u/setup.sh", true)
	if len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.Unsupported+".script" || !r.Gaps[0].Code.Unread() {
		t.Errorf("%+v", r.Gaps)
	}
	if r := lookAt([]byte(script), "/home/u/setup.sh", true); len(r.Gaps) > 0 || len(r.Observations) > 0 {
		t.Errorf("%+v", r)
	}
	more := make([]byte, inspect.MoreSize)
	if wanted, flat := inspect.Candidate(inspect.Readers(), look.NewFile("/x.sh", showcause.Bytes(script)), more); !wanted || flat {
		t.Errorf("a large script: wanted %t, flat %t", wanted, flat)
	}
	if wanted, _ := inspect.Candidate(inspect.Readers(), look.NewFile("/x.sh", showcause.Bytes(script)), more[:1000]); wanted {
		t.Error("a small script is looked into")
	}
}

// TestWays holds that it is told in what way a file was read: a program of the system by what it says of itself, unless
// something stands behind it.
func TestWays(t *testing.T) {
	in := &inspect.Inspector{Readers: inspect.Readers()}
	plain := estate.ELF("")
	for _, v := range []struct {
		b    []byte
		path string
		flat bool
		want product.Way
	}{
		{estate.Status(estate.Deb{Name: "a"}), "/var/lib/dpkg/status", true, product.Recorded},
		{plain, "/usr/bin/x", true, product.AsProgram},
		{append(plain[:len(plain):len(plain)], strings.Repeat("behind", 20)...), "/usr/bin/x", true, product.Unpacked},
		{plain, "/opt/x", false, product.Unpacked},
	} {
		if r := in.Look(showcause.Bytes(v.b), inspect.Task{Path: v.path, Tree: true, Flat: v.flat}); r.Way != v.want {
			t.Errorf("%s: %s, want %s", v.path, r.Way, v.want)
		}
	}
}

// TestDigest holds that a program is known by its digest, and that a text of the same name is not.
func TestDigest(t *testing.T) {
	r := lookAt(estate.ELF("engine"), "/opt/x/engine", true)
	sum := r.Observations[0].Evidence.SHA256.String()
	set := &product.Set{}
	if err := set.Add("x.yaml", []byte("format: showcause-products/1\nfamily: acme\nvendor: A\nversion: 2026-01-01\nsources: {s: x}\nproducts:\n  - id: acme.engine\n    name: E\n    identities:\n      - {kind: sha256, value: '"+sum+"', match: exact, proves: installed, confidence: primary, source: s}\n")); err != nil {
		t.Fatal(err)
	}
	list := product.Match(&product.Inventory{Observations: r.Observations}, set)
	if len(list) != 1 || !list[0].Present {
		t.Errorf("%+v", list)
	}
}
