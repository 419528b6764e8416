//go:build !airgap

package egress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/ledger"
)

// Whatever the process answers, it is an answer or an error.
func FuzzParseAnswer(f *testing.F) {
	good, err := json.Marshal(Answer{URL: "http://127.0.0.1/a.ndb", Status: 200, Bytes: 1, SHA256: "x", Seq: 1, Texts: []string{"a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"status":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err := parseAnswer(b)
		two, err2 := parseAnswer(b)
		if (err == nil) != (err2 == nil) || !reflect.DeepEqual(one, two) {
			t.Errorf("%+v, %+v", one, two)
		}
	})
}

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		text string
		err  bool
	}{
		{"", true},
		{"{\"status\":200}", false},
		{"{\"status\":200}{}", true},
		{"{\"status\":200,\"more\":1}", true},
		{"[]", true},
		{strings.Repeat("x", 1<<17), true},
	} {
		if _, err := parseAnswer([]byte(c.text)); (err != nil) != c.err {
			t.Errorf("%.40q: %v", c.text, err)
		}
	}
	w := capped{b: new(bytes.Buffer), left: 4}
	if n, err := w.Write([]byte("abcd")); n != 4 || err != nil {
		t.Error(n, err)
	}
	if _, err := w.Write([]byte("e")); err == nil {
		t.Error("more than the most")
	}
}

func TestSame(t *testing.T) {
	v := Validators{ETag: "a", Length: 3}
	for _, c := range []struct {
		a, b Validators
		want bool
	}{
		{v, v, true},
		{v, Validators{ETag: "a", Length: 4}, false},
		{v, Validators{ETag: "b", Length: 3}, false},
		{v, Validators{ETag: "a", LastModified: "x", Length: 3}, false},
		{Validators{LastModified: "x", Length: 3}, Validators{LastModified: "x", Length: 3}, true},
		{Validators{Length: 3}, Validators{Length: 3}, false},
		{Validators{ETag: "a"}, Validators{ETag: "a"}, false},
		{Validators{}, Validators{}, false},
	} {
		if got := c.a.same(c.b); got != c.want {
			t.Errorf("%+v %+v: %v", c.a, c.b, got)
		}
	}
}

