package scan_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/view"
)

// marker is what the test rules look for; it stands nowhere else.
const marker = "Showcause marker 7c1e94 for the tests."

// compile makes a database of rule files given as name and text.
func compile(t testing.TB, files map[string]string) *ruledb.DB {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := rules.Compile([]string{dir}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func markerDB(t testing.TB) *ruledb.DB {
	return compile(t, map[string]string{"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\n"})
}

func zipOf(members ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, m := range members {
		w, err := z.Create(fmt.Sprintf("member%d", i))
		if err != nil {
			panic(err)
		}
		io.WriteString(w, m)
	}
	z.Close()
	return b.Bytes()
}

func gzipOf(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.Bytes()
}

func mailOf(s string) []byte {
	return []byte("From: a@example.org\nTo: b@example.org\nSubject: x\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Type: application/octet-stream; name=\"x.bin\"\n" +
		"Content-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(s)) + "\n--cut--\n")
}

// corpus is a set of inputs with findings, gaps and neither, at several depths.
func corpus() [][]byte {
	padded := strings.Repeat("padding that compresses ", 100) + marker
	out := [][]byte{
		nil, []byte("plain"), []byte(padded), zipOf(padded), zipOf("a", padded, "b"), gzipOf(padded),
		gzipOf(string(zipOf(padded))), mailOf(padded), mailOf(string(zipOf(string(gzipOf(padded))))),
		zipOf(padded)[:150], gzipOf(padded)[:60], []byte("%PDF-1.4\n" + padded),
		append(zipOf(padded), zipOf("other")...),
	}
	for i := range 20 {
		out = append(out, zipOf(fmt.Sprint(i), padded[:i*80]))
	}
	return out
}

// The same bytes, rules and limits give the same report, whatever the number
// of threads and the order of the inputs.
func TestDeterminism(t *testing.T) {
	db := markerDB(t)
	inputs := corpus()
	want := make([]string, len(inputs))
	for i, in := range inputs {
		want[i] = report(t, scan.New(db, scan.Options{}), showcause.Bytes(in))
	}
	found := 0
	for _, w := range want {
		found += strings.Count(w, `"rule":`)
	}
	if found < 10 {
		t.Fatalf("the corpus gives %d findings: too few to compare", found)
	}
	for threads := 1; threads <= 8; threads++ {
		order := rand.New(rand.NewPCG(uint64(threads), 1)).Perm(len(inputs))
		work := make(chan int)
		var wg sync.WaitGroup
		for range threads {
			wg.Add(1)
			go func() {
				defer wg.Done()
				s := scan.New(db, scan.Options{})
				for i := range work {
					if got := report(t, s, showcause.Bytes(inputs[i])); got != want[i] {
						t.Errorf("%d threads, input %d:\n got %s\nwant %s", threads, i, got, want[i])
					}
				}
			}()
		}
		for _, i := range order {
			work <- i
		}
		close(work)
		wg.Wait()
	}
}

func report(t testing.TB, s *scan.Scanner, src showcause.Source) string {
	b, err := json.Marshal(s.Scan(src))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// stream hides that a source is in memory, and can go wrong at an offset.
type stream struct {
	b    []byte
	size int64
	fail int64 // -1: never
	err  error
}

func (s *stream) Size() int64 { return s.size }

func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	if s.fail >= 0 && off+int64(len(p)) > s.fail {
		n := 0
		if off < s.fail {
			n, _ = showcause.Bytes(s.b).ReadAt(p[:s.fail-off], off)
		}
		return n, s.err
	}
	return showcause.Bytes(s.b).ReadAt(p, off)
}

// A layer that is read in windows gives the findings of one that is in memory,
// wherever the matches lie.
func TestWindows(t *testing.T) {
	db := compile(t, map[string]string{
		"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\n" +
			"Test.Start:0:0:" + hexOf("first bytes") + "\n" +
			"Test.End:0:EOF-10:" + hexOf("last bytes") + "\n" +
			"Test.Gap:0:*:" + hexOf("begin-of-gap") + "*" + hexOf("end-of-gap") + "\n",
		"m.ldb": "Test.Both;Engine:51-255,Target:0;0&1>2;" + hexOf("begin-of-gap") + ";" + hexOf("three of these") + "\n",
	})
	const size = 17<<20 + 12345
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	const window = 4 << 20
	copy(b, "first bytes")
	copy(b[size-10:], "last bytes")
	for i := range 4 {
		copy(b[(i+1)*window-5-i*9:], marker) // over each border of windows
		copy(b[(i+1)*window-100:], "three of these")
	}
	copy(b[100:], "begin-of-gap")
	copy(b[size-1000:], "end-of-gap")
	whole := scan.New(db, scan.Options{}).Scan(showcause.Bytes(b))
	parts := scan.New(db, scan.Options{}).Scan(&stream{b: b, size: size, fail: -1})
	if len(whole.Findings) != 5 {
		t.Fatalf("%d findings, want 5: %+v", len(whole.Findings), whole.Findings)
	}
	for i := range whole.Findings {
		w, p := fmt.Sprint(whole.Findings[i]), fmt.Sprint(parts.Findings[i])
		if w != p {
			t.Errorf("in memory %s\nin windows %s", w, p)
		}
	}
	if n := len(whole.Findings[0].Matches) + len(whole.Findings[1].Matches); n < 2 {
		t.Errorf("too few matches kept: %+v", whole.Findings)
	}
}

func TestUnreadable(t *testing.T) {
	db := markerDB(t)
	b := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	big := bytes.Repeat(b, 10)
	for _, c := range []struct {
		name string
		src  showcause.Source
		code showcause.Code
	}{
		{"shorter than it said", &stream{b: b, size: int64(len(b)) + 100, fail: -1}, showcause.Changed},
		{"shorter, large", &stream{b: big, size: int64(len(big)) + 100, fail: -1}, showcause.Changed},
		{"read error", &stream{b: b, size: int64(len(b)), fail: 5000, err: errors.New("EIO")}, showcause.Unreadable},
		{"read error at once", &stream{b: b, size: int64(len(b)), fail: 0, err: errors.New("EIO")}, showcause.Unreadable},
		{"read error, large", &stream{b: big, size: int64(len(big)), fail: 9 << 20, err: errors.New("EIO")}, showcause.Unreadable},
	} {
		r := scan.New(db, scan.Options{}).Scan(c.src)
		if r.Verdict != showcause.Incomplete || len(r.Gaps) == 0 || r.Gaps[0].Code != c.code {
			t.Errorf("%s: %v %+v", c.name, r.Verdict, r.Gaps)
		}
	}
}

// With rules for exact bytes alone nothing is searched for, and a file that
// cannot be read is told all the same.
func TestUnreadableForDigests(t *testing.T) {
	b := bytes.Repeat([]byte("0123456789abcdef"), 5<<16)
	for _, size := range []int{len(b), 12345} {
		const more = 17 << 20
		db := compile(t, map[string]string{"h.hdb": fmt.Sprintf("%x:%d:Test.Exact\n", md5.Sum(nil), size+more)})
		for _, src := range []showcause.Source{
			&stream{b: b, size: int64(len(b)), fail: 1 << 20, err: errors.New("EIO")},
			&stream{b: b[:len(b)/2], size: int64(len(b)), fail: -1},
		} {
			if r := scan.New(db, scan.Options{}).Scan(hidden{src, more}); r.Verdict != showcause.Incomplete {
				t.Errorf("%v %+v", r.Verdict, r.Gaps)
			} else if c := r.Gaps[0].Code; c != showcause.Unreadable && c != showcause.Changed {
				t.Errorf("%v %+v", r.Verdict, r.Gaps)
			}
		}
	}
}

// hidden makes a source too large to be read into memory at once: zeros behind it.
type hidden struct {
	showcause.Source
	more int64
}

func (h hidden) Size() int64 { return h.Source.Size() + h.more }

// A rule that asks for something to be absent does not fire where the search
// ended before it could be seen.
func TestAbsenceNeedsAll(t *testing.T) {
	db := compile(t, map[string]string{"m.ldb": "Test.Absent;Engine:51-255,Target:0;0&(1=0);" + hexOf("first of two") + ";" + hexOf("second of two") + "\n"})
	both := bytes.Repeat([]byte("filler. "), 100_000)
	copy(both, "first of two")
	copy(both[len(both)-100:], "second of two")
	one := bytes.Clone(both)
	copy(one[len(one)-100:], "nothing of two")
	if r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(both)); r.Verdict != showcause.NothingFound {
		t.Errorf("both there: %v", r.Verdict)
	}
	if r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(one)); r.Verdict != showcause.Found {
		t.Errorf("one there: %v", r.Verdict)
	}
	for _, limits := range []showcause.Limits{{FileSize: 50_000}, {Work: 13_000}} {
		if r := scan.New(db, scan.Options{Limits: limits}).Scan(showcause.Bytes(both)); r.Verdict != showcause.Incomplete {
			t.Errorf("%+v: %v %+v", limits, r.Verdict, r.Findings)
		}
	}
}

// A pattern that counts from what the layer lacks has no place in the evidence.
func TestEvidenceOfAnchors(t *testing.T) {
	db := compile(t, map[string]string{"m.ldb": "Test.Either;Engine:51-255,Target:6;0|1;S9+0:" + hexOf("the same bytes") + ";" + hexOf("the same bytes") + "\n"})
	elf := make([]byte, 200)
	copy(elf, "\x7fELF\x02\x01\x01")
	elf[16], elf[18], elf[20], elf[52], elf[58] = 2, 62, 1, 64, 64
	copy(elf[100:], "the same bytes")
	r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(elf))
	if len(r.Findings) != 1 {
		t.Fatalf("%s %+v", r.Type, r)
	}
	if m := r.Findings[0].Matches; len(m) != 1 || m[0] != (showcause.Match{Pattern: 1, Offset: 100, Length: 14}) {
		t.Errorf("%+v", m)
	}
}

