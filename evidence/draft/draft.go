// Package draft makes statements of what a scan says, ready to be sealed: of each
// finding, and of what was looked at and what was not.
package draft

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/user"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/ruledb"
)

// Engine says what this program is. The digest is of the file that it was
// started from.
func Engine() (evidence.Engine, error) {
	e := evidence.Engine{Version: "unknown", Go: runtime.Version(), Target: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if e.Version = info.Main.Version; e.Version == "" {
			e.Version = "devel"
		}
		dirty := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				e.Revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+dirty"
			}
		}
		if e.Revision != "" {
			e.Revision += dirty
		}
	}
	if e.Revision == "" { // built with -buildvcs=false, or not from a checkout
		e.Revision = "unknown"
	}
	self, err := os.Executable()
	if err != nil {
		return e, fmt.Errorf("engine: %w", err)
	}
	if runtime.GOOS == "linux" {
		self = "/proc/self/exe" // the file itself, whatever stands at its path by now
	}
	f, err := os.Open(self)
	if err != nil {
		return e, fmt.Errorf("engine: %w", err)
	}
	defer f.Close()
	if e.Binary, err = Digest(f); err != nil {
		return e, fmt.Errorf("engine: %w", err)
	}
	return e, nil
}

// Digest returns the SHA-256 of an open file as it is now, hexadecimal. It does not
// move the file's offset.
func Digest(f *os.File) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, st.Size())); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Here says which host and user this is.
func Here() (c evidence.Context) {
	if host, err := os.Hostname(); err == nil && host != "" {
		c.Host = Text(host)
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		c.User = Text(u.Username)
	} else {
		c.User = Text(strconv.Itoa(os.Getuid()))
	}
	return c
}

// Scan is what all statements of one scan have in common.
type Scan struct {
	DB       *ruledb.DB
	Engine   evidence.Engine
	Database string // SHA-256 of the compiled rules, hexadecimal
	Policy   evidence.Policy
	Context  evidence.Context // host, user, jail; the scan's name is set by Begin
}

// Policy is what a scan was told, as a record has it. options are what changes a
// verdict besides the limits, in words.
func Policy(db *ruledb.DB, l showcause.Limits, options map[string]string) evidence.Policy {
	for _, v := range []*int64{&l.FileSize, &l.ScanSize, &l.Objects, &l.Ratio, &l.Work} {
		*v = min(*v, maxNumber) // no file is larger: it stands for no limit
	}
	p := evidence.Policy{Limits: l.WithDefaults(), Options: map[string]string{recheck.OptionInput: "all"}}
	if l.FileSize > 0 {
		p.Options[recheck.OptionInput] = strconv.FormatInt(l.FileSize, 10)
	}
	if db.OnlyYARA() {
		p.Options[recheck.OptionViews] = "none"
	}
	for k, v := range options {
		p.Options[k] = v
	}
	return p
}

// Begin names the scan.
func (s *Scan) Begin() error {
	var name [32]byte
	if _, err := rand.Read(name[:]); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	s.Context.Scan = hex.EncodeToString(name[:])
	return nil
}

// Now is the time of a statement that is made now.
func Now() evidence.Time { return At(time.Now()) }

// At is a time as a statement has it.
func At(t time.Time) evidence.Time {
	return evidence.Time{Observed: t.UTC().Format("2006-01-02T15:04:05Z")}
}

// Text is a private text as a record may have it: bytes that an attacker chose
// are escaped, and what is too long is cut.
func Text(s string) evidence.Private {
	s = showcause.Escape(s)
	if max := 32 << 10; len(s) > max {
		s = strings.ToValidUTF8(s[:max], "") + " (cut)"
	}
	return evidence.Private{Text: s}
}

// Finding makes the statement of one finding of a report. name is the file's path,
// and subject its digests, by who opened it.
func (s *Scan) Finding(name string, subject evidence.Digests, r *showcause.Report, f *showcause.Finding) (*evidence.Statement, error) {
	info, err := s.DB.Info(f.Index)
	if err != nil {
		return nil, fmt.Errorf("rule %d: %w", f.Index, err)
	}
	if len(f.Chain) != len(f.Trail)+1 {
		return nil, fmt.Errorf("finding of %s: a scan without digests", showcause.Escape(f.Rule))
	}
	policy := s.Policy
	out := &evidence.Statement{Kind: evidence.Finding, Subject: subject, Predicate: evidence.Predicate{
		Verdict: r.Verdict.String(),
		Input:   &evidence.Input{Size: r.Size, Type: r.Type},
		Engine:  s.Engine,
		Rules: &evidence.Rules{Database: s.Database, Rule: &evidence.Rule{
			Language: language(&info), Name: label(f.Rule), Index: int64(f.Index), File: label(info.File), Line: int64(info.Line), Allowed: label(f.Allowed), Stage: string(f.Stage),
		}},
		Policy:  &policy,
		Matches: &evidence.Matches{List: recheck.Sorted(f.Matches)},
		Coverage: &evidence.Coverage{
			Objects: add(0, r.Spent.Objects), Bytes: add(0, r.Spent.Bytes), Depth: int64(r.Spent.Depth), Work: add(0, r.Spent.Work),
			Complete: complete(r), Gaps: recheck.Gaps(r.Gaps, r.Size),
		},
		Context: s.Context, Time: Now(),
	}}
	out.Context.Path = Text(name)
	out.Rules.Rule.SetText(info.Text)
	for i, step := range f.Trail {
		l := f.Chain[i+1]
		out.Derivation = append(out.Derivation, evidence.Step{
			Index: int64(step.Index), Op: step.Op, Digest: evidence.Digests{SHA256: l.Digest.String()}, Size: l.Size,
		})
	}
	for _, n := range f.Counts {
		out.Counts = append(out.Counts, int64(n))
	}
	exact(out, &info)
	return out, nil
}

// label is a text of the rules' authors as a record may have it.
func label(s string) string {
	s = showcause.Escape(s)
	if len(s) > 4096 {
		s = strings.ToValidUTF8(s[:4096], "")
	}
	return s
}

// language is what a rule is written in: ClamAV's database files are known by
// their extensions.
func language(info *ruledb.Info) string {
	kind, database := clamsig.Classify(path.Base(info.File))
	if info.File == heuristic.File {
		return "clamav"
	}
	if database && kind != "yar" && kind != "yara" {
		return "clamav"
	}
	return "yara"
}

// exact adds the digest that a rule for exact bytes has asked for: as the rule
// fired, it is the layer's.
func exact(s *evidence.Statement, info *ruledb.Info) {
	if info.Kind != "digest" || len(s.Matches.List) != 1 {
		return
	}
	size, to := s.Input.Size, &s.Subject
	if n := len(s.Derivation); n > 0 {
		size, to = s.Derivation[n-1].Size, &s.Derivation[n-1].Digest
	}
	sum, _, _ := strings.Cut(info.Text, ":")
	if m := s.Matches.List[0]; m.Offset != 0 || m.Length != size || strings.HasSuffix(info.File, ".imp") {
		return
	}
	if b, err := hex.DecodeString(sum); err == nil {
		switch len(b) {
		case 16:
			to.MD5 = hex.EncodeToString(b)
		case 20:
			to.SHA1 = hex.EncodeToString(b)
		}
	}
}

// complete tells whether a report claims to have read everything.
func complete(r *showcause.Report) bool {
	for _, g := range r.Gaps {
		if g.Code.Unread() {
			return false
		}
	}
	return true
}
