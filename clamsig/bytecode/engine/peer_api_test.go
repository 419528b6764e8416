package engine

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

// TestMemory holds instructions on memory against clamscan's.
func TestMemory(t *testing.T) {
	var programs []*Source
	for i := range 150 {
		p, f := begin(i)
		r := rand.New(rand.NewPCG(11, uint64(i)))
		const size = 64
		base := []string{f.Address(f.Alloca(p.Array(size, 8))), f.Address(f.Alloca(p.Array(size, 8)))}
		for k, x := range base {
			f.To(0, "memset", 0, x, Imm(uint64(0x10+k), 8), Imm(size, 64))
		}
		for range 60 {
			x, y := base[r.IntN(2)], base[r.IntN(2)]
			w := []int{8, 16, 32, 64}[r.IntN(4)]
			n := r.IntN(16)
			at, from := f.At(x, I32(r.IntN(size-16))), f.At(y, I32(r.IntN(size-16)))
			switch r.IntN(7) {
			case 0:
				f.To(0, "store", w, Imm(r.Uint64()&(1<<w-1), w), at)
			case 1:
				f.PrintAny(w, f.Op("load", w, w, at))
			case 2:
				f.To(0, "memset", 0, at, Imm(uint64(r.IntN(256)), 8), Imm(uint64(n), 64))
			case 3:
				f.To(0, "memcpy", 0, f.At(base[0], I32(r.IntN(size-16))), f.At(base[1], I32(r.IntN(size-16))), I32(n))
			case 4:
				f.To(0, "memmove", 0, at, from, Imm(uint64(n), 64))
			case 5:
				f.Print(f.Op("memcmp", 32, 32, at, from, I32(n)))
			case 6:
				f.Print(f.Op("ptrdiff32", 32, 32, at, from))
			}
		}
		f.Ret32(I32(i))
		programs = append(programs, p)
	}
	agree(t, programs, sample)
}

// TestCalls holds loops and calls, one within the other, against clamscan's.
func TestCalls(t *testing.T) {
	var programs []*Source
	for i := range 60 {
		p, f := begin(i)
		r := rand.New(rand.NewPCG(13, uint64(i)))
		fib := p.Func(32, 32)
		mix := p.Func(64, 8, 64, 16, 32, 1)
		n, sum := f.Local(32), f.Local(32)
		f.To(0, "copy", 0, I32(0), V(n))
		f.To(0, "copy", 0, I32(r.IntN(1000)), V(sum))
		f.End("jump", Num(1))
		f.Print(f.Bin("add", 32, V(n), V(sum)))
		f.To(sum, "add", 32, V(sum), f.Call(1, V(n)))
		f.To(n, "add", 32, V(n), I32(1))
		more := f.Cmp("ult", 32, V(n), I32(3+r.IntN(9)))
		f.End("branch", more, Num(1), Num(2))
		f.PrintAny(64, f.Call(2, f.Op("trunc", 8, 8, V(sum)), f.Op("zext", 64, 64, V(n)), f.Op("trunc", 16, 16, V(sum)), V(n), more))
		f.Ret32(V(sum))

		fib.End("branch", fib.Cmp("ult", 32, V(0), I32(2)), Num(1), Num(2))
		fib.Ret32(V(0))
		x := fib.Call(1, fib.Bin("sub", 32, V(0), I32(1)))
		y := fib.Call(1, fib.Bin("sub", 32, V(0), I32(2)))
		fib.Ret32(fib.Bin("add", 32, x, y))

		all := mix.Bin("xor", 64, mix.Op("sext", 64, 64, V(0)), V(1))
		all = mix.Bin("mul", 64, all, mix.Op("zext", 64, 64, V(2)))
		all = mix.Bin("add", 64, all, mix.Op("sext", 64, 64, V(3)))
		mix.End("ret", Num(64), mix.Bin("add", 64, all, mix.Op("zext", 64, 64, V(4))))
		programs = append(programs, p)
	}
	agree(t, programs, sample)
}

