package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

var (
	full = flag.Bool("full", false, "inputs of full size, and clamscan beside")
	doc  = flag.String("doc", "", "file to write the table beside clamscan to")
)

// inputs returns the inputs. Those of the quick run are made once for all tests.
var inputs = sync.OnceValue(func() []Input {
	all := All(*full)
	if !*full {
		for i := range all {
			all[i].Make = sync.OnceValue(all[i].Make)
		}
	}
	return all
})

// ruleText is the one rule: the marker, anywhere.
var ruleText = "Hostile.Marker:0:*:" + hex.EncodeToString([]byte(Marker)) + "\n"

// compiled returns the database of the one rule, as a file's bytes.
func compiled(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "marker.ndb")
	if err := os.WriteFile(path, []byte(ruleText), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func scanner(t testing.TB) *scan.Scanner {
	db, err := ruledb.New(compiled(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return scan.New(db, scan.Options{Spill: func() (unpack.File, error) {
		f, err := os.CreateTemp(dir, "spill")
		if err == nil {
			os.Remove(f.Name())
		}
		return f, err
	}})
}

// judge holds a report against what an input asks for.
func judge(in *Input, r *showcause.Report) (wrong []string) {
	complain := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	switch {
	case r.Verdict == showcause.NothingFound:
		complain("NOTHING FOUND")
	case in.Want == Found && r.Verdict != showcause.Found, in.Want == Incomplete && r.Verdict != showcause.Incomplete,
		r.Verdict != showcause.Found && r.Verdict != showcause.Incomplete:
		complain("%v, want %v", r.Verdict, in.Want)
	}
	for _, want := range in.Codes {
		if !has(r, want) {
			complain("no %s", want)
		}
	}
	for i := range r.Gaps {
		if !known(r.Gaps[i].Code) {
			complain("code %q is not from the closed list", r.Gaps[i].Code)
		}
		if r.Gaps[i].Code == showcause.Crash {
			complain("crash")
		}
	}
	return wrong
}

func has(r *showcause.Report, start showcause.Code) bool {
	for i := range r.Gaps {
		if strings.HasPrefix(string(r.Gaps[i].Code), string(start)) {
			return true
		}
	}
	return false
}

// known tells whether a code is from the closed list of the vocabulary, narrowed in our words.
func known(c showcause.Code) bool {
	for _, whole := range []showcause.Code{
		showcause.LimitSize, showcause.LimitRatio, showcause.LimitDepth, showcause.LimitObject,
		showcause.LimitWork, showcause.LimitTime, showcause.Encrypted, showcause.Corrupt, showcause.Changed, showcause.Unreadable, showcause.Crash,
	} {
		if c == whole {
			return true
		}
	}
	kind, rest, ok := strings.Cut(string(c), ".")
	return ok && (kind == "unsupported" || kind == "ambiguous") && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func codes(r *showcause.Report) string {
	var out []string
	seen := map[showcause.Code]bool{}
	for i := range r.Gaps {
		if c := r.Gaps[i].Code; !seen[c] {
			seen[c] = true
			out = append(out, string(c))
		}
	}
	return strings.Join(out, " ")
}

// TestVerdicts is the acceptance suite: none yields nothing-found, and the
// same input gives the same report again.
func TestVerdicts(t *testing.T) {
	s := scanner(t)
	for _, in := range inputs() {
		t.Run(fmt.Sprintf("%d/%s", in.Row, in.Name), func(t *testing.T) {
			if in.Big && !*full {
				t.Skip("large: with -args -full")
			}
			src := in.Make()
			r := s.Scan(src)
			for _, w := range judge(&in, &r) {
				t.Error(w)
			}
			t.Logf("%v: %s", r.Verdict, codes(&r))
			if r.Spent.Bytes > 64<<20 && !*full {
				return // once is enough for the quick run
			}
			a, _ := json.Marshal(r)
			again := s.Scan(src)
			if b, _ := json.Marshal(again); !bytes.Equal(a, b) {
				t.Errorf("two reports:\n%.500s\n%.500s", a, b)
			}
		})
	}
}

// nestedBase64 is about 1 MB, each layer of which a reader of mail and one of scripts can take.
func nestedBase64() []byte {
	b := join(hidden(), []byte("\n"), []byte(strings.Repeat("and a line that goes on\n", 50)))
	for range 24 {
		b = []byte(base64.StdEncoding.EncodeToString(b))
	}
	return b
}

// TestNested holds that what two formats can read is not read by each in each.
func TestNested(t *testing.T) {
	b := showcause.Bytes(nestedBase64())
	r := scanner(t).Scan(b)
	if r.Verdict != showcause.Found || r.Spent.Bytes > 40*b.Size() || has(&r, "limit") {
		t.Errorf("%v: %d bytes are searched for %d: %s", r.Verdict, r.Spent.Bytes, b.Size(), codes(&r))
	}
}

// TestInputs holds that the inputs are what they say: always the same, and the
// marker is not in sight.
func TestInputs(t *testing.T) {
	seen := map[string]bool{}
	fresh := All(*full)
	for i, in := range inputs() {
		if seen[in.Name] {
			t.Errorf("%s: twice", in.Name)
		}
		seen[in.Name] = true
		if in.Big || *full {
			continue
		}
		a, ok := in.Make().(showcause.Bytes)
		if !ok {
			continue
		}
		if len(a) < 1<<20 && in.Row > 8 {
			if b := fresh[i].Make().(showcause.Bytes); !bytes.Equal(a, b) {
				t.Errorf("%s: not the same twice", in.Name)
			}
		}
		if got := bytes.Contains(a, []byte(Marker)); got != in.Plain {
			t.Errorf("%s: marker in sight %v, want %v", in.Name, got, in.Plain)
		}
	}
}

// TestQuines holds that the quines are quines.
func TestQuines(t *testing.T) {
	q := quine(gzipQuine)
	z, err := gzip.NewReader(bytes.NewReader(q))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, q) {
		t.Errorf("gzip: %d bytes, want its own %d: %v", len(got), len(q), err)
	}
	q = quine(zipQuine)
	if got := unzipped(t, q); !bytes.Equal(got, q) {
		t.Errorf("zip: %d bytes, want its own %d", len(got), len(q))
	}
}

// TestOverlapping holds that the members of the bomb are what their headers say.
func TestOverlapping(t *testing.T) {
	for _, wide := range []bool{false, true} {
		b := overlapping(5, 3<<20, wide)
		if got := unzipped(t, b); len(got) < 3<<20 {
			t.Errorf("wide %v: %d bytes", wide, len(got))
		}
	}
}
