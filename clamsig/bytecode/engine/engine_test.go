package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

func load(t testing.TB, text []byte) *bytecode.Program {
	t.Helper()
	p, err := bytecode.Load(text, DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOfficialStartup: the official program that checks an engine when it starts
// is content.
func TestOfficialStartup(t *testing.T) {
	files, why := Official(t.TempDir())
	if files == nil {
		t.Skip(why)
	}
	for name, text := range files {
		p := load(t, text)
		if p.Kind != bytecode.Startup {
			continue
		}
		var said strings.Builder
		res, err := Run(p, &Context{Input: showcause.Bytes(nil), Debug: func(s string) { said.WriteString(s) }})
		if err != nil || res.Return != 0xda7aba5e || res.Disabled != 0 {
			t.Errorf("%s: %#x, %v, disabled %d, said %q", filepath.Base(name), res.Return, err, res.Disabled, &said)
		}
		return
	}
	t.Error("no such program")
}

// TestResults: a name, and files in their order.
func TestResults(t *testing.T) {
	p, f := begin(0)
	f.API("write", p.Text("first"), I32(5))
	f.API("extract_new", I32(1))
	f.API("write", p.Text("second"), I32(6))
	f.API("setvirusname", p.Text("Bad\x01Name\x00"), I32(4))
	f.Ret32(I32(3))
	res, err := Run(load(t, []byte(p.String())), &Context{Input: showcause.Bytes(sample)})
	if err != nil || res.Return != 3 || res.Virus != "Bad_Name" || len(res.Extracted) != 2 ||
		string(res.Extracted[0].Bytes) != "first" || string(res.Extracted[1].Bytes) != "second" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestBounds: work and memory end a program, and it is told so.
func TestBounds(t *testing.T) {
	forever := func(want bytecode.FaultKind, first func(*Func) string, body func(f *Func, first string)) {
		t.Helper()
		p, f := begin(0)
		x := ""
		if first != nil {
			x = first(f)
		}
		f.End("jump", Num(1))
		body(f, x)
		f.End("jump", Num(1))
		_, err := Run(load(t, []byte(p.String())), &Context{Input: showcause.Bytes(sample), Memory: 8 << 20})
		if fault := (*bytecode.Fault)(nil); !errors.As(err, &fault) || fault.Kind != want {
			t.Errorf("%v, want kind %d", err, want)
		}
	}
	forever(bytecode.WorkLimit, nil, func(*Func, string) {})
	forever(bytecode.WorkLimit, nil, func(f *Func, _ string) { f.API("file_find", f.Source.Text("not in it at all"), I32(16)) })
	forever(bytecode.MemoryLimit, nil, func(f *Func, _ string) { f.API("malloc", I32(1<<20)) })
	forever(bytecode.MemoryLimit, nil, func(f *Func, _ string) { f.API("hashset_new") })
	forever(bytecode.MemoryLimit, nil, func(f *Func, _ string) { f.API("map_new", I32(1), I32(1)) })
	forever(bytecode.MemoryLimit, nil, func(f *Func, _ string) { f.API("write", f.Source.Text("12345"), I32(5)) })
	forever(bytecode.MemoryLimit,
		func(f *Func) string { return f.API("buffer_pipe_new", I32(9)) },
		func(f *Func, pipe string) { f.API("buffer_pipe_write_get", pipe, I32(1)) })
	forever(bytecode.MemoryLimit,
		func(f *Func) string { return f.API("buffer_pipe_new_fromfile", I32(0)) },
		func(f *Func, pipe string) { f.API("inflate_init", pipe, pipe, I32(15)) })
}

// TestUnreadable: a file that ends where it should not is told as that.
func TestUnreadable(t *testing.T) {
	p, f := begin(0)
	f.Ret32(f.API("file_byteat", I32(500)))
	_, err := Run(load(t, []byte(p.String())), &Context{Input: short{showcause.Bytes("short")}})
	if fault := (*bytecode.Fault)(nil); !errors.As(err, &fault) || fault.Kind != bytecode.Unreadable {
		t.Error(err)
	}
}

type short struct{ showcause.Bytes }

func (short) Size() int64 { return 1000 }

func FuzzRun(f *testing.F) {
	for _, c := range apiCalls() {
		p, fn := begin(0)
		mem := fn.Address(fn.Alloca(p.Array(600, 8)))
		fn.Ret32(c.do(fn, seeded(), mem))
		f.Add([]byte(p.String()), sample[:700])
	}
	files, _ := Official(f.TempDir())
	for _, text := range files {
		if len(text) < 9000 {
			f.Add(text, sample[:300])
		}
	}
	f.Fuzz(func(t *testing.T, text, input []byte) {
		p, err := bytecode.Load(text, DefaultLevel)
		if err != nil {
			return
		}
		run := func() (Result, error) {
			return Run(p, &Context{
				Input: showcause.Bytes(input), Work: 200_000, Memory: 4 << 20, Exe: &Exe{Entry: 5, Sections: make([]Section, 2)},
				PDF:      &PDFFile{Phase: 1, Size: 50, Objects: []PDFObject{{ID: 256, Start: 5}, {ID: 512, Start: 20}}},
				Metadata: map[string]any{"a": []any{1.0, "two", true}},
			})
		}
		res, err := run()
		if again, err2 := run(); fmt.Sprint(res, err) != fmt.Sprint(again, err2) {
			t.Errorf("%+v, %v; another time %+v, %v", res, err, again, err2)
		}
		if res.Work > 200_000 {
			t.Errorf("%d steps", res.Work)
		}
	})
}
