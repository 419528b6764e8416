package hostile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// manyRules exercises every table of a database.
var manyRules = map[string]string{
	"a.ndb": ruleText + "Hostile.Gap:1:EP+10,5:6162636465??{1-9}666768696a\nHostile.Alt:0:*:61626364(aabb|ccdd|eeff)6162\n",
	"a.ldb": "Hostile.Logic;Engine:51-255,Target:0;(0&1)|(2>3);6d61726b6572;73686f7763617573;7061646469\n",
	"a.hdb": "0123456789abcdef0123456789abcdef:100:Hostile.Digest\n",
	"a.hsb": strings.Repeat("ab", 32) + ":200:Hostile.Digest2\n",
	"a.mdb": "300:0123456789abcdef0123456789abcdef:Hostile.Section\n",
	"a.fp":  "fedcba9876543210fedcba9876543210:400:Hostile.Allowed\n",
}

func compileAll(t testing.TB, files map[string]string) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return rules.Compile([]string{dir}, rules.Options{})
}

// fate is what became of a database.
type fate int

const (
	refused fate = iota // when it was opened
	broken              // when a program in it was first used, which proves it: a gap "crash"
	used
)

// use opens a database and does all that a scan does with one. A panic that
// comes through is the test's.
func use(data []byte, inputs ...[]byte) fate {
	db, err := ruledb.New(data)
	if err != nil {
		return refused
	}
	f := used
	s := scan.New(db, scan.Options{Limits: showcause.Limits{Work: 1 << 20}})
	for _, b := range inputs {
		for _, g := range s.Scan(showcause.Bytes(b)).Gaps {
			if g.Code == showcause.Crash {
				f = broken
			}
		}
	}
	for i := range db.Len() {
		db.Info(uint32(i)) // an error is an answer
	}
	return f
}

// cold tells the sections whose pages are proven when they are read: texts, skips,
// digests, stems.
func cold(kind uint32) bool { return kind == 3 || kind == 4 || kind == 18 || kind == 23 }

// kindSums is the section with the sums of their pages.
const kindSums = 24

// covered tells which bytes of a database a checksum covers when it is opened:
// not that of cold sections, and what fills sections up to 64 bytes or a page.
func covered(data []byte) []bool {
	out := make([]bool, len(data))
	n := int(le.Uint32(data[16:]))
	for i := range 32 + 32*n {
		out[i] = true
	}
	for i := range n {
		e := data[32+32*i:]
		if cold(le.Uint32(e)) {
			continue
		}
		at, length := le.Uint64(e[8:]), le.Uint64(e[16:])
		for j := at; j < at+length; j++ {
			out[j] = true
		}
	}
	return out
}

// seal puts the checksums right again: they keep accidents out, not attackers.
func seal(data []byte) {
	n := int(le.Uint32(data[16:]))
	if n > 1024 || 32+32*n > len(data) {
		return
	}
	section := func(i int) (e, s []byte) {
		e = data[32+32*i:]
		if at, length := le.Uint64(e[8:]), le.Uint64(e[16:]); at <= uint64(len(data)) && length <= uint64(len(data))-at {
			s = data[at : at+length]
		}
		return e, s
	}
	var sums []byte
	for i := range n {
		if e, s := section(i); le.Uint32(e) == kindSums {
			sums = s
		}
	}
	for i := range n {
		e, s := section(i)
		if !cold(le.Uint32(e)) || le.Uint64(e[24:]) > uint64(len(sums)/16) {
			continue
		}
		to := sums[16*le.Uint64(e[24:]):]
		for ; len(s) > 0 && len(to) >= 16; to = to[16:] {
			page := s[:min(4096, len(s))]
			sum := sha256.Sum256(page)
			copy(to, sum[:16])
			s = s[len(page):]
		}
	}
	for i := range n {
		if e, s := section(i); !cold(le.Uint32(e)) {
			le.PutUint64(e[24:], xxhash.Sum64(s))
		}
	}
	le.PutUint64(data[24:], 0)
	le.PutUint64(data[24:], xxhash.Sum64(data[:32+32*n]))
}

// TestDatabaseFlipped flips every byte of a compiled database: it is refused,
// wherever a checksum covers the byte, and harmless where none does.
func TestDatabaseFlipped(t *testing.T) {
	data, err := compileAll(t, manyRules)
	if err != nil {
		t.Fatal(err)
	}
	if use(data, []byte(Marker)) != used {
		t.Fatal("the database itself is not used")
	}
	t.Logf("%d bytes", len(data))
	cover := covered(data)
	step := 1 // the tables of the filters are most of it
	for i := 0; i < len(data); i += step {
		if i > 2432 {
			step = 1 + len(data)/int(scale{*full}.pick(200, 20_000))
		}
		for _, flip := range []byte{0x01, 0xff}[i%2:] {
			bad := bytes.Clone(data)
			bad[i] ^= flip
			if cover[i] {
				if _, err := ruledb.New(bad); err == nil {
					t.Fatalf("byte %d flipped and not refused", i)
				}
			} else if i%16 == 0 {
				use(bad, []byte(Marker))
			}
		}
	}
	for n := 0; n < len(data); n += 1 + len(data)/500 {
		if _, err := ruledb.New(bytes.Clone(data[:n])); err == nil {
			t.Fatalf("cut to %d bytes and not refused", n)
		}
	}
}

