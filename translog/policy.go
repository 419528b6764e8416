package translog

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

// policy is a parsed policy and the keys that it names.
type policy struct {
	group witness.Group
	keys  []note.Verifier
}

// parsePolicy reads a policy (C2SP tlog-policy). None is satisfied by anything.
func parsePolicy(text []byte) (*policy, error) {
	if text == nil {
		return nil, nil
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		b.WriteString(line)
		// The parser wants the address of each witness, which the format leaves open.
		if f := strings.Fields(line); len(f) == 3 && f[0] == "witness" {
			b.WriteString(" https://none.invalid/")
		}
		b.WriteByte('\n')
	}
	g, err := witness.ParsePolicy([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p := &policy{group: g}
	if err := p.collect(b.String()); err != nil {
		return nil, err
	}
	return p, nil
}

// collect lists the witnesses' keys.
func (p *policy) collect(text string) error {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "witness" {
			continue
		}
		w, err := witness.New(f[2], &url.URL{})
		if err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		p.keys = append(p.keys, w.Key)
	}
	return nil
}

// satisfied tells whether enough witnesses signed a checkpoint.
func (p *policy) satisfied(checkpoint []byte) bool {
	return p == nil || p.group.Satisfied(checkpoint)
}
