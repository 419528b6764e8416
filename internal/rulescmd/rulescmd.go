// Package rulescmd are the commands about ClamAV's signatures: what one says, why
// it hits, what is in a container, what an update changed, a signature for
// samples, and YARA rules of signatures.
package rulescmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/internal/jail"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	// FlagError makes an error about flags useful.
	FlagError func(c *cobra.Command, err error) error
	// Nothing is the error that ends the program where nothing is found.
	Nothing error
	// Generation is where a generation of the rules in a folder ("": the usual one) is kept; nil: nowhere.
	Generation func(dir string, n int64) (string, error)
}

// Commands are those below "rules".
func (h Host) Commands() []*cobra.Command {
	all := []*cobra.Command{h.decode(), h.unpack(), h.diff(), h.propose(), h.toYARA()}
	for _, c := range all {
		c.SetFlagErrorFunc(h.FlagError)
	}
	return all
}

// noNetwork gives up the means to reach one: what is read was made by others.
func noNetwork() error {
	if err := jail.Broker(); err != nil && !errors.Is(err, jail.ErrUnsupported) {
		return err
	}
	return nil
}

// maxLine is the longest line that is read, bytes.
const maxLine = 1 << 20

// IsSignature tells whether an argument is a ClamAV signature, or a file of them
// rather than of YARA rules.
func IsSignature(arg string) bool {
	if arg == "-" {
		return false
	}
	if _, err := os.Lstat(arg); err == nil {
		kind, ok := clamsig.Classify(arg)
		return ok && !strings.HasPrefix(kind, "yar")
	}
	return guess(arg) != ""
}

// each calls do with each signature of an argument: a line, a file of lines, a
// container, or - for standard input. The kind is that of the file, or kind.
func each(arg, kind string, stdin io.Reader, do func(where, kind, line string) error) error {
	if arg == "-" {
		return lines(stdin, "", kind, do)
	}
	f, err := os.Open(arg)
	if err != nil {
		if kind == "" && guess(arg) == "" {
			return fmt.Errorf("%s: no file, and no signature", showcause.Escape(arg))
		}
		return do("", kind, arg)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", showcause.Escape(arg))
	}
	ext, _ := clamsig.Classify(arg)
	switch ext {
	case "cvd", "cld", "cud":
		c, err := cvd.Open(filepath.Base(arg), ext, f, st.Size())
		if err != nil {
			return err
		}
		return c.Walk(func(name string, r io.Reader) error {
			k, _ := clamsig.Classify(name)
			if !textual(k) {
				return nil
			}
			return lines(r, filepath.Base(arg)+"/"+name, k, do)
		})
	}
	if kind == "" && textual(ext) {
		kind = ext
	}
	return lines(f, filepath.Base(arg), kind, do)
}

// textual tells the kinds that parse takes.
func textual(kind string) bool {
	switch kind {
	case "ldb", "ldu", "ndb", "ndu", "sdb", "hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "imp", "fp", "sfp":
		return true
	}
	_, ok := linesOf(kind)
	return ok
}

func lines(r io.Reader, name, kind string, do func(where, kind, line string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimRight(s.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := do(fmt.Sprintf("%s:%d: ", name, n), kind, line); err != nil {
			return err
		}
	}
	return s.Err()
}

func (h Host) decode() *cobra.Command {
	var kind string
	c := &cobra.Command{
		Use:   "decode SIGNATURE|FILE|-",
		Short: "Say in words what a ClamAV signature asks for",
		Long: `Say in words what ClamAV signatures ask for: a line as an argument, the lines of
a file or of a container, or of standard input. What this build cannot apply is said too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			failed := 0
			err := each(args[0], kind, c.InOrStdin(), func(where, kind, line string) error {
				s, err := parse(line, kind)
				if err == nil {
					err = describe(c.OutOrStdout(), s)
				}
				if err != nil {
					failed++
					fmt.Fprintf(c.ErrOrStderr(), "showcause: %s%s\n", showcause.Escape(where), showcause.Escape(err.Error()))
				}
				return nil
			})
			if err == nil && failed > 0 {
				err = fmt.Errorf("rules decode: %d not taken apart", failed)
			}
			return err
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "the kind of the signature (ldb, ndb, hdb, mdb ...), where its look does not tell")
	return c
}

func (h Host) unpack() *cobra.Command {
	var out, certs string
	var unsigned bool
	c := &cobra.Command{
		Use:   "unpack CONTAINER [-o DIR]",
		Short: "Prove a ClamAV container (.cvd, .cld, .cud), list what is in it, and take it out",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			t := cvd.Official()
			t.Unsigned = unsigned
			var err error
			if certs != "" {
				if t.Roots, err = cvd.LoadRoots(certs); err != nil {
					return err
				}
			}
			if err := noNetwork(); err != nil {
				return err
			}
			return unpack(c.OutOrStdout(), args[0], out, t)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "write the members into this folder, which is made; none there is replaced")
	c.Flags().BoolVar(&unsigned, "unsigned", false, "take one without a signature that holds")
	c.Flags().StringVar(&certs, "certs", "", "hold the detached signature (.sign) against the certificates in this folder")
	return c
}

// unpack lists a container's members, and writes them.
func unpack(w io.Writer, path, out string, t cvd.Trust) error {
	kind, _ := clamsig.Classify(path)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	c, err := cvd.Open(filepath.Base(path), kind, f, st.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", showcause.Escape(path), err)
	}
	var sign []byte
	if t.Roots != nil {
		if sign, err = os.ReadFile(filepath.Join(filepath.Dir(path), c.SignName())); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := c.Prove(t, sign); err != nil {
		return fmt.Errorf("%s: %w", showcause.Escape(path), err)
	}
	h := c.Header
	fmt.Fprintf(w, "version %d of %s, %d signatures, for level %d and up, built by %s\n%s\n", h.Version, showcause.Escape(h.Time), h.Signatures, h.Level, showcause.Escape(h.Builder), showcause.Escape(c.Proof))
	var to *os.Root
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		if to, err = os.OpenRoot(out); err != nil {
			return err
		}
		defer to.Close()
	}
	return c.Walk(func(name string, r io.Reader) error {
		var dst io.Writer = io.Discard
		if to != nil {
			f, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return err
			}
			defer f.Close()
			dst = f
		}
		n, err := io.Copy(dst, r)
		fmt.Fprintf(w, "%12d  %s\n", n, showcause.Escape(name))
		return err
	})
}
