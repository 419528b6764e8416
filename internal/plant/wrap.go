package plant

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"mime/quotedprintable"
	"os/exec"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// wrapper is one way to put a file in a container.
type wrapper struct {
	name string
	typ  string // ClamAV's name of the container's type
	peer bool   // clamscan 1.4.6 opens it
	wrap func(g *gen, b []byte) []byte
}

// wrappers lists them. Those made by a tool are left out where there is none.
func wrappers() []wrapper {
	out := []wrapper{
		{"zip.deflate", "CL_TYPE_ZIP", true, zipWith(zip.Deflate, flate.DefaultCompression, false)},
		{"zip.deflate.plain", "CL_TYPE_ZIP", true, zipWith(zip.Deflate, flate.BestSpeed, true)},
		{"zip.stored", "CL_TYPE_ZIP", true, zipWith(zip.Store, 0, true)},
		{"zip.stored.descriptor", "CL_TYPE_ZIP", true, zipWith(zip.Store, 0, false)},
		{"zip.deflate64", "CL_TYPE_ZIP", true, zipWith(9, flate.HuffmanOnly, true)},
		{"zip.zstd", "CL_TYPE_ZIP", false, zipWith(zstd.ZipMethodWinZip, 0, true)},
		{"gzip", "CL_TYPE_GZ", true, gzipped(1)},
		{"gzip.members", "CL_TYPE_GZ", true, gzipped(3)},
		{"xz", "CL_TYPE_XZ", true, xzed},
		{"tar.ustar", "CL_TYPE_POSIX_TAR", true, tarred(tar.FormatUSTAR)},
		{"tar.gnu", "CL_TYPE_POSIX_TAR", true, tarred(tar.FormatGNU)},
		{"tar.pax", "CL_TYPE_POSIX_TAR", true, tarred(tar.FormatPAX)},
		{"tar.v7", "CL_TYPE_OLD_TAR", true, tarV7},
		{"cpio.odc", "CL_TYPE_CPIO_ODC", true, cpio("070707")},
		{"cpio.newc", "CL_TYPE_CPIO_NEWC", true, cpio("070701")},
		{"cpio.crc", "CL_TYPE_CPIO_CRC", true, cpio("070702")},
		{"cpio.old", "CL_TYPE_CPIO_OLD", true, cpioOld},
		{"mail.base64", "CL_TYPE_MAIL", true, mail("base64", true)},
		{"mail.base64.single", "CL_TYPE_MAIL", true, mail("base64", false)},
		{"mail.quoted-printable", "CL_TYPE_MAIL", true, mail("quoted-printable", true)},
		{"mail.uuencode", "CL_TYPE_MAIL", true, mail("x-uuencode", true)},
		{"mbox", "CL_TYPE_MAIL", true, mbox},
		{"uuencode", "CL_TYPE_UUENCODED", true, func(g *gen, b []byte) []byte { return uuencode(b) }},
		{"ar", "CL_TYPE_BINARY_DATA", false, ar},
		{"zstd", "CL_TYPE_BINARY_DATA", false, zstded},
		{"lz4", "CL_TYPE_BINARY_DATA", false, lz4ed},
		{"lzma", "CL_TYPE_BINARY_DATA", false, lzmaed},
	}
	if _, err := exec.LookPath("bzip2"); err == nil {
		out = append(out, wrapper{"bzip2", "CL_TYPE_BZ", true, func(g *gen, b []byte) []byte { return bzip2(b) }},
			wrapper{"zip.bzip2", "CL_TYPE_ZIP", true, zipWith(12, 0, true)})
	}
	return out
}

// chain chooses the containers, outermost first: those that the guard asks
// for, or none, one or two.
func (g *gen) chain() (out []*wrapper, err error) {
	all := wrappers()
	pick := func(typ string) error {
		var fit []*wrapper
		for i := range all {
			if typ == "" || all[i].typ == typ {
				fit = append(fit, &all[i])
			}
		}
		if len(fit) == 0 {
			return NoContainer
		}
		out = append(out, fit[g.rng.IntN(len(fit))])
		return nil
	}
	const anyType = "CL_TYPE_ANY"
	guard := &g.r.Guard
	want := slices.Clone(guard.Intermediates)
	if c := guard.Container; c == anyType {
		return nil, nil
	} else if c != "" && len(want) == 0 {
		want = []string{c}
	}
	named := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == anyType })
	// CL_TYPE_ANY asks for one more container, wherever it stands.
	for _, typ := range append(make([]string, len(want)-len(named)), named...) {
		if err := pick(typ); err != nil {
			return nil, err
		}
	}
	if len(want) > 0 {
		if g.chance(1, 3) {
			w := all[g.rng.IntN(len(all))]
			out = append([]*wrapper{&w}, out...)
		}
		return out, nil
	}
	switch g.rng.IntN(8) {
	case 0, 1, 2:
		err = pick("")
	case 3:
		if err = pick(""); err == nil {
			err = pick("")
		}
	}
	return out, err
}

