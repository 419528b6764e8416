package differ

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// member is a file in an archive, or what a stream unpacks to.
type member struct {
	name string // "" if it is not compared
	size int64
	sum  [sha256.Size]byte
}

// judge is how the members of files of some types are found by a tool.
type judge struct {
	format string   // of ours
	types  []string // of the file
	tool   string
	list   func(file string) ([]member, error)
}

// judges are all, but for those whose tool is not installed.
func judges(t *testing.T) (out []judge) {
	filter := func(format, types string, arg ...string) {
		out = append(out, judge{format, strings.Fields(types), arg[0], func(file string) ([]member, error) {
			m, err := digested(append(arg, file)...)
			return []member{m}, err
		}})
	}
	filter("gzip", "gzip", "gzip", "-dc")
	filter("bzip2", "bzip2", "bzip2", "-dc")
	filter("xz", "xz", "xz", "-dc")
	filter("lzma", "lzma", "xz", "-dc", "--format=lzma")
	filter("zstd", "zstd", "zstd", "-dcq")
	filter("lz4", "lz4", "lz4", "-dc")
	filter("lzip", "lzip", "lzip", "-dc")
	filter("compress", "compress", "uncompress", "-c")
	for format, types := range map[string]string{
		"tar": "tar tar-old", "cpio": "cpio-old cpio-odc cpio-newc cpio-crc", "zip": "zip ooxml-word ooxml-ppt ooxml-xl", "7z": "7z", "iso9660": "iso9660", "xar": "xar", "cab": "cab", "lha": "lha", "rar": "rar",
	} {
		out = append(out, judge{format, strings.Fields(types), "bsdtar", bsdtar})
	}
	out = append(out, judge{"tar", []string{"tar"}, "tar", piped("tar", "-xOf")}, judge{"ar", []string{"ar"}, "ar", ar}, judge{"zip", []string{"zip"}, "unzip", piped("unzip", "-p")}, judge{"7z", []string{"7z"}, "7z", piped("7z", "x", "-so")},
		judge{"cab", []string{"cab"}, "cabextract", piped("cabextract", "-q", "-p")},
		judge{"arj", []string{"arj"}, "7z", piped("7z", "x", "-so")}, judge{"lha", []string{"lha"}, "7z", piped("7z", "x", "-so")}, judge{"rpm", []string{"rpm"}, "rpm2cpio", rpm})
	have := out[:0]
	for _, j := range out {
		if _, err := exec.LookPath(j.tool); err == nil {
			have = append(have, j)
		} else {
			t.Logf("%s is not installed: %v are not compared by it", j.tool, j.types)
		}
	}
	return have
}

// nowhere is a folder for what tools write though they are asked to print. TestMain
// removes it.
var nowhere = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "differ-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := nowhere(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// command prepares a program whose answers are in English. It does not run in
// the folder of this package: an archive may come from anybody.
func command(arg ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(arg[0], arg[1:]...)
	dir, err := nowhere()
	if err != nil {
		c.Err = err
	}
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	errs := new(bytes.Buffer)
	c.Stderr = errs
	return c, errs
}

func digest(r io.Reader) (member, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	m := member{size: n}
	h.Sum(m.sum[:0])
	return m, err
}

// digested is what a program writes.
func digested(arg ...string) (m member, err error) {
	c, errs := command(arg...)
	out, err := c.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := c.Start(); err != nil {
		return m, err
	}
	m, err = digest(out)
	if werr := c.Wait(); werr != nil {
		err = fmt.Errorf("%w: %.200s", werr, errs)
	}
	return m, err
}

// isLink is the size of a symbolic link.
const isLink = -1

// whole is the name of a member that stands for all, joined in their order.
const whole = "(all)"

// piped is a program that writes all members to its output, joined.
func piped(arg ...string) func(string) ([]member, error) {
	return func(file string) ([]member, error) {
		m, err := digested(append(arg, file)...)
		m.name = whole
		return []member{m}, err
	}
}

// bsdtar has bsdtar turn an archive into a tar, and reads that.
func bsdtar(file string) (out []member, err error) {
	c, errs := command("bsdtar", "-cf", "-", "--format=pax", "@"+file)
	pipe, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	r := tar.NewReader(pipe)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.Process.Kill()
			c.Wait()
			return nil, fmt.Errorf("bsdtar's tar: %w: %.200s", err, errs)
		}
		if h.Typeflag == tar.TypeSymlink {
			out = append(out, member{name: clean(h.Name), size: isLink})
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		m, err := digest(r)
		if err != nil {
			return nil, err
		}
		m.name = clean(h.Name)
		if m.size > 0 {
			out = append(out, m)
		}
	}
	io.Copy(io.Discard, pipe)
	if err := c.Wait(); err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, errs)
	}
	return out, nil
}

// ar has ar list an archive, and cuts what it prints.
func ar(file string) (out []member, err error) {
	c, errs := command("ar", "tv", file)
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, errs)
	}
	c, errs = command("ar", "p", file)
	pipe, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		// mode, owner, size, month, day, time, year, name
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		size, _ := strconv.ParseInt(f[2], 10, 64)
		m, err := digest(io.LimitReader(pipe, size))
		if err != nil {
			return nil, err
		}
		m.name = clean(strings.Join(f[7:], " "))
		if m.size > 0 {
			out = append(out, m)
		}
	}
	if n, _ := io.Copy(io.Discard, pipe); n > 0 {
		err = fmt.Errorf("ar prints %d bytes more than it lists", n)
	}
	if werr := c.Wait(); werr != nil {
		err = fmt.Errorf("%w: %.200s", werr, errs)
	}
	return out, err
}

// rpm is the payload of a package, which rpm2cpio prints; here its stream is the child.
func rpm(file string) ([]member, error) {
	c, errs := command("rpm2cpio", file)
	want, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, errs)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, tool := range [][]string{{"zstd", "-dcq"}, {"xz", "-dc"}, {"gzip", "-dc"}, {"bzip2", "-dc"}, {"lzma", "-dc"}} {
		for _, magic := range []string{"\x28\xb5\x2f\xfd", "\xfd7zXZ", "\x1f\x8b\x08", "BZh", "\x5d\x00\x00"} {
			i := bytes.LastIndex(whole, []byte(magic))
			if i < 0 {
				continue
			}
			c, _ := command(tool...)
			c.Stdin = bytes.NewReader(whole[i:])
			if got, err := c.Output(); err == nil && bytes.Equal(got, want) {
				m, err := digest(bytes.NewReader(whole[i:]))
				return []member{m}, err
			}
		}
	}
	return nil, errors.New("the payload is not found in the package")
}

func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, "\\", "/")), "/")
}
