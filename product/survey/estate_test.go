package survey_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/estate"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/rules"
)

// sentinel are the identities of an invented product.
const sentinel = `format: showcause-products/1
family: sentinel
vendor: Sentinel Works
version: 2026-11-22
sources: {s: the generator}
products:
  - id: sentinel.agent
    name: Sentinel Agent
    identities:
      - {kind: package, value: sentinel-agent, match: exact, platform: linux, proves: installed, confidence: primary, source: s}
      - {kind: package, value: Sentinel.Agent, match: exact, platform: winget, proves: installed, confidence: primary, source: s}
      - {kind: signer, value: Sentinel Works, match: exact, proves: installed, confidence: primary, source: s}
      - {kind: team-id, value: SENTINEL01, match: exact, platform: macos, proves: installed, confidence: primary, source: s}
      - {kind: bundle-id, value: example.sentinel.agent, match: exact, platform: macos, proves: installed, confidence: primary, source: s}
      - {kind: company, value: Sentinel Works, match: exact, platform: windows, proves: installed, confidence: secondary, source: s}
      - {kind: title, value: Sentinel , match: prefix, platform: windows, proves: installed, confidence: secondary, source: s}
      - {kind: extension, value: sentinelsentinelsentinelsentinel, match: exact, platform: chrome, proves: installed, confidence: primary, source: s}
      - {kind: extension, value: aaaabbbbccccddddeeeeffffgggghhhh, match: exact, platform: chrome, proves: installed, confidence: primary, source: s}
      - {kind: registry, value: 'HKLM\SOFTWARE\Sentinel', match: under, platform: windows, proves: remnant, confidence: primary, source: s}
      - {kind: path, value: /opt/sentinel, match: under, platform: linux, proves: remnant, confidence: primary, source: s}
      - {kind: path, value: /Program Files/Sentinel, match: under, platform: windows, proves: remnant, confidence: primary, source: s}
      - {kind: service, value: sentineld, match: fold, proves: remnant, confidence: primary, source: s}
      - {kind: driver, value: sentdrv, match: fold, platform: windows, proves: remnant, confidence: primary, source: s}
      - {kind: file, value: sentdrv.sys, match: fold, platform: windows, proves: remnant, confidence: primary, source: s}
      - {kind: rule, value: sentinel_engine, match: exact, proves: embedded, confidence: primary, source: s}
`

// planted is a target and what is in it: "class" where the product is present, "class?" where traces prove nothing.
type planted struct {
	name    string
	tree    estate.Tree // a root; nil where file is
	file    []byte      // a target that is a file
	as      string      // its name
	want    string
	outcome product.Outcome
	exclude []string
}

// words are files that name the product and are not it. They are in every root.
var words = estate.Tree{
	"home/u/list.txt":                   []byte("sentinel-agent sentineld sentdrv.sys Sentinel Works SENTINEL01\n"),
	"home/u/detect.yar":                 []byte("rule sentinel_engine { strings: $a = \"Sentinel Works engine\" condition: $a }\n"),
	"home/u/remove.sh":                  []byte("#!/bin/sh\napt-get remove sentinel-agent\nrm -r /opt/sentinel\n"),
	"home/u/rules/sentdrv.sys":          []byte("this is what the driver is called: sentdrv.sys, by Sentinel Works\n"),
	"home/u/decompiled/Agent.java":      []byte("package example.sentinel.agent; // Sentinel Works\n"),
	"srv/www/Info.plist":                estate.Plist("CFBundleIdentifier", "example.sentinel.agent"),
	"usr/share/doc/sentinel-agent/a.gz": estate.Gzip([]byte("Package: sentinel-agent\nSentinel Works\n")),
}

