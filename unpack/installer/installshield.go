package installer

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	opShieldStored = "installshield.stored"
	opShieldZlib   = "installshield.deflate"
	certificate    = "\x00\x02\x02\x00" // the version and type of a signature, which may stand last
	shieldPacker   = showcause.Unsupported + ".packer.installshield"
)

// InstallShield is the format of its installers in one program (the vendor tells nothing; the layouts are those of
// ClamAV's ishield.c). Behind the image stand, in those for the Windows installer,
//
//	"InstallShield" and a zero, files u16, 0; 14 zeros in all
//	of each file: name [260], flags u32, u32, size in here u64, 36 bytes; a stream of zlib, whose bytes have
//	their halves exchanged and are exclusive-or'ed with the name
//
// and in others files as they are, each behind four texts that end in a zero: name, path, version, length. Of
// these data1.hdr is the directory of data1.cab, data2.cab and so on.
func InstallShield(imageEnd func(showcause.Source) int64) unpack.Format {
	return unpack.Format{
		Name: "installshield",
		Match: func(p *unpack.Probe) bool {
			return p.Type == filetype.PE && shieldAt(p.Source, imageEnd(p.Source)) != nil
		},
		Walk: func(l showcause.Source, out *unpack.Out) {
			if walk := shieldAt(l, imageEnd(l)); walk != nil {
				walk(l, out)
			}
		},
	}
}

// shieldAt finds what stands behind an image, nil if it is none of these.
func shieldAt(src showcause.Source, end int64) func(showcause.Source, *unpack.Out) {
	if end <= 0 {
		return nil
	}
	b, _ := bound.ReadAt(src, end, min(4096, src.Size()-end), 4096)
	if i := bytes.Index(b, []byte("InstallShield\x00")); i >= 0 {
		return func(l showcause.Source, out *unpack.Out) { walkShieldMSI(l, end+int64(i)+14, out) }
	}
	if f := shieldFile(src, end); f.data > 0 {
		return func(l showcause.Source, out *unpack.Out) { walkShieldFiles(l, end, out) }
	}
	return nil
}

// walkShieldMSI reads the files behind the mark.
func walkShieldMSI(l showcause.Source, at int64, out *unpack.Out) {
	const header, each = 0x20, 0x104 + 52
	h, _ := bound.ReadAt(l, at, header, header)
	if len(h) < header {
		out.Gap(showcause.Corrupt, l.Size(), -1)
		return
	}
	if len(bytes.Trim(h[8:], "\x00")) > 0 {
		out.Gap(shieldPacker, at, -1)
		return
	}
	at += header
	for range le.Uint32(h) {
		b, _ := bound.ReadAt(l, at, each, each)
		if !out.Work(64) {
			return
		}
		if len(b) < each {
			out.Gap(showcause.Corrupt, at, -1)
			return
		}
		name, _, _ := bytes.Cut(b[:0x104], []byte{0})
		n := int64(le.Uint64(b[0x104+8:]))
		at += each
		if len(name) == 0 || n < 0 {
			out.Gap(shieldPacker, at-each, -1)
			return
		}
		have := min(n, max(l.Size()-at, 0))
		r := &shieldReader{r: io.NewSectionReader(l, at, have), name: name}
		if !out.Work(have/8) || !out.Child(unpack.Child{Name: string(name), Op: opShieldZlib, Reader: r, Size: -1}) {
			return
		}
		if have < n {
			out.Gap(showcause.Corrupt, l.Size(), -1)
			return
		}
		at += n
	}
}

// shieldReader undoes what is over a stream of zlib: the key begins anew every 1,024 bytes.
type shieldReader struct {
	r    io.Reader
	name []byte
	n    int
	z    io.Reader
	err  error
}

func (s *shieldReader) Read(p []byte) (int, error) {
	if s.z == nil && s.err == nil {
		s.z, s.err = zlib.NewReader(shieldBytes{s})
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.z.Read(p)
}

type shieldBytes struct{ s *shieldReader }

func (b shieldBytes) Read(p []byte) (int, error) {
	n, err := b.s.r.Read(p)
	for i, c := range p[:n] {
		k := (b.s.n & 1023) % len(b.s.name)
		p[i] = c>>4 ^ c<<4 ^ b.s.name[k] ^ "\xec\xca\x79\xf8"[k&3]
		b.s.n++
	}
	return n, err
}

// shield is a file as it is; data is 0 if there is none.
type shield struct {
	name       string
	data, size int64
}

// shieldFile reads the texts in front of a file.
func shieldFile(src showcause.Source, at int64) (f shield) {
	b, _ := bound.ReadAt(src, at, min(8192, src.Size()-at), 8192)
	parts := bytes.SplitN(b, []byte{0}, 5)
	if len(parts) < 5 || len(parts[0]) == 0 || len(parts[1]) == 0 || !bytes.HasSuffix(parts[1], parts[0]) {
		return f
	}
	n, err := strconv.ParseInt(string(parts[3]), 10, 62)
	if err != nil || n < 0 || strings.Trim(string(parts[2]), "0123456789.") != "" {
		return f
	}
	return shield{string(parts[0]), at + int64(len(b)-len(parts[4])), n}
}

func walkShieldFiles(l showcause.Source, at int64, out *unpack.Out) {
	var header shield
	cabs := map[int]shield{}
	for f := shieldFile(l, at); out.Work(64); f = shieldFile(l, at) {
		if f.data == 0 {
			if b, _ := bound.ReadAt(l, at, 8, 8); len(b) > 0 && string(b[min(len(b), 4):]) != certificate {
				out.Gap(shieldPacker, at, -1)
			}
			break
		}
		n := min(f.size, l.Size()-f.data)
		at = f.data + n
		if n < f.size {
			out.Gap(showcause.Corrupt, l.Size(), -1)
		}
		name := strings.ToLower(f.name)
		f.size = n
		if k, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "data"), ".cab")); err == nil {
			cabs[k] = f
			continue
		}
		if strings.HasPrefix(name, "data1") && path.Ext(name) == ".hdr" && header.size == 0 {
			header = f
			continue
		}
		if n > 0 && !out.Section(l, opShieldStored, f.name, f.data, n) {
			return
		}
	}
	if header.size > 0 && walkShieldCab(l, header, cabs, out) {
		return // all that the cabinets hold
	}
	cabs[-1] = header
	for _, k := range slices.Sorted(maps.Keys(cabs)) {
		if cabs[k].size > 0 && !out.Section(l, opShieldStored, cabs[k].name, cabs[k].data, cabs[k].size) {
			return
		}
	}
}

