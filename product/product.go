// Package product says what software is in a target, a live host, a mounted
// root, an image of a disk or of a container, a package or any layer, and which
// products these are. It holds the words and the rules of judging, and reads no target:
//
//	Observation  one thing that was seen (a record of a package database, a program, a key of a registry): facts,
//	             the place, the bytes that it rests on, and its Class. It names no product: orders and
//	             identities may change, and what was seen stays.
//	Identity     one way to know a product: a kind of fact, a value, how the two are compared, where that is known from,
//	             how well, and what it proves. Identities are data (rules/products), gathered in a Set (Load).
//	Hit          an identity that a fact of an observation agrees with.
//	Presence     all hits of one product in one root of a target, and what follows: Match.
//	Coverage     what was reached and what was not. Nothing is ever "absent" over a gap.
//	Inventory    observations and coverage of one target.
//
// # Judging
//
// A strong identity closes "present": a signer whose signature holds, a record of a package
// database, a bundle id beside its team id, a digest, a rule that hit in a program. A weak one
// never does alone: two do that are of different families and rest on different bytes. Paths, keys of
// registries and names of files, services and drivers are one family (place), so that however many of them
// are there they are a remnant. What is not confirmed (Unconfirmed) is never strong. What a script or a text
// says is a mention and counts nowhere.
//
// A program that is signed or made by the vendor, in the folder of an application that is another
// vendor's, is embedded there: whether an order covers that is the order's matter.
package product

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
)

// Class is in what way software is there.
type Class string

// The classes, the one that counts most first.
const (
	Running   Class = "running"   // a process on a live host
	Installed Class = "installed" // a package, an application, a program in its place
	Embedded  Class = "embedded"  // a component in another vendor's application or package
	Installer Class = "installer" // something that would install it
	Backup    Class = "backup"    // a copy in an archive or an image in a target
	Remnant   Class = "remnant"   // what was left: folders, keys, services without a program
	Mention   Class = "mention"   // a script, a rule or a text that names it
)

// Classes are all classes in the order above.
func Classes() []Class {
	return []Class{Running, Installed, Embedded, Installer, Backup, Remnant, Mention}
}

// Kind is a kind of fact.
type Kind string

// The kinds of facts, and in brackets the family that counts for independence.
const (
	Package   Kind = "package"    // a name in a package database; the platform says which (record)
	Publisher Kind = "publisher"  // vendor or maintainer of a record (record)
	Title     Kind = "title"      // a name for people: DisplayName, CFBundleName (record)
	Version   Kind = "version"    // of the record or program; no identity
	OS        Kind = "system"     // what a system calls itself; no identity
	Status    Kind = "status"     // what the record says of itself, "config-files"; no identity
	Signer    Kind = "signer"     // name of who signed a program: organisation or common name (signature)
	TeamID    Kind = "team-id"    // Apple's (signature)
	BundleID  Kind = "bundle-id"  // of an application of macOS (self)
	Extension Kind = "extension"  // id of an extension of a browser or editor (record)
	Company   Kind = "company"    // CompanyName of a version resource (self)
	Program   Kind = "program"    // ProductName of a version resource, package note or Go module of an ELF file (self)
	Original  Kind = "original"   // OriginalFilename of a version resource, SONAME of an ELF file (self)
	Digest    Kind = "sha256"     // of a file (content)
	Rule      Kind = "rule"       // name of a YARA rule that hit (content)
	Code      Kind = "code"       // product code of MSI, GUID (record)
	Process   Kind = "process"    // name of a process on a live host (live)
	Path      Kind = "path"       // a folder or file, "/" between names, no letter of a drive (place)
	File      Kind = "file"       // name of a file (place)
	Registry  Kind = "registry"   // a key, "HKLM\SOFTWARE\..." (place)
	Service   Kind = "service"    // name of a service, unit or launch item (place)
	Driver    Kind = "driver"     // name of a driver (place)
	Signing   Kind = "signingkey" // fingerprint of a key that signs packages (place)
)

// Kinds are all kinds that an identity may have.
func Kinds() []Kind {
	return []Kind{
		Package, Publisher, Title, Signer, TeamID, BundleID, Extension, Company, Program, Original, Digest, Rule, Code,
		Process, Path, File, Registry, Service, Driver, Signing,
	}
}

// Facts are all kinds that a fact may have.
func Facts() []Kind { return append(Kinds(), Version, Status, OS) }

// Family is what facts must differ in to be independent of each other, "" for
// a kind that is no evidence.
func (k Kind) Family() string {
	switch k {
	case Package, Publisher, Title, Extension, Code:
		return "record"
	case Signer, TeamID:
		return "signature"
	case BundleID, Company, Program, Original:
		return "self"
	case Digest, Rule:
		return "content"
	case Process:
		return "live"
	case Path, File, Registry, Service, Driver, Signing:
		return "place"
	}
	return ""
}

