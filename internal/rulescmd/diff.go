package rulescmd

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/rule"
)

// id is a signature's place among those of a database: the kind of its file, and
// its name; of a file that is one signature, its name.
type id struct{ kind, name string }

// content are the signatures of a database: of each name the digests of its
// texts, since names occur more than once.
type content map[id]map[[16]byte]int

func (h Host) diff() *cobra.Command {
	var summary bool
	var dir string
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say which signatures an update added, changed and took away",
		Long: `Say which signatures differ between two databases: files of signatures, containers
(.cvd, .cld, .cud), or folders of both; or two numbers, of generations that "rules history"
names (the last five are kept). Of a signed release the stages of its rules are compared too. In a line: + added, - taken away, ~ changed;
the kind, and the name.

Exit codes: 0 the same, 1 they differ, 2 trouble.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noNetwork(); err != nil {
				return err
			}
			var both [2]content
			for i, a := range args {
				if n, err := strconv.ParseInt(a, 10, 64); err == nil && h.Generation != nil {
					if _, lerr := os.Lstat(a); lerr == nil {
						return fmt.Errorf("%s is a file here, and a generation: say ./%s for the file", a, a)
					}
					if a, err = h.Generation(dir, n); err != nil {
						return err
					}
				}
				both[i] = content{}
				if err := both[i].add(a); err != nil {
					return fmt.Errorf("%s: %w", showcause.Escape(a), err)
				}
			}
			if differ(c.OutOrStdout(), both[0], both[1], summary) {
				return h.Nothing
			}
			return nil
		},
	}
	c.Flags().BoolVar(&summary, "summary", false, "the numbers alone")
	c.Flags().StringVarP(&dir, "output", "o", "", "the folder of the rules that an update keeps, for generations (default: rules beside the ledger)")
	return c
}

// add reads a database.
func (c content) add(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		n := 0
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), rule.StagesEnd) && e.Type().IsRegular() {
				if err := c.stages(filepath.Join(path, e.Name())); err != nil {
					return err
				}
			}
			if _, ok := clamsig.Classify(e.Name()); ok && e.Type().IsRegular() && e.Name()[0] != '.' {
				n++
				if err := c.add(filepath.Join(path, e.Name())); err != nil {
					return err
				}
			}
		}
		if n == 0 {
			return errors.New("no ClamAV database in the folder")
		}
		return nil
	}
	kind, ok := clamsig.Classify(path)
	if !ok || !st.Mode().IsRegular() {
		return errors.New("no ClamAV database")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if kind != "cvd" && kind != "cld" && kind != "cud" {
		return c.read(filepath.Base(path), f)
	}
	d, err := cvd.Open(filepath.Base(path), kind, f, st.Size())
	if err != nil {
		return err
	}
	return d.Walk(func(name string, r io.Reader) error {
		if _, ok := clamsig.Classify(name); !ok {
			return nil
		}
		return c.read(name, r)
	})
}

// stages notes how far each rule of a signed release may go, as signatures of the kind "stages".
func (c content) stages(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if w := strings.SplitN(s.Text(), " ", 3); len(w) == 3 {
			sum := sha256.Sum256([]byte(w[1]))
			c.note(id{"stages", w[2]}, sum[:])
		}
	}
	return s.Err()
}

// read reads one file. One that does not hold a signature in each line is one.
func (c content) read(file string, r io.Reader) error {
	kind, _ := clamsig.Classify(file)
	if kind == "cbc" || strings.HasPrefix(kind, "yar") || kind == "ioc" || kind == "cat" {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		c.note(id{kind, file}, h.Sum(nil))
		return nil
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		line := strings.TrimRight(s.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		sum := sha256.Sum256([]byte(line))
		c.note(id{kind, nameOf(kind, line)}, sum[:])
	}
	return s.Err()
}

func (c content) note(i id, sum []byte) {
	if c[i] == nil {
		c[i] = map[[16]byte]int{}
	}
	c[i][[16]byte(sum)]++
}

// nameOf is the name in a line.
func nameOf(kind, line string) string {
	switch kind {
	case "ldb", "ldu", "crb":
		name, _, _ := strings.Cut(line, ";")
		return name
	case "hdb", "hsb", "hdu", "hsu", "fp", "sfp", "mdb", "msb", "mdu", "msu", "imp":
		if t := strings.SplitN(line, ":", 4); len(t) > 2 {
			return t[2]
		}
	case "pdb", "wdb", "gdb", "ign", "ign2", "cfg", "ftm":
		return line
	}
	name, _, _ := strings.Cut(line, ":")
	return name
}

// differ prints what differs.
func differ(w io.Writer, old, fresh content, summary bool) bool {
	all := map[id]bool{}
	for i := range old {
		all[i] = true
	}
	for i := range fresh {
		all[i] = true
	}
	var ids []id
	for i := range all {
		ids = append(ids, i)
	}
	slices.SortFunc(ids, func(a, b id) int {
		if c := strings.Compare(a.kind, b.kind); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	var added, gone, changed int
	for _, i := range ids {
		more, less := minus(fresh[i], old[i]), minus(old[i], fresh[i])
		both := min(more, less)
		for _, x := range []struct {
			sign string
			n    int
			to   *int
		}{{"~", both, &changed}, {"+", more - both, &added}, {"-", less - both, &gone}} {
			*x.to += x.n
			for range x.n {
				if !summary {
					fmt.Fprintf(w, "%s .%s %s\n", x.sign, i.kind, showcause.Escape(i.name))
				}
			}
		}
	}
	fmt.Fprintf(w, "%d added, %d changed, %d taken away\n", added, changed, gone)
	return added+changed+gone > 0
}

// minus is how many texts a has that b has not.
func minus(a, b map[[16]byte]int) (n int) {
	for sum, k := range a {
		n += max(0, k-b[sum])
	}
	return n
}