// An allow-list rule for one view of a page clears that view and no other.
func TestAllowedViewAlone(t *testing.T) {
	page := []byte("<html><body><!-- left out of the view --><p>some harmful words in it</p></body></html>")
	ndb := "Test.Page:3:*:" + hexOf("harmful words") + "\n"
	open := scan.New(compile(t, map[string]string{"m.ndb": ndb}), scan.Options{})
	if r := open.Scan(showcause.Bytes(page)); r.Verdict != showcause.Found {
		t.Fatalf("%v", r.Verdict)
	}
	vs, _ := view.HTML(showcause.Bytes(page), 1<<20)
	db := compile(t, map[string]string{"m.ndb": ndb, "a.fp": fmt.Sprintf("%x:%d:one-view\n", md5.Sum(vs[0].Bytes), len(vs[0].Bytes))})
	r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(page))
	if r.Verdict != showcause.Found {
		t.Errorf("%v %+v", r.Verdict, r.Findings)
	}
}

type changing struct{ showcause.Bytes }

func (changing) Changed() bool { return true }

func TestChanged(t *testing.T) {
	r := scan.New(markerDB(t), scan.Options{}).Scan(changing{[]byte("text")})
	if r.Verdict != showcause.Incomplete || r.Gaps[0].Code != showcause.Changed {
		t.Errorf("%v %+v", r.Verdict, r.Gaps)
	}
}