func zipOf(t testing.TB, tree estate.Tree) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range tree.Names() {
		f, err := w.Create(n)
		if err == nil {
			_, err = f.Write(tree[n])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func signer(t testing.TB, name string) *estate.Person {
	t.Helper()
	p, err := estate.NewPerson(name, name+" code signing")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const agent = "sentinel-agent"

// linux are roots and packages of Linux.
func linux() []planted {
	deb := estate.Tree{"etc/os-release": []byte("ID=debian\nVERSION_ID=\"12\"\n"), "usr/bin/true": estate.ELF("true"), "var/lib/dpkg/status": estate.Status(estate.Deb{Name: "coreutils", Version: "9"})}
	status := func(d ...estate.Deb) estate.Tree { return estate.Tree{"var/lib/dpkg/status": estate.Status(d...)} }
	rpm := func(name string) []byte { return estate.RPMHeader(name, "1", "2", "Some Vendor") }
	fedora := estate.Tree{"etc/os-release": []byte("ID=fedora\nVERSION_ID=41\n")}
	alpine := estate.Tree{"etc/os-release": []byte("ID=alpine\nVERSION_ID=3.20\n"), "lib/apk/db/installed": estate.Alpine(estate.Deb{Name: "busybox", Version: "1"})}
	there := estate.Deb{Name: agent, Version: "1.2", Maintainer: "Sentinel Works"}
	list := []planted{
		{name: "debian", tree: deb.With(status(there, estate.Deb{Name: "bash"})), want: "installed"},
		{name: "debian without it", tree: deb},
		{name: "debian, distroless", tree: deb.With(estate.Tree{"var/lib/dpkg/status.d/a": []byte("Package: " + agent + "\nVersion: 1\n")}), want: "installed"},
		{name: "debian, removed and not purged", tree: deb.With(status(estate.Deb{Name: agent, State: "deinstall ok config-files"})), want: "remnant?"},
		{name: "debian, half installed", tree: deb.With(status(estate.Deb{Name: agent, State: "install reinstreq half-installed"})), want: "installed"},
		{name: "debian, a name that is longer", tree: deb.With(status(estate.Deb{Name: agent + "-cleaner", Version: "1"}))},
		{name: "debian, folder and unit", tree: deb.With(estate.Tree{"opt/sentinel/agent/bin/run": estate.ELF("x"), "usr/lib/systemd/system/sentineld.service": estate.Unit("/opt/sentinel/agent/bin/run")}), want: "remnant?"},
		{name: "debian, package in the cache", tree: deb.With(estate.Tree{"var/cache/apt/archives/a.deb": estate.DebFile(there, estate.Tree{"./usr/bin/a": estate.ELF("x")})}), want: "installer"},
		{name: "debian, backup", tree: deb.With(estate.Tree{"var/backups/root.tar.gz": estate.Gzip(deb.With(status(there)).Tar())}), want: "backup"},
		{name: "debian, backup in a backup", tree: deb.With(estate.Tree{"b.tar": estate.Tree{"old/b.tgz": estate.Gzip(status(there).Tar())}.Tar()})},
		{name: "debian, snap", tree: deb.With(estate.Tree{"var/lib/snapd/state.json": []byte(`{"data":{"snaps":{"` + agent + `":{"active":true,"current":"7"}}}}`)}), want: "installed"},
		{name: "debian, flatpak", tree: deb.With(estate.Tree{"var/lib/flatpak/app/x/y/z/w/metadata": []byte("[Application]\nname=" + agent + "\n")}), want: "installed"},
		{name: "debian, engine in another's program", tree: deb.With(estate.Tree{"opt/other/gate/bin/scan": estate.ELF("... Sentinel Works engine ...")}), want: "embedded"},
		{name: "debian, extension of a browser", tree: deb.With(estate.Tree{"home/u/.config/chromium/Default/Extensions/aaaabbbbccccddddeeeeffffgggghhhh/1/manifest.json": []byte(`{"name":"S","version":"1"}`)}), want: "installed"},
		{name: "fedora, ndb", tree: fedora.With(estate.Tree{"usr/lib/sysimage/rpm/Packages.db": estate.NDB(rpm("bash"), rpm(agent))}), want: "installed"},
		{name: "centos, berkeley", tree: fedora.With(estate.Tree{"var/lib/rpm/Packages": estate.BDB(rpm("bash"), rpm(agent))}), want: "installed"},
		{name: "fedora, sqlite", tree: fedora.With(estate.Tree{"var/lib/rpm/rpmdb.sqlite": estate.SQLite(rpm("bash"), rpm(agent))}), want: "installed"},
		{name: "fedora without it", tree: fedora.With(estate.Tree{"var/lib/rpm/rpmdb.sqlite": estate.SQLite(rpm("bash"), estate.RPMHeader("sentinel-docs", "1", "1", "About sentinel-agent"))})},
		{name: "fedora, package lying about", tree: fedora.With(estate.Tree{"root/a.rpm": estate.RPMFile(rpm(agent))}), want: "installer"},
		{name: "alpine", tree: alpine.With(estate.Tree{"lib/apk/db/installed": estate.Alpine(estate.Deb{Name: agent, Version: "2"})}), want: "installed"},
		{name: "alpine without it", tree: alpine},
		{name: "image of a container", file: estate.Image(deb, status(there)), as: "image.tar", want: "installed"},
		{name: "image of a container, removed above", file: estate.Image(deb.With(status(there)), estate.Tree{"var/lib/dpkg/.wh.status": nil}), as: "image.tar", want: "remnant?"},
		{name: "image of a container, alpine", file: estate.Image(alpine.With(estate.Tree{"lib/apk/db/installed": estate.Alpine(estate.Deb{Name: agent})})), as: "image.tar", want: "installed"},
		{name: "image of a container without it", file: estate.Image(deb.With(words)), as: "image.tar"},
		{name: "image of a container in a root", tree: deb.With(estate.Tree{"srv/images/i.tar": estate.Image(status(there))}), want: "backup"},
		{name: "a root as a tar", file: deb.With(status(there)).Tar(), as: "root.tar", want: "installed"},
		{name: "a package", file: estate.DebFile(there, estate.Tree{"./usr/bin/a": estate.ELF("x")}), as: "a.deb", want: "installer"},
		{name: "a folder left out", tree: deb.With(estate.Tree{"srv/old/var/lib/dpkg/status": estate.Status(there)}), exclude: []string{"/srv/old"}},
	}
	list[9].want = "backup"
	return list
}

// desktops are roots of Windows and macOS.
func desktops(t testing.TB) (list []planted, roots []byte) {
	own, other := signer(t, "Sentinel Works"), signer(t, "Other Soft")
	win := func(over estate.Tree) estate.Tree {
		root := &estate.Key{}
		root.Set(`Microsoft\Windows\CurrentVersion\Uninstall\other`, "DisplayName", "Other Suite")
		root.Set(`Other\Suite`, "x", "y")
		return estate.Tree{"Windows/System32/config/SOFTWARE": estate.Hive(root), "Windows/System32/kernel32.dll": estate.PE(other, "CompanyName", "Other Soft")}.With(over)
	}
	software, system := &estate.Key{}, &estate.Key{}
	software.Set(`Microsoft\Windows\CurrentVersion\Uninstall\s`, "DisplayName", "Sentinel Agent")
	software.Set(`Sentinel\Agent`, "Version", "1")
	system.Set(`ControlSet001\Services\sentdrv`, "Type", uint32(1))
	hives := estate.Tree{"Windows/System32/config/SOFTWARE": estate.Hive(software), "Windows/System32/config/SYSTEM": estate.Hive(system)}
	signed := estate.PE(own, "CompanyName", "Sentinel Works", "ProductName", "Sentinel Agent")
	broken := bytes.Clone(signed)
	broken[0x404] ^= 1
	suite := estate.PE(other, "CompanyName", "Other Soft")
	mac := func(who *estate.Person, id, team string) estate.Tree {
		return estate.Tree{
			"Applications/Agent.app/Contents/Info.plist":  estate.BinaryPlist("CFBundleIdentifier", id, "CFBundleName", "Agent"),
			"Applications/Agent.app/Contents/MacOS/Agent": estate.MachO(who, id, team, "code"),
		}
	}
	list = []planted{
		{name: "windows, signed", tree: win(estate.Tree{"Program Files/Sentinel/agent.exe": signed}).With(hives), want: "installed"},
		{name: "windows without it", tree: win(nil)},
		{name: "windows, uninstall key and program", tree: win(hives).With(estate.Tree{"Program Files/Sentinel/agent.exe": estate.PE(nil, "CompanyName", "Sentinel Works")}), want: "installed"},
		{name: "windows, keys and folder that were left", tree: win(hives).With(estate.Tree{"Program Files/Sentinel/log.txt": []byte("x")}), want: "remnant?"},
		{name: "windows, signature broken", tree: win(estate.Tree{"Tools/agent.exe": broken}), want: "remnant?"},
		{name: "windows, component of another", tree: win(estate.Tree{"Program Files/Other/Suite/suite.exe": suite, "Program Files/Other/Suite/engine.dll": signed}), want: "embedded"},
		{name: "windows, zip of it", tree: win(estate.Tree{"Users/u/old.zip": zipOf(t, estate.Tree{"agent/agent.exe": signed})}), want: "backup"},
		{name: "windows, driver's name in a list", tree: win(estate.Tree{"Users/u/drivers/sentdrv.sys": []byte("a list")}), want: "mention?"},
		{name: "windows, another's driver of that name", tree: win(estate.Tree{"Windows/System32/drivers/sentdrv.sys": suite}), want: "remnant?"},
		{name: "windows, signed by a namesake", tree: win(estate.Tree{"a.exe": estate.PE(signer(t, "Sentinel Works of Nowhere"), "CompanyName", "Sentinel Workshop")})},
		{name: "windows, signed by whoever calls himself so", tree: win(estate.Tree{"a.exe": estate.PE(signer(t, "Sentinel Works"), "CompanyName", "Sentinel Works")}), want: "remnant?"},
		{name: "macos, a team that anybody can claim", tree: mac(signer(t, "Sentinel Works"), "example.sentinel.agent", "SENTINEL01"), want: "remnant?"},
		{name: "macos, bundle and team", tree: mac(own, "example.sentinel.agent", "SENTINEL01"), want: "installed"},
		{name: "macos, bundle of another team", tree: mac(other, "example.sentinel.agent", "OTHER00001"), want: "remnant?"},
		{name: "macos, ad hoc", tree: mac(nil, "example.sentinel.agent", "SENTINEL01"), want: "remnant?"},
		{name: "macos, launch item that was left", tree: estate.Tree{"Library/LaunchDaemons/s.plist": estate.Plist("Label", "sentineld", "Program", "/x")}, want: "remnant?"},
		{name: "macos without it", tree: mac(other, "example.other", "OTHER00001")},
	}
	return list, append(own.Root(), other.Root()...)
}

// disks are images that other tools make of a root.
func disks(t testing.TB) (list []planted) {
	root := write(t, estate.Tree{"var/lib/dpkg/status": estate.Status(estate.Deb{Name: agent, Version: "1"}), "etc/os-release": []byte("ID=debian\n")})
	for name, args := range map[string][]string{
		"ext4":     {"mke2fs", "-q", "-t", "ext4", "-d", root, "IMAGE", "8M"},
		"squashfs": {"mksquashfs", root, "IMAGE", "-quiet", "-no-progress"},
	} {
		image := filepath.Join(t.TempDir(), "disk.img")
		args[slices.Index(args, "IMAGE")] = image
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("%s is not installed: no image of %s", args[0], name)
			continue
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, planted{name: "image of " + name, file: b, as: "disk.img", want: "installed"},
			planted{name: "image of " + name + " in a root", tree: estate.Tree{"var/lib/vm/disk.img": b}, want: "backup"})
	}
	return list
}

// TestEstate makes an estate of some forty targets with known contents, and holds that all that was planted is found
// in the way in which it is there, that no text that names the product counts, and that the totals add up.
func TestEstate(t *testing.T) {
	set := &product.Set{}
	if err := set.Add("sentinel.yaml", []byte(sentinel)); err != nil {
		t.Fatal(err)
	}
	yar := filepath.Join(t.TempDir(), "s.yar")
	if err := os.WriteFile(yar, words["home/u/detect.yar"], 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := rules.Compile([]string{yar}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signed, roots := desktops(t)
	list := slices.Concat(linux(), signed, disks(t), []planted{
		{name: "a host that is off", as: "no/such/host", outcome: product.Unreached},
		{name: "a root with an encrypted archive", tree: estate.Tree{"a.zip": []byte("PK\x03\x04\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00xabcdefghijklmnop")}, outcome: product.Unreached},
	})
	if len(list) < 46 {
		t.Fatalf("%d targets", len(list))
	}
	mine := func(id string) bool { return strings.HasPrefix(id, "sentinel.") }
	counted := func(c product.Class) bool { return c != product.Remnant && c != product.Mention }
	var totals, want product.Totals
	for _, p := range list {
		target := filepath.Join(t.TempDir(), p.as)
		switch {
		case p.tree != nil:
			target = write(t, words.With(p.tree))
		case p.file != nil:
			if err := os.WriteFile(target, p.file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		inv := run(t, target, survey.Options{Run: here, Rules: db, Roots: roots, Exclude: p.exclude})
		found := product.Match(inv, set)
		if got := summary(found, p.want == "mention?"); got != p.want {
			t.Errorf("%s: %q, want %q\n%s", p.name, got, p.want, explain(inv, found))
		}
		if p.outcome == "" {
			p.outcome = product.NotFound
			if p.want != "" && !strings.Contains(p.want, "?") {
				p.outcome = product.Present
			}
		}
		got := product.Judge(inv, found, mine, counted)
		if got != p.outcome {
			t.Errorf("%s: %s, want %s: %+v", p.name, got, p.outcome, inv.Coverage.Gaps)
		}
		totals.Count(got)
		want.Count(p.outcome)
	}
	totals.Count(product.Excluded) // one that the officer leaves out
	want.Count(product.Excluded)
	if totals != want || totals.Inventory != len(list)+1 || totals.Present+totals.Absent+totals.Unreached+totals.Excluded != totals.Inventory {
		t.Errorf("%+v, want %+v", totals, want)
	}
	t.Logf("%d targets: %+v", len(list), totals)
}

// summary are the classes of presences, "?" behind those that are not closed. Every root has a mention, which is
// told only where it is what the target is for.
func summary(list []product.Presence, mentions bool) string {
	var out []string
	for _, p := range list {
		if p.Class == product.Mention && !mentions {
			continue
		}
		s := string(p.Class)
		if !p.Present {
			s += "?"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func explain(inv *product.Inventory, list []product.Presence) string {
	var out strings.Builder
	for _, p := range list {
		fmt.Fprintf(&out, "%s %v %s\n", p.Class, p.Present, p.Why)
		for _, h := range p.Hits {
			o := inv.Observations[h.Observation]
			fmt.Fprintf(&out, "  %s %s: %s %s\n", o.Class, o.Place, o.Facts[h.Fact].Kind, o.Facts[h.Fact].Value)
		}
	}
	return out.String()
}