// TestFaults: what ends a program here ends it there.
func TestFaults(t *testing.T) {
	memory := func(f *Func) string { return f.Address(f.Alloca(f.Source.Array(16, 8))) }
	cases := map[string]func(f *Func){
		"udiv by 0":         func(f *Func) { f.Bin("udiv", 32, I32(1), f.API("hashset_new")) },
		"srem by 0":         func(f *Func) { f.Bin("srem", 64, Imm(1, 64), Imm(0, 64)) },
		"sdiv overflow":     func(f *Func) { f.Bin("sdiv", 64, Imm(1<<63, 64), Imm(1<<64-1, 64)) },
		"shl too far":       func(f *Func) { f.Bin("shl", 8, Imm(1, 8), Imm(9, 8)) },
		"ashr too far":      func(f *Func) { f.Bin("ashr", 64, Imm(1, 64), Imm(65, 64)) },
		"abort":             func(f *Func) { f.To(0, "abort", 0) },
		"null":              func(f *Func) { f.Op("load", 8, 8, Imm(0, 64)) },
		"behind a frame":    func(f *Func) { f.Op("load", 8, 8, f.At(memory(f), I32(70000))) },
		"in front of it":    func(f *Func) { f.Op("load", 8, 8, f.At(memory(f), I32(-70000))) },
		"store to nowhere":  func(f *Func) { f.To(0, "store", 32, I32(1), f.At(memory(f), I32(70000))) },
		"no such segment":   func(f *Func) { f.Op("load", 8, 8, Imm(500<<32, 64)) },
		"no such frame":     func(f *Func) { f.Op("load", 8, 8, Imm(uint64(0xfffffff0)<<32, 64)) },
		"memset too long":   func(f *Func) { f.To(0, "memset", 0, memory(f), Imm(1, 8), Imm(70000, 64)) },
		"memcpy too long":   func(f *Func) { f.To(0, "memcpy", 0, memory(f), memory(f), I32(70000)) },
		"memcmp of nothing": func(f *Func) { f.Op("memcmp", 32, 32, memory(f), Imm(0, 64), I32(0)) },
		"read too much":     func(f *Func) { f.API("read", memory(f), I32(70000)) },
		"malloc too little": func(f *Func) { f.Op("load", 64, 64, f.API("malloc", I32(7))) },
		"endless recursion": func(f *Func) { f.Call(0) },
		"filesize is 4": func(f *Func) {
			f.Op("load", 64, 64, Imm(uint64(bytecode.FileSize-bytecode.MatchCounts+1)<<32, 64))
		},
	}
	var programs []*Source
	var names []string
	for name, body := range cases {
		p, f := begin(len(programs))
		body(f)
		f.Ret32(I32(1))
		programs, names = append(programs, p), append(names, name)
	}
	for i, want := range peer(t, programs, sample) {
		if got := ours(t, programs[i], sample); got.end != "failed" || want.end != "failed" {
			t.Errorf("%s: %q; clamscan %q", names[i], got.end, want.end)
		}
	}
}

// TestAPI holds functions of the engine against clamscan's, with arguments at
// random.
func TestAPI(t *testing.T) {
	var programs []*Source
	all := apiCalls()
	for i := range 250 {
		p, f := begin(i)
		r := rand.New(rand.NewPCG(17, uint64(i)))
		mem := f.Address(f.Alloca(p.Array(600, 8)))
		f.To(0, "memset", 0, mem, Imm('7', 8), Imm(600, 64))
		for range 25 {
			call := all[r.IntN(len(all))]
			f.Say(call.name)
			f.Print(call.do(f, r, mem))
		}
		f.Ret32(I32(i))
		programs = append(programs, p)
	}
	agree(t, programs, sample)
}

type apiCall struct {
	name string
	do   func(f *Func, r *rand.Rand, mem string) string
}

// some is a number as an argument.
func some(r *rand.Rand) string {
	switch r.IntN(5) {
	case 0:
		return I32(r.IntN(4))
	case 1:
		return I32(-r.IntN(40))
	case 2:
		return I32(int(r.Uint32()))
	}
	return I32(r.IntN(300))
}

func word(r *rand.Rand) string {
	all := []string{"1.2.3", "1.10", "1.9", "abc", "abd", "12", "0x1f", " +77x", "-5", "the", "number", "xx", "a1b2", "a1b10", "", "  9"}
	return all[r.IntN(len(all))] + "\x00"
}

