package macho

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	stdmacho "debug/macho"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause"
)

const plist = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
	<key>com.apple.security.get-task-allow</key><true/>
	<key>groups</key>
	<array>
		<string>one</string>
		<string>two</string>
		<string>one</string>
	</array>
	<key>name</key><string>not taken</string>
</dict></plist>`

// cms is a signature of two certificates, as far as names go.
var cms = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	var certs []byte
	issuer := pkix.Name{Country: []string{"US"}, Organization: []string{"Example Inc."}, CommonName: "Example Root"}
	for i, name := range []string{"Example Root", "Developer ID: Someone (ABC)"} {
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i) + 5), Subject: pkix.Name{CommonName: name}, Issuer: issuer}
		der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: issuer}, &key.PublicKey, key)
		if err != nil {
			panic(err)
		}
		certs = append(certs, der...)
	}
	name, _ := asn1.Marshal(issuer.ToRDNSequence())
	wrap := func(class, tag int, parts ...[]byte) []byte {
		b, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: true, Bytes: bytes.Join(parts, nil)})
		if err != nil {
			panic(err)
		}
		return b
	}
	one, oid := []byte{2, 1, 1}, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}
	signer := wrap(0, 16, one, wrap(0, 16, name, []byte{2, 1, 6}), wrap(0, 16, oid), []byte{4, 1, 0})
	data := wrap(0, 16, one, wrap(0, 17), wrap(0, 16, oid), wrap(2, 0, certs), wrap(0, 17, signer))
	return wrap(0, 16, oid, wrap(2, 0, data))
})

// build writes a file of either class and byte order with every command that is read.
func build(wide, bigEnd bool, cpu uint32, thread bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if bigEnd {
		order = binary.BigEndian
	}
	words := func(v ...uint32) (b []byte) {
		for _, n := range v {
			b = order.AppendUint32(b, n)
		}
		return b
	}
	long := func(v ...uint64) (b []byte) {
		for _, n := range v {
			if wide {
				b = order.AppendUint64(b, n)
			} else {
				b = order.AppendUint32(b, uint32(n))
			}
		}
		return b
	}
	fixed := func(s string) []byte { return append([]byte(s), make([]byte, 16-len(s))...) }
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	n := uint32(0)
	command := func(cmd uint32, body []byte) []byte {
		for len(body)%8 != 0 {
			body = append(body, 0)
		}
		n++
		return cat(words(cmd, uint32(len(body)+8)), body)
	}
	seg := uint32(cmdSegment)
	if wide {
		seg = cmdSegment64
	}
	section := func(name string, addr, size uint64, off uint32) []byte {
		b := cat(fixed(name), fixed("__TEXT"), long(addr, size), words(off, 4, 1, 2, 0x80000400, 5, 6))
		if wide {
			b = append(b, words(7)...)
		}
		return b
	}
	be := binary.BigEndian
	blob := func(kind uint32, body []byte) []byte {
		return append(be.AppendUint32(be.AppendUint32(nil, kind), uint32(len(body)+8)), body...)
	}
	entitlements, signed := blob(blobEntitlements, []byte(plist)), blob(blobCMS, cms())
	super := []byte(nil)
	for _, v := range []uint32{0xfade0cc0, uint32(28 + len(entitlements) + len(signed)), 2, 5, 28, 0x10000, uint32(28 + len(entitlements))} {
		super = be.AppendUint32(super, v)
	}
	super = cat(super, entitlements, signed)
	trie := "\x00\x01_\x00\x05" + "\x00\x02main\x00\x15foo\x00\x1b" // node 0 at 0, node 1 at 5
	trie += strings.Repeat("\x00", 0x15-len(trie)) + "\x03\x00\x80\x10\x00\xff" + "\x02\x00\x20\x01bar\x00\x25\x00" + "\x02\x00\x20\x00"
	binds := "\x11\x40_printf\x00\x51\x72\x10\x90\x00"
	lazy := "\x70\x20\x11\x40_Exit\x00\x90\x00\xc0\x03\x08\x60\x7f\xa0\x80\x01"
	names := "\x00_main\x00 \x00_foo\x00\x00_foobar\x00"
	fix := cat(words(0, 0, 28, 36, 2, 1, 0), words(1|0<<9, 2|3<<9), []byte("_chained\x00"))
	data := []string{string(super), trie, binds, lazy, names, string(fix)}
	const base = 0x1000
	off := make([]uint32, len(data))
	at := uint32(base)
	for i, d := range data {
		off[i] = at
		at += uint32(len(d)+15) &^ 15
	}
	size := func(i int) uint32 { return uint32(len(data[i])) }
	version := func(a, b, c uint32) uint32 { return a<<16 | b<<8 | c }
	state := make([]byte, 400)
	if r, ok := counter(cpu); ok {
		if r.wide == 8 {
			copy(state[r.at:], order.AppendUint64(nil, 0x1234))
		} else {
			copy(state[r.at:], order.AppendUint32(nil, 0x1234))
		}
	}
	entry := command(cmdMain, order.AppendUint64(order.AppendUint64(nil, 0x777), 0x100000))
	if thread {
		entry = command(cmdUnixThread, cat(words(1, 100), state))
	}
	commands := cat(
		command(seg, cat(fixed("__PAGEZERO"), long(0, 0x1000, 0, 0), words(0, 0, 0, 0))),
		command(seg, cat(fixed("__TEXT"), long(0x1000, 0x2000, 0, 0x2000), words(7, 5, 2, 4), section("__text", 0x1100, 0x50, 0x100), section("__cstring", 0x1200, 0x60, 0x200))),
		command(cmdLoadDylib, cat(words(24, 2, version(1311, 0, 3), version(1, 2, 3)), []byte("/usr/lib/libSystem.B.dylib\x00"))),
		command(cmdWeakDylib, cat(words(24, 2, 0, 0), []byte("@rpath/Other.dylib\x00"))),
		command(cmdRpath, cat(words(12), []byte("@loader_path/../Frameworks\x00"))),
		command(cmdLoadLinker, cat(words(12), []byte("/usr/lib/dyld\x00"))),
		command(cmdSourceVer, order.AppendUint64(nil, 1<<40|2<<30|3<<20|4<<10|5)),
		command(cmdUUID, []byte("0123456789abcdef")),
		command(cmdSymtab, words(0, 4, off[4], size(4))),
		command(cmdDysymtab, words(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)),
		command(cmdDyldInfoOnly, words(0, 0, off[2], size(2), 0, 0, off[3], size(3), off[1], size(1))),
		command(cmdFixups, words(off[5], size(5))),
		command(cmdSignature, words(off[0], size(0))),
		command(cmdBuildVersion, words(1, version(11, 2, 0), version(12, 0, 1), 1, 3, version(609, 8, 0))),
		command(cmdMinMac, words(version(10, 9, 0), version(10, 15, 4))),
		command(0x99, []byte("unknown.")),
		entry,
	)
	head := words(0xfeedface, cpu, 3, 2, n, uint32(len(commands)), 0x85)
	if wide {
		head = words(0xfeedfacf, cpu, 3, 2, n, uint32(len(commands)), 0x85, 9)
	}
	out := append(cat(head, commands), make([]byte, base)...)[:base]
	for i, d := range data {
		out = append(append(out, make([]byte, int(off[i])-len(out))...), d...)
	}
	return append(out, make([]byte, 0x3000-len(out))...)
}

// fatten writes a fat file of files.
func fatten(wide bool, files ...[]byte) []byte {
	be := binary.BigEndian
	magic := uint32(fatMagic)
	if wide {
		magic = fatMagic64
	}
	out := be.AppendUint32(be.AppendUint32(nil, magic), uint32(len(files)))
	at := 0x100
	for i, f := range files {
		out = be.AppendUint32(be.AppendUint32(out, uint32(7+i)), 3)
		if wide {
			out = be.AppendUint64(be.AppendUint64(out, uint64(at)), uint64(len(f)))
			out = be.AppendUint32(be.AppendUint32(out, 4), 0)
		} else {
			out = be.AppendUint32(be.AppendUint32(be.AppendUint32(out, uint32(at)), uint32(len(f))), 4)
		}
		at += len(f)
	}
	return append(append(out, make([]byte, 0x100-len(out))...), bytes.Join(files, nil)...)
}

func each(do func(name string, wide, bigEnd, x bool)) {
	for i := range 8 {
		wide, bigEnd, x := i&1 != 0, i&2 != 0, i&4 != 0
		do(fmt.Sprintf("wide=%v big=%v x=%v", wide, bigEnd, x), wide, bigEnd, x)
	}
}

func TestFile(t *testing.T) {
	each(func(name string, wide, bigEnd, x bool) {
		b := build(wide, bigEnd, 7|1<<24, false)
		f := Parse(showcause.Bytes(b), Options{X: x})
		if f == nil || f.Fat || len(f.Images) != 1 {
			t.Fatalf("%s: %+v", name, f)
		}
		i := f.Images[0]
		if i.CPU != 7|1<<24 || i.SubCPU != 3 || i.Type != 2 || i.Commands != 17 || i.HeadFlags != 0x85 || wide && i.Reserved != 9 || i.Wide != wide {
			t.Errorf("%s: header %+v", name, i)
		}
		check := func(what string, got, want any) {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s %v, want %v", name, what, got, want)
			}
		}
		check("segments", len(i.Segments), 2)
		s := i.Segments[1]
		sections := s.Sections
		s.Sections = nil
		check("segment", s, Segment{"__TEXT", true, 0x1000, 0x2000, 0, 0x2000, 7, 5, 2, 4, nil})
		third := uint32(0)
		if wide {
			third = 7
		}
		check("section", sections[1], Section{"__TEXT", "__cstring", 0x1200, 0x60, 0x200, 4, 1, 2, 0x80000400, [3]uint32{5, 6, third}})
		check("dylibs", i.Dylibs, []Dylib{{"/usr/lib/libSystem.B.dylib", 2, 1311<<16 | 3, 1<<16 | 2<<8 | 3}, {"@rpath/Other.dylib", 2, 0, 0}})
		check("rpaths", i.Rpaths, []string{"@loader_path/../Frameworks"})
		check("linker", *i.Linker, "/usr/lib/dyld")
		check("source", *i.Source, uint64(1<<40|2<<30|3<<20|4<<10|5))
		check("uuid", string(i.UUID), "0123456789abcdef")
		check("dysymtab", i.Dysymtab[17], uint32(18))
		check("build", *i.Build, Build{1, 11<<16 | 2<<8, 12<<16 | 1, 1, [][2]uint32{{3, 609<<16 | 8<<8}}})
		check("min", *i.Min, MinVersion{cmdMinMac, 10<<16 | 9<<8, 10<<16 | 15<<8 | 4})
		check("strings", i.Strings(), []string{"_main", "_foo", "_foobar"})
		check("exports", i.Exports(), []string{"_foo", "_foobar", "_main"})
		check("imports", i.Imports(), []string{"_printf", "_Exit", "_chained", "ained"})
		check("entitlements", i.Entitlements(), []string{"com.apple.security.get-task-allow", "groups", "one", "two", "name"})
		common, signers, ok := i.Certificates()
		check("certificates", common, []string{"Example Root", "Developer ID: Someone (ABC)"})
		check("signers", signers, []string{"C=US, O=Example Inc., CN=Example Root"})
		entry, also := i.Entry()
		check("entry", []any{entry, also, ok, *i.StackSize}, []any{uint64(0x777), true, true, uint64(0x100000)})
		check("short", f.Short(), false)
	})
}

// TestEntry is the entry point from the registers of every processor.
func TestEntry(t *testing.T) {
	for _, cpu := range []uint32{6, 7, 12, 13, 14, 18, 7 | 1<<24, 12 | 1<<24, 18 | 1<<24, 99} {
		each(func(name string, wide, bigEnd, x bool) {
			i := Parse(showcause.Bytes(build(wide, bigEnd, cpu, true)), Options{X: x}).Images[0]
			at, ok := i.Entry()
			want, there := uint64(0x234), true
			if cpu == 99 {
				want, there = 0, x
			}
			if at != want || ok != there {
				t.Errorf("%s, processor %#x: %#x, %v", name, cpu, at, ok)
			}
		})
	}
}

func TestFat(t *testing.T) {
	one, two := build(false, false, 7, true), build(true, false, 7|1<<24, false)
	for _, wide := range []bool{false, true} {
		for _, x := range []bool{false, true} {
			f := Parse(showcause.Bytes(fatten(wide, one, []byte("neither"), two)), Options{X: x})
			if f == nil || !f.Fat || f.Declared != 3 || len(f.Archs) != 3 || f.Images[0] == nil || f.Images[1] != nil || f.Images[2] == nil {
				t.Fatalf("%+v", f)
			}
			if a := f.Archs[2]; a != (Arch{9, 3, 4, 0, uint64(0x100 + len(one) + 7), uint64(len(two))}) {
				t.Errorf("%+v", a)
			}
			if f.Find(9, 3, false) != 2 || f.Find(9, 4, false) != -1 || f.Find(8, 0, true) != 1 || f.Find(-1, 0, true) != -1 {
				t.Error("Find")
			}
			if got := f.Images[2].Exports(); !slices.Contains(got, "_foobar") {
				t.Errorf("exports %q", got)
			}
			cut := fatten(wide, one)[:20]
			if got := Parse(showcause.Bytes(cut), Options{X: x}); (got == nil) != x {
				t.Errorf("cut off, x %v: %+v", x, got)
			}
		}
	}
}

// TestStandardLibrary holds that what we build is what debug/macho reads.
func TestStandardLibrary(t *testing.T) {
	for _, bigEnd := range []bool{false, true} {
		for _, wide := range []bool{false, true} {
			b := build(wide, bigEnd, 7|1<<24, false)
			// debug/macho wants a symbol table.
			i := Parse(showcause.Bytes(b), Options{}).Images[0]
			at := bytes.Index(b, i.order.(binary.AppendByteOrder).AppendUint32(i.order.(binary.AppendByteOrder).AppendUint32(nil, cmdSymtab), 24))
			copy(b[at+8:], make([]byte, 16))
			at = bytes.Index(b, i.order.(binary.AppendByteOrder).AppendUint32(i.order.(binary.AppendByteOrder).AppendUint32(nil, cmdDysymtab), 80))
			copy(b[at+8:], make([]byte, 72))
			want, err := stdmacho.NewFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Loads) != int(i.Commands) || len(want.Sections) != 2 || want.Segment("__TEXT").Filesz != i.Segments[1].FileSize {
				t.Errorf("%+v", want)
			}
			libs, _ := want.ImportedLibraries()
			if !slices.Contains(libs, i.Dylibs[0].Name) {
				t.Errorf("%q", libs)
			}
		}
	}
}

// everything asks for all there is.
func everything(f *File) (out []any) {
	if f == nil {
		return nil
	}
	out = append(out, f.Fat, f.FatMagic, f.Declared, f.Archs)
	for _, i := range f.Images {
		if i == nil {
			out = append(out, nil)
			continue
		}
		at, ok := i.Entry()
		a, b, c := i.Certificates()
		out = append(out, i.Segments, i.SegmentCount, i.Dylibs, i.Rpaths, i.Linker, i.Build, i.Min, i.UUID, at, ok,
			i.Strings(), i.Exports(), i.Imports(), i.Entitlements(), a, b, c)
	}
	return append(out, f.Short())
}

// TestTruncated reads every head of a file, and files with every byte changed.
func TestTruncated(t *testing.T) {
	thin := build(true, false, 7|1<<24, false)
	for _, b := range [][]byte{thin[:0x2000], fatten(false, build(false, true, 18, true)[:0x1400])} {
		for n := range b {
			if n > 0x600 && n < 0xf00 || n > 0x1000 && n%5 != 0 {
				continue // zeros; of the data some
			}
			for _, x := range []bool{false, true} {
				everything(Parse(showcause.Bytes(b[:n]), Options{X: x}))
				for _, c := range []byte{0xff, 0x7f} {
					old := b[n]
					b[n] = c
					everything(Parse(showcause.Bytes(b), Options{X: x}))
					b[n] = old
				}
			}
		}
	}
}

// TestHostile holds that counts without measure end, and are told.
func TestHostile(t *testing.T) {
	le := binary.LittleEndian
	head := func(n uint32) []byte {
		var b []byte
		for _, v := range []uint32{cigam64, 7, 3, 2, n, 0, 0, 0} {
			b = le.AppendUint32(b, v)
		}
		binary.BigEndian.PutUint32(b, cigam64)
		return b
	}
	// Commands of no length; a segment again and again; a trie that branches into itself.
	many := head(1 << 31)
	one := append(le.AppendUint32(le.AppendUint32(nil, cmdSegment64), 72), make([]byte, 64)...)
	many = append(many, bytes.Repeat(one, 200_000)...)
	for _, x := range []bool{false, true} {
		f := Parse(showcause.Bytes(many), Options{X: x})
		if n := len(f.Images[0].Segments); n > maxItems || !f.Short() {
			t.Errorf("%d segments, short %v", n, f.Short())
		}
	}
	everything(Parse(showcause.Bytes(append(head(1<<32-1), make([]byte, 100_000)...)), Options{X: true}))
	trie := []byte("\x00\xff")
	for range 255 {
		trie = append(trie, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x02"...)
	}
	trie = append(trie, bytes.Repeat([]byte("\x01\x00\x01b\x00\x09"), 1000)...)
	deep := head(1)
	deep = le.AppendUint32(le.AppendUint32(deep, cmdExportsTrie), 16)
	deep = le.AppendUint32(le.AppendUint32(deep, 48), uint32(len(trie)))
	everything(Parse(showcause.Bytes(append(deep, trie...)), Options{X: true}))
	// A chain of 20,000 nodes with names of all lengths up to 200,000 bytes.
	trie = nil
	for k := range 20_000 {
		n := 16*k + 16
		trie = append(trie, "\x01\x00\x01abcdefg\x00"...)
		trie = append(trie, byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)&0x7f)
		trie = append(trie, 0, 0)
	}
	le.PutUint32(deep[44:], uint32(len(trie)))
	f := Parse(showcause.Bytes(append(deep[:48:48], trie...)), Options{X: true})
	total := 0
	for _, e := range f.Images[0].Exports() {
		total += len(e)
	}
	if total > maxText || !f.Short() {
		t.Errorf("%d bytes of names, short %v", total, f.Short())
	}
	left := int64(100)
	f = Parse(showcause.Bytes(many), Options{Work: func(n int64) bool { left -= n; return left > 0 }})
	if everything(f); !f.Short() || len(f.Images[0].Segments) > 100 {
		t.Error("no end of work")
	}
}

func FuzzParse(f *testing.F) {
	each(func(_ string, wide, bigEnd, x bool) {
		b := build(wide, bigEnd, 7, x)[:0x1900]
		f.Add(b, x)
		f.Add(fatten(wide, b[:0x800], b[:0x400]), x)
	})
	f.Fuzz(func(t *testing.T, b []byte, x bool) {
		one := everything(Parse(showcause.Bytes(b), Options{X: x}))
		if two := everything(Parse(showcause.Bytes(b), Options{X: x})); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}