// Platforms of facts and identities: the package database or the system. An
// identity without a platform is of any.
const (
	Deb       = "deb"
	RPM       = "rpm"
	APK       = "apk"
	Snap      = "snap"
	Flatpak   = "flatpak"
	Brew      = "homebrew"
	MSI       = "msi"
	Winget    = "winget"
	Windows   = "windows"
	MacOS     = "macos"
	Linux     = "linux"
	Android   = "android"
	Chrome    = "chrome"
	Firefox   = "firefox"
	VSCode    = "vscode"
	AnySystem = ""
)

// Fact is one thing that is said of what was seen. The value is text that the
// target's owner, or an attacker, wrote: valid UTF-8, MaxValue bytes at most.
type Fact struct {
	Kind  Kind   `json:"kind"`
	Value string `json:"value"`
	// Verified says of a signer or team id that the signature holds for these bytes and
	// that its chain of certificates holds together. It says nothing of trust.
	Verified bool `json:"verified,omitempty"`
	// Trusted says that, with that, its chain leads to a root that whoever asked trusts (Coverage.Roots).
	Trusted bool `json:"trusted,omitempty"`
	// Chain are the subjects of the certificates, the signer's first.
	Chain []string `json:"chain,omitempty"`
	// Offset and Length are where in the evidence the fact stands; Length 0 if that is not told.
	Offset int64 `json:"offset,omitempty"`
	Length int64 `json:"length,omitempty"`
}

// MaxValue is the length in bytes of the longest value of a fact.
const MaxValue = 1 << 10

// Place is where something was seen.
type Place struct {
	Path  string          `json:"path"`            // of the file in the target, "/" first in a tree; "" for the target itself
	Trail showcause.Trail `json:"trail,omitempty"` // the layer in that file
	// Root is the tree that the place belongs to, "" for the target's own: the trail, as text, of the
	// file system, container image or archive. What is in different roots is not counted together.
	Root string `json:"root,omitempty"`
	// App is the folder of the application that the place is in, within the root; "" if that is not known.
	App string `json:"app,omitempty"`
}

// String is the place on one line, escaped: the path and the steps of the trail with "!" between.
func (p Place) String() string {
	s := showcause.Escape(p.Path)
	for _, st := range p.Trail {
		s += "!" + st.String()
	}
	return s
}

// UnmarshalJSON implements json.Unmarshaler: names of steps are escaped in JSON.
func (p *Place) UnmarshalJSON(b []byte) error {
	type plain Place
	if err := json.Unmarshal(b, (*plain)(p)); err != nil {
		return fmt.Errorf("place: %w", err)
	}
	for i, s := range p.Trail {
		name, ok := showcause.Unescape(s.Name)
		if !ok {
			return fmt.Errorf("place: step %d: a name that is not escaped", i)
		}
		p.Trail[i].Name = name
	}
	return nil
}

// Evidence are the bytes that an observation rests on: a layer by its digest,
// and the stretch or the record in it.
type Evidence struct {
	SHA256 showcause.SHA256 `json:"sha256"`           // of the whole layer; zeros for a folder or a process
	Size   int64            `json:"size"`             // bytes of the layer
	Offset int64            `json:"offset,omitempty"` // of the record
	Length int64            `json:"length,omitempty"` // of the record, bytes; 0: the layer as a whole
	Record string           `json:"record,omitempty"` // what names the record: "Package: kesl", a key
}

// Observation is one thing that was seen.
type Observation struct {
	Source   string   `json:"source"`             // the reader that saw it, of a closed list: "dpkg", "pe", "registry"
	Platform string   `json:"platform,omitempty"` // see Deb and those that follow
	Class    Class    `json:"class"`              // as the place and the record have it
	Place    Place    `json:"place"`
	Evidence Evidence `json:"evidence"`
	Facts    []Fact   `json:"facts"`
}

// Get returns the first value of a kind, "" if there is none.
func (o *Observation) Get(k Kind) string {
	for _, f := range o.Facts {
		if f.Kind == k {
			return f.Value
		}
	}
	return ""
}

// Way is in what way a file was read.
type Way string

// The ways.
const (
	Recorded  Way = "record"  // by the reader of its kind: a package database, a hive, a manifest, a unit
	AsProgram Way = "program" // what a program says of itself: headers, notes, version resources, signers. Its other bytes are no more than counted
	Unpacked  Way = "unpack"  // with everything in it that can be unpacked
)