// apiCalls are ways to call functions.
func apiCalls() []apiCall {
	var calls []apiCall
	plain := func(n int, names ...string) {
		for _, name := range names {
			calls = append(calls, apiCall{name, func(f *Func, r *rand.Rand, _ string) string {
				var ops []string
				for range n {
					ops = append(ops, some(r))
				}
				return f.API(name, ops...)
			}})
		}
	}
	plain(0, "hashset_new", "engine_functionality_level", "engine_dconf_level", "running_on_jit", "pdf_get_obj_num",
		"pdf_get_flags", "pdf_get_phase", "pdf_get_dumpedobjid", "get_file_reliability", "json_is_active")
	plain(1, "test2", "file_byteat", "pdf_set_flags", "pdf_lookupobj", "pdf_getobjsize", "pdf_getobjid", "pdf_getobjflags",
		"pdf_get_offset", "buffer_pipe_read_avail", "buffer_pipe_write_avail", "json_get_type", "json_get_int",
		"extract_set_container", "map_getvaluesize", "bytecode_rt_error", "inflate_process", "inflate_done", "lzma_process", "bzip2_done")
	plain(2, "test1", "seek", "ilog2", "pdf_setobjflags", "buffer_pipe_read_stopped", "buffer_pipe_write_stopped")
	plain(3, "ipow", "iexp", "isin", "icos", "check_platform")
	for _, name := range []string{"memstr", "version_compare"} {
		calls = append(calls, apiCall{name, func(f *Func, r *rand.Rand, _ string) string {
			x, y := word(r), word(r)
			return f.API(name, f.Source.Text(x), I32(max(len(x)-1, 1)), f.Source.Text(y), I32(max(len(y)-1, 1)))
		}})
	}
	return append(append(calls, fileCalls()...), dataCalls()...)
}

func fileCalls() []apiCall {
	return []apiCall{
		{"seek near", func(f *Func, r *rand.Rand, _ string) string {
			return f.API("seek", I32(r.IntN(len(sample)+10)), I32(0))
		}},
		{"read", func(f *Func, r *rand.Rand, mem string) string {
			n := f.API("read", mem, I32(r.IntN(600)))
			f.Print(f.Op("load", 32, 32, f.At(mem, I32(r.IntN(100)))))
			return n
		}},
		{"fill_buffer", func(f *Func, r *rand.Rand, mem string) string {
			size := 1 + r.IntN(500)
			filled := r.IntN(size + 3)
			n := f.API("fill_buffer", mem, I32(size), I32(filled), I32(r.IntN(filled+3)), I32(r.IntN(3)))
			f.Print(f.Op("load", 32, 32, f.At(mem, I32(r.IntN(100)))))
			return n
		}},
		{"file_find", func(f *Func, r *rand.Rand, _ string) string {
			at := r.IntN(len(sample) - 8)
			return f.API("file_find", f.Source.Text(string(sample[at:at+1])), I32(1))
		}},
		{"file_find_limit", func(f *Func, r *rand.Rand, _ string) string {
			at := r.IntN(4000)
			return f.API("file_find_limit", f.Source.Text(string(sample[at:at+1])), I32(1), some(r))
		}},
		{"read_number", func(f *Func, r *rand.Rand, _ string) string {
			f.API("seek", I32(4990+r.IntN(40)), I32(0))
			f.Print(f.API("read_number", I32([]int{10, 16, 8}[r.IntN(3)])))
			return f.API("read_number", I32([]int{10, 16}[r.IntN(2)]))
		}},
		{"read_number at the end", func(f *Func, r *rand.Rand, _ string) string {
			f.API("seek", I32(len(sample)-r.IntN(60)), I32(0))
			return f.API("read_number", I32(10))
		}},
		{"entropy_buffer", func(f *Func, r *rand.Rand, mem string) string {
			f.API("read", mem, I32(r.IntN(300)))
			return f.API("entropy_buffer", mem, I32(r.IntN(400)))
		}},
		{"hex2ui", func(f *Func, r *rand.Rand, _ string) string {
			const digits = "0123456789abcdefABCDEFgx "
			return f.API("hex2ui", I32(int(digits[r.IntN(len(digits))])), I32(int(digits[r.IntN(len(digits))])))
		}},
		{"written and read", func(f *Func, r *rand.Rand, mem string) string {
			// What begins as sample does would run all programs again.
			f.Print(f.API("write", f.Source.Text(strings.Repeat("written ", 10)), I32(20+r.IntN(50))))
			f.Print(f.API("input_switch", I32(1)))
			f.Print(f.API("seek", I32(5), I32(0)))
			f.Print(f.API("read", mem, I32(100)))
			f.Print(f.API("seek", I32(0), I32(2)))
			f.Print(f.API("input_switch", I32(0)))
			return f.API("seek", I32(0), I32(2))
		}},
	}
}

