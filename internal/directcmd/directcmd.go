// Package directcmd are the commands that carry an order out: the case, identify, contest
// and decide, notice, respond, extend, plan, remove, waive, attest, report. None of them
// has a network.
package directcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/internal/ordercmd"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
	"github.com/showcause/showcause/rules/products"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Version string
	// StoreFlag adds the flag --store, and StoreDir says which folder it means;
	// "" if there is to be none.
	StoreFlag func(f *pflag.FlagSet, to *string)
	StoreDir  func(flag string) (dir string, named bool, err error)
	// Scratch opens a temporary file that is gone when it is closed.
	Scratch func() (*os.File, error)
	// Look looks into files in another way than by processes in the jail: in tests.
	Look func(ctx context.Context, request []byte, f *os.File, part func([]byte) error) error
	// Reader are the arguments of a reader of files; nil: as the program has it.
	Reader []string
	// Exec runs a command in another way, and FS is the way to store and case: in tests.
	Exec func(ctx context.Context, argv []string) (output string, code int, err error)
	FS   *disk.FS
	// Refused ends the program after all was said: something was refused, or is not there.
	Refused error
	// Now is the clock; nil is this machine's.
	Now func() time.Time
}

// caseVariable names the case where no flag does; caseDefault is it where that does not.
const (
	caseVariable = "SHOWCAUSE_CASE"
	caseDefault  = "case"
	maxInput     = 64 << 20
)

// session is one command over one case.
type session struct {
	Host
	dir, store, by, at, opener string
	identities                 []string
	told                       bool // that this host's entries do not count yet

	c     *cobra.Command
	out   io.Writer
	held  *store.Store
	file  *casefile.Case
	set   *product.Set
	state *casefile.State
}

// flags are those of all commands over a case.
func (s *session) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.dir, "case", "", "folder of the case (default $"+caseVariable+", or "+caseDefault+")")
	f.StringVar(&s.opener, "opener", "", "id of the key that must have opened the case")
	f.StringArrayVar(&s.identities, "identities", nil, "file of product identities beside those that ship; may be repeated")
	s.StoreFlag(f, &s.store)
}

// said are the flags of who says something, and when it happened.
func (s *session) said(c *cobra.Command) {
	c.Flags().StringVar(&s.by, "by", "", "who says so: name and office")
	c.Flags().StringVar(&s.at, "at", "", "when it happened, if not now (YYYY-MM-DD, or with time and zone)")
}

func (s *session) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *session) path() string {
	if s.dir != "" {
		return s.dir
	}
	if d := os.Getenv(caseVariable); d != "" {
		return d
	}
	return caseDefault
}

// open opens store, case and state. write asks for a store whose key signs.
func (s *session) open(c *cobra.Command, write bool) error {
	s.c, s.out = c, c.OutOrStdout()
	if err := s.openStore(write); err != nil {
		return err
	}
	o := casefile.Options{Opener: s.opener, FS: s.FS}
	if write {
		o.Store = s.held
	}
	var err error
	s.file, err = casefile.Load(s.path(), o)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, casefile.ErrNoCase) {
		return fmt.Errorf("case %s: there is none; begin it: showcause case open %[1]s --order ORDER --received DATE --by WHO", showcause.Escape(s.path()))
	}
	if err != nil {
		return err
	}
	for _, n := range append(s.file.Notes, s.file.Refused...) {
		fmt.Fprintln(c.ErrOrStderr(), "showcause: "+n)
	}
	return s.fold()
}

