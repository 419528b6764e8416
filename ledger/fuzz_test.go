package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seeds are ledgers whole, cut and wrong.
func seeds(f *testing.F) (out [][]byte) {
	dir, file := tempLog(f, 2)
	b, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	out = append(out, b, b[:len(b)-3], bytes.SplitAfter(b, []byte("\n"))[0], []byte("{}\n"), []byte("\n\n"), []byte("\n"), nil)
	if err := os.WriteFile(file, b[:len(b)-5], 0o600); err != nil {
		f.Fatal(err)
	}
	l, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	fill(f, l, 1)
	l.Close()
	if b, err = os.ReadFile(file); err != nil {
		f.Fatal(err)
	}
	return append(out, b)
}

// FuzzCheck: whatever is taken as a ledger is in one spelling, and any change
// of it is seen.
func FuzzCheck(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, uint(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint) {
		var again []byte
		s, err := Check(bytes.NewReader(b), func(e *Entry) error {
			line, err := e.encode()
			again = append(append(again, line...), '\n')
			return err
		})
		if s.Bytes > int64(len(b)) {
			t.Errorf("%d bytes are good of %d", s.Bytes, len(b))
		}
		if err != nil {
			return
		}
		if len(s.Torn) == 0 && !bytes.Equal(again, b) {
			t.Errorf("two spellings: %q, %q", b, again)
		}
		c := bytes.Clone(b)
		c[at%uint(len(c))] ^= 1 << (at % 8)
		if _, err := Check(bytes.NewReader(c), nil); err == nil {
			t.Errorf("byte %d changed, and nobody noticed", at%uint(len(c)))
		}
	})
}

// FuzzOpen: what is a ledger can be gone on with; what is not is refused, or
// kept as it is.
func FuzzOpen(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Check(bytes.NewReader(b), nil)
		dir := filepath.Join(t.TempDir(), "ledger")
		file := filepath.Join(dir, FileName)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, oerr := Open(dir)
		if err == nil && oerr != nil {
			t.Errorf("good, and cannot be opened: %v", oerr)
		}
		if oerr == nil {
			fill(t, l, 1)
			l.Close()
			mustRead(t, dir)
		}
		if after, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(after, b) {
			t.Errorf("what was there is gone: %v", err)
		}
	})
}