// must panics on an error of a writer to memory, which cannot be.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// zipWith writes a zip file of three members, ours at a random place. A plain
// one has sizes in its local headers, the others a data descriptor.
func zipWith(method uint16, level int, plain bool) func(*gen, []byte) []byte {
	return func(g *gen, b []byte) []byte {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		compress := func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) }
		switch method {
		case zip.Deflate, 9:
			z.RegisterCompressor(method, compress)
		case zstd.ZipMethodWinZip:
			z.RegisterCompressor(method, zstd.ZipCompressor())
		case 12:
			z.RegisterCompressor(method, func(w io.Writer) (io.WriteCloser, error) { return &toolWriter{w: w}, nil })
		}
		ours := g.rng.IntN(3)
		for i := range 3 {
			data, h := []byte("another member\n"), &zip.FileHeader{Name: fmt.Sprintf("dir/member%d.txt", i), Method: zip.Store}
			if i == ours {
				data, h.Name, h.Method = b, "planted.bin", method
			}
			if !plain {
				w, err := z.CreateHeader(h)
				must(err)
				_, err = w.Write(data)
				must(err)
				continue
			}
			packed := packOne(h, data, compress)
			w, err := z.CreateRaw(h)
			must(err)
			_, err = w.Write(packed)
			must(err)
		}
		must(z.Close())
		return buf.Bytes()
	}
}

// packOne compresses data as the header says and fills in its sums.
func packOne(h *zip.FileHeader, data []byte, deflate func(io.Writer) (io.WriteCloser, error)) []byte {
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch h.Method {
	case zip.Store:
		buf.Write(data)
	case zstd.ZipMethodWinZip:
		w, err = zstd.ZipCompressor()(&buf)
	case 12:
		w = &toolWriter{w: &buf}
	default:
		w, err = deflate(&buf)
	}
	must(err)
	if w != nil {
		_, err = w.Write(data)
		must(err)
		must(w.Close())
	}
	h.CRC32, h.UncompressedSize64, h.CompressedSize64 = crc32.ChecksumIEEE(data), uint64(len(data)), uint64(buf.Len())
	return buf.Bytes()
}

// toolWriter compresses with the system's bzip2 when it is closed.
type toolWriter struct {
	w io.Writer
	b bytes.Buffer
}

func (t *toolWriter) Write(p []byte) (int, error) { return t.b.Write(p) }

func (t *toolWriter) Close() error {
	_, err := t.w.Write(bzip2(t.b.Bytes()))
	return err
}

func bzip2(b []byte) []byte {
	c := exec.Command("bzip2", "-c")
	c.Stdin = bytes.NewReader(b)
	out, err := c.Output()
	must(err)
	return out
}

func gzipped(members int) func(*gen, []byte) []byte {
	return func(g *gen, b []byte) []byte {
		var buf bytes.Buffer
		for i := range members {
			z := gzip.NewWriter(&buf)
			z.Name = "planted"
			from, to := len(b)*i/members, len(b)*(i+1)/members
			_, err := z.Write(b[from:to])
			must(err)
			must(z.Close())
		}
		return buf.Bytes()
	}
}

func through(w io.WriteCloser, err error, b []byte) {
	must(err)
	_, err = w.Write(b)
	must(err)
	must(w.Close())
}

func xzed(g *gen, b []byte) []byte {
	var buf bytes.Buffer
	w, err := xz.NewWriter(&buf)
	through(w, err, b)
	return buf.Bytes()
}

func lzmaed(g *gen, b []byte) []byte {
	var buf bytes.Buffer
	w, err := lzma.NewWriter(&buf)
	through(w, err, b)
	return buf.Bytes()
}

func zstded(g *gen, b []byte) []byte {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1))
	through(w, err, b)
	return buf.Bytes()
}

func lz4ed(g *gen, b []byte) []byte {
	var buf bytes.Buffer
	through(lz4.NewWriter(&buf), nil, b)
	return buf.Bytes()
}

func tarred(f tar.Format) func(*gen, []byte) []byte {
	return func(g *gen, b []byte) []byte {
		var buf bytes.Buffer
		t := tar.NewWriter(&buf)
		name := "dir/planted.bin"
		if f != tar.FormatUSTAR {
			name = strings.Repeat("long/", 30) + name
		}
		for _, m := range []struct {
			name string
			data []byte
		}{{"first.txt", []byte("first member\n")}, {name, b}, {"last.txt", []byte("last member\n")}} {
			must(t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: 0o644, Size: int64(len(m.data)), Format: f}))
			_, err := t.Write(m.data)
			must(err)
		}
		must(t.Close())
		return buf.Bytes()
	}
}

