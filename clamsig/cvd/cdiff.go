package cvd

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// A .cdiff file is ClamAV-Diff:VERSION:SIZE: and a gzip stream of commands, SIZE
// bytes of them, and a colon with the signature of all before it:
//
//	OPEN FILE                     what follows is for this file
//	ADD LINE                      at its end
//	DEL N BEGINNING               its line N, from 1, which begins so
//	XCHG N BEGINNING LINE         its line N becomes another
//	CLOSE                         now do it
//	MOVE A B N BEGINNING M BEGINNING   lines N to M of A go to the end of B
//	UNLINK FILE                   takes a file away
//
// The numbers are those that lines have before anything of the block is done.
// Lines that begin with # are none. As clamav 1.4.6 does, an OPEN of a file that
// does not exist makes it when something is added to it.
const (
	diffMagic = "ClamAV-Diff:"
	maxDiff   = 1 << 30 // bytes of commands
	maxOps    = 16 << 20
)

// Diff is an open .cdiff file.
type Diff struct {
	Version int // of the database that it leads to
	Proof   string

	size int64
	body []byte
}

// OpenDiff reads a .cdiff file and proves its signature, or the detached one if
// sign is not nil and there are roots.
func OpenDiff(b []byte, t Trust, sign []byte) (*Diff, error) {
	rest, ok := bytes.CutPrefix(b, []byte(diffMagic))
	f := bytes.SplitN(rest, []byte(":"), 3)
	if !ok || len(f) != 3 {
		return nil, errors.New("cdiff: no ClamAV update script")
	}
	d := &Diff{}
	var err error
	if d.Version, err = strconv.Atoi(string(f[0])); err != nil {
		return nil, errors.New("cdiff: version is no number")
	}
	if d.size, err = strconv.ParseInt(string(f[1]), 10, 64); err != nil || d.size < 0 || d.size > maxDiff {
		return nil, errors.New("cdiff: size is out of range")
	}
	end := bytes.LastIndexByte(f[2], ':')
	if end < 0 {
		return nil, errors.New("cdiff: cut off")
	}
	d.body = f[2][:end]
	return d, d.prove(b, string(f[2][end+1:]), t, sign)
}

func (d *Diff) prove(b []byte, text string, t Trust, sign []byte) error {
	if sign != nil && t.Roots != nil {
		return d.detached(t.Roots, b, sign)
	}
	text = strings.TrimRight(text, "\r\n")
	var err error
	switch signed := b[:bytes.LastIndexByte(b, ':')]; {
	case t.Detached:
		err = fmt.Errorf("cdiff: %w: the detached one is missing", ErrUnsigned)
	case text == "":
		err = fmt.Errorf("cdiff: %w", ErrUnsigned)
	case !signsSHA256(t.Diff, sha256.Sum256(signed), text):
		err = fmt.Errorf("cdiff: %w", ErrSignature)
	default:
		d.Proof = "signature at its end (RSA, SHA-256)"
	}
	if err != nil && t.Unsigned {
		d.Proof, err = "unsigned ("+err.Error()+")", nil
	}
	return err
}

func (d *Diff) detached(roots *x509.CertPool, b, sign []byte) error {
	who, err := VerifySign(roots, sign, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("cdiff: %w", err)
	}
	d.Proof = "detached signature of " + who
	return nil
}

// Set is a database unpacked: the members by name.
type Set map[string][]byte

// Unpack reads all members of a container.
func (f *File) Unpack() (Set, error) {
	s := Set{}
	err := f.Walk(func(name string, r io.Reader) error {
		b, err := io.ReadAll(r)
		s[name] = b
		return err
	})
	return s, err
}

// Apply runs the commands over an unpacked database. After an error the set is
// in between, and not to be used.
func (d *Diff) Apply(s Set) error {
	z, err := gzip.NewReader(bytes.NewReader(d.body))
	if err != nil {
		return fmt.Errorf("cdiff: %w", err)
	}
	z.Multistream(false)
	return Run(&bounded{r: z, left: d.size + 1}, s)
}