// TestDatabaseForged changes a database as somebody would who can put the
// checksums right: counts and offsets that are too large, other programs. It is
// refused, or it is used without harm.
func TestDatabaseForged(t *testing.T) {
	data, err := compileAll(t, manyRules)
	if err != nil {
		t.Fatal(err)
	}
	inputs := [][]byte{[]byte(Marker), smallPE(noise(100, 1)), []byte("abcdefghijabcd\xaa\xbbab markershowcaus padding"), zipOf(pack("m", hidden()))}
	var fates [3]int
	try := func(i int, b []byte) {
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("byte %d: %v", i, r)
			}
		}()
		seal(b)
		fates[use(b, inputs...)]++
	}
	budget := 2000
	if *full {
		budget = 20_000
	}
	dense := int(32 + 32*le.Uint32(data[16:]))
	var places []int
	for i := range data {
		if i < dense || data[i] != 0 || i%64 == 0 {
			places = append(places, i)
		}
	}
	step := 1 + 3*len(places)/budget
	for n := 0; n < len(places) && !t.Failed(); n += step {
		i := places[n]
		for _, v := range []byte{data[i] ^ 1, 0xff, 0} {
			b := bytes.Clone(data)
			b[i] = v
			try(i, b)
		}
		if i%4 == 0 && i+4 <= len(data) {
			for _, v := range []uint32{1<<32 - 1, 1 << 31, 1 << 20, 0} {
				b := bytes.Clone(data)
				le.PutUint32(b[i:], v)
				try(i, b)
			}
		}
	}
	t.Logf("%d refused when opened, %d when used, %d used without harm", fates[refused], fates[broken], fates[used])
}

// TestDatabaseRefused holds that the command says what is wrong with a
// database, and that it scans nothing with it.
func TestDatabaseRefused(t *testing.T) {
	exe, db := command(t)
	data := compiled(t)
	data[len(data)/2] ^= 0xff
	data[100] ^= 0xff
	bad := filepath.Join(t.TempDir(), "bad.scdb")
	if err := os.WriteFile(bad, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, exit := run(t, exe, "scan", "--db", bad, db)
	if exit != 2 || out != "" || !strings.Contains(errs, "corrupt") {
		t.Errorf("exit %d, %q, %q", exit, out, errs)
	}
}

// TestRulesAsAttacker compiles rule texts that want too much.
func TestRulesAsAttacker(t *testing.T) {
	alternatives := make([]string, 100_000)
	for i := range alternatives {
		alternatives[i] = fmt.Sprintf("%08x", uint32(i)*2654435761)
	}
	size := int(scale{*full}.pick(16<<20, 256<<20))
	for name, text := range map[string]string{
		"a.ndb": "A:0:*:6162636465(" + strings.Join(alternatives, "|") + ")\n",
		"b.ndb": "A:0:*:" + strings.Repeat("61", size) + "\n",
		"c.ndb": "A:0:*:" + strings.Repeat("*61626364", 50_000)[1:] + "\n",
		"d.ndb": "A:0:*:61626364{0-4294967295}65666768\nB:0:*:61626364{-}65\nC:0:*:61626364{99999999999999999999}65\n",
		"e.ldb": "A;Engine:51-255,Target:0;" + strings.Repeat("(", 100_000) + "0" + strings.Repeat(")", 100_000) + ";61626364\n",
		"f.ldb": "A;Engine:51-255,Target:0;0>4294967295,4294967295;61626364\nB;Target:0;99999;61626364\n",
		"g.ldb": "A;Engine:51-255,Target:0;0" + strings.Repeat("&0", 100_000) + ";61626364\n",
		"h.ndb": strings.Repeat("A:0:*:??\n", 1000) + "B:0:*:" + strings.Repeat("?", 100_000) + "\n",
		"i.hdb": "zz:1:A\n:::\n" + strings.Repeat("a", 32) + ":99999999999999999999:A\n",
		"j.ndb": strings.Repeat("\x00", 100_000) + "\n\xff\xfe:::\n",
	} {
		data, err := compileAll(t, map[string]string{name: text, "z.ndb": ruleText})
		if err != nil {
			t.Logf("%s: refused: %.200v", name, err)
			continue
		}
		text := bytes.Repeat([]byte("abcdefgh"), 10_000)
		if use(data, text, []byte(Marker)) != used {
			t.Errorf("%s: what was compiled is refused", name)
			continue
		}
		db, err := ruledb.New(data)
		if err != nil {
			t.Fatal(err)
		}
		if r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(Marker)); r.Verdict != showcause.Found {
			t.Errorf("%s: the good rule does not work beside it: %v %s", name, r.Verdict, codes(&r))
		}
	}
}
