package directcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/product"
)

// manager is how a package manager removes a package: the command of the dry run, and of the removal, on
// this host and in a root. In a root "ROOT" stands for the folder; none of these runs a program of the package.
type manager struct{ dry, remove, rootDry, rootRemove []string }

var managers = map[string]manager{
	product.Deb: {
		dry: words("apt-get --simulate remove --"), remove: words("apt-get --yes -o APT::Get::AutomaticRemove=false -o DPkg::Lock::Timeout=120 remove --"),
		rootDry: words("dpkg --root=ROOT --no-act --remove --"), rootRemove: words("dpkg --root=ROOT --remove --"),
	},
	product.RPM: {
		dry: words("rpm --test -e --"), remove: words("rpm -e --"),
		rootDry: words("rpm --root ROOT --noscripts --test -e --"), rootRemove: words("rpm --root ROOT --noscripts -e --"),
	},
	product.APK: {
		dry: words("apk del --simulate --"), remove: words("apk del --"),
		rootDry: words("apk --root ROOT --no-scripts --no-network del --simulate --"), rootRemove: words("apk --root ROOT --no-scripts --no-network del --"),
	},
	product.Snap: {remove: words("snap remove --")},
}

func words(s string) []string { return strings.Fields(s) }

// commands are those of a target: this host, or a root that is mounted on it.
func (m manager) commands(target, name string) (dry, remove []string) {
	dry, remove = m.dry, m.remove
	if target != "/" {
		dry, remove = m.rootDry, m.rootRemove
	}
	fill := func(argv []string) (out []string) {
		for _, a := range argv {
			out = append(out, strings.Replace(a, "ROOT", target, 1))
		}
		if out != nil {
			out = append(out, name)
		}
		return out
	}
	return fill(dry), fill(remove)
}

// packageChars are what names of packages are made of: nothing else reaches a command.
const packageChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._:~"

// maxOutput is what is kept of a command's output, in bytes.
const maxOutput = 1 << 20

func (h Host) remove() *cobra.Command {
	return h.command("remove FINDING", "Remove a product, in steps: a dry run, an approval by another person, the removal; a later search verifies it",
		`Without more: a dry run, kept as a proposal. --approve PROPOSAL --by SOMEBODY-ELSE approves it.
--run PROPOSAL removes, by the package manager, by the vendor's uninstaller (--uninstaller COMMAND, in the
proposal), or records what was done by hand (--by-hand TEXT, in the proposal; --run then records it).
Gone is what a later search says that looked at no less than the one that found it.
Programs of the finding that no package manager knows go to the quarantine, from where showcause
quarantine restore brings them back. A password of the vendor is never got around: say --needs "credential".`,
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var r removal
			f := c.Flags()
			f.StringVar(&r.approve, "approve", "", "approve this proposal")
			f.StringVar(&r.run, "run", "", "carry out this proposal, which was approved")
			f.StringArrayVar(&r.uninstaller, "uninstaller", nil, "vendor's uninstaller: the program, then each argument; may be repeated")
			f.StringVar(&r.hand, "by-hand", "", "what a person will do")
			f.StringArrayVar(&r.needs, "needs", nil, "what a person has to bring: a credential, a restart; may be repeated")
			return func(args []string) error {
				if err := s.needBy(); err != nil {
					return err
				}
				f, err := s.state.Finding(args[0])
				if err != nil {
					return err
				}
				switch {
				case r.approve != "" && r.run != "":
					return errors.New("flags --approve, --run: one at a time")
				case r.approve != "":
					return s.approve(f, r.approve)
				case r.run != "":
					return s.carryOut(f, r.run)
				}
				return s.propose(f, &r)
			}
		})
}

type removal struct {
	approve, run, hand string
	uninstaller, needs []string
}