// Run runs commands that stand by themselves, a .script file, over a database.
func Run(commands io.Reader, s Set) error {
	p := &patch{set: s}
	in := bufio.NewReaderSize(commands, readSize)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("cdiff: line %d: %w", n, err)
		}
		if line = strings.TrimRight(line, "\r\n"); line != "" && line[0] != '#' {
			if err := p.command(line); err != nil {
				return fmt.Errorf("cdiff: line %d: %w", n, err)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if p.open != "" {
		return fmt.Errorf("cdiff: %s is not closed", clip(p.open))
	}
	return nil
}

// patch is a run of commands.
type patch struct {
	set  Set
	open string // the file, "": none
	add  []string
	edit []edit
}

// edit changes one line.
type edit struct {
	line     int
	begin    string
	to       string
	exchange bool
}

func (p *patch) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	if (p.open == "") == (verb == "ADD" || verb == "DEL" || verb == "XCHG" || verb == "CLOSE") {
		return fmt.Errorf("%s where a file is open, or none is", clip(verb))
	}
	if len(p.add)+len(p.edit) > maxOps {
		return errors.New("too many commands for one file")
	}
	switch verb {
	case "OPEN":
		if !plainName(rest) {
			return fmt.Errorf("OPEN: %q is not the name of a member", clip(rest))
		}
		p.open = rest
	case "ADD":
		p.add = append(p.add, rest)
	case "DEL", "XCHG":
		return p.change(verb == "XCHG", rest)
	case "CLOSE":
		return p.close()
	case "MOVE":
		return p.move(strings.Fields(rest))
	case "UNLINK":
		if _, ok := p.set[rest]; !ok || !plainName(rest) {
			return fmt.Errorf("UNLINK: no member %q", clip(rest))
		}
		delete(p.set, rest)
	default:
		return fmt.Errorf("no command %q", clip(verb))
	}
	return nil
}

func (p *patch) change(exchange bool, rest string) error {
	num, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(num)
	if err != nil || n < 1 || rest == "" {
		return errors.New("a line's number and beginning are expected")
	}
	e := edit{line: n, begin: rest, exchange: exchange}
	if exchange {
		var ok bool
		if e.begin, e.to, ok = strings.Cut(rest, " "); !ok {
			return errors.New("XCHG without a new line")
		}
	} else {
		e.begin, _, _ = strings.Cut(rest, " ")
	}
	p.edit = append(p.edit, e)
	return nil
}

// plainName allows a name that leads nowhere else.
func plainName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.'
}

// close does what was asked for the open file.
func (p *patch) close() error {
	name := p.open
	b, ok := p.set[name]
	if !ok && len(p.edit) > 0 {
		return fmt.Errorf("no member %q", name)
	}
	slices.SortStableFunc(p.edit, func(a, b edit) int { return a.line - b.line })
	if len(p.edit) > 0 {
		out := make([]byte, 0, len(b))
		n := 0
		todo := p.edit
		for line := range bytes.Lines(b) {
			n++
			if len(todo) == 0 || todo[0].line != n {
				out = append(out, line...)
				continue
			}
			if !bytes.HasPrefix(line, []byte(todo[0].begin)) {
				return fmt.Errorf("%s:%d does not begin as it should", name, n)
			}
			if todo[0].exchange {
				out = append(append(out, todo[0].to...), '\n')
			}
			todo = todo[1:]
		}
		if len(todo) > 0 {
			return fmt.Errorf("%s: no line %d, or one that is changed twice", name, todo[0].line)
		}
		b = out
	}
	if len(p.add) > 0 {
		b = ended(slices.Clone(b))
		for _, line := range p.add {
			b = append(append(b, line...), '\n')
		}
	}
	if ok || len(p.add) > 0 {
		p.set[name] = b
	}
	p.open, p.add, p.edit = "", p.add[:0], p.edit[:0]
	return nil
}

// ended gives the last line its end.
func ended(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	return b
}

func (p *patch) move(f []string) error {
	if len(f) != 6 {
		return errors.New("MOVE: two files, two lines' numbers and beginnings are expected")
	}
	from, to := f[0], f[1]
	first, err1 := strconv.Atoi(f[2])
	last, err2 := strconv.Atoi(f[4])
	src, ok1 := p.set[from]
	dst, ok2 := p.set[to]
	if err1 != nil || err2 != nil || !ok1 || !ok2 || from == to || first < 1 || last < first {
		return errors.New("MOVE: no such member or lines")
	}
	var kept []byte
	dst = ended(slices.Clone(dst))
	n := 0
	for line := range bytes.Lines(src) {
		n++
		if n < first || n > last {
			kept = append(kept, line...)
			continue
		}
		if n == first && !bytes.HasPrefix(line, []byte(f[3])) || n == last && !bytes.HasPrefix(line, []byte(f[5])) {
			return fmt.Errorf("MOVE: %s:%d does not begin as it should", clip(from), n)
		}
		dst = ended(append(dst, line...))
	}
	if n < last {
		return fmt.Errorf("MOVE: %s has no line %d", clip(from), last)
	}
	p.set[from], p.set[to] = kept, dst
	return nil
}
