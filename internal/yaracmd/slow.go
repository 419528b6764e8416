package yaracmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/yara/author"
)

func (h Host) slow() *cobra.Command {
	var r ruleFlags
	var most int64
	var asJSON bool
	c := &cobra.Command{
		Use:   "slow [NAMESPACE:]RULES... CORPUS",
		Short: "Measure what each YARA rule costs on a corpus, and say why",
		Long: `Measure what each YARA rule costs on a corpus, a file or a folder, and say why:
strings without a rare part, that are found often, regular expressions that are
searched for from end to end, conditions that go over every byte.

The corpus is read into memory and scanned by this process, which first gives up its
way to a network: with all rules, then with halves of those that cost something,
down to single rules. Steps are the same on every machine; seconds are not.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if most < 1 || most > maxMegabytes {
				return fmt.Errorf("flag --max-mb: want 1 to %d, have %d", int64(maxMegabytes), most)
			}
			if err := noNetwork(); err != nil {
				return err
			}
			comp, err := r.loaded(args[:len(args)-1], c.InOrStdin())
			if err != nil {
				return err
			}
			res, diags := comp.Check()
			if errs := diags.Errors(); len(errs) > 0 {
				fmt.Fprintln(c.ErrOrStderr(), errs[0])
				return errs
			}
			corpus, cut, err := readCorpus(c.Context(), args[len(args)-1], most<<20)
			if err != nil {
				return err
			}
			if cut {
				fmt.Fprintf(c.ErrOrStderr(), "showcause: only the first %d MB of the corpus are scanned (--max-mb)\n", most)
			}
			p, err := author.NewProfile(c.Context(), comp, res, diags, corpus)
			if err != nil {
				return err
			}
			if asJSON {
				return answer.NewEncoder(c.OutOrStdout()).Encode(p)
			}
			return p.Text(c.OutOrStdout())
		},
	}
	r.add(c.Flags())
	c.Flags().Int64Var(&most, "max-mb", 32, "megabytes of the corpus that are scanned")
	c.Flags().BoolVar(&asJSON, "json", false, "one object")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// maxMegabytes is the most of a corpus that --max-mb may ask for: it is held in memory.
const maxMegabytes = 1 << 20

// readCorpus reads files until they are most bytes.
func readCorpus(ctx context.Context, root string, most int64) (corpus []showcause.Source, cut bool, err error) {
	if st, serr := os.Stat(root); serr != nil {
		return nil, false, serr
	} else if st.Mode().IsRegular() { // a link to a file, too
		root, err = filepath.EvalSymlinks(root)
		if err != nil {
			return nil, false, err
		}
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // what cannot be read is not measured
		case ctx.Err() != nil:
			return ctx.Err()
		case !e.Type().IsRegular():
			return nil
		case most <= 0:
			cut = true
			return filepath.SkipAll
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(f, most+1))
		f.Close()
		if err != nil {
			return nil
		}
		if int64(len(b)) > most {
			b, cut = b[:most], true
		}
		most -= int64(len(b))
		corpus = append(corpus, showcause.Bytes(b))
		return nil
	})
	if err == nil && len(corpus) == 0 {
		err = errors.New("rules slow: no file in the corpus")
	}
	return corpus, cut, err
}
