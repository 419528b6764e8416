// Package inspect looks for traces of software in one file and in every layer of it: it
// derives the layers (scan.Walk), asks the readers of each, and says in what way what they saw is
// there. It runs in the jail; Frame and Observation lines are what the process outside gets.
package inspect

import (
	"bytes"
	"crypto/sha256"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/apps"
	"github.com/showcause/showcause/product/look"
	"github.com/showcause/showcause/product/osdb"
	"github.com/showcause/showcause/product/program"
	"github.com/showcause/showcause/product/winreg"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

// Readers are all readers, in the order in which a file is shown to them.
func Readers() []look.Reader {
	return slices.Concat(osdb.Readers(), winreg.Readers(), apps.Readers(), program.Readers(), []look.Reader{named()})
}

// named sees files that have the name of a program and are none: a list, a rule, a script under a
// borrowed name. What they name they only mention.
func named() look.Reader {
	return look.Reader{
		Name: "name", Method: "names of files that are no programs",
		Match: func(f *look.File) bool {
			switch path.Ext(f.Lower) {
			case ".exe", ".dll", ".sys":
				return !f.Magic("MZ")
			}
			return false
		},
		Read: func(f *look.File, o *look.Out) {
			o.Add(product.Observation{Platform: product.Windows, Class: product.Mention, Facts: look.Facts("file", f.Base())})
		},
	}
}

// Task is one file to look into.
type Task struct {
	Path string `json:"path"` // in its tree
	// Root is the tree of its own that a part of the tree is, a layer of a container, and In the path in that; "" for none.
	Root string `json:"root,omitempty"`
	In   string `json:"in,omitempty"`
	// Tree says that the file stands in a tree that is looked through; otherwise it is the target itself, so that
	// what is in it is not a copy.
	Tree bool `json:"tree"`
	// Flat has only the file itself read, and not what is in it.
	Flat   bool             `json:"flat"`
	Limits showcause.Limits `json:"limits"`
}

// Result is what a file holds.
type Result struct {
	Observations []product.Observation `json:"observations,omitempty"`
	Gaps         []product.Gap         `json:"gaps,omitempty"`
	Layers       int64                 `json:"layers"`
	More         int64                 `json:"more,omitempty"` // gaps that are not kept
	Way          product.Way           `json:"way,omitempty"`
	Searched     int64                 `json:"searched,omitempty"` // programs that content rules were tried on
}

// maxGaps is how many gaps of a file are kept.
const maxGaps = 200

// Inspector looks into one file after the other. It is not safe for concurrent use.
type Inspector struct {
	Readers []look.Reader
	// Rules are tried on programs; nil: none.
	Rules *ruledb.DB
	Spill func() (unpack.File, error)
	// Anchors are the roots that signers may lead to; nil: none.
	Anchors *program.Anchors
}

type visit struct {
	*Inspector
	task  Task
	steps int64
	out   Result
	where []place // of the last layer and those that it is in
	told  map[string]bool
}

// place is how things are in a layer.
type place struct {
	class product.Class // of what is installed in it
	root  string        // the tree that it is of
	outer bool          // no file of a tree was entered so far
	deep  bool          // in a tree that is within the file
	path  string        // in the root
}

// Look looks into a file.
func (in *Inspector) Look(src showcause.Source, t Task) Result {
	v := &visit{Inspector: in, task: t}
	l := t.Limits.WithDefaults()
	if t.In == "" {
		t.In = t.Path
	}
	v.where = []place{{class: product.Installed, outer: !t.Tree, root: t.Root, path: path.Clean("/" + t.In)}}
	if t.Flat {
		v.out.Way = product.Recorded
		if f := look.NewFile(t.In, src); f.Magic("\x7fELF") || program.IsMachO(f) {
			v.out.Way = product.AsProgram
			t.Flat = !f.Magic("\x7fELF") || !program.Behind(src)
		}
	}
	if t.Flat {
		v.file(showcause.Layer{Source: src}, v.where[0])
		v.out.Layers = 1
		return v.out
	}
	v.task.Flat, v.steps, v.out.Way = false, l.Work, product.Unpacked
	v.walk(src, 0)
	if f := look.NewFile(t.In, src); f.Magic("#!") {
		v.script(src)
	}
	return v.out
}

// walk goes through the layers of a part of the file, from an offset on.
func (v *visit) walk(src showcause.Source, off int64) {
	scan.Walk(bound.Section(src, off, src.Size()-off), scan.Options{Limits: v.task.Limits, Spill: v.Spill}, scan.Visitor{Layer: v.layer, Gap: v.gap})
}

// payloads begin what installers have behind a script, each from the start of a line on.
var payloads = []string{"\x1f\x8b\x08", "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "PK\x03\x04", "7z\xbc\xaf\x27\x1c", "\x7fELF", "hsqs", "!<arch>\n", "\xed\xab\xee\xdb"}

// script looks for what stands behind a script, as installers have it: an archive, which would be installed. Bytes that
// are no text, and that nothing is known of, are a gap.
func (v *visit) script(src showcause.Source) {
	const block = 1 << 20
	text := true
	for off := int64(0); off < src.Size(); off += block {
		b, err := bound.ReadAt(src, off, min(block+16, src.Size()-off), block+16) // a mark may stand on the border
		if err != nil {
			v.unread(product.Gap{Place: product.Place{Path: v.where[0].path}, Code: showcause.Unreadable, Offset: off, Length: src.Size() - off})
			return
		}
		text = text && !bytes.Contains(b, []byte{0})
		for at := 0; ; {
			i := bytes.IndexByte(b[at:], '\n')
			if i < 0 {
				break
			}
			at += i + 1
			if slices.ContainsFunc(payloads, func(m string) bool { return bytes.HasPrefix(b[at:], []byte(m)) }) {
				v.where = v.where[:1]
				v.where[0].class, v.where[0].path = product.Installer, v.where[0].path+".payload"
				v.walk(src, off+int64(at))
				return
			}
		}
	}
	if !text {
		v.unread(product.Gap{Place: product.Place{Path: v.where[0].path}, Code: showcause.Unsupported + ".script", Length: -1, Why: "data behind a script"})
	}
}

// layer looks at one layer.
func (v *visit) layer(l showcause.Layer, t filetype.Type) (int64, error) {
	v.out.Layers++
	p := v.where[0]
	if n := len(l.Trail); n > 0 {
		v.where = v.where[:min(n, len(v.where))]
		p = enter(v.where[n-1], l.Trail)
		v.where = append(v.where, p)
	}
	if n := len(l.Trail); n > 0 && l.Trail[n-1].Op == "macho.slice" {
		return l.Source.Size(), nil // read with the whole
	}
	v.file(l, p)
	v.folder(l, p)
	return l.Source.Size(), nil
}

// rootOf names the tree that a place is in. Of two archives in a tree, each is another.
func (v *visit) rootOf(p place) string {
	if p.deep && v.task.Tree {
		return v.task.Path + "!" + p.root
	}
	return p.root
}

// folder tells once of each folder of an application that a file of an image or archive is in.
func (v *visit) folder(l showcause.Layer, p place) {
	dir := Folder(p.path)
	root := v.rootOf(p)
	if key := root + "\x00" + dir; len(l.Trail) > 0 && dir != "" && !v.told[key] && len(v.told) < maxFolders {
		if v.told == nil {
			v.told = map[string]bool{}
		}
		v.told[key] = true
		ob := FolderSeen(dir)
		ob.Place.Path, ob.Place.Trail, ob.Place.Root, ob.Class = v.where[0].path, l.Trail, root, p.class
		v.out.Observations = append(v.out.Observations, ob)
	}
}

const maxFolders = 10_000

// FolderSeen is the observation of a folder in the target's own tree.
func FolderSeen(dir string) product.Observation {
	return product.Observation{
		Source: "folder", Platform: systemOf(dir), Class: product.Installed, Place: product.Place{Path: dir, App: product.Apps(dir)},
		Evidence: product.Evidence{Record: dir}, Facts: look.Facts("path", dir),
	}
}

// systemOf is the system that has a folder of this name at its root.
func systemOf(dir string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(look.Lower(dir), "/"), "/")
	switch first {
	case "program files", "program files (x86)", "programdata", "windows", "users":
		return product.Windows
	case "applications", "library", "system":
		return product.MacOS
	}
	return product.Linux
}

// Folder is the folder of an application that a path is in or is, "" if there is none.
func Folder(name string) string {
	parts := strings.SplitN(name, "/", 5)
	if len(parts) > 3 {
		switch look.Lower(parts[1] + "/" + parts[2]) {
		case "var/opt", "etc/opt", "var/log", "usr/lib":
			if len(parts) > 4 {
				return strings.Join(parts[:4], "/")
			}
			return ""
		}
	}
	return product.Apps(name)
}

// gap keeps a gap of a layer.
func (v *visit) gap(g showcause.Gap) {
	v.unread(product.Gap{Place: product.Place{Path: v.where[0].path, Trail: g.Trail}, Code: g.Code, Offset: g.Offset, Length: g.Length})
}

func (v *visit) unread(g product.Gap) {
	if len(v.out.Gaps) >= maxGaps {
		v.out.More++
		return
	}
	v.out.Gaps = append(v.out.Gaps, g)
}

// file shows a layer to the readers.
func (v *visit) file(l showcause.Layer, p place) {
	f := look.NewFile(p.path, l.Source)
	var digest *showcause.SHA256
	where := product.Place{Path: v.where[0].path, Trail: l.Trail, Root: v.rootOf(p), App: product.Apps(p.path)}
	first := len(v.out.Observations)
	for _, r := range v.Readers {
		if !r.Match(f) {
			continue
		}
		o := &look.Out{Reader: r.Name, Charge: v.charge, Trust: v.Anchors.Lead}
		read(r, f, o)
		for _, g := range o.Gaps {
			g.Place = where
			v.unread(g)
		}
		for _, ob := range o.Observations {
			if digest == nil {
				d, ok := v.digest(l.Source, where)
				digest = &d
				if !ok {
					break
				}
			}
			ob.Place = where
			if n := osdb.Within(f.Lower); n > 0 && !p.deep { // a system of its own, within the tree
				ob.Place.Root = where.Root + f.Path[:n]
			}
			ob.Evidence.SHA256, ob.Evidence.Size = *digest, l.Source.Size()
			if ob.Evidence.Length == 0 && ob.Evidence.Record == "" && ob.Class != product.Mention { // it rests on the layer as a whole
				ob.Facts = append(ob.Facts, product.Fact{Kind: product.Digest, Value: digest.String()})
			}
			ob.Class = join(ob.Class, p.class)
			v.out.Observations = append(v.out.Observations, ob)
		}
	}
	v.rules(l, first)
}

// read has a reader read. A panic of a parser is a gap, not the end of all others.
func read(r look.Reader, f *look.File, o *look.Out) {
	defer func() {
		if recover() != nil {
			o.Unread(showcause.Crash, 0, -1, r.Name)
		}
	}()
	r.Read(f, o)
}

// rules tries the content rules on a program, and adds a fact for each that hits to its observation.
func (v *visit) rules(l showcause.Layer, first int) {
	if v.Rules == nil || first >= len(v.out.Observations) {
		return
	}
	ob := &v.out.Observations[first]
	switch ob.Source {
	case "pe", "macho", "elf":
	default:
		return
	}
	s := scan.New(v.Rules, scan.Options{TopOnly: true, Limits: v.task.Limits, MaxMatches: 1})
	report := s.Scan(l.Source)
	v.out.Searched++
	for _, f := range report.Findings {
		if !f.Alarms() {
			continue
		}
		fact := product.Fact{Kind: product.Rule, Value: look.Text(f.Rule)}
		if len(f.Matches) > 0 {
			fact.Offset, fact.Length = f.Matches[0].Offset, f.Matches[0].Length
		}
		ob.Facts = append(ob.Facts, fact)
	}
	for _, g := range report.Gaps {
		if g.Code.Unread() {
			v.unread(product.Gap{Place: ob.Place, Code: g.Code, Offset: g.Offset, Length: g.Length, Why: "content rules"})
		}
	}
}

// charge counts the work of readers, against as much as a walk may do.
func (v *visit) charge(n int64) bool {
	v.steps -= n
	return v.task.Flat || v.steps > 0
}

func (v *visit) digest(src showcause.Source, where product.Place) (d showcause.SHA256, ok bool) {
	h := sha256.New()
	n, err := io.Copy(h, bound.Reader(src, 0, -1))
	if err != nil || n < src.Size() {
		v.unread(product.Gap{Place: where, Code: showcause.Unreadable, Offset: n, Length: src.Size() - n})
		return d, false
	}
	copy(d[:], h.Sum(nil))
	return d, true
}

// join is the class of what a reader saw in a place.
func join(seen, place product.Class) product.Class {
	if seen != product.Installed || place == product.Installed {
		return seen
	}
	return place
}

// systems are the steps into a tree of files as a system has it, packages those into what would be installed.
var (
	disks    = words("mbr gpt apm qcow qcow2 vhd vhdx vmdk vdi parallels qed dmg")
	streams  = words("gzip bzip2 xz lzma zstd lz4 lzip lzop compress snappy zlib brotli pbzx mozlz4 zeros view")
	volumes  = words("ext fat exfat ntfs hfs hfsplus squashfs oci")
	packages = words("rpm ar xar cab chm iso9660 udf cfb apple")
	programs = words("exe macho pe elf")
)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

// enter is how things are in a child.
func enter(p place, t showcause.Trail) place {
	s := t[len(t)-1]
	format, kind, _ := strings.Cut(s.Op, ".")
	root := t[:len(t)-1].String()
	c := p
	switch {
	case streams[format] || s.Op == "oci.layer":
		if s.Name != "" && s.Op != "oci.layer" && path.Ext(p.path) != "" { // the name without its ending
			c.path = strings.TrimSuffix(p.path, path.Ext(p.path))
		}
		return c
	case disks[format]:
		if !p.outer {
			c.class = copied(p.class)
		}
		return c
	case volumes[format]:
		if !p.outer {
			c.class = copied(p.class)
			if format == "squashfs" && path.Ext(look.Lower(p.path)) == ".snap" {
				c.class = product.Installer
			}
		}
		if kind == "hidden" {
			c.class = product.Remnant
		}
		if format == "oci" {
			root = imageOf(t)
		}
	case format == "tar" || format == "cpio":
		if !p.outer && c.class == product.Installed {
			c.class = product.Backup
		}
	case packages[format]:
		if c.class != product.Backup {
			c.class = product.Installer
		}
	case programs[format]:
		if c.class == product.Installed {
			c.class = product.Embedded
		}
	case format == "zip":
		switch ext := path.Ext(look.Lower(p.path)); ext {
		case ".jar", ".war", ".ear", ".whl", ".nupkg":
			if c.class == product.Installed {
				c.class = product.Embedded
			}
		case ".apk", ".ipa", ".msix", ".appx", ".vsix", ".xpi", ".crx":
			c.class = product.Installer
		default:
			c.class = copied(p.class)
		}
	default:
		c.class = copied(p.class)
	}
	c.outer, c.deep = false, true
	c.root = root
	if s.Name != "" {
		c.path = path.Clean("/" + strings.ReplaceAll(s.Name, `\`, "/"))
	}
	return c
}

// copied is the class of what is in an archive or image in a place.
func copied(c product.Class) product.Class {
	if c == product.Installed {
		return product.Backup
	}
	return c
}

// imageOf is the tree of a file in a layer of a container image: the image, whichever layer it is in.
func imageOf(t showcause.Trail) string {
	i := slices.IndexFunc(t, func(s showcause.Step) bool { return s.Op == "oci.layer" })
	if i < 0 {
		i = len(t) - 1
	}
	return t[:i].String() + "(image)"
}

// Candidate tells by path and first bytes whether a file of a tree is to be looked into, and whether it
// is no more than one of the readers' files, so that nothing needs to be unpacked.
func Candidate(readers []look.Reader, f *look.File, more []byte) (wanted, flat bool) {
	for _, r := range readers {
		if r.Match(f) {
			wanted = true
			flat = flat || flatReaders[r.Name] || r.Name == "elf" && ofSystem(f.Path)
		}
	}
	if holds(f, more) || f.Magic("#!") && len(more) >= MoreSize {
		return true, false
	}
	return wanted, flat && wanted
}

// flatReaders read files that nothing is packed in that they do not read themselves.
var flatReaders = words("dpkg apk rpm snapd flatpak homebrew receipt registry bundle launchd systemd chrome firefox vscode winget macho os-release")

// ofSystem tells whether a program of Linux stands where packages put theirs, so that a file system or an archive behind it,
// as applications in one file have it, is not looked for.
func ofSystem(name string) bool {
	if strings.HasPrefix(name, "/usr/local/") {
		return false
	}
	for _, dir := range []string{"/usr/", "/lib", "/bin/", "/sbin/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return false
}

// magics begin what may hold other files.
var magics = []string{
	"PK\x03\x04", "PK\x05\x06", "\x1f\x8b", "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "7z\xbc\xaf\x27\x1c", "Rar!", "MSCF",
	"!<arch>\n", "\xed\xab\xee\xdb", "070701", "070702", "070707", "xar!", "hsqs", "sqsh", "QFI\xfb", "vhdxfile", "KDMV", "<<< ", "conectix", "cxsparse",
	"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ITSF", "Cr24", "MZ", "LZIP", "\x89LZO", "WithoutFreeSpace", "WithouFreSpacExt", "QED\x00", "# Disk DescriptorFile",
}

// holds tells whether a file may hold others: what begins it, or what stands where archives and file systems have their marks.
func holds(f *look.File, more []byte) bool {
	if f.Magic(magics...) {
		return true
	}
	at := func(off int, mark string) bool {
		return len(more) >= off+len(mark) && string(more[off:off+len(mark)]) == mark
	}
	return at(257, "ustar") || at(1080, "\x53\xef") || at(3, "NTFS    ") || at(3, "EXFAT   ") || at(510, "\x55\xaa") && bytes.ContainsAny(more[:1], "\xeb\xfa\x33\x00") ||
		at(1024, "H+\x00\x04") || at(1024, "HX\x00\x05") || at(32769, "CD001") || strings.HasSuffix(f.Lower, ".dmg") || strings.HasSuffix(f.Lower, ".lzma")
}

// MoreSize is how many bytes from the start of a file Candidate wants, where it has them.
const MoreSize = 32774
