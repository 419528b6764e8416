package directcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/report"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/internal/ordercmd"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/rules"
)

// tryOrder refuses an order that a case could not take.
func (s *session) tryOrder(ref, received string, calendars []string) error {
	o, err := ordercmd.Load(ref, calendars...)
	switch {
	case err != nil:
		return err
	case o.Template:
		return fmt.Errorf("order %s: a template, to be filled in first (showcause order new)", o.ID)
	case received == "":
		return errors.New("flag --received: when was the order received?")
	}
	if err := s.happened(received); err != nil {
		return fmt.Errorf("flag --received: %w", err)
	}
	return nil
}

func (h Host) identify() *cobra.Command {
	return h.command("identify ORDER [TARGET...]", "Search targets for what an order covers: findings, one verdict for each order of the case, and the coverage",
		`Search a live host (/), a mounted root, an image or a file. What was seen is kept in the case, so that
an order that comes later, or is amended, is judged without another search. A finding is a candidate
until somebody confirms it (showcause case confirm). Exit code: 1 if something covered or undetermined
was found or something was not read.`,
		cobra.MinimumNArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var endpoint string
			var inventories []string
			var look looking
			look.flags(c)
			c.Flags().StringVar(&endpoint, "endpoint", "", "name of the endpoint (default: what the target calls itself)")
			c.Flags().StringArrayVar(&inventories, "inventory", nil, "file of an inventory that was made elsewhere (JSON); may be repeated")
			return func(args []string) error {
				o, err := s.order(args[0])
				if err != nil {
					return err
				}
				for _, target := range args[1:] {
					if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) && endpoint == "" && !slices.Contains(s.state.Endpoints, target) {
						return fmt.Errorf("identify: %s: there is no such file or folder, and nothing was noted; of an endpoint that is not there to be searched: --endpoint NAME", showcause.Escape(target))
					}
				}
				var list []search
				for _, path := range inventories {
					inv, err := readInventory(path)
					if err != nil {
						return err
					}
					list = append(list, search{inv, "inventory"})
				}
				for _, target := range args[1:] {
					inv, err := s.survey(target, &look)
					if err != nil {
						return fmt.Errorf("identify: %w", err)
					}
					list = append(list, search{inv, surveyed})
				}
				if len(list) == 0 {
					return errors.New("identify: name a target or an inventory")
				}
				return s.take(o, list, endpoint)
			}
		})
}

// looking is how targets are looked through.
type looking struct {
	exclude, rules, roots []string
	cache, jail           string
	still                 bool
}

func (l *looking) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&l.exclude, "exclude", nil, "file or folder of a tree that is left out, from its root; may be repeated")
	f.StringArrayVar(&l.rules, "rules", nil, "YARA rules that are tried on programs, for components in others; may be repeated")
	f.StringArrayVar(&l.roots, "roots", nil, "certificates (PEM) of roots that signers of programs may lead to, beside this system's; may be repeated")
	f.StringVar(&l.cache, "cache", "", "keep in this folder what files held: one that did not change is not read again")
	f.BoolVar(&l.still, "no-processes", false, "of this host, leave out what runs; the coverage then says so")
	f.StringVar(&l.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process")
}

// survey searches one target, here and now.
func (s *session) survey(target string, l *looking) (*product.Inventory, error) {
	o := survey.Options{Exclude: l.exclude, Cache: l.cache, NoProcesses: l.still, Engine: s.Version, Scratch: s.Scratch, Run: s.Look}
	switch l.jail {
	case "on":
		if o.Run != nil {
			break
		}
		if err := jail.Available(); err != nil {
			return nil, fmt.Errorf("jail: the kernel cannot lock the process that reads files: %w; --jail=off reads without", err)
		}
		if err := jail.Broker(); err != nil { // nor does this one get at a network any more
			return nil, fmt.Errorf("jail: %w", err)
		}
	case "off":
		fmt.Fprintln(s.c.ErrOrStderr(), "showcause: without the jail: this process reads the files itself")
		o.Run = func(_ context.Context, request []byte, f *os.File, part func([]byte) error) error {
			return survey.Here(request, f, part)
		}
	default:
		return nil, fmt.Errorf("flag --jail: %.80q is not one of on, off", l.jail)
	}
	for _, name := range l.roots {
		b, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("roots: %w", err)
		}
		o.Roots = append(append(o.Roots, b...), '\n')
	}
	if len(l.rules) > 0 {
		var err error
		if o.Rules, err = rules.Compile(l.rules, rules.Options{}); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
	}
	if st, err := os.Stat(target); err == nil && st.IsDir() { // a later search from another folder is of the same
		if target, err = filepath.Abs(target); err != nil {
			return nil, err
		}
	}
	return survey.Run(s.c.Context(), target, o)
}

// search is an inventory, and whether it was made here and now.
type search struct {
	*product.Inventory
	how string
}

