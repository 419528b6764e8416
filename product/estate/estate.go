// Package estate is for tests: it makes files that tell of software, from
// nothing but what it is asked for: package databases, registry hives, signed programs, bundles, packages,
// archives and images. Vendors and keys are invented; no vendor's binaries are in it.
package estate

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is files by their paths, without a slash in front.
type Tree map[string][]byte

// Names are the paths in order.
func (t Tree) Names() []string {
	var out []string
	for n := range t {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// With is the tree with another over it.
func (t Tree) With(over Tree) Tree {
	out := Tree{}
	for _, u := range []Tree{t, over} {
		for n, b := range u {
			out[n] = b
		}
	}
	return out
}

// Write writes the tree below a folder.
func (t Tree) Write(dir string) error {
	for _, n := range t.Names() {
		name := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, t[n], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Tar is the tree as a tar.
func (t Tree) Tar() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range t.Names() {
		_ = w.WriteHeader(&tar.Header{Name: n, Mode: 0o644, Size: int64(len(t[n])), Typeflag: tar.TypeReg})
		_, _ = w.Write(t[n])
	}
	_ = w.Close()
	return b.Bytes()
}

// Gzip packs bytes.
func Gzip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// Deb is the record of a package in the database of Debian.
type Deb struct{ Name, Version, Maintainer, State string }

// Status is the database of dpkg.
func Status(list ...Deb) []byte {
	var b bytes.Buffer
	for _, d := range list {
		state := d.State
		if state == "" {
			state = "install ok installed"
		}
		fmt.Fprintf(&b, "Package: %s\nStatus: %s\nArchitecture: amd64\nMaintainer: %s\nVersion: %s\nDescription: what it is\n more of it\n\n", d.Name, state, d.Maintainer, d.Version)
	}
	return b.Bytes()
}

// DebFile is a package of Debian: ar(5) of two tars.
func DebFile(d Deb, files Tree) []byte {
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: %s\nDescription: x\n", d.Name, d.Version, d.Maintainer)
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", Gzip(Tree{"./control": []byte(control)}.Tar())}, {"data.tar.gz", Gzip(files.Tar())}} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// Alpine is the database of apk.
func Alpine(list ...Deb) []byte {
	var b bytes.Buffer
	for _, d := range list {
		fmt.Fprintf(&b, "C:Q1abc=\nP:%s\nV:%s\nA:x86_64\nT:what it is\nm:%s\nF:usr/bin\nR:x\n\n", d.Name, d.Version, d.Maintainer)
	}
	return b.Bytes()
}

// Plist is a property list of texts, in XML.
func Plist(pairs ...string) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\n")
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<key>%s</key><string>%s</string>\n", pairs[i], pairs[i+1])
	}
	b.WriteString("</dict></plist>\n")
	return b.Bytes()
}

// BinaryPlist is a property list of short texts in the binary form.
func BinaryPlist(pairs ...string) []byte {
	b := []byte("bplist00")
	var at []byte
	object := func(o ...byte) { at = append(at, byte(len(b)>>8), byte(len(b))); b = append(b, o...) }
	n := len(pairs) / 2
	dict := []byte{0xd0 | 15, 0x10, byte(n)}
	for i := range n {
		dict = append(dict, byte(1+2*i))
	}
	for i := range n {
		dict = append(dict, byte(2+2*i))
	}
	object(dict...)
	for _, s := range pairs {
		object(append([]byte{0x5f, 0x10, byte(len(s))}, s...)...)
	}
	table := len(b)
	b = append(b, at...)
	b = append(b, 0, 0, 0, 0, 0, 0, 2, 1)
	for _, v := range []int{1 + len(pairs), 0, table} {
		b = append(b, 0, 0, 0, 0, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return b
}

// Unit is a unit of systemd that starts a program.
func Unit(program string) []byte {
	return []byte("[Unit]\nDescription=x\n\n[Service]\nExecStart=" + program + " --daemon\n\n[Install]\nWantedBy=multi-user.target\n")
}

// ELF is a program that does nothing: a header, and bytes.
func ELF(content string) []byte {
	b := make([]byte, 64, 64+len(content))
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20], b[52], b[54], b[58] = 3, 62, 1, 64, 56, 64
	return append(b, content...)
}

// Image is an image of a container as "docker save" writes it, of layers, the lowest first.
func Image(layers ...Tree) []byte {
	t := Tree{"config.json": []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}`)}
	var names []string
	for i, l := range layers {
		name := fmt.Sprintf("layer%d.tar", i)
		t[name] = l.Tar()
		names = append(names, `"`+name+`"`)
	}
	t["manifest.json"] = []byte(`[{"Config":"config.json","RepoTags":["x:1"],"Layers":[` + strings.Join(names, ",") + `]}]`)
	return t.Tar()
}