// A format that breaks is a gap; what the others find is kept.
func TestCrash(t *testing.T) {
	broken := unpack.Format{
		Name:  "broken",
		Match: func(*unpack.Probe) bool { return true },
		Walk:  func(l showcause.Source, out *unpack.Out) { panic("on purpose") },
	}
	s := scan.New(markerDB(t), scan.Options{Formats: append([]unpack.Format{broken}, formats.All()...)})
	r := s.Scan(showcause.Bytes(zipOf(marker + strings.Repeat("x", 100))))
	if r.Verdict != showcause.Found {
		t.Errorf("%v %+v", r.Verdict, r)
	}
	r = s.Scan(showcause.Bytes("text"))
	if r.Verdict != showcause.Incomplete || r.Gaps[0].Code != showcause.Crash {
		t.Errorf("%v %+v", r.Verdict, r.Gaps)
	}
}

// An allow-list rule for a layer overrules what is found in it and below, and
// the finding is still told.
func TestAllowList(t *testing.T) {
	inner := marker + strings.Repeat(" and more", 50)
	outer := zipOf("first", inner)
	other := zipOf("second", inner)
	allow := func(b []byte) string {
		sum := md5.Sum(b)
		return fmt.Sprintf("%x:%d:allowed-one\n", sum, len(b))
	}
	db := compile(t, map[string]string{
		"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\n",
		"a.fp":  allow(outer),
	})
	s := scan.New(db, scan.Options{})
	r := s.Scan(showcause.Bytes(outer))
	if r.Verdict != showcause.NothingFound || len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Allowed, "allowed-one") {
		t.Errorf("allowed: %v %+v %+v", r.Verdict, r.Findings, r.Gaps)
	}
	if r := s.Scan(showcause.Bytes(other)); r.Verdict != showcause.Found {
		t.Errorf("other: %v", r.Verdict)
	}
}

