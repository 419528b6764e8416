package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/jail"
)

// TestMain is the process too.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != "once" {
		os.Exit(m.Run())
	}
	err := Read(func(j Job) []byte {
		switch word := string(j.Request); word {
		case "digest":
			h := sha256.New()
			io.Copy(h, bound.Reader(j.Source, 0, -1))
			return fmt.Appendf(nil, "%x", h.Sum(nil))
		case "open":
			_, err := os.Open("/etc/passwd")
			return fmt.Append(nil, err)
		case "long":
			return make([]byte, 3<<20)
		case "panic":
			panic("as asked")
		case "sleep":
			time.Sleep(time.Hour)
		case "spill":
			return spilled(j)
		case "parts":
			for i := range 1000 {
				if err := j.Send(bytes.Repeat([]byte{byte(i)}, i)); err != nil {
					return []byte(err.Error())
				}
			}
			err := j.Send(make([]byte, MaxPart+1))
			return fmt.Append(nil, err)
		}
		return nil
	}, Reading{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// spilled writes and reads scratch files within each other.
func spilled(j Job) []byte {
	if j.Spill == nil {
		return []byte("no scratch")
	}
	a, _ := j.Spill()
	a.WriteAt([]byte("first"), 0)
	b, _ := j.Spill()
	b.WriteAt([]byte("second"), 10_000)
	var p [5]byte
	a.ReadAt(p[:], 0)
	var q [16]byte
	_, err := b.ReadAt(q[:], 9_990)
	_, over := a.WriteAt([]byte("x"), 9)
	b.Close()
	_, again := a.WriteAt([]byte("y"), 5)
	a.Close()
	return fmt.Appendf(nil, "%s %q %v %v %v", p, q, err, over, again)
}

func sealable(t *testing.T) {
	t.Helper()
	if err := jail.Available(); err != nil {
		t.Skip("the kernel gives no jail: ", err)
	}
}

func ask(t *testing.T, word string, o Options) (string, error) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(p, bytes.Repeat([]byte("content "), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.Args = []string{"showcause", "once"}
	answer, status, err := Run(context.Background(), []byte(word), f, o)
	if err == nil && !status.Sealed() {
		t.Error("not sealed")
	}
	return string(answer), err
}

func TestOnce(t *testing.T) {
	sealable(t)
	tmp := t.TempDir()
	scratch := func() (*os.File, error) { return os.CreateTemp(tmp, "") }
	sum := fmt.Sprintf("%x", sha256.Sum256(bytes.Repeat([]byte("content "), 100_000)))
	for _, c := range []struct {
		word, answer, err string
		o                 Options
	}{
		{"digest", sum, "", Options{}},
		{"long", "", "a frame of", Options{}},
		{"long", string(make([]byte, 3<<20)), "", Options{MaxAnswer: 4 << 20}},
		{"open", "", "ended without an answer", Options{}},
		{"panic", "", "ended without an answer", Options{}},
		{"sleep", "", "deadline", Options{Timeout: 300 * time.Millisecond}},
		{"spill", "no scratch", "", Options{}},
		{"spill", `first "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00second" <nil> scratch: another region stands behind <nil>`, "", Options{Scratch: scratch}},
	} {
		got, err := ask(t, c.word, c.o)
		if got != c.answer || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %.200q %v", c.word, got, err)
		}
	}
}

// Parts come in order before the answer, and only where they are wanted.
func TestParts(t *testing.T) {
	sealable(t)
	var sizes, wrong int
	take := func(b []byte) error {
		if len(b) != sizes || len(b) > 0 && b[0] != byte(sizes) {
			wrong++
		}
		sizes++
		return nil
	}
	if got, err := ask(t, "parts", Options{Part: take}); err != nil || got != "answer: a part of 262145 bytes" || sizes != 1000 || wrong > 0 {
		t.Errorf("%q %v: %d parts, %d wrong", got, err, sizes, wrong)
	}
	full := errors.New("full")
	if _, err := ask(t, "parts", Options{Part: func(b []byte) error {
		if len(b) == 10 {
			return full
		}
		return nil
	}}); err != full {
		t.Error(err)
	}
	if _, err := ask(t, "parts", Options{}); err == nil {
		t.Error("parts that nobody asked for are taken")
	}
}

// Frames that no process of ours sends are refused, and nothing is made room for that is not there.
func TestFrames(t *testing.T) {
	good := appendFrame(frameAnswer, []byte("body"))
	if kind, body, err := readFrame(bytes.NewReader(good), 4, nil); kind != frameAnswer || string(body) != "body" || err != nil {
		t.Error(kind, body, err)
	}
	if _, _, err := readFrame(bytes.NewReader(good), 3, nil); err == nil {
		t.Error("longer than it may be")
	}
	for i := range good {
		if _, _, err := readFrame(bytes.NewReader(good[:i]), 1<<40, nil); err == nil {
			t.Errorf("%d bytes are a frame", i)
		}
	}
	if _, _, err := readFrame(bytes.NewReader([]byte{0, 0, 0, 0, 3}), 10, nil); err == nil {
		t.Error("a frame of nothing")
	}
}
