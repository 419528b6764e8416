package engine

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"testing"

	xzlzma "github.com/ulikunitz/xz/lzma"

	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

// block is something compressed in an input.
type block struct {
	kind string // of the decoder
	bits int    // windowBits
	at   int
	n    int // bytes when it is decoded
}

// packed is an input with blocks. (Behind damage zlib looks for where it may go on, which is
// not done here.)
func packed(t *testing.T, r *rand.Rand) ([]byte, []block) {
	t.Helper()
	var blocks []block
	in := []byte("TRIGGER!")
	pack := func(kind string, bits int, data []byte) []byte {
		var b bytes.Buffer
		var w io.WriteCloser
		switch kind {
		case "bzip2":
			cmd := exec.Command("bzip2")
			cmd.Stdin = bytes.NewReader(data)
			out, err := cmd.Output()
			if err != nil {
				t.Skip("no bzip2: ", err)
			}
			return out
		case "lzma":
			w, _ = xzlzma.WriterConfig{EOSMarker: r.IntN(2) == 0}.NewWriter(&b)
		default:
			switch {
			case bits < 0:
				w, _ = flate.NewWriter(&b, r.IntN(10))
			case bits > 15:
				w = gzip.NewWriter(&b)
			default:
				w = zlib.NewWriter(&b)
			}
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for i := range 120 {
		b := block{kind: []string{"inflate", "inflate", "bzip2", "lzma"}[i%4], bits: []int{-15, 15, 31, 47}[r.IntN(4)], at: len(in)}
		data := make([]byte, 1+r.IntN(3000))
		for j := range data {
			data[j] = byte(r.IntN(2 + 60*r.IntN(2)))
		}
		b.n = len(data)
		p := pack(b.kind, b.bits, data)
		blocks = append(blocks, b)
		in = append(append(in, p...), make([]byte, r.IntN(50))...)
	}
	return in, blocks
}

// unpacker writes a program that decodes a block in pieces; after which of them as many bytes
// as are looked at are there, says safe.
func unpacker(i int, b block, r *rand.Rand, safe func(step int) bool) *Source {
	p, f := begin(i)
	from := f.API("buffer_pipe_new_fromfile", I32(b.at))
	to := f.API("buffer_pipe_new", I32(1+r.IntN(2*b.n)))
	args := []string{from, to}
	if b.kind == "inflate" {
		args = append(args, I32(b.bits))
	}
	id := f.API(b.kind+"_init", args...)
	f.Print(id)
	for step := range 6 {
		f.Print(f.API(b.kind+"_process", id))
		avail := f.API("buffer_pipe_read_avail", to)
		f.Print(avail)
		if safe(step) {
			at := f.API("buffer_pipe_read_get", to, I32(4))
			f.Print(f.Op("load", 32, 32, at))
		}
		n := avail
		if r.IntN(3) == 0 {
			n = I32(r.IntN(9))
		}
		f.Print(f.API("buffer_pipe_read_stopped", to, n))
		f.Print(f.API("buffer_pipe_write_avail", to))
	}
	f.Print(f.API(b.kind+"_done", id))
	f.Print(f.API(b.kind+"_process", id))
	f.Print(f.API("buffer_pipe_done", to))
	f.Ret32(I32(i))
	return p
}

// TestStreams holds the decoders against clamscan's.
func TestStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	input, blocks := packed(t, r)
	var programs []*Source
	decoded := 0
	for i, b := range blocks {
		seed := rand.NewPCG(8, uint64(i))
		dry := ours(t, unpacker(i, b, rand.New(seed), func(int) bool { return false }), input)
		var said []int
		for _, s := range dry.printed {
			var n int
			if _, err := fmt.Sscanf(s, "%d.", &n); err == nil {
				said = append(said, n)
			}
		}
		seed = rand.NewPCG(8, uint64(i))
		programs = append(programs, unpacker(i, b, rand.New(seed), func(step int) bool {
			k := 1 + 4*step + 1 // what read_avail said
			ok := k < len(said) && said[k] >= 4
			if ok {
				decoded++
			}
			return ok
		}))
	}
	if decoded < 100 {
		t.Errorf("only %d pieces decoded", decoded)
	}
	agree(t, programs, input)
}

// TestScripts holds the functions for JavaScript, numbers in text, values of maps and options
// against clamscan's.
func TestScripts(t *testing.T) {
	var programs []*Source
	for i := range 40 {
		p, f := begin(i)
		r := rand.New(rand.NewPCG(9, uint64(i)))
		pipe := f.API("buffer_pipe_new_fromfile", I32(r.IntN(3000)))
		js := f.API("jsnorm_init", pipe)
		f.Print(js)
		for range r.IntN(3) {
			f.Print(f.API("jsnorm_process", js))
			f.Print(f.API("buffer_pipe_read_avail", pipe))
		}
		f.Print(f.API("jsnorm_done", js))
		f.Print(f.API("jsnorm_process", js))
		f.Print(f.API("jsnorm_init", I32(99)))
		for _, s := range []string{"", " ", "  x", "+", "-5", "x1"} { // at a digit clamscan hangs
			f.Print(f.API("atoi", p.Text(s+"."), I32(len(s)+1)))
		}
		m := f.API("map_new", I32(3), I32(4))
		f.Print(f.API("map_addkey", p.Text("abc"), I32(3), m))
		f.Print(f.API("map_setvalue", p.Text("1234"), I32(4), m))
		f.Print(f.API("map_find", p.Text("abc"), I32(3), m))
		f.Print(f.Op("load", 32, 32, f.API("map_getvalue", m, I32(4))))
		f.Print(f.API("map_done", m))
		f.Print(f.API("map_find", p.Text("abc"), I32(3), m))
		f.Print(f.API("matchicon", p.Text("G"), I32(1), p.Text("H"), I32(1)))
		f.Print(f.API("json_is_active"))
		f.Print(f.API("json_get_object", p.Text("a"), I32(1), I32(0)))
		for _, name := range []string{"json_get_type", "json_get_array_length", "json_get_string_length", "json_get_boolean", "json_get_int"} {
			f.Print(f.API(name, I32(r.IntN(2))))
		}
		f.Print(f.API("json_get_array_idx", I32(0), I32(0)))
		f.Ret32(I32(i))
		programs = append(programs, p)
	}
	agree(t, programs, sample)
}