// tarV7 writes the format before ustar: no magic, no type.
func tarV7(g *gen, b []byte) []byte {
	var out []byte
	for _, m := range []struct {
		name string
		data []byte
	}{{"first.txt", []byte("first member\n")}, {"planted.bin", b}} {
		h := make([]byte, 512)
		copy(h, m.name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00        ", len(m.data), 1700000000))
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		out = append(append(out, h...), m.data...)
		out = append(out, make([]byte, -len(m.data)&511)...)
	}
	return append(out, make([]byte, 1024)...)
}

// cpio writes one of the formats with numbers in ASCII.
func cpio(magic string) func(*gen, []byte) []byte {
	return func(g *gen, b []byte) []byte {
		var out []byte
		add := func(name string, data []byte, mode int) {
			name += "\x00"
			if magic == "070707" {
				out = fmt.Appendf(out, "%s%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s%s", magic, 1, 7, mode, 0, 0, 1, 0, 1700000000, len(name), len(data), name, data)
				return
			}
			sum := uint32(0)
			if magic == "070702" {
				for _, c := range data {
					sum += uint32(c)
				}
			}
			out = fmt.Appendf(out, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s", magic, 7, mode, 0, 0, 1, 1700000000, len(data), 0, 0, 0, 0, len(name), sum, name)
			out = append(pad4(out), data...)
			out = pad4(out)
		}
		add("first.txt", []byte("first member\n"), 0o100644)
		add("planted.bin", b, 0o100644)
		add("TRAILER!!!", nil, 0)
		return append(out, make([]byte, -len(out)&511)...)
	}
}

// cpioOld writes the binary format, little-endian.
func cpioOld(g *gen, b []byte) []byte {
	var out []byte
	add := func(name string, data []byte, mode uint16) {
		name += "\x00"
		size := uint32(len(data))
		for _, v := range []uint16{0o70707, 1, 7, mode, 0, 0, 1, 0, 0x6553, 0xf100, uint16(len(name)), uint16(size >> 16), uint16(size)} {
			out = le.AppendUint16(out, v)
		}
		out = append(out, name...)
		out = append(out, make([]byte, len(out)&1)...)
		out = append(out, data...)
		out = append(out, make([]byte, len(out)&1)...)
	}
	add("first.txt", []byte("first member\n"), 0o100644)
	add("planted.bin", b, 0o100644)
	add("TRAILER!!!", nil, 0)
	return append(out, make([]byte, -len(out)&511)...)
}

func ar(g *gen, b []byte) []byte {
	out := []byte("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"first.txt/", []byte("first member\n")}, {"planted.bin/", b}} {
		out = fmt.Appendf(out, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", m.name, 0, 0, 0, 0o100644, len(m.data), m.data)
		if len(m.data)%2 == 1 {
			out = append(out, '\n')
		}
	}
	return out
}

func uuencode(b []byte) []byte {
	out := []byte("begin 644 planted.bin\n")
	enc := func(v byte) byte {
		if v == 0 {
			return '`'
		}
		return v + 32
	}
	for len(b) > 0 {
		n := min(len(b), 45)
		line := append(slices.Clone(b[:n]), 0, 0)
		b = b[n:]
		out = append(out, enc(byte(n)))
		for i := 0; i < n; i += 3 {
			v := binary.BigEndian.Uint32([]byte{0, line[i], line[i+1], line[i+2]})
			out = append(out, enc(byte(v>>18&63)), enc(byte(v>>12&63)), enc(byte(v>>6&63)), enc(byte(v&63)))
		}
		out = append(out, '\n')
	}
	return append(out, "`\nend\n"...)
}

// encode writes b in a transfer encoding of mail.
func encode(b []byte, how string) []byte {
	var buf bytes.Buffer
	switch how {
	case "base64":
		s := base64.StdEncoding.EncodeToString(b)
		for len(s) > 76 {
			buf.WriteString(s[:76] + "\n")
			s = s[76:]
		}
		buf.WriteString(s + "\n")
	case "quoted-printable":
		w := quotedprintable.NewWriter(&buf)
		w.Binary = true
		through(w, nil, b)
	default:
		buf.Write(uuencode(b))
	}
	return buf.Bytes()
}

// mail writes a message whose second part, or whole body, is the file.
func mail(how string, multi bool) func(*gen, []byte) []byte {
	return func(g *gen, b []byte) []byte {
		const head = "From: a@example.org\nTo: b@example.org\nSubject: words\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMIME-Version: 1.0\n"
		part := "Content-Type: application/octet-stream; name=\"planted.bin\"\nContent-Transfer-Encoding: " + how +
			"\nContent-Disposition: attachment; filename=\"planted.bin\"\n\n" + string(encode(b, how))
		if !multi {
			return []byte(head + part)
		}
		return []byte(head + "Content-Type: multipart/mixed; boundary=\"=_cut\"\n\nThe first part.\n--=_cut\nContent-Type: text/plain\n\nsome words\n--=_cut\n" +
			part + "\n--=_cut--\n")
	}
}

// mbox writes a mailbox of two messages.
func mbox(g *gen, b []byte) []byte {
	const line = "From a@example.org Mon Jan  1 00:00:00 2024\n"
	return []byte(line + "From: a@example.org\nSubject: first\n\nsome words\n\n" + line + string(mail("base64", true)(g, b)) + "\n")
}