func dataCalls() []apiCall {
	return []apiCall{
		{"hashset", func(f *Func, r *rand.Rand, _ string) string {
			s := f.API("hashset_new")
			for range 5 {
				f.Print(f.API("hashset_add", s, I32(r.IntN(4))))
				f.Print(f.API("hashset_remove", s, I32(r.IntN(4))))
				f.Print(f.API("hashset_contains", s, I32(r.IntN(4))))
				f.Print(f.API("hashset_empty", s))
			}
			f.Print(f.API("hashset_contains", I32(9999), I32(0)))
			f.Print(f.API("hashset_empty", I32(9999)))
			if r.IntN(2) == 0 {
				f.Print(f.API("hashset_done", s))
			}
			return s
		}},
		{"map", func(f *Func, r *rand.Rand, mem string) string {
			sized := 4 * r.IntN(2)
			m := f.API("map_new", I32(3), I32(sized))
			key := func() string { return f.Source.Text([]string{"abc", "abd", "xyz"}[r.IntN(3)]) }
			for range 6 {
				n := 3
				if r.IntN(6) == 0 {
					n = 2
				}
				f.Print(f.API("map_addkey", key(), I32(n), m))
				size := 4
				if sized == 0 || r.IntN(5) == 0 {
					size = 1 + r.IntN(4)
				}
				f.Print(f.API("map_setvalue", f.At(mem, I32(r.IntN(9))), I32(size), m))
				k := key()
				f.Print(f.API("map_find", k, I32(n), m))
				f.Print(f.API("map_getvaluesize", m))
				if r.IntN(4) == 0 {
					f.Print(f.API("map_remove", k, I32(3), m))
				}
			}
			return m
		}},
		{"pipe", func(f *Func, r *rand.Rand, _ string) string {
			p := f.API("buffer_pipe_new", I32(64))
			for range 4 {
				n := 1 + r.IntN(20)
				w := f.API("buffer_pipe_write_get", p, I32(n))
				f.To(0, "memset", 0, w, Imm(uint64(r.IntN(256)), 8), Imm(uint64(n), 64))
				f.Print(f.API("buffer_pipe_write_stopped", p, I32(n)))
				f.Print(f.API("buffer_pipe_read_avail", p))
				f.PrintAny(8, f.Op("load", 8, 8, f.API("buffer_pipe_read_get", p, I32(1))))
				f.Print(f.API("buffer_pipe_read_stopped", p, I32(1+r.IntN(n))))
				f.Print(f.API("buffer_pipe_write_avail", p))
				f.Print(f.API("buffer_pipe_read_avail", p))
			}
			return p
		}},
		{"pipe from file", func(f *Func, r *rand.Rand, _ string) string {
			p := f.API("buffer_pipe_new_fromfile", I32(r.IntN(len(sample)-100)))
			for range 3 {
				f.Print(f.API("buffer_pipe_read_avail", p))
				f.Print(f.Op("load", 32, 32, f.API("buffer_pipe_read_get", p, I32(4+r.IntN(20)))))
				f.Print(f.API("buffer_pipe_read_stopped", p, I32(r.IntN(30))))
			}
			return p
		}},
	}
}

// TestCallsNamed: the functions are those of the numbers that programs have.
func TestCallsNamed(t *testing.T) {
	for i := range calls {
		if n, _ := bytecode.Prototype(calls[i].name); n != i+1 {
			t.Errorf("%s is number %d, here %d", calls[i].name, n, i+1)
		}
	}
}
