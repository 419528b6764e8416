package program

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// sectioned is an ELF file of 64 bits with sections, and what stands behind its tables.
func sectioned(behind string, named ...string) []byte {
	names := "\x00"
	b := make([]byte, 64)
	var table []byte
	section := func(name, data string, kind uint32) {
		e := make([]byte, 64)
		binary.LittleEndian.PutUint32(e, uint32(len(names)))
		names += name + "\x00"
		binary.LittleEndian.PutUint32(e[4:], kind)
		binary.LittleEndian.PutUint64(e[24:], uint64(len(b)))
		binary.LittleEndian.PutUint64(e[32:], uint64(len(data)))
		table = append(table, e...)
		b = append(b, data...)
	}
	table = make([]byte, 64)
	for i := 0; i+1 < len(named); i += 2 {
		section(named[i], named[i+1], 1)
	}
	names += ".shstrtab\x00"
	e := make([]byte, 64)
	binary.LittleEndian.PutUint32(e, uint32(len(names)-10))
	binary.LittleEndian.PutUint32(e[4:], 3)
	binary.LittleEndian.PutUint64(e[24:], uint64(len(b)))
	binary.LittleEndian.PutUint64(e[32:], uint64(len(names)))
	table = append(table, e...)
	b = append(b, names...)
	copy(b, "\x7fELF\x02\x01\x01")
	for at, v := range map[int]uint16{16: 3, 18: 62, 20: 1, 52: 64, 54: 56, 58: 64, 60: uint16(len(table) / 64), 62: uint16(len(table)/64 - 1)} {
		binary.LittleEndian.PutUint16(b[at:], v)
	}
	binary.LittleEndian.PutUint64(b[40:], uint64(len(b)))
	return append(append(b, table...), behind...)
}

func note(desc string) string {
	b := binary.LittleEndian.AppendUint32(nil, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, noteType)
	return string(b) + "FDO\x00" + desc
}

func goInfo(module string) string {
	b := append([]byte("\xff Go buildinf:\x08\x02"), make([]byte, 16)...)
	for _, s := range []string{"go1.26", module} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return string(b)
}

func facts(b []byte) (out []string) {
	o := &look.Out{Reader: "elf"}
	readELF(look.NewFile("/opt/x/engine.so", showcause.Bytes(b)), o)
	for _, ob := range o.Observations {
		for _, f := range ob.Facts {
			out = append(out, string(f.Kind)+" "+f.Value)
		}
	}
	return out
}

func TestELF(t *testing.T) {
	for _, v := range []struct {
		file []byte
		want []string
	}{
		{sectioned("", ".note.package", note(`{"type":"rpm","name":"kesl","version":"12.0-1"}`+"\x00")), []string{"file engine.so", "program kesl", "version 12.0-1"}},
		{sectioned("", ".go.buildinfo", goInfo("0123456789abcdef"+"path\texample.org/x/cmd\nmod\texample.org/x\tv1.2.3\th1:x\ndep\tq\tv1\n")), []string{"file engine.so", "program example.org/x", "version v1.2.3"}},
		{sectioned("", ".modinfo", "name=klfw\x00author=x\x00version=9\x00"), []string{"file engine.so", "driver klfw", "version 9"}},
		{sectioned("", ".note.package", "short"), []string{"file engine.so"}},
		{[]byte("\x7fELF and no more"), []string{"file engine.so"}},
	} {
		if got := facts(v.file); !slices.Equal(got, v.want) {
			t.Errorf("%q, want %q", got, v.want)
		}
		for n := range len(v.file) {
			facts(v.file[:n])
			Behind(showcause.Bytes(v.file[:n]))
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(b, []byte("\x7fELF")) && Behind(showcause.Bytes(b)) {
		t.Error("something stands behind this program")
	}
}

// TestBehind tells what has to be unpacked from what its tables tell the whole of.
func TestBehind(t *testing.T) {
	for _, v := range []struct {
		behind string
		want   bool
	}{{"", false}, {"\x00\x00\x00\x00", false}, {string(make([]byte, 100)), true}, {"hsqs" + string(make([]byte, 100)), true}, {"the signature of a module, of some length" + moduleSigned, false}} {
		if got := Behind(showcause.Bytes(sectioned(v.behind, ".text", "code"))); got != v.want {
			t.Errorf("%q: %t", v.behind, got)
		}
	}
	if !Behind(showcause.Bytes(sectioned("", ".text", "UPX!"))) {
		t.Error("a packed program")
	}
}

func FuzzELF(f *testing.F) {
	f.Add(sectioned("", ".note.package", note(`{"name":"x"}`)))
	f.Add(sectioned("x", ".go.buildinfo", goInfo("0123456789abcdefmod\ta\tv1\n"), ".modinfo", "name=x\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o := &look.Out{Reader: "elf"}
		readELF(look.NewFile("/x", showcause.Bytes(b)), o)
		for _, ob := range o.Observations {
			for _, x := range ob.Facts {
				if len(x.Value) > product.MaxValue {
					t.Fatal("a long value")
				}
			}
		}
		Behind(showcause.Bytes(b))
	})
}
