// Package cvd reads ClamAV's database containers (.cvd, .cld, .cud), proves
// where they come from, and patches them with .cdiff files.
//
// A container is a header of 512 bytes, padded with blanks,
//
//	ClamAV-VDB:time:version:signatures:level:md5:signature:builder:seconds
//
// and a tar archive, compressed with gzip or not. The MD5 digest of .cvd and
// .cud files is that of the archive as it stands, and the signature of a .cvd
// is one of that digest. A .cld file is one that was patched where it lies: it
// keeps the header of what it was patched to, and what proves it is the list of
// members in its .info file, which is signed too. ClamAV 1.5 adds a detached
// signature beside the container, NAME-VERSION.cvd.sign.
//
// Sources: ClamAV documentation, "CVD"; sigtool 1.4.6; bytecode.cvd of 2015.
package cvd

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	// HeaderSize is what the header takes in a file, bytes.
	HeaderSize  = 512
	headerMagic = "ClamAV-VDB:"
	readSize    = 256 << 10
	maxInfo     = 1 << 20  // bytes of an .info file
	maxUnpacked = 16 << 30 // bytes of all files in a container
	maxMembers  = 4096
)

// Header is the first line of a container, or of an .info file.
type Header struct {
	Time       string // when it was built, as written: "16 Sep 2021 08-32 -0400"
	Version    int
	Signatures int
	Level      int    // functionality level that it asks for
	MD5        string // raw; empty where there is none
	Signature  string // in ClamAV's digits; "X" or empty: none
	Builder    string
	Seconds    int64 // when it was built, Unix time; 0: not said
}

// ParseHeader reads a header, padded or not.
func ParseHeader(b []byte) (h Header, err error) {
	line, _, _ := strings.Cut(string(b), "\n")
	rest, ok := strings.CutPrefix(line, headerMagic)
	if !ok {
		return h, errors.New("header: no ClamAV database")
	}
	t := strings.Split(strings.TrimRight(rest, " \n\r\x00"), ":")
	if len(t) < 7 {
		return h, fmt.Errorf("header: %d fields, at least 7 expected", len(t))
	}
	h.Time, h.Signature, h.Builder = t[0], t[5], t[6]
	for i, to := range []*int{&h.Version, &h.Signatures, &h.Level} {
		if *to, err = strconv.Atoi(t[i+1]); err != nil || *to < 0 {
			return h, fmt.Errorf("header: field %d is no number", i+2)
		}
	}
	if raw, err := hex.DecodeString(t[4]); err == nil && len(raw) == md5.Size {
		h.MD5 = string(raw)
	}
	if len(t) > 7 {
		h.Seconds, _ = strconv.ParseInt(t[7], 10, 64)
	}
	return h, nil
}

// signed tells whether the header has a signature.
func (h *Header) signed() bool { return len(h.Signature) > 1 }

// pad is a header line as it stands in a container.
func pad(line string) []byte {
	return append([]byte(line), bytes.Repeat([]byte{' '}, max(HeaderSize-len(line), 0))...)
}

// File is an open container.
type File struct {
	Name   string // base name
	Kind   string // cvd, cld or cud
	Header Header
	// Proof says in words what shows where it comes from, once it was proven.
	Proof string

	data io.ReaderAt
	size int64
}

// Open reads the header of a container. Nothing is proven yet.
func Open(name, kind string, data io.ReaderAt, size int64) (*File, error) {
	f := &File{Name: name, Kind: kind, data: data, size: size}
	b := make([]byte, HeaderSize)
	if _, err := data.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var err error
	f.Header, err = ParseHeader(b)
	return f, err
}

// Size is the size of the file that was opened, bytes.
func (f *File) Size() int64 { return f.size }

// Reopen goes on with another descriptor of the same file.
func (f *File) Reopen(data io.ReaderAt) { f.data = data }

// SignName is the name of the file that holds the detached signature.
func (f *File) SignName() string {
	name, _, _ := strings.Cut(strings.TrimSuffix(f.Name, path.Ext(f.Name)), "-")
	return fmt.Sprintf("%s-%d.cvd.sign", name, f.Header.Version)
}

func (f *File) payload() *io.SectionReader {
	return io.NewSectionReader(f.data, HeaderSize, f.size-HeaderSize)
}

