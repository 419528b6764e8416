//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestNames holds that names are unique and that each of the thirty-two is there.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	numbers := map[int]bool{}
	for _, a := range List() {
		if seen[a.Name] {
			t.Errorf("%s: twice", a.Name)
		}
		if a.Name == "" || a.What == "" || strings.ContainsAny(a.Name, " ,\t\n") {
			t.Errorf("%q: %q", a.Name, a.What)
		}
		if a.Skip == "" && a.try == nil {
			t.Errorf("%s: nothing to try", a.Name)
		}
		if got, ok := Find(a.Name); !ok || got.What != a.What {
			t.Errorf("%s: not found", a.Name)
		}
		seen[a.Name], numbers[a.Number] = true, true
	}
	for n := 1; n <= 32; n++ {
		if !numbers[n] {
			t.Errorf("attempt %d of the list is not made", n)
		}
	}
}

// TestClassify pins what an answer counts as.
func TestClassify(t *testing.T) {
	a := Attempt{through: []syscall.Errno{syscall.EBADF}, denied: []syscall.Errno{syscall.ENOENT}}
	for _, test := range []struct {
		err  error
		want Outcome
	}{
		{nil, Succeeded},
		{syscall.EPERM, Denied},
		{syscall.EACCES, Denied},
		{syscall.ENOENT, Denied},
		{syscall.EBADF, LetThrough},
		{syscall.EINVAL, Unclear},
		{syscall.ENOSYS, Unclear},
		{fmt.Errorf("open: %w", syscall.EPERM), Denied},
		{errors.New("something else"), Unclear},
		{skipf("no terminal"), Skipped},
	} {
		if got, _ := a.classify(test.err); got != test.want {
			t.Errorf("%v: %s, want %s", test.err, got, test.want)
		}
	}
}

// TestGround holds that memory for calls stays apart and is aligned.
func TestGround(t *testing.T) {
	g, err := newGround(Hints{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := g.str("first"), g.words(1, 2, 3)
	if a%16 != 0 || b%16 != 0 || b < a+6 {
		t.Errorf("%#x %#x", a, b)
	}
	if got := g.at(a, 6); !bytes.Equal(got, []byte("first\x00")) {
		t.Errorf("%q", got)
	}
	if err := g.holds(a); err == nil {
		t.Error("token seen where there is none")
	}
	if err := g.holds(g.str(Token + "!")); err != nil {
		t.Error(err)
	}
}

// TestProgram holds that the programs made here are ELF files.
func TestProgram(t *testing.T) {
	for _, root := range []bool{false, true} {
		p := Program(root)
		f, err := elf.NewFile(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if f.Type != elf.ET_EXEC || len(f.Progs) != 1 || f.Progs[0].Filesz != uint64(len(p)) || !bytes.HasSuffix(p, []byte(Landed)) {
			t.Errorf("%+v %+v", f.FileHeader, f.Progs)
		}
	}
}

// FuzzReaderArguments holds that the hidden command does nothing by odd arguments.
func FuzzReaderArguments(f *testing.F) {
	f.Add("none", "{}", "")
	f.Add("socket-inet", "{", "")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, name, hints, without string) {
		if _, ok := Find(name); ok || name == Workload || name == WorkloadSignal || name == Landed {
			t.Skip("a real one")
		}
		if code := Reader([]string{name, hints, without}, nil); code != 2 {
			t.Errorf("exit %d", code)
		}
	})
}
