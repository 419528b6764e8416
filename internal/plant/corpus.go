package plant

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/rule"
)

// Each calls f with every rule over patterns in a database file or folder. The
// rule is valid during the call only.
func Each(path string, f func(*rule.Rule) error) error {
	_, err := clamsig.Load(path, clamsig.Options{}, &each{f})
	return err
}

// each is the Sink of Each.
type each struct{ f func(*rule.Rule) error }

func (e *each) Rule(r *rule.Rule) error       { return e.f(r) }
func (e *each) Digest(*rule.DigestRule) error { return nil }
func (e *each) Skip(clamsig.Skip)             {}

// Corpus is a folder of planted files with a manifest, a line of JSON for each.
type Corpus struct {
	Dir     string
	Planted int            // files that have to be found
	Near    int            // files that miss by little
	Not     map[Reason]int // rules that could not be planted
	NotNear map[Reason]int // near misses that could not be made

	manifest *os.File
	w        *bufio.Writer
	json     *json.Encoder
}

// entry is a line of the manifest.
type entry struct {
	Path string `json:"file"` // below the folder
	File
}

// Create makes an empty corpus in a folder, which is created if need be; the
// manifest is a file beside the folder's "files".
func Create(dir string) (*Corpus, error) {
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	m, err := os.Create(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	c := &Corpus{Dir: dir, Not: map[Reason]int{}, NotNear: map[Reason]int{}, manifest: m, w: bufio.NewWriter(m)}
	c.json = json.NewEncoder(c.w)
	return c, nil
}

// Add plants a rule, and a near miss of it, and returns the files that came of it.
func (c *Corpus) Add(r *rule.Rule, seed uint64) (files map[string]File, err error) {
	files = map[string]File{}
	for _, near := range []bool{false, true} {
		f, err := Plant(r, seed, near)
		var why Reason
		switch {
		case errors.As(err, &why) && near:
			c.NotNear[why]++
			continue
		case errors.As(err, &why):
			c.Not[why]++
			return files, nil
		case err != nil:
			return files, err
		}
		kind := "p"
		if near {
			kind = "n"
			c.Near++
		} else {
			c.Planted++
		}
		path := fmt.Sprintf("files/%03d/%s%06d-%d", c.Planted/500, kind, c.Planted, seed)
		full := filepath.Join(c.Dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return files, fmt.Errorf("corpus: %w", err)
		}
		if err := os.WriteFile(full, f.Data, 0o644); err != nil {
			return files, fmt.Errorf("corpus: %w", err)
		}
		if err := c.json.Encode(entry{path, f}); err != nil {
			return files, fmt.Errorf("corpus: %w", err)
		}
		files[path] = f
	}
	return files, nil
}

// Close writes what is left of the manifest.
func (c *Corpus) Close() error {
	err := c.w.Flush()
	if cerr := c.manifest.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}