// Prove checks the digests of a container and its signatures. sign is the text
// of the detached signature, nil if there is none.
//
// A detached signature that is there must hold, where there are roots to hold it
// against. Without one, a .cvd needs the signature in its header, and a .cld the
// one in its .info file. Of a .cud only the digest is checked: nobody signs it.
func (f *File) Prove(t Trust, sign []byte) error {
	if f.Kind != "cld" {
		sum := md5.New()
		if _, err := io.Copy(sum, f.payload()); err != nil {
			return fmt.Errorf("contents: %w", err)
		}
		if string(sum.Sum(nil)) != f.Header.MD5 {
			return errors.New("contents: MD5 digest is not that of the header")
		}
	}
	if f.Kind == "cud" {
		f.Proof = "unsigned"
		return nil
	}
	detached := false
	if sign != nil && t.Roots != nil {
		who, err := VerifySign(t.Roots, sign, io.NewSectionReader(f.data, 0, f.size))
		if err != nil {
			return fmt.Errorf("%s: %w", f.SignName(), err)
		}
		detached, f.Proof = true, "detached signature of "+who
	}
	info, err := f.members()
	if err != nil {
		return err
	}
	if detached {
		return nil
	}
	if err = f.proveOld(t, info); err != nil && t.Unsigned {
		f.Proof, err = "unsigned ("+err.Error()+")", nil
	}
	return err
}

// proveOld checks the signatures inside of a container.
func (f *File) proveOld(t Trust, info string) error {
	if t.Detached {
		return fmt.Errorf("%w: %s is missing", ErrUnsigned, f.SignName())
	}
	if f.Kind == "cvd" {
		if !f.Header.signed() {
			return fmt.Errorf("header: %w", ErrUnsigned)
		}
		if !signsMD5(t.Container, [md5.Size]byte([]byte(f.Header.MD5)), f.Header.Signature) {
			return fmt.Errorf("header: %w", ErrSignature)
		}
		f.Proof = "signature in the header (RSA, MD5)"
	}
	list, text, ok := strings.Cut(info, "DSIG:")
	text, _, _ = strings.Cut(text, "\n")
	switch {
	case info == "": // of a .cvd, whose whole archive is signed
		return nil
	case !ok && f.Kind == "cvd":
		return nil
	case !ok:
		return fmt.Errorf(".info file: %w", ErrUnsigned)
	case !signsSHA256(t.Info, sha256.Sum256([]byte(list)), strings.TrimSpace(text)):
		return fmt.Errorf(".info file: %w", ErrSignature)
	case f.Kind == "cvd":
		f.Proof += " and of the list of members (RSA, SHA-256)"
	default:
		f.Proof = "signature of the list of members (RSA, SHA-256)"
	}
	// A list of another version proves the members and not the header.
	h, err := ParseHeader([]byte(list))
	if err != nil {
		return fmt.Errorf(".info file: %w", err)
	}
	if h.Version != f.Header.Version {
		return fmt.Errorf(".info file: it is of version %d, the header says %d", h.Version, f.Header.Version)
	}
	return nil
}

// members compares the members with the list in the .info file, which it
// returns; a .cvd or one that is taken as a whole may have none.
func (f *File) members() (info string, err error) {
	seen := map[string]string{}
	infos := 0
	err = f.Walk(func(name string, r io.Reader) error {
		sum := sha256.New()
		var list strings.Builder
		var to io.Writer = sum
		if strings.HasSuffix(name, ".info") {
			infos++
			to, r = &list, io.LimitReader(r, maxInfo)
		}
		n, err := io.Copy(to, r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if list.Len() > 0 {
			info = list.String()
		}
		if _, twice := seen[name]; twice {
			return fmt.Errorf("contents: %q is there twice", clip(name))
		}
		seen[name] = fmt.Sprintf("%d:%x", n, sum.Sum(nil))
		return nil
	})
	if err != nil {
		return "", err
	}
	if infos > 1 {
		return "", errors.New("contents: two .info files")
	}
	if info == "" {
		if f.Kind == "cld" {
			return "", errors.New("contents: no .info file")
		}
		return "", nil
	}
	listed := map[string]bool{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if name == "DSIG" {
			break // nothing after it is signed
		}
		if !ok || strings.HasPrefix(line, headerMagic) {
			continue
		}
		listed[name] = true
		if seen[name] != strings.ToLower(rest) {
			return "", fmt.Errorf("contents: %q is missing or not what the .info file says", clip(name))
		}
	}
	for name := range seen {
		if !listed[name] && name != "COPYING" && !strings.HasSuffix(name, ".info") && f.Kind == "cld" {
			return "", fmt.Errorf("contents: %q is not in the .info file", clip(name))
		}
	}
	return info, nil
}

// clip makes a name fit for a message.
func clip(s string) string { return s[:min(len(s), 64)] }

// Walk calls do with each regular file, in order, under its base name.
func (f *File) Walk(do func(name string, r io.Reader) error) error {
	in := bufio.NewReaderSize(f.payload(), readSize)
	var r io.Reader = in
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		z.Multistream(false)
		r = z
	}
	t := tar.NewReader(&bounded{r: r, left: maxUnpacked})
	for range maxMembers {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := do(path.Base(h.Name), t); err != nil {
			return err
		}
	}
	return fmt.Errorf("tar: more than %d members", maxMembers)
}

// bounded ends with an error, not an end of file, after so many bytes.
type bounded struct {
	r    io.Reader
	left int64
}

var errTooLarge = errors.New("container expands to too many bytes")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
