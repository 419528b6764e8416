package plant

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	goimage "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/internal/imagehash"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/exe"
)

// Derived is a file with the signatures that were made from it: of its digest, its sections, its
// imports, its icons, what it looks like, what it is read as, where it is, what is said of its members.
type Derived struct {
	File
	Kind  string
	Lines map[string][]string // by the ending of the database's name
	Hits  []string            // the names of those that must find it
	Own   []string            // and of those besides that clamscan refuses, in Alone
	Alone []string            // lines of .ldb
}

// derivers make the innermost layer and its signatures, by kind.
var derivers = []struct {
	kind string
	make func(*deriver) []byte
}{
	{"digest", (*deriver).digest},
	{"sections", (*deriver).sections},
	{"imports", (*deriver).imports},
	{"icons", (*deriver).icons},
	{"picture", (*deriver).picture},
	{"handler", (*deriver).handler},
	{"unwanted", (*deriver).unwanted},
	{"way", (*deriver).way},
	{"members", (*deriver).members},
}

type deriver struct {
	*gen
	*Derived
	seed  uint64
	chain []*wrapper
}

// Derive makes a file of the kind that the seed asks for, and its signatures.
func Derive(seed uint64) (Derived, error) {
	d := &deriver{gen: &gen{rng: rand.New(rand.NewPCG(seed, 77)), r: &rule.Rule{}}, Derived: &Derived{Lines: map[string][]string{}}, seed: seed}
	d.gen.flaw.item = -1
	var err error
	if d.chain, err = d.gen.chain(); err != nil {
		return Derived{}, err
	}
	k := derivers[seed%uint64(len(derivers))]
	d.Kind = k.kind
	d.File = File{Rule: fmt.Sprintf("D%d", seed), Carrier: k.kind, Expect: true, Peer: true}
	d.Inner = k.make(d)
	d.Data = d.Inner
	for i := len(d.chain) - 1; i >= 0; i-- {
		d.UTF16 = d.UTF16 || utf16(d.Data)
		d.Data = d.chain[i].wrap(d.gen, d.Data)
		d.Peer = d.Peer && d.chain[i].peer
	}
	d.UTF16 = d.UTF16 || utf16(d.Data)
	for _, w := range d.chain {
		d.Container = append(d.Container, w.name)
	}
	return *d.Derived, nil
}

// line adds a signature; %s in it is its name.
func (d *deriver) line(ext string, hit bool, format string, a ...any) {
	name := fmt.Sprintf("D%d.%s.%d", d.seed, ext, len(d.Lines[ext]))
	d.Lines[ext] = append(d.Lines[ext], fmt.Sprintf(strings.Replace(format, "NAME", name, 1), a...))
	if hit {
		d.Hits = append(d.Hits, name+".UNOFFICIAL")
	}
}

