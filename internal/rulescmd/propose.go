package rulescmd

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

const (
	window   = 12       // bytes that the samples have in common, at least
	longest  = 48       // bytes of a subsignature
	maxParts = 4        // subsignatures
	maxCase  = 64 << 20 // bytes of a sample that are looked at
	reserve  = 64       // candidates that are tried on the other files
)

func (h Host) propose() *cobra.Command {
	var good, name string
	c := &cobra.Command{
		Use:   "new SAMPLE... --goodware DIR",
		Short: "Propose a ClamAV signature that hits all of these files and none of a folder of good ones",
		Long: `Propose a logical signature for a set of samples: up to four stretches of bytes that
all of them have and no file of the folder has, the richest first. It is tried before
it is shown: it hits each sample, and no file of the folder. Files are taken as they
stand: what is packed or encrypted has little in common that would last.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if good == "" {
				return errors.New("rules new: name a folder of files that must not be hit: --goodware DIR")
			}
			if err := noNetwork(); err != nil {
				return err
			}
			return propose(c.OutOrStdout(), name, args, good)
		},
	}
	c.Flags().StringVar(&good, "goodware", "", "a folder of files that the signature must not hit")
	c.Flags().StringVar(&name, "name", "New.Signature", "the signature's name")
	return c
}

// stretch is a candidate.
type stretch struct {
	b     []byte
	score int
}

// propose writes a signature.
func propose(w io.Writer, name string, samples []string, good string) error {
	var all [][]byte
	for _, p := range samples {
		b, err := readCase(p)
		if err != nil {
			return err
		}
		if len(b) < window {
			return fmt.Errorf("%s: %d bytes, too short", showcause.Escape(p), len(b))
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b []byte) int { return len(a) - len(b) })
	found := shared(all)
	if len(found) == 0 {
		return fmt.Errorf("rules new: the samples have no %d bytes in common that say anything", window)
	}
	files := 0
	err := eachFile(good, func(path string, b []byte) error {
		files++
		found = slices.DeleteFunc(found, func(s stretch) bool { return bytes.Contains(b, s.b) })
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("rules new: all that the samples have in common is in files of %s", showcause.Escape(good))
	}
	found = found[:min(len(found), maxParts)]
	line, expr := "", ""
	for i, s := range found {
		if i > 0 {
			expr += "&"
		}
		expr += fmt.Sprint(i)
		line += ";" + hex.EncodeToString(s.b)
	}
	line = name + ";Engine:51-255,Target:0;" + expr + line
	if err := proves(line, all, good); err != nil {
		return err
	}
	fmt.Fprintln(w, line)
	sig, err := parse(line, "ldb")
	if err == nil {
		err = describe(w, sig)
	}
	fmt.Fprintf(w, "  hits %d of %d samples, and none of %d good files\n", len(all), len(all), files)
	return err
}

// proves tries the signature as the scanner would.
func proves(line string, samples [][]byte, good string) error {
	db, err := compile("ldb", line)
	if err != nil {
		return fmt.Errorf("rules new: %w", err)
	}
	s := scan.New(db, scan.Options{TopOnly: true})
	for i, b := range samples {
		if len(s.Scan(showcause.Bytes(b)).Findings) == 0 {
			return fmt.Errorf("rules new: the signature does not hit sample %d", i)
		}
	}
	return eachFile(good, func(path string, b []byte) error {
		if len(s.Scan(showcause.Bytes(b)).Findings) > 0 {
			return fmt.Errorf("rules new: the signature hits %s", showcause.Escape(path))
		}
		return nil
	})
}

// shared are stretches of the shortest sample that all have, the best first, none
// of which overlaps another.
func shared(all [][]byte) []stretch {
	first := all[0]
	in := make([]bool, len(first)) // a window begins here that all have
	grams := map[string]int{}
	for i := 0; i+window <= len(first); i++ {
		grams[string(first[i:i+window])] = 0
	}
	for n, b := range all[1:] {
		for i := 0; i+window <= len(b); i++ {
			if seen, ok := grams[string(b[i:i+window])]; ok && seen == n {
				grams[string(b[i:i+window])] = n + 1
			}
		}
	}
	for i := range in {
		if i+window <= len(first) {
			in[i] = grams[string(first[i:i+window])] == len(all)-1
		}
	}
	var out []stretch
	for i := 0; i < len(in); i++ {
		if !in[i] {
			continue
		}
		end := i
		for end+1 < len(in) && in[end+1] && end+1-i+window <= longest {
			end++
		}
		b := first[i : end+window]
		ok := !slices.ContainsFunc(all, func(s []byte) bool { return !bytes.Contains(s, b) })
		if v := worth(b); ok && v > 0 {
			out = append(out, stretch{b, v})
		}
		i = end + window - 1
	}
	slices.SortStableFunc(out, func(a, b stretch) int { return cmp.Compare(b.score, a.score) })
	var distinct []stretch
	for _, s := range out {
		if len(distinct) < reserve && !slices.ContainsFunc(distinct, func(d stretch) bool { return bytes.Equal(d.b, s.b) }) {
			distinct = append(distinct, s)
		}
	}
	return distinct
}

// worth is how much a stretch says: how many different bytes it has, text twice.
// Runs of one byte and the like say nothing.
func worth(b []byte) int {
	var seen [256]bool
	n, text := 0, 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
		if c >= ' ' && c <= '~' {
			text++
		}
	}
	if n < window/2 {
		return 0
	}
	if text == len(b) {
		return 2 * n
	}
	return n
}

// readCase reads a file, of a long one the beginning.
func readCase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", showcause.Escape(path))
	}
	if st.Size() > maxCase {
		return nil, fmt.Errorf("%s: over %d bytes", showcause.Escape(path), maxCase)
	}
	return io.ReadAll(io.LimitReader(f, maxCase))
}

// eachFile calls do with each regular file below a folder. One that is too long is
// an error: nothing could be said of it.
func eachFile(dir string, do func(path string, b []byte) error) error {
	n := 0
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := readCase(p)
		if err != nil {
			return err
		}
		n++
		return do(p, b)
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: no file in it", showcause.Escape(dir))
	}
	return err
}