// surveyed marks searches of this host's own making: nothing is removed by the word of
// an inventory that came from elsewhere.
const surveyed = "surveyed"

func readInventory(path string) (*product.Inventory, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	inv := &product.Inventory{}
	if err := json.Unmarshal(text, inv); err != nil {
		return nil, fmt.Errorf("inventory %s: %s", showcause.Escape(path), showcause.Escape(err.Error()))
	}
	if inv.Format != product.Format {
		return nil, fmt.Errorf("inventory %s: format %.80q, want %s", showcause.Escape(path), inv.Format, product.Format)
	}
	return inv, nil
}

// take puts searches into the case, and says what the orders make of them.
func (s *session) take(o *casefile.Order, list []search, endpoint string) error {
	identities, err := json.Marshal(s.set)
	if err != nil {
		return err
	}
	identified, err := s.file.Attach(identities)
	if err != nil {
		return err
	}
	wrong := false
	for _, one := range list {
		inv := one.Inventory
		text, err := json.Marshal(inv)
		if err != nil {
			return fmt.Errorf("inventory: %w", err)
		}
		digest, err := s.file.Attach(text)
		if err != nil {
			return err
		}
		name := first(endpoint, first(inv.System.Host, inv.Target))
		if name == "" {
			return errors.New("inventory: of no target")
		}
		e, err := s.append(casefile.Search, &casefile.Body{Order: o.ID, Endpoint: name, Text: digest, Name: inv.Target, Value: one.how, Products: identified})
		if err != nil {
			return err
		}
		wrong = s.tell(e, inv) || wrong
	}
	if err := s.judge("a search"); err != nil {
		return err
	}
	if err := s.correct("a later search"); err != nil {
		return err
	}
	s.next(o)
	if wrong {
		return s.Host.Refused
	}
	return nil
}

// tell prints one search, and whether it leaves anything open.
func (s *session) tell(e *casefile.Entry, inv *product.Inventory) (wrong bool) {
	c := &inv.Coverage
	s.say("%s (%s): %s; %d layers inside", e.Body.Endpoint, inv.Target, c.Files, c.Layers)
	s.say("  by %s", strings.Join(c.Methods, ", "))
	for _, f := range s.state.Findings {
		if f.Endpoint != e.Body.Endpoint || f.Target != inv.Target || !f.Active() || f.Last != e {
			continue
		}
		s.say("  finding %s: %s, %s: %s", f.ID, report.ProductName(s.state, f.Product), f.Class, f.Why)
		if len(f.Evidence) > 0 {
			s.say("    %s %q in %s", f.Evidence[0].Kind, f.Evidence[0].Value, f.Evidence[0].Place)
		}
		if f.Unconfirmed {
			s.say("    rests on identities that nobody confirmed")
		}
		for _, n := range f.Notes {
			s.say("    %s", n)
		}
		for _, o := range s.state.Orders {
			j := s.state.Verdict(o, f)
			s.say("    %s: %s: %s", o.ID, j.Verdict, strings.Join(j.Reasons, "; "))
			wrong = wrong || j.Verdict != directive.NotCovered
		}
	}
	for _, m := range s.state.Mentions {
		if m.Endpoint == e.Body.Endpoint && m.Last == e && len(m.Evidence) > 0 {
			s.say("  mention of %s, which counts nowhere: %s", m.Product, m.Evidence[0].Place)
		}
	}
	if c.Unreached != "" {
		s.say("  not reached: %s", c.Unreached)
	}
	gaps := c.Unread()
	for i, g := range gaps {
		if i == 5 {
			s.say("  and %d more that were not read", int64(len(gaps)-i)+c.More)
			break
		}
		s.say("  not read: %s (%s) %s", g.Place, g.Code, g.Why)
	}
	for _, l := range c.LeftOut() {
		s.say("  left out: %s", l)
	}
	for _, l := range c.Limits {
		s.say("  cannot be seen by these methods: %s", l)
	}
	return wrong || !c.Whole()
}

// next says what to do.
func (s *session) next(o *casefile.Order) {
	for _, f := range s.state.Findings {
		if f.State == casefile.Candidate && s.state.Verdict(o, f).Verdict != directive.NotCovered {
			s.say("confirm it as an identification? showcause case confirm %s --by WHO; or contest it: showcause contest %s --case %s --reason WHY", f.ID, f.ID, s.path())
			break
		}
	}
	for _, q := range o.Scope {
		if s.state.Answers(o, "")[q.ID] == "" {
			s.say("not answered: %s", q.Ask)
			s.say("next: showcause case scope %s=yes|no --by WHO --case %s", q.ID, s.path())
			return
		}
	}
	s.say("next: showcause plan %s -o plan.yaml --case %[2]s; showcause order report %[1]s --format bod --case %[2]s", o.ID, s.path())
}
