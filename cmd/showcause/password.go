package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/showcause/showcause/internal/ruleflags"
	"github.com/spf13/pflag"
)

// passwords are the flags about what is tried on encrypted archives. What they
// hold goes to the processes that read files, and is in no report and no record.
type passwords struct {
	given []string
	file  string
	usual ruleflags.YesNo
}

func (p *passwords) flags(f *pflag.FlagSet) {
	p.own(f)
	p.usual = true
	ruleflags.Yes(f, &p.usual, "usual-passwords", "", "try the passwords that samples are exchanged with: infected, virus, 1234 ...")
}

// own adds the flags about passwords that the user gives.
func (p *passwords) own(f *pflag.FlagSet) {
	f.StringArrayVar(&p.given, "password", nil, "try this password on encrypted archives (repeatable); other users may see it in the list of processes: --password-file is safer")
	f.StringVar(&p.file, "password-file", "", "try the passwords in this file, one a line")
}

// maxPasswordFile is the length in bytes of the longest file of passwords.
const maxPasswordFile = 16 << 10

// list returns the passwords that are given.
func (p *passwords) list() ([][]byte, error) {
	var all [][]byte
	for _, s := range p.given {
		all = append(all, []byte(s))
	}
	if p.file == "" {
		return all, nil
	}
	f, err := os.Open(p.file)
	if err != nil {
		return nil, fmt.Errorf("flag --password-file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return nil, fmt.Errorf("flag --password-file: %w", err)
	}
	if len(b) > maxPasswordFile {
		return nil, fmt.Errorf("flag --password-file: more than %d bytes", maxPasswordFile)
	}
	for line := range bytes.Lines(b) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			all = append(all, line)
		}
	}
	return all, nil
}
