package rules

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

// stages say how far rules of signed releases may go: by file, then by the SHA-256 of the
// rule's text. An update writes them beside the files, out of what the publisher signed
// (rule.StagesEnd). A rule in one of those files that they do not name is in no log: it is only tried.
type stages map[string]map[[sha256.Size]byte]showcause.Stage

// stagesBeside lists the files of stages that count for an argument: those in the folder, or
// in the folder of the file.
func stagesBeside(arg string) []string {
	_, path := Split(arg)
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		path = filepath.Dir(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil // who reads the rules says so
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), rule.StagesEnd) && e.Name()[0] != '.' {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	return out
}

// readStages reads those of all arguments. Of two stages for one rule the weaker counts.
func readStages(paths []string) (stages, error) {
	out := stages{}
	var all []string
	for _, p := range paths {
		all = append(all, stagesBeside(p)...)
	}
	slices.Sort(all)
	for _, file := range slices.Compact(all) {
		if err := out.read(file); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return out, nil
}

func (s stages) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	by := map[[sha256.Size]byte]showcause.Stage{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		a, b, ok := strings.Cut(in.Text(), " ")
		word, _, _ := strings.Cut(b, " ")
		var sum [sha256.Size]byte
		stage := showcause.Stage(word)
		switch {
		case n == 1:
			ok = in.Text() == rule.StagesHead
		case a == "file":
			s[b] = by
		default:
			k, err := hex.Decode(sum[:], []byte(a[:min(len(a), 2*len(sum))]))
			ok = ok && err == nil && k == len(sum) && len(a) == 2*len(sum) &&
				(stage == showcause.StageShadow || stage == showcause.StageReport || stage == showcause.StageAct)
			by[sum] = stage.Weaker(by[sum])
		}
		if !ok {
			return fmt.Errorf("line %d: no stage of a rule", n)
		}
	}
	return in.Err()
}

// of is the stage of a rule.
func (s stages) of(r *rule.Origin) showcause.Stage {
	file, _, _ := strings.Cut(r.File, "/")
	by, ok := s[file]
	if !ok {
		return ""
	}
	if stage := by[sha256.Sum256([]byte(r.Text))]; stage != "" {
		return stage
	}
	return showcause.StageShadow
}

// Digest adds a rule for exact bytes. One of an allow-list that is only tried allows nothing.
func (c *compiler) Digest(d *rule.DigestRule) error {
	d.Stage = c.stages.of(&d.Origin)
	if d.Allow && d.Stage == showcause.StageShadow {
		c.Builder.Skip(ruledb.Skip{File: d.File, Line: d.Line, Name: d.Name, Reason: "stage", Detail: string(d.Stage)})
		return nil
	}
	return c.Builder.Digest(d)
}