// propose makes the dry run.
func (s *session) propose(f *casefile.Finding, r *removal) error {
	if !f.Active() {
		return fmt.Errorf("finding %s: is %s", f.ID, f.State)
	}
	if f.State == casefile.Contested {
		return fmt.Errorf("finding %s: is contested; decide that first", f.ID)
	}
	if !s.anyCovers(f) {
		return fmt.Errorf("finding %s: no order of the case covers it", f.ID)
	}
	plan, dry, err := s.method(f, r)
	if err != nil {
		return err
	}
	text := "no dry run: this method has none\n"
	if plan.Files != nil {
		text = takenText(plan.Files)
	}
	if dry != nil {
		out, code, err := s.exec(dry)
		if err != nil {
			return fmt.Errorf("dry run: %w", err)
		}
		text = fmt.Sprintf("$ %s\n%s", strings.Join(dry, " "), out)
		if code != 0 {
			s.lines(text)
			return fmt.Errorf("dry run: exit code %d: nothing is proposed", code)
		}
		if dry[0] == "apt-get" {
			if err := exact(out, plan.Package); err != nil {
				s.lines(text)
				return err
			}
		}
	}
	digest, err := s.file.Attach([]byte(text))
	if err != nil {
		return err
	}
	e, err := s.append(casefile.Propose, &casefile.Body{Finding: f.ID, Removal: plan, Text: digest, Name: "dry run"})
	if err != nil {
		return err
	}
	s.lines(text)
	s.say("proposal %s: %s of %s on %s; nothing was removed", e.Name, plan.Method, f.Product, f.Endpoint)
	for _, c := range plan.Commands {
		s.say("  would run: %s", strings.Join(c, " "))
	}
	for _, n := range plan.Needs {
		s.say("  needs: %s", n)
	}
	s.say("next: showcause remove %s --approve %s --by SOMEBODY-ELSE --case %s", f.ID, e.Name[:16], s.path())
	return nil
}

// lines prints what a program wrote.
func (s *session) lines(text string) {
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		s.say("  %s", l)
	}
}

func (s *session) anyCovers(f *casefile.Finding) bool {
	for _, o := range s.state.Orders {
		if s.state.Verdict(o, f).Verdict == directive.Covered {
			return true
		}
	}
	return false
}

// method says how a finding is removed.
func (s *session) method(f *casefile.Finding, r *removal) (plan *casefile.Removal, dry []string, err error) {
	plan = &casefile.Removal{Target: f.Target, Needs: r.needs}
	switch {
	case r.hand != "":
		plan.Method, plan.Needs = "by-hand", append(plan.Needs, r.hand)
		return plan, nil, nil
	case len(r.uninstaller) > 0:
		if !filepath.IsAbs(r.uninstaller[0]) {
			return nil, nil, errors.New("flag --uninstaller: the program by its absolute path first")
		}
		plan.Method, plan.Commands = "uninstaller", [][]string{r.uninstaller}
		return plan, nil, s.live(f, false)
	}
	platform, name := s.packageOf(f)
	m, ok := managers[platform]
	if files := s.loose(f); !ok && len(files) > 0 {
		plan.Method, plan.Files = "quarantine", files
		return plan, nil, s.live(f, true)
	}
	if !ok {
		return nil, nil, fmt.Errorf("finding %s: no package of a package manager: name the vendor's uninstaller (--uninstaller), or what a person does (--by-hand)", f.ID)
	}
	if err := s.live(f, true); err != nil {
		return nil, nil, err
	}
	var remove []string
	if dry, remove = m.commands(f.Target, name); remove == nil {
		return nil, nil, fmt.Errorf("finding %s: %s removes nothing in a root: say what a person does (--by-hand)", f.ID, platform)
	}
	if err := confined(f.Target, remove[0], name); err != nil {
		return nil, nil, err
	}
	plan.Method, plan.Package, plan.Commands = "package-manager", name, [][]string{remove}
	if f.Target != "/" {
		plan.Needs = append(plan.Needs, "the root "+f.Target+" is mounted for writing, and no system runs from it")
		if platform == product.Deb {
			plan.Needs = append(plan.Needs, "dpkg runs the package's own scripts, as root, in "+f.Target+": whoever approves this trusts the image")
		}
	}
	return plan, dry, nil
}