func (s *session) openStore(write bool) error {
	if !write {
		return nil
	}
	dir, _, err := s.StoreDir(s.store)
	if err == nil && dir == "" {
		err = errors.New("there is none, and its key signs entries (--store)")
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.held, err = store.Open(dir, store.Options{FS: s.FS})
	return err
}

func (s *session) fold() error {
	if s.set == nil {
		set, err := product.Load(products.Files())
		if err != nil {
			return fmt.Errorf("identities: %w", err)
		}
		for _, path := range s.identities {
			text, err := readFile(path)
			if err != nil {
				return fmt.Errorf("identities: %w", err)
			}
			if err := set.Add(filepath.Base(path), text); err != nil {
				return fmt.Errorf("identities: %w", err)
			}
		}
		s.set = set
	}
	s.state = s.file.State(s.set, orders.Calendar, s.now())
	for _, p := range s.state.Problems {
		fmt.Fprintln(s.c.ErrOrStderr(), "showcause: "+p)
	}
	return nil
}

func (s *session) close() {
	if s.file != nil {
		s.file.Close()
	}
	if s.held != nil {
		s.held.Close()
	}
}

// happened refuses what is no time, and times that are yet to come anywhere on Earth: clocks
// would count from them.
func (s *session) happened(at string) error {
	m, err := clock.ParseMoment(at, time.UTC)
	if err == nil && m.Day > clock.DayIn(s.now(), time.UTC)+1 {
		err = fmt.Errorf("%s is yet to come", m.Long())
	}
	return err
}

// append writes an entry and folds it in.
func (s *session) append(act casefile.Act, b *casefile.Body) (*casefile.Entry, error) {
	b.By, b.At = first(b.By, s.by), first(b.At, s.at)
	if b.At != "" {
		if err := s.happened(b.At); err != nil {
			return nil, fmt.Errorf("flag --at: %w", err)
		}
	}
	e, err := s.file.Append(act, b)
	if err != nil {
		return nil, err
	}
	if !e.Accepted && !s.told {
		s.told = true
		fmt.Fprintf(s.c.ErrOrStderr(), "showcause: this host's key is not accepted in this case, so that what it says does not count yet: on a host that is accepted: showcause case accept %.16s --by WHO (is this the right store? --store)\n", e.Signer)
	}
	return e, s.fold()
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// order finds an order of the case.
func (s *session) order(id string) (*casefile.Order, error) {
	if o := s.state.Order(id); o != nil {
		return o, nil
	}
	var ids []string
	for _, o := range s.state.Orders {
		ids = append(ids, o.ID)
	}
	return nil, fmt.Errorf("order %s: not in this case, which has: %s (showcause case receive takes one in)", showcause.Escape(id), strings.Join(ids, ", "))
}

// needBy refuses what nobody says.
func (s *session) needBy() error {
	if strings.TrimSpace(s.by) == "" {
		return errors.New("flag --by: who says so? name and office")
	}
	return nil
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("flag --reason: say why")
	}
	return nil
}

func (s *session) say(format string, a ...any) {
	fmt.Fprintln(s.out, showcause.Escape(fmt.Sprintf(format, a...)))
}

// run makes the RunE of a command over a case.
func (s *session) run(write bool, do func(args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		defer s.close()
		if err := s.open(c, write); err != nil {
			return err
		}
		return do(args)
	}
}

// command makes a command over a case.
func (h Host) command(use, short, long string, n cobra.PositionalArgs, write bool, make func(s *session, c *cobra.Command) func([]string) error) *cobra.Command {
	s := &session{Host: h}
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: n}
	do := make(s, c)
	s.flags(c)
	if write {
		s.said(c)
	}
	c.RunE = s.run(write, do)
	return c
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("%s: larger than %d bytes", showcause.Escape(path), maxInput)
	}
	return b, err
}

// attach keeps files in the case.
func (s *session) attach(paths []string) (out []string, err error) {
	for _, p := range paths {
		b, err := readFile(p)
		if err != nil {
			return nil, fmt.Errorf("attachment: %w", err)
		}
		d, err := s.file.Attach(b)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// writeOut writes a file that must not be there.
func writeOut(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("flag --out: %w", err)
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("flag --out: %w", err)
	}
	return nil
}

// Commands are all of them but those below "order" and those that casecmd has too.
func (h Host) Commands() []*cobra.Command {
	return []*cobra.Command{h.caseCommand(), h.identify(), h.notice(), h.respond(), h.extend(), h.plan(), h.remove(), h.waive(), h.attest()}
}

// receive takes an order into the case.
func (s *session) receive(ref, received string, calendars []string) (*directive.Order, error) {
	o, err := ordercmd.Load(ref, calendars...)
	if err != nil {
		return nil, err
	}
	if o.Template {
		return nil, fmt.Errorf("order %s: a template, to be filled in first (showcause order new)", o.ID)
	}
	if received == "" {
		return nil, errors.New("flag --received: when was the order received?")
	}
	if err := s.happened(received); err != nil {
		return nil, fmt.Errorf("flag --received: %w", err)
	}
	if was := s.state; was != nil {
		if w := was.Order(o.ID); w != nil && w.Version >= o.Version {
			return nil, fmt.Errorf("order %s: version %d is in the case; an amended one has a higher version than that", o.ID, w.Version)
		}
	}
	text, err := s.file.Attach(o.Text())
	if err != nil {
		return nil, err
	}
	_, err = s.append(casefile.Receive, &casefile.Body{Order: o.ID, Version: o.Version, Text: text, Name: filepath.Base(ref), At: received})
	return o, err
}