func TestPorts(t *testing.T) {
	j := &Job{Proxy: "http://p.test", URLs: []string{"https://a.test:8443/x", "https://a.test/y", "::"}}
	got := ports(j)
	slices.Sort(got)
	if want := []uint16{53, 80, 443, 8443}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What the process is not given, or given wrongly, it refuses before it talks.
func TestServeRefuses(t *testing.T) {
	for _, in := range []string{"", "x", `{"more":1}`, `{"errands":[]}`, `{"files":65}`, `{"files":-1}`} {
		if err := Serve(context.Background(), strings.NewReader(in), &bytes.Buffer{}); err == nil {
			t.Errorf("%.40s: served", in)
		}
	}
	if _, _, err := Run(context.Background(), &Job{Errands: make([]Errand, 1)}, nil, nil, nil); err == nil {
		t.Error("an errand without a file")
	}
}

// put writes what the process would, and answers as it would.
func put(t *testing.T, in *Folder, i int, body string) Answer {
	t.Helper()
	f, err := in.Create(i)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(body)
	f.Close()
	sum := sha256.Sum256([]byte(body))
	return Answer{Status: 200, Bytes: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Now: Validators{ETag: "e", Length: int64(len(body))}, Seq: 1}
}

func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		out[f.Name()] = string(b)
	}
	return out
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules")
	in, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("two at a time: %v", err)
	}
	names, urls := []string{"a.ndb", "b.ndb"}, []string{"u/a.ndb", "u/b.ndb"}
	if in.Known(urls[0], names[0]) != (Validators{}) {
		t.Error("known, and not there")
	}
	var tried map[string]string
	try := func(set string) error { tried = content(t, set); return nil }
	digests, err := in.Take(names, urls, []Answer{put(t, in, 0, "A"), put(t, in, 1, "B")}, try)
	if err != nil || len(digests) != 2 || tried["a.ndb"] != "A" || tried["b.ndb"] != "B" {
		t.Fatalf("%v %v %v", digests, tried, err)
	}
	in.Close()
	os.WriteFile(filepath.Join(dir, "own.ndb"), []byte("O"), 0o644)
	os.WriteFile(filepath.Join(dir, ".hidden"), []byte("H"), 0o644)
	was := content(t, dir)
	if was["a.ndb"] != "A" || was["b.ndb"] != "B" || was[".incoming"] != "" {
		t.Errorf("%v", was)
	}

	// A later process, after one that died in the middle.
	os.MkdirAll(filepath.Join(dir, ".incoming", "set"), 0o700)
	os.WriteFile(filepath.Join(dir, ".incoming", "0"), []byte("half"), 0o644)
	for name, spoil := range map[string]func(in *Folder, a []Answer) error{
		"error":  func(_ *Folder, a []Answer) error { a[1].Error = "connect"; return nil },
		"status": func(_ *Folder, a []Answer) error { a[1].Status = 404; return nil },
		"length": func(_ *Folder, a []Answer) error { a[1].Bytes++; return nil },
		"digest": func(_ *Folder, a []Answer) error { a[1].SHA256 = a[0].SHA256; return nil },
		"link": func(in *Folder, _ []Answer) error {
			os.Remove(in.path(1))
			return os.Symlink("/etc/passwd", in.path(1))
		},
		"gone":        func(in *Folder, _ []Answer) error { return os.Remove(in.path(1)) },
		"not compile": nil,
	} {
		in, err := OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if in.Known(urls[0], names[0]).ETag != "e" {
			t.Error("not known")
		}
		a := []Answer{put(t, in, 0, "A2"), put(t, in, 1, "B2")}
		try := func(set string) error { tried = content(t, set); return errors.New("malformed") }
		if spoil != nil {
			if err := spoil(in, a); err != nil {
				t.Fatal(err)
			}
			try = func(string) error { return nil }
		}
		if _, err := in.Take(names, urls, a, try); err == nil || strings.Count(err.Error(), "nothing was changed") != 1 && name != "link" && name != "gone" {
			t.Errorf("%s: %v", name, err)
		}
		if name == "not compile" && (tried["a.ndb"] != "A2" || tried["own.ndb"] != "O" || tried[".hidden"] != "") {
			t.Errorf("tried %v", tried)
		}
		in.Close()
		if now := content(t, dir); len(now) != len(was) || now["a.ndb"] != "A" || now["b.ndb"] != "B" || now[memoName] != was[memoName] {
			t.Errorf("%s: the folder has %v", name, now)
		}
	}
	in, err = OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Take([]string{"c.ndb"}, []string{"u/c.ndb"}, []Answer{{Status: 200, Unchanged: true}}, nil); err == nil {
		t.Error("unchanged, and never seen")
	}
	if d, err := in.Take(names[:1], urls[:1], []Answer{{Status: 200, Unchanged: true}}, nil); err != nil || len(d[0]) != 64 {
		t.Errorf("unchanged: %v %v", d, err)
	}
	os.WriteFile(filepath.Join(dir, "a.ndb"), []byte("changed"), 0o644)
	if in.Known(urls[0], names[0]) != (Validators{}) {
		t.Error("changed by hand, and known")
	}
	if in.Known(urls[0], "z.ndb") != (Validators{}) {
		t.Error("known under another name")
	}
	os.WriteFile(filepath.Join(dir, memoName), []byte("{"), 0o644)
	in.Close()
	if in, err = OpenFolder(dir); err != nil {
		t.Fatal(err)
	}
	if in.Known(urls[1], names[1]) != (Validators{}) {
		t.Error("known by a memo that is spoilt")
	}
}

// The purposes that are sent are in the ledger's list.
func TestPurposes(t *testing.T) {
	for _, p := range []ledger.Purpose{ledger.UpdateMetadata, ledger.UpdateRules, ledger.Witness, ledger.AdminReport} {
		if !p.Known() {
			t.Errorf("%s", p)
		}
	}
}