// live refuses to run anything for a target that this program did not search itself on this host: the
// live system, or, where roots will do, a root that is mounted here.
func (s *session) live(f *casefile.Finding, roots bool) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	mounted := false
	if st, err := os.Lstat(f.Target); err == nil && roots {
		mounted = st.IsDir() && filepath.IsAbs(f.Target) && filepath.Clean(f.Target) == f.Target
	}
	if f.Target != "/" && !mounted || f.Root != "" || f.Last.Body.Value != surveyed || f.Last.Host != showcause.Escape(host) {
		return fmt.Errorf("finding %s: was found in %s of %s, which is neither this host's live system nor a root that is mounted here: remove it there, or rebuild the image, and say so with --by-hand", f.ID, showcause.Escape(f.Target+f.Root), showcause.Escape(f.Endpoint))
	}
	return nil
}

// exec runs a command.
func (s *session) exec(argv []string) (string, int, error) {
	if s.Exec != nil {
		return s.Exec(s.c.Context(), argv)
	}
	return runCommand(s.c.Context(), argv)
}

// packageOf is the package that a finding rests on.
func (s *session) packageOf(f *casefile.Finding) (platform, name string) {
	for _, r := range s.state.Runs {
		if r.Entry != f.Last {
			continue
		}
		for _, e := range f.Evidence {
			o := &r.Inventory.Observations[e.Observation]
			if n := o.Get(product.Package); n != "" && strings.Trim(n, packageChars) == "" && n[0] != '-' {
				return o.Platform, n
			}
		}
	}
	return "", ""
}

// proposal finds a proposal of a finding, and its approval.
func (s *session) proposal(f *casefile.Finding, ref string) (p, approval *casefile.Entry, begun, done bool, err error) {
	if p, err = s.file.Entry(ref); err != nil {
		return nil, nil, false, false, err
	}
	if p.Act != casefile.Propose || p.Body.Finding != f.ID || !p.Accepted {
		return nil, nil, false, false, fmt.Errorf("entry %s: no proposal for the finding %s that counts", p.Name[:16], f.ID)
	}
	for _, e := range f.Removals {
		if e.Body.About == p.Name {
			switch e.Act {
			case casefile.Approve:
				approval = e
			case casefile.Begin:
				begun = true
			case casefile.Done:
				done = true
			}
		}
	}
	return p, approval, begun, done, nil
}

// samePerson tells whether two names may be of one person: the words of one are among those of the other, whatever their
// order, case, accents, punctuation and alphabet; an initial is any word that begins with it. Names are what persons
// say: the accounts and keys that stand in the entries are what can be held against them.
func samePerson(a, b string) bool {
	x, y := nameWords(a), nameWords(b)
	if strings.Join(x, "") == strings.Join(y, "") { // "O'Brien", "OBrien"
		return true
	}
	if len(x) > len(y) {
		x, y = y, x
	}
	whole := false
	for _, w := range x {
		i := slices.IndexFunc(y, func(v string) bool {
			return v == w || (len(v) == 1 || len(w) == 1) && v[0] == w[0]
		})
		if i < 0 {
			return false
		}
		whole = whole || len(w) > 1 && y[i] == w
		y = slices.Delete(slices.Clone(y), i, i+1)
	}
	return whole || len(x) == 0
}

// lookalikes are letters of other alphabets that look like Latin ones.
var lookalikes = strings.NewReplacer(
	"а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x", "і", "i", "ј", "j", "ѕ", "s",
	"һ", "h", "ӏ", "l", "ԁ", "d", "ԛ", "q", "ԝ", "w", "ү", "y", "ѵ", "v", "ո", "n", "ս", "u", "օ", "o", "հ", "h", "ց", "g", "ɑ", "a", "ɡ", "g", "ı", "i",
	"β", "b", "ζ", "z", "η", "h", "μ", "m", "γ", "y", "σ", "o", "ς", "c", "ϲ", "c", "ϳ", "j", "ł", "l", "ø", "o", "đ", "d", "ß", "ss",
	"α", "a", "ε", "e", "ι", "i", "κ", "k", "ν", "v", "ο", "o", "ρ", "p", "τ", "t", "υ", "u", "χ", "x", "0", "o", "1", "l",
)