func TestDigests(t *testing.T) {
	content := []byte("some content of a known digest")
	sum := md5.Sum(content)
	db := compile(t, map[string]string{"h.hdb": fmt.Sprintf("%x:%d:Test.Exact\n", sum, len(content))})
	s := scan.New(db, scan.Options{})
	r := s.Scan(showcause.Bytes(zipOf("x", string(content))))
	if r.Verdict != showcause.Found || r.Findings[0].Rule != "Test.Exact.UNOFFICIAL" || len(r.Findings[0].Trail) != 1 {
		t.Fatalf("%v %+v", r.Verdict, r.Findings)
	}
	want := showcause.Match{Offset: 0, Length: int64(len(content))}
	if m := r.Findings[0].Matches; len(m) != 1 || m[0] != want {
		t.Errorf("matches %v", m)
	}
	content[0]++
	if r := s.Scan(showcause.Bytes(content)); r.Verdict != showcause.NothingFound {
		t.Errorf("%v", r.Verdict)
	}
}

// A disc image is unread whatever its first bytes say that it is, and so are
// the compressions that only old tools know.
func TestAlsoUnread(t *testing.T) {
	s := scan.New(markerDB(t), scan.Options{})
	iso := make([]byte, 0x9000)
	copy(iso[0x8000:], "\x01CD001\x01")
	dmg := make([]byte, 4096)
	copy(dmg[4096-512:], "koly\x00\x00\x00\x04")
	for _, start := range []string{"GIF89a", "\x7fELF", "MZ", "FWS", "%!PS-Adobe-", "SQLite format 3\x00"} {
		for _, image := range [][]byte{iso, dmg} { // both say that there is more, and have none
			r := s.Scan(showcause.Bytes(start + string(image[len(start):])))
			// What is behind the end of a picture is a layer, and says it too.
			if r.Verdict != showcause.Incomplete || len(r.Gaps) == 0 || slices.ContainsFunc(r.Gaps, func(g showcause.Gap) bool { return g.Code != showcause.Corrupt }) {
				t.Errorf("%q: %v %+v, want %s", start, r.Verdict, r.Gaps, showcause.Corrupt)
			}
		}
	}
	for want, data := range map[string]string{
		"unsupported.format.zstd-legacy":  "\x27\xb5\x2f\xfd\x00\x28",
		"unsupported.format.pack":         "\x1f\x1e\x00\x00\x00\x2c\x05\x00\x00\x00\x08\x10",
		"unsupported.format.lzh-compress": "\x1f\xa0\x00\x01",
		"corrupt":                         "MSCF\x01\x00\x00\x00" + strings.Repeat("\x00", 17) + "\x01" + strings.Repeat("\x00", 20),
	} {
		r := s.Scan(showcause.Bytes(data))
		if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 || string(r.Gaps[0].Code) != want {
			t.Errorf("%v %+v, want %s", r.Verdict, r.Gaps, want)
		}
	}
}

// What a script hands to a decompressor is read, and an archive behind a
// program and some padding is told.
func TestCarried(t *testing.T) {
	s := scan.New(markerDB(t), scan.Options{})
	r := s.Scan(showcause.Bytes("#!/bin/sh\ntail -n +4 \"$0\" | gzip -dc\nexit\n" + string(gzipOf(marker))))
	if r.Verdict != showcause.Found || len(r.Gaps) > 0 {
		t.Errorf("script: %v %+v", r.Verdict, r.Gaps)
	}
	cab := make([]byte, 80)
	copy(cab, "MSCF")
	cab[8], cab[16], cab[24], cab[25], cab[26], cab[28], cab[44] = 80, 44, 3, 1, 1, 1, 5 // a file that is not there
	cab[36], cab[60] = 62, 'f'                                                           // its folder's data, and its name
	r = s.Scan(showcause.Bytes("MZ" + strings.Repeat("\x00", 101) + string(cab)))
	if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.Corrupt || len(r.Gaps[0].Trail) != 1 {
		t.Errorf("cab: %v %+v", r.Verdict, r.Gaps)
	}
}