// Files counts the files of a target. Seen is the sum of Read, Judged, Unread and Excluded, and Read that of the ways:
// Balanced.
type Files struct {
	Seen     int64 `json:"seen"`
	Read     int64 `json:"read"` // in one of the ways
	Records  int64 `json:"records"`
	Programs int64 `json:"programs"`
	Unpacked int64 `json:"unpacked"`
	Searched int64 `json:"searched"` // of Read: content rules were tried on all bytes of a program in it
	Judged   int64 `json:"judged"`   // by their name, their first bytes and what owns them; nothing says that they are software of interest
	Unread   int64 `json:"unread"`   // there is a gap
	Excluded int64 `json:"excluded"` // by whoever asked
}

// Balanced tells whether the counts add up.
func (f Files) Balanced() bool {
	return f.Seen == f.Read+f.Judged+f.Unread+f.Excluded && f.Read == f.Records+f.Programs+f.Unpacked
}

// Add adds the counts of another target.
func (f *Files) Add(g Files) {
	for _, p := range []struct {
		to *int64
		n  int64
	}{
		{&f.Seen, g.Seen},
		{&f.Read, g.Read},
		{&f.Records, g.Records},
		{&f.Programs, g.Programs},
		{&f.Unpacked, g.Unpacked},
		{&f.Searched, g.Searched},
		{&f.Judged, g.Judged},
		{&f.Unread, g.Unread},
		{&f.Excluded, g.Excluded},
	} {
		*p.to += p.n
	}
}

// String says for people how many files were looked at in which way.
func (f Files) String() string {
	return fmt.Sprintf("%d files: %d read (%d records by their readers, %d programs by what they say of themselves, %d with all that is packed in them; in %d of them programs were searched with content rules), "+
		"%d judged by path and first bytes alone, %d unread, %d excluded", f.Seen, f.Read, f.Records, f.Programs, f.Unpacked, f.Searched, f.Judged, f.Unread, f.Excluded)
}

// Gap is something that was not reached.
type Gap struct {
	Place  Place          `json:"place"`
	Code   showcause.Code `json:"code"`
	Offset int64          `json:"offset"`
	Length int64          `json:"length"` // -1 when it is not known how much there is
	Why    string         `json:"why,omitempty"`
}

// Exclusion is something that was left out on purpose.
type Exclusion struct {
	Path string `json:"path"`
	Why  string `json:"why"` // "excluded", "kernel file system", "other file system"
}

// Coverage says how was looked, and what was reached.
type Coverage struct {
	Begun     time.Time   `json:"begun"`
	Ended     time.Time   `json:"ended"`
	Engine    string      `json:"engine"`          // version of Showcause
	Rules     string      `json:"rules,omitempty"` // SHA-256 of the content rules that were tried, "" for none
	Roots     string      `json:"roots,omitempty"` // SHA-256 of the roots of trust for signers, "" for none
	Methods   []string    `json:"methods"`         // the readers that were used
	Files     Files       `json:"files"`
	Layers    int64       `json:"layers"` // inside files
	Gaps      []Gap       `json:"gaps,omitempty"`
	More      int64       `json:"more_gaps,omitempty"` // gaps that are counted and not listed
	Excluded  []Exclusion `json:"excluded,omitempty"`
	Unreached string      `json:"unreached,omitempty"` // why nothing at all of the target was read
	// Limits are what these methods cannot see, whatever the target: use of a service through a browser.
	Limits []string `json:"limits,omitempty"`
}

// Unread are the gaps that are holes. Readings that parsers disagree on are all read, and are none.
func (c *Coverage) Unread() (out []Gap) {
	for _, g := range c.Gaps {
		if g.Code.Unread() {
			out = append(out, g)
		}
	}
	return out
}

// Whole tells whether everything was reached that was not left out on purpose.
func (c *Coverage) Whole() bool {
	return c.Unreached == "" && c.More == 0 && len(c.Unread()) == 0
}

// LeftOut are the places that were left out on purpose, a line for each reason.
func (c *Coverage) LeftOut() (out []string) {
	by := map[string][]string{}
	for _, x := range c.Excluded {
		by[x.Why] = append(by[x.Why], showcause.Escape(x.Path))
	}
	for _, why := range slices.Sorted(maps.Keys(by)) {
		out = append(out, showcause.Escape(why)+": "+strings.Join(by[why], ", "))
	}
	return out
}

// System is what a target says it runs.
type System struct {
	Name    string `json:"name,omitempty"` // "debian", "windows", "macos"
	Version string `json:"version,omitempty"`
	Host    string `json:"host,omitempty"` // the name that it has for itself
}

// Inventory is what one target holds.
type Inventory struct {
	Format       string        `json:"format"` // Format
	Target       string        `json:"target"` // as it was named
	Kind         string        `json:"kind"`   // "host", "root", "image", "file"
	System       System        `json:"system"`
	Observations []Observation `json:"observations"`
	Coverage     Coverage      `json:"coverage"`
}

// Format is the format of an Inventory as JSON.
const Format = "showcause-inventory/1"