func nameWords(s string) []string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), unicode.In(r, unicode.Cf, unicode.Cc) && !unicode.IsSpace(r):
			return -1
		case r == 'Ν': // as a capital it looks like another letter than as a small one
			return 'n'
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
	return strings.FieldsFunc(lookalikes.Replace(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func (s *session) approve(f *casefile.Finding, ref string) error {
	p, approval, _, _, err := s.proposal(f, ref)
	switch {
	case err != nil:
		return err
	case samePerson(p.Body.By, s.by):
		return fmt.Errorf("proposal %s: by %s: somebody else must approve it", p.Name[:16], showcause.Escape(p.Body.By))
	case approval != nil:
		return fmt.Errorf("proposal %s: approved already by %s", p.Name[:16], showcause.Escape(approval.Body.By))
	}
	e, err := s.append(casefile.Approve, &casefile.Body{Finding: f.ID, About: p.Name})
	if err != nil {
		return err
	}
	s.say("proposal %s is approved by %s", p.Name[:16], s.by)
	if e.User == p.User && e.Signer == p.Signer {
		s.say("it was approved from the account that it was asked for from (%s): the case shows that, and only the names are different", e.User)
	}
	s.say("next: showcause remove %s --run %s --by WHO --case %s", f.ID, p.Name[:16], s.path())
	return nil
}

// carryOut removes. That it begins is in the case before anything is run: what was killed
// on the way is "removing", and can be run again.
func (s *session) carryOut(f *casefile.Finding, ref string) error {
	p, approval, begun, done, err := s.proposal(f, ref)
	switch {
	case err != nil:
		return err
	case approval == nil:
		return fmt.Errorf("proposal %s: nobody approved it (--approve, by somebody else)", p.Name[:16])
	case done:
		return fmt.Errorf("proposal %s: was carried out; search again to verify it", p.Name[:16])
	case !f.Active():
		return fmt.Errorf("finding %s: is %s", f.ID, f.State)
	case f.State == casefile.Contested:
		return fmt.Errorf("finding %s: is contested; decide that first", f.ID)
	}
	plan := *p.Body.Removal
	if len(plan.Commands)+len(plan.Files) > 0 {
		if err := s.live(f, plan.Method != "uninstaller"); err != nil {
			return err
		}
	}
	if plan.Method == "package-manager" { // the root may be another one by now
		if err := confined(f.Target, plan.Commands[0][0], plan.Package); err != nil {
			return err
		}
	}
	if begun {
		s.say("it was begun before and did not end; it is run again")
	} else if _, err := s.append(casefile.Begin, &casefile.Body{Finding: f.ID, About: p.Name}); err != nil {
		return err
	}
	var log bytes.Buffer
	for _, argv := range plan.Commands {
		out, code, err := s.exec(argv)
		if err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		fmt.Fprintf(&log, "$ %s\n%sexit code %d\n", strings.Join(argv, " "), out, code)
		if code != 0 {
			s.lines(log.String())
			return fmt.Errorf("remove: %s: exit code %d; the finding stays \"removing\", and can be run again", argv[0], code)
		}
	}
	if len(plan.Files) > 0 {
		out, err := s.takeAway(f, p.Name, plan.Files)
		if log.WriteString(out); err != nil {
			s.lines(log.String())
			return fmt.Errorf("remove: %w; the finding stays \"removing\", and can be run again", err)
		}
	}
	if plan.Method == "by-hand" {
		fmt.Fprintf(&log, "done by hand, as %s says: %s\n", s.by, strings.Join(plan.Needs, "; "))
	}
	digest, err := s.file.Attach(log.Bytes())
	if err != nil {
		return err
	}
	if _, err := s.append(casefile.Done, &casefile.Body{Finding: f.ID, About: p.Name, Removal: &plan, Text: digest, Name: "output"}); err != nil {
		return err
	}
	s.say("%s was removed, by its own account: not verified until a search with at least the same coverage does not find it", f.Product)
	s.say("next: showcause identify %s %s --case %s", s.first(), f.Target, s.path())
	return nil
}

// runCommand runs a program with a clean environment, and returns what it wrote.
func runCommand(ctx context.Context, argv []string) (string, int, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	text := out.String()
	if len(text) > maxOutput {
		text = text[:maxOutput] + "\n(cut)\n"
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return text, exit.ExitCode(), nil
	}
	return text, 0, err
}