// walkShieldCab reads the directory of InstallShield's own cabinets: "ISc(", version, the place of
//
//	12 the folders u32, 28 how many u32, 40 files u32, 44 bytes of the list of folders u32
//
// where behind the list stand the files: flags u16, size u64, size in here u64, offset u64, MD5 [16], 16 bytes,
// name u32, folder u16, 20 bytes, twin u8, number of the cabinet u16. Texts are counted from the list. Bytes are pieces of
// bare deflate, each with its length u16 in front.
func walkShieldCab(l showcause.Source, header shield, cabs map[int]shield, out *unpack.Out) (whole bool) {
	const each, inside, twin = 87, 4, 1
	in := bound.Section(l, header.data, header.size)
	h, _ := bound.ReadAt(in, 0, 20, 20)
	if len(h) < 20 || string(h[:4]) != "ISc(" {
		out.Gap(shieldPacker, header.data, header.size)
		return false
	}
	base := int64(le.Uint32(h[12:]))
	o, _ := bound.ReadAt(in, base, 48, 48)
	if len(o) < 48 {
		out.Gap(showcause.Corrupt, header.data, header.size)
		return false
	}
	folders := base + int64(le.Uint32(o[12:]))
	at := folders + int64(le.Uint32(o[44:]))
	whole = true
	for range le.Uint32(o[40:]) {
		b, _ := bound.ReadAt(in, at, each, each)
		at += each
		if !out.Work(64) {
			return false
		}
		if len(b) < each {
			out.Gap(showcause.Corrupt, header.data+at-each, -1)
			return false
		}
		size, packed, off := int64(le.Uint64(b[2:])), int64(le.Uint64(b[10:])), int64(le.Uint64(b[18:]))
		if le.Uint16(b) == 0 || b[84]&twin != 0 || size == 0 { // it stands elsewhere, or nowhere
			continue
		}
		name := shieldText(in, folders+int64(le.Uint32(b[58:])))
		if f, _ := bound.ReadAt(in, folders+4*int64(le.Uint16(b[62:])), 4, 4); len(f) == 4 {
			name = path.Join(strings.ReplaceAll(shieldText(in, folders+int64(le.Uint32(f))), "\\", "/"), name)
		}
		c := unpack.Child{Name: name, Op: opShieldZlib, Size: size}
		cab, ok := cabs[int(le.Uint16(b[85:]))]
		if le.Uint16(b) != inside || !ok || !bound.In(off, packed, cab.size) {
			if whole = false; !out.ChildGap(c, shieldPacker) {
				return false
			}
			continue
		}
		c.Reader = &shieldPieces{src: bound.Section(l, cab.data+off, packed)}
		if !out.Child(c) {
			return false
		}
	}
	return whole
}

// shieldText is a text that ends in a zero.
func shieldText(src showcause.Source, at int64) string {
	if at < 0 || at >= src.Size() {
		return ""
	}
	b, _ := bound.ReadAt(src, at, min(1024, src.Size()-at), 1024)
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// shieldPieces decodes pieces of bare deflate.
type shieldPieces struct {
	src showcause.Source
	at  int64
	in  io.Reader
}

func (s *shieldPieces) Read(p []byte) (int, error) {
	for {
		if s.in != nil {
			n, err := s.in.Read(p)
			if err == io.EOF {
				s.in, err = nil, nil
			}
			if n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if s.at >= s.src.Size() {
			return 0, io.EOF
		}
		b, _ := bound.ReadAt(s.src, s.at, 2, 2)
		if len(b) < 2 || !bound.In(s.at+2, int64(le.Uint16(b)), s.src.Size()) {
			return 0, io.ErrUnexpectedEOF
		}
		n := int64(le.Uint16(b))
		if n > 0 {
			s.in = flate.NewReader(io.NewSectionReader(s.src, s.at+2, n))
		}
		s.at += 2 + n
	}
}
