package clamsig

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

// A container is a header of 512 bytes, padded with blanks,
//
//	ClamAV-VDB:time:version:signatures:level:md5:signature:builder:seconds
//
// and a tar archive, compressed with gzip or not. The MD5 digest of .cvd and
// .cud files is that of the archive as it stands; a .cld file is one that was
// patched where it lies, and keeps the header of what it was patched to.
const (
	headerSize   = 512
	headerMagic  = "ClamAV-VDB:"
	headerFields = 8
)

const (
	maxUnpacked  = 16 << 30 // bytes of all files in a container
	maxContainer = 1 << 30  // bytes of a container that comes from an io.Reader
	maxInfo      = 1 << 20  // bytes of an .info file
)

// container is a CVD, CLD or CUD file.
type container struct {
	name string
	kind string
	data io.ReaderAt
	size int64
	head header
}

type header struct {
	time    string
	version int
	sigs    int
	level   int
	md5     string // raw
	builder string
}

// parseHeader reads the fields of a header.
func parseHeader(b []byte) (h header, err error) {
	rest, ok := strings.CutPrefix(string(b), headerMagic)
	if !ok || len(b) < headerSize {
		return h, errors.New("header: no ClamAV database")
	}
	t := strings.Split(strings.TrimRight(rest, " \n\x00"), ":")
	if len(t) < headerFields-1 {
		return h, fmt.Errorf("header: %d fields, at least %d expected", len(t), headerFields-1)
	}
	h.time, h.builder = t[0], t[6]
	for i, to := range []*int{&h.version, &h.sigs, &h.level} {
		if *to, err = strconv.Atoi(t[i+1]); err != nil {
			return h, fmt.Errorf("header: field %d: %w", i+2, err)
		}
	}
	// The header within a container's .info file has "X" here.
	if raw, err := hex.DecodeString(t[4]); err == nil && len(raw) == md5.Size {
		h.md5 = string(raw)
	}
	return h, nil
}

// openContainer reads and proves the header.
func openContainer(name, kind string, data io.ReaderAt, size int64) (*container, error) {
	c := &container{name: name, kind: kind, data: data, size: size}
	b := make([]byte, headerSize)
	if _, err := data.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var err error
	if c.head, err = parseHeader(b); err != nil {
		return nil, err
	}
	if kind == "cld" {
		return c, c.prove()
	}
	sum := md5.New()
	if _, err := io.Copy(sum, c.payload()); err != nil {
		return nil, fmt.Errorf("contents: %w", err)
	}
	if string(sum.Sum(nil)) != c.head.md5 {
		return nil, errors.New("contents: MD5 digest is not that of the header")
	}
	return c, nil
}

// prove compares the members with the list in the .info file.
func (c *container) prove() error {
	var info string
	seen := map[string]string{}
	err := c.walk(func(name string, r io.Reader) error {
		sum := sha256.New()
		var list strings.Builder
		var to io.Writer = sum
		if strings.HasSuffix(name, ".info") {
			to, r = &list, io.LimitReader(r, maxInfo)
		}
		n, err := io.Copy(to, r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		info += list.String()
		seen[name] = fmt.Sprintf("%d:%x", n, sum.Sum(nil))
		return nil
	})
	if err != nil {
		return err
	}
	if info == "" {
		return errors.New("contents: no .info file")
	}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok || name == "DSIG" || strings.HasPrefix(line, headerMagic) {
			continue
		}
		if seen[name] != strings.ToLower(rest) {
			return fmt.Errorf("contents: %q is missing or not what the .info file says", clip(name))
		}
	}
	return nil
}

func (c *container) payload() *io.SectionReader {
	return io.NewSectionReader(c.data, headerSize, c.size-headerSize)
}

// official tells whether reported names stay without ".UNOFFICIAL".
func (c *container) official() bool { return c.kind != "cud" }

// walk calls do with each regular file, in order, under its base name.
func (c *container) walk(do func(name string, r io.Reader) error) error {
	in := bufio.NewReaderSize(c.payload(), readSize)
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
	for {
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

// readContainer reads a container that has no size of its own.
func readContainer(name, kind string, r io.Reader) (*container, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxContainer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxContainer {
		return nil, fmt.Errorf("container of more than %d bytes", maxContainer)
	}
	return openContainer(name, kind, bytes.NewReader(b), int64(len(b)))
}
