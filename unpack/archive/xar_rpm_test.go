package archive

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func deflated(b []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

// xarOf is an archive with the given table and heap.
func xarOf(toc string, heap []byte) []byte {
	z := deflated([]byte(toc))
	h := append([]byte("xar!"), 0, 28, 0, 1)
	h = binary.BigEndian.AppendUint64(h, uint64(len(z)))
	h = binary.BigEndian.AppendUint64(h, uint64(len(toc)))
	return bytes.Join([][]byte{h, {0, 0, 0, 1}, z, heap}, nil)
}

func xarFile(name, style string, off, length, size int) string {
	return fmt.Sprintf(`<file id="1"><name>%s</name><data><length>%d</length><offset>%d</offset><size>%d</size><encoding style="application/%s"/></data></file>`, name, length, off, size, style)
}

func xarSample() []byte {
	a, b := deflated([]byte("first, and so on")), []byte("second, and so on")
	return xarOf(`<?xml version="1.0"?><xar><toc><file id="9"><name>d</name>`+xarFile("a", "x-gzip", 0, len(a), 16)+`</file>`+
		xarFile("b", "octet-stream", len(a), len(b), len(b))+`</toc></xar>`, append(a, b...))
}

func TestXar(t *testing.T) {
	a := deflated([]byte("first"))
	file := func(f ...string) []byte {
		return xarOf("<xar><toc>"+strings.Join(f, "")+"</toc></xar>", append(bytes.Clone(a), "second"...))
	}
	bad := xarSample()
	bad[40] ^= 0x55
	for name, s := range map[string]struct {
		data  []byte
		files string // but for the table
		gaps  string
	}{
		"whole":         {xarSample(), "d/a:first, and so on b:second, and so on", ""},
		"in data of ea": {file(`<file><name>x</name><ea><name>com.apple</name><offset>0</offset><length>` + fmt.Sprint(len(a)) + `</length><size>5</size><encoding style="application/x-gzip"/></ea></file>`), "x:first", ""},
		"other size":    {file(xarFile("x", "x-gzip", 0, len(a), 6)), "x:first", "corrupt"},
		"not zlib":      {file(xarFile("x", "x-gzip", len(a), 6, 6)), "x:second", ""},
		"beyond":        {file(xarFile("x", "octet-stream", len(a), 60, 60)), "x:second", "corrupt"},
		"a method":      {file(xarFile("x", "x-rot13", 0, 5, 5)), "", "unsupported.method.xar"},
		"not closed":    {xarOf("<xar><toc>"+xarFile("x", "octet-stream", 0, 6, 6), []byte("second")), "x:second", "corrupt"},
		"no table":      {bad, "", "corrupt"},
	} {
		r := unpacktest.Walk(t, Xar(), s.data, showcause.Limits{})
		var files []string
		for _, c := range r.Children {
			if c.Op != "xar.toc" && c.Op != "xar.rest" {
				files = append(files, c.Name+":"+string(c.Data))
			}
		}
		if strings.Join(files, " ") != s.files || s.gaps == "" != (len(r.Gaps) == 0) || s.gaps != "" && !r.Has(showcause.Code(s.gaps)) {
			t.Errorf("%s: %q, %s", name, files, r)
		}
	}
}

func TestXarConforms(t *testing.T) {
	unpacktest.Conform(t, Xar(), map[string][]byte{"two files": xarSample()})
}

func FuzzXar(f *testing.F) { unpacktest.Fuzz(f, Xar(), xarSample()) }

// What bsdtar writes is read.
func TestXarTool(t *testing.T) {
	dir := t.TempDir()
	want := unpacktest.Mixed(100_000)
	os.WriteFile(filepath.Join(dir, "f"), want, 0o600)
	for _, c := range []string{"gzip", "none"} {
		cmd := exec.Command("bsdtar", "-cf", "x.xar", "--format", "xar", "--options", "xar:compression="+c, "f")
		cmd.Dir = dir
		if err := cmd.Run(); err != nil {
			t.Skipf("bsdtar: %v", err)
		}
		b, _ := os.ReadFile(filepath.Join(dir, "x.xar"))
		r := unpacktest.Walk(t, Xar(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 2 || !bytes.Equal(r.Children[1].Data, want) {
			t.Errorf("%s: %s", c, r)
		}
	}
}

// rpmOf is a package with headers of an entry each.
func rpmOf(payload string) []byte {
	header := func(data string) []byte {
		b := append(bytes.Clone(rpmHeader), 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		return append(append(b, make([]byte, 16)...), data...)
	}
	b := append(bytes.Clone(rpmMagic), make([]byte, rpmLead-4)...)
	b = append(b, header("signature")...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return append(append(b, header("#!/bin/sh\n")...), payload...)
}

func TestRPM(t *testing.T) {
	b := rpmOf(gz + "and so on")
	r := unpacktest.Walk(t, RPM(), b, showcause.Limits{})
	if len(r.Gaps) > 0 || len(r.Children) != 1 || string(r.Children[0].Data) != gz+"and so on" {
		t.Errorf("%s", r)
	}
	bad := bytes.Clone(b)
	bad[rpmLead] = 0
	r = unpacktest.Walk(t, RPM(), bad, showcause.Limits{})
	if !r.Has(showcause.Corrupt) || len(r.Children) != 1 || string(r.Children[0].Data) != gz+"and so on" {
		t.Errorf("%s", r)
	}
}

// The payload has an end of its own: what is cut is told by the layer inside.
func TestRPMConforms(t *testing.T) {
	b := rpmOf(gz + "and so on")
	unpacktest.ConformWhole(t, RPM(), map[string][]byte{"one": b}, func(c []byte) bool { return len(c) > len(b)-len(gz+"and so on") })
}

func FuzzRPM(f *testing.F) { unpacktest.Fuzz(f, RPM(), rpmOf(gz+"and so on")) }