// hash is a digest of one of the three kinds.
func (d *deriver) hash(b []byte) string {
	switch d.rng.IntN(3) {
	case 0:
		return fmt.Sprintf("%x", md5.Sum(b))
	case 1:
		return fmt.Sprintf("%x", sha1.Sum(b))
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// hashes adds signatures of a digest: with the size, with any, and with another size or of other
// bytes, which miss.
func (d *deriver) hashes(b []byte, size int, line func(ext int, hit bool, hash, size, more string)) {
	other := bytes.Clone(b)
	other[d.rng.IntN(len(other))] ^= 1 << d.rng.IntN(8)
	for ext := range 2 {
		line(ext, true, d.hash(b), fmt.Sprint(size), "")
		line(ext, false, d.hash(b), fmt.Sprint(size+1-2*d.rng.IntN(2)), "")
		line(ext, false, d.hash(other), fmt.Sprint(size), "")
		line(ext, true, strings.ToUpper(d.hash(b)), "*", ":73")
		line(ext, false, d.hash(other), "*", ":73")
	}
}

func (d *deriver) digest() []byte {
	var fit []carrier
	for _, c := range carriers() {
		if !c.words {
			fit = append(fit, c)
		}
	}
	c := fit[d.rng.IntN(len(fit))]
	b := []byte(c.head + string(d.canvas(200+d.rng.IntN(3000)).data) + c.tail)
	d.Sized = true
	d.hashes(b, len(b), func(ext int, hit bool, hash, size, more string) {
		d.line([]string{"hdb", "hsb", "hdu", "hsu"}[ext+2*d.rng.IntN(2)], hit, "%s:%s:NAME%s", hash, size, more)
	})
	return b
}

func (d *deriver) sections() []byte {
	var f File
	b, err := d.executable(&f, rule.PE)
	must(err)
	info := parse(b)
	s := info.Sections[d.rng.IntN(len(info.Sections))]
	d.hashes(b[s.Offset:s.Offset+s.Size], int(s.Size), func(ext int, hit bool, hash, size, more string) {
		d.line([]string{"mdb", "msb", "mdu", "msu"}[ext+2*d.rng.IntN(2)], hit, "%s:%s:NAME%s", size, hash, more)
	})
	return b
}

// imports makes a PE file of one section that imports by name and by number.
func (d *deriver) imports() []byte {
	const va, raw = 0x1000, 0x200
	var s []byte // the section
	dlls := 1 + d.rng.IntN(4)
	s = append(s, make([]byte, 20*(dlls+1))...)
	var list []string
	for i := range dlls {
		base := d.word()
		le.PutUint32(s[20*i+12:], uint32(va+len(s)))
		s = append(s, strings.ToUpper(base[:1])+base[1:]+".dll\x00"...)
		var table []uint32
		for range 1 + d.rng.IntN(5) {
			if d.chance(1, 4) {
				n := 1 + d.rng.Uint32N(900)
				table = append(table, 1<<31|n)
				list = append(list, fmt.Sprintf("%s.ord%d", base, n))
				continue
			}
			table = append(table, uint32(va+len(s)))
			name := d.word()
			list = append(list, base+"."+name)
			s = append(s, "\x00\x00"+strings.ToUpper(name[:1])+name[1:]+"\x00"...)
		}
		s = append(s, make([]byte, 4-len(s)%4)...)
		for _, at := range []int{0, 16} {
			le.PutUint32(s[20*i+at:], uint32(va+len(s)))
		}
		for _, v := range append(table, 0) {
			s = le.AppendUint32(s, v)
		}
	}
	s = append(s, make([]byte, 2*raw-len(s)%raw)...) // as many bytes as ClamAV reads for a name
	b := append(peHead(len(s), 20*(dlls+1)), s...)
	text := []byte(strings.Join(list, ","))
	d.hashes(text, len(text), func(_ int, hit bool, hash, size, more string) { d.line("imp", hit, "%s:%s:NAME%s", hash, size, more) })
	return b
}

// peHead is the 512 bytes before the one section of a program, at the beginning of which its
// imports are.
func peHead(section, imports int) []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	le.PutUint32(b[60:], 0x40)
	copy(b[0x40:], "PE\x00\x00\x4c\x01\x01\x00")
	le.PutUint16(b[0x54:], 224)
	le.PutUint16(b[0x56:], 0x102)
	o := b[0x58:]
	for at, v := range map[int]uint32{0: 0x10b, 16: 0x1000, 28: 0x400000, 32: 0x1000, 36: 0x200, 56: 0x8000, 60: 0x200, 68: 3, 92: 16, 104: 0x1000, 108: uint32(imports)} {
		le.PutUint32(o[at:], v)
	}
	copy(o[224:], ".idata")
	for i, v := range []uint32{uint32(section), 0x1000, uint32(section), 0x200} {
		le.PutUint32(o[232+4*i:], v)
	}
	return b
}

func (d *deriver) word() string {
	b := make([]byte, 4+d.rng.IntN(8))
	for i := range b {
		b[i] = lowers[d.rng.IntN(26)]
	}
	return string(b)
}

func (d *deriver) icons() []byte {
	b := icontest.Program(icontest.Bitmap(d.rng), icontest.Bitmap(d.rng))
	at, _ := exe.Icons(showcause.Bytes(b), filetype.PE)
	g := fmt.Sprintf("G%d", d.seed/8%100) // clamscan takes 256 groups
	for i, off := range at {
		if m, _, ok := icon.Measure(showcause.Bytes(b), off); ok && m.Side%8 == 0 {
			d.Lines["idb"] = append(d.Lines["idb"], fmt.Sprintf("I%d.%d:%s:%s:%s", d.seed, i, g, "K"+g, m))
		}
	}
	hit := len(d.Lines["idb"]) > 0
	sub := hex.EncodeToString(b[60:70])
	d.line("ldb", hit, "NAME;Engine:81-255,Target:1,IconGroup1:%s;0;%s", g, sub)
	d.line("ldb", hit, "NAME;Engine:81-255,Target:1,IconGroup1:%s,IconGroup2:K%s;0;%s", g, g, sub)
	d.line("ldb", false, "NAME;Engine:81-255,Target:1,IconGroup1:%s,IconGroup2:none;0;%s", g, sub)
	return b
}

func (d *deriver) picture() []byte {
	m := goimage.NewGray(goimage.Rect(0, 0, 20+d.rng.IntN(200), 20+d.rng.IntN(200)))
	n, k := 1+d.rng.IntN(40), d.rng.IntN(256)
	for i := range m.Pix {
		x, y := i%m.Stride, i/m.Stride
		m.Pix[i] = uint8((x/n*k+y*y/n)%200 + d.rng.IntN(50)) // what repeats has a hash of chance
	}
	var b bytes.Buffer
	switch d.rng.IntN(3) {
	case 0:
		must(png.Encode(&b, m))
	case 1:
		must(jpeg.Encode(&b, m, nil))
		d.Carrier = "jpeg"
	default:
		p := goimage.NewPaletted(m.Rect, make(color.Palette, 256))
		for i := range p.Palette {
			p.Palette[i] = color.Gray{uint8(i)}
		}
		p.Pix = m.Pix
		must(gif.Encode(&b, p, nil))
	}
	hash, err := imagehash.Hash(b.Bytes(), func(int64) bool { return true })
	must(err)
	near := hash
	bits := d.rng.Perm(64)
	for _, i := range bits[:3] {
		near[i/8] ^= 1 << (i % 8)
	}
	d.line("ldb", true, "NAME;Engine:150-255,Target:0;0;fuzzy_img#%x", hash)
	d.line("ldb", true, "NAME;Engine:150-255,Target:5;0&1;fuzzy_img#%x#0;%x", hash, b.Bytes()[1:4])
	d.line("ldb", false, "NAME;Engine:150-255,Target:0;0;fuzzy_img#%x", near)
	for dist, hit := range map[int]bool{2: false, 3: true} {
		name := fmt.Sprintf("D%d.far.%d", d.seed, dist)
		d.Alone = append(d.Alone, fmt.Sprintf("%s;Engine:150-255,Target:0;0;fuzzy_img#%x#%d", name, near, dist))
		if hit {
			d.Own = append(d.Own, name+".UNOFFICIAL")
		}
	}
	return b.Bytes()
}

// handler makes data that one signature has read as a kind of file, for which there is another.
func (d *deriver) handler() []byte {
	kind := []struct{ typ, head, tail string }{{"PDF", "%PDF-1.4\n", "\n%%EOF\n"}, {"HTML", "<p>", "</p>"}, {"MSEXE", "", ""}}[d.rng.IntN(3)]
	target := map[string]int{"PDF": 10, "HTML": 3, "MSEXE": 1}[kind.typ]
	trigger, marker := d.word()+"trigger", d.word()+"marker"
	d.line("ldb", false, "NAME;Engine:51-255,HandlerType:CL_TYPE_%s,Target:0;0;%x", kind.typ, trigger)
	d.line("ldb", true, "NAME;Engine:51-255,Target:%d;0;%x", target, marker)
	d.line("ldb", false, "NAME;Engine:51-255,Target:12;0;%x", marker)
	d.Hits = append(d.Hits, fmt.Sprintf("D%d.ldb.0.UNOFFICIAL", d.seed))
	return []byte("\x8f\x93\x00\x01\x00\x01" + trigger + "\x00\x01" + kind.head + marker + kind.tail + string(d.canvas(40).data))
}

// unwanted makes data with signatures of what may be unwanted.
func (d *deriver) unwanted() []byte {
	c := d.canvas(300 + d.rng.IntN(2000))
	copy(c.data, "\x8f\x93\x00\x01")
	at := 10 + d.rng.IntN(len(c.data)-40)
	body := hex.EncodeToString(c.data[at : at+12])
	d.line("ndu", true, "NAME:0:%d:%s", at, body)
	d.line("ndu", false, "NAME:0:%d:%s", at+1, body)
	d.line("ldu", true, "NAME;Engine:51-255,Target:0;0&1;%s;%s", body[:12], body[12:])
	d.line("ldu", false, "NAME;Engine:51-255,Target:0;0&1=0;%s;%s", body[:12], body[12:])
	return c.data
}

// way makes data whose signatures ask for the containers around it.
func (d *deriver) way() []byte {
	b := append([]byte("\x8f\x93\x00\x01\x00\x01"), d.canvas(60).data...)
	marker := fmt.Sprintf("%s%d", d.word(), d.seed)
	b = append(b, marker...)
	b = append(b, d.canvas(30).data...)
	types := make([]string, 0, len(d.chain))
	for _, w := range d.chain {
		types = append(types, w.typ)
	}
	rule := func(hit bool, tdb string) {
		d.line("ldb", hit, "NAME;Engine:81-255,Target:0%s;0;%x", tdb, marker)
	}
	rule(true, "")
	if n := len(types); n == 0 {
		rule(true, ",Container:CL_TYPE_ANY")
		rule(false, ",Container:CL_TYPE_ZIP")
	} else {
		rule(true, ",Container:"+types[n-1])
		rule(true, ",Intermediates:"+strings.Join(types, ">"))
		rule(false, ",Intermediates:"+strings.Join(append(types[:n:n], "CL_TYPE_RAR"), ">"))
		rule(n > 1, ",Intermediates:CL_TYPE_ANY>"+types[n-1])
	}
	return b
}

// members makes a zip file, and signatures of what it says of its members.
func (d *deriver) members() []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	pick, n := d.rng.IntN(3), 3
	name := d.word() + ".bin"
	var real, crc uint32
	for i := range n {
		data := bytes.Repeat([]byte(d.word()), 10+d.rng.IntN(40))
		h := &zip.FileHeader{Name: d.word() + ".txt", Method: zip.Deflate}
		if i == pick {
			h.Name, real, crc = name, uint32(len(data)), crc32.ChecksumIEEE(data)
		}
		h.CRC32, h.UncompressedSize64 = crc32.ChecksumIEEE(data), uint64(len(data))
		var packed bytes.Buffer
		f, err := flate.NewWriter(&packed, 6)
		must(err)
		_, err = f.Write(data)
		must(errors.Join(err, f.Close()))
		h.CompressedSize64 = uint64(packed.Len())
		to, err := w.CreateRaw(h)
		must(err)
		_, err = to.Write(packed.Bytes())
		must(err)
	}
	must(w.Close())
	line := func(hit bool, fields string) { d.line("cdb", hit, "NAME:"+fields) }
	line(true, fmt.Sprintf("CL_TYPE_ZIP:*:^%s$:*:*:*:*:*:*", name[:5]+".*bin"))
	line(false, fmt.Sprintf("CL_TYPE_ZIP:*:^%s$:*:*:*:*:*:*", name[:5]))
	line(true, fmt.Sprintf("*:*:%s:*:%d:0:%d:*:*", name[:5], real, pick+1))
	line(false, fmt.Sprintf("*:*:%s:*:%d:0:%d:*:*", name[:5], real, pick+2))
	if len(d.chain) == 0 {
		line(true, fmt.Sprintf("CL_TYPE_ZIP:%d-%d:%s:*:%d-%d:*:*:%d:*", b.Len()-3, b.Len(), name[:5], real-2, real, crc))
		line(false, fmt.Sprintf("CL_TYPE_ZIP:%d-%d:%s:*:*:*:*:*:*", b.Len()+1, b.Len()+9, name[:5]))
	}
	line(false, fmt.Sprintf("CL_TYPE_ZIP:*:%s:*:*:1:*:*:*", name[:5]))
	return b.Bytes()
}