// Every limit ends a scan with its gap, and never in silence.
func TestLimits(t *testing.T) {
	db := markerDB(t)
	nested := []byte(marker)
	for range 5 {
		nested = gzipOf(string(nested))
	}
	many := zipOf(strings.Split(strings.Repeat("member ", 100), " ")...)
	for _, c := range []struct {
		name   string
		limits showcause.Limits
		in     []byte
		code   showcause.Code
	}{
		{"depth", showcause.Limits{Depth: 4}, nested, showcause.LimitDepth},
		{"objects", showcause.Limits{Objects: 10}, many, showcause.LimitObject},
		{"size of a layer", showcause.Limits{FileSize: 50}, zipOf(strings.Repeat("x", 1000)), showcause.LimitSize},
		{"size of the input", showcause.Limits{FileSize: 50}, []byte(strings.Repeat("x", 1000)), showcause.LimitSize},
		{"size of all", showcause.Limits{ScanSize: 500}, many, showcause.LimitSize},
		{"work", showcause.Limits{Work: 20}, many, showcause.LimitWork},
	} {
		r := scan.New(db, scan.Options{Limits: c.limits}).Scan(showcause.Bytes(c.in))
		ok := false
		for _, g := range r.Gaps {
			ok = ok || g.Code == c.code
		}
		if r.Verdict != showcause.Incomplete || !ok {
			t.Errorf("%s: %v %+v", c.name, r.Verdict, r.Gaps)
		}
	}
	r := scan.New(db, scan.Options{Limits: showcause.Limits{FileSize: 200}}).Scan(showcause.Bytes(many))
	for _, g := range r.Gaps {
		if g.Code == showcause.Corrupt {
			t.Errorf("a zip that the limit cut is called corrupt: %+v", r.Gaps)
			break
		}
	}
	if r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(nested)); r.Verdict != showcause.Found {
		t.Errorf("without limits: %v", r.Verdict)
	}
}

func FuzzScan(f *testing.F) {
	db := markerDB(f)
	for _, in := range corpus() {
		f.Add(in)
	}
	limits := showcause.Limits{ScanSize: 1 << 20, Objects: 200, Depth: 6, Work: 10_000_000}
	s := scan.New(db, scan.Options{Limits: limits})
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b := report(t, s, showcause.Bytes(in)), report(t, s, showcause.Bytes(in))
		if a != b {
			t.Errorf("two reports:\n%s\n%s", a, b)
		}
		if strings.Contains(a, `"crash"`) {
			t.Errorf("crash: %s", a)
		}
		if bytes.Contains(in, []byte(marker)) && !strings.Contains(a, "Test.Marker") && !strings.Contains(a, "limit.work") {
			t.Errorf("a marker in plain sight is not found: %s", a)
		}
	})
}

// sparse is a source of zeros but for some places, which it knows.
type sparse struct {
	size int64
	at   map[int64]string
	data []int64 // places of which it says that there is data
}

func (s sparse) Size() int64 { return s.size }

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, text := range s.at {
		if from, to := max(at, off), min(at+int64(len(text)), off+int64(len(p))); from < to {
			copy(p[from-off:], text[from-at:to-at])
		}
	}
	if left := s.size - off; left < int64(len(p)) {
		return int(max(left, 0)), io.EOF
	}
	return len(p), nil
}

func (s sparse) Data(off int64) (from, to int64) {
	for _, at := range s.data {
		if off < at+4096 {
			return max(at, off), at + 4096
		}
	}
	return s.size, s.size
}

// Of an input that is too large to be searched, its start, its end and what is data are: a
// finding there is told, and so is what is left.
func TestTooLarge(t *testing.T) {
	db := markerDB(t)
	const size = 1 << 40
	for _, c := range []struct {
		name string
		src  sparse
		want showcause.Verdict
	}{
		{"start", sparse{size, map[int64]string{0: marker}, nil}, showcause.Found},
		{"end", sparse{size, map[int64]string{size - 100: marker}, nil}, showcause.Found},
		{"data", sparse{size, map[int64]string{1<<39 + 5: marker}, []int64{1 << 33, 1 << 39, 3 << 38}}, showcause.Found},
		{"none", sparse{size, nil, []int64{1 << 33}}, showcause.Incomplete},
		{"elsewhere", sparse{size, map[int64]string{1<<39 + 5: marker}, []int64{1 << 33}}, showcause.Incomplete},
	} {
		for _, digests := range []bool{false, true} {
			r := scan.New(db, scan.Options{Digests: digests}).Scan(c.src)
			if r.Verdict != c.want || len(r.Gaps) == 0 || r.Gaps[0].Code != showcause.LimitWork {
				t.Errorf("%s: %+v", c.name, r)
			}
			if c.want == showcause.Found && len(r.Findings[0].Matches) != 1 {
				t.Errorf("%s: %+v", c.name, r.Findings)
			}
		}
	}
}
