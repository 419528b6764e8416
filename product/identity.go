package product

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Mode is how the value of an identity is compared with a fact.
type Mode string

// The modes. All but Exact take no notice of the case of ASCII letters.
const (
	Exact  Mode = "exact"
	Fold   Mode = "fold"
	Prefix Mode = "prefix"
	Word   Mode = "word"  // the value stands in the fact, with no letter or digit on either side
	Under  Mode = "under" // a path or key, or anything in it
)

// Confidence is how well a value is known.
type Confidence string

// The confidences, the best first.
const (
	Primary     Confidence = "primary"     // read in a primary text or in source code
	Secondary   Confidence = "secondary"   // read in a reputable secondary source
	Unconfirmed Confidence = "unconfirmed" // a lead: never strong, and whoever shows it says so
)

// Identity is one way to know a product.
type Identity struct {
	Product    string // id of the product
	Vendor     string // family that the file is of
	Kind       Kind
	Value      string
	Match      Mode
	Platform   string
	From, To   time.Time // when the value was in use; zero: not known
	Source     string    // key of the file's sources
	Confidence Confidence
	Proves     Class // at most; Installed: what the observation says
	Note       string
	File       string // where it stands
	Line       int
}

// Product is what identities lead to.
type Product struct {
	ID, Name, Vendor string
	Note             string
	Line             int
}

// Set are identities from any number of files.
type Set struct {
	Products   []Product
	Identities []Identity
	// Versions are the version of each family, Sources what its identities name, by "family/key".
	Versions, Sources map[string]string
}

// Count counts the identities of a kind.
func (s *Set) Count(k Kind) (n int) {
	for i := range s.Identities {
		if s.Identities[i].Kind == k {
			n++
		}
	}
	return n
}

// FileFormat is the format of files of identities.
const FileFormat = "showcause-products/1"

// file is a file of identities as it is written.
type file struct {
	Format   yaml.Node            `yaml:"format"`
	Family   yaml.Node            `yaml:"family"`
	Vendor   yaml.Node            `yaml:"vendor"`
	Version  yaml.Node            `yaml:"version"`
	Note     string               `yaml:"note"`
	Sources  map[string]yaml.Node `yaml:"sources"`
	Products []entry              `yaml:"products"`
}

type entry struct {
	ID         yaml.Node   `yaml:"id"`
	Name       yaml.Node   `yaml:"name"`
	Note       string      `yaml:"note"`
	Identities []yaml.Node `yaml:"identities"`
}

type row struct {
	Kind       Kind       `yaml:"kind"`
	Value      string     `yaml:"value"`
	Match      Mode       `yaml:"match"`
	Platform   string     `yaml:"platform"`
	From       string     `yaml:"from"`
	To         string     `yaml:"to"`
	Source     string     `yaml:"source"`
	Confidence Confidence `yaml:"confidence"`
	Proves     Class      `yaml:"proves"`
	Note       string     `yaml:"note"`
}

// Load reads every .yaml file of a folder. The error joins all that is wrong,
// each with file and line.
func Load(dir fs.FS) (*Set, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("identities: no file *.yaml")
	}
	s := &Set{}
	var all []error
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err == nil {
			err = s.Add(path.Base(name), text)
		}
		if err != nil {
			all = append(all, err)
		}
	}
	return s, errors.Join(all...)
}

// Add reads one file of identities. The error joins all that is wrong with it,
// "file:line: what".
func (s *Set) Add(name string, text []byte) error {
	if s.Versions == nil {
		s.Versions, s.Sources = map[string]string{}, map[string]string{}
	}
	l := loader{set: s, name: name}
	var f file
	if !l.strict(text, &f) {
		return errors.Join(l.wrong...)
	}
	if f.Format.Value != FileFormat {
		l.at(f.Format.Line, "format: want %s, have %q", FileFormat, f.Format.Value)
		return errors.Join(l.wrong...)
	}
	l.family = f.Family.Value
	l.word(f.Family, "family")
	if _, twice := s.Versions[l.family]; twice {
		l.at(f.Family.Line, "family: %s is in another file, too", l.family)
	}
	if _, err := time.Parse(time.DateOnly, f.Version.Value); err != nil {
		l.at(f.Version.Line, "version: want a date, YYYY-MM-DD, have %q", f.Version.Value)
	}
	s.Versions[l.family] = f.Version.Value
	l.sources = f.Sources
	for k, v := range f.Sources {
		if v.Value == "" {
			l.at(v.Line, "sources: %s: empty", k)
		}
		s.Sources[l.family+"/"+k] = v.Value
	}
	for _, p := range f.Products {
		l.product(p)
	}
	return errors.Join(l.wrong...)
}

type loader struct {
	set     *Set
	name    string
	family  string
	sources map[string]yaml.Node
	wrong   []error
}

func (l *loader) at(line int, format string, a ...any) {
	l.wrong = append(l.wrong, fmt.Errorf("%s:%d: "+format, append([]any{l.name, max(line, 1)}, a...)...))
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)`)

// strict decodes with unknown fields refused.
func (l *loader) strict(text []byte, v any) bool {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	err := d.Decode(v)
	l.decoded(err, 1)
	return err == nil
}

// decoded says what the YAML library found wrong, in lines from first on.
func (l *loader) decoded(err error, first int) {
	var te *yaml.TypeError
	switch {
	case err == nil:
		return
	case errors.As(err, &te):
		for _, m := range te.Errors {
			l.line(m, first)
		}
	default:
		l.line(err.Error(), first)
	}
}

func (l *loader) line(message string, first int) {
	n := first
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		_, _ = fmt.Sscan(m[1], &n)
		message = m[2]
	}
	l.at(n, "%s", message)
}

var wordShape = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

func (l *loader) word(n yaml.Node, what string) {
	if !wordShape.MatchString(n.Value) {
		l.at(n.Line, "%s: want small letters, digits, dots and hyphens, have %q", what, n.Value)
	}
}

func (l *loader) product(p entry) {
	l.word(p.ID, "id")
	if p.Name.Value == "" {
		l.at(p.ID.Line, "%s: name: missing", p.ID.Value)
	}
	for _, q := range l.set.Products {
		if q.ID == p.ID.Value {
			l.at(p.ID.Line, "id: %s is there twice", p.ID.Value)
		}
	}
	l.set.Products = append(l.set.Products, Product{ID: p.ID.Value, Name: p.Name.Value, Vendor: l.family, Note: p.Note, Line: p.ID.Line})
	for i := range p.Identities {
		l.identity(p.ID.Value, &p.Identities[i])
	}
}

var fields = []string{"kind", "value", "match", "platform", "from", "to", "source", "confidence", "proves", "note"}

func (l *loader) identity(id string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; !slices.Contains(fields, k.Value) {
			l.at(k.Line, "field %s not found", k.Value)
		}
	}
	var r row
	if err := n.Decode(&r); err != nil {
		l.decoded(err, n.Line)
		return
	}
	before := len(l.wrong)
	one := func(what, have string, list []string) {
		if !slices.Contains(list, have) {
			l.at(n.Line, "%s: want one of %s, have %q", what, strings.Join(list, ", "), have)
		}
	}
	one("kind", string(r.Kind), texts(Kinds()))
	one("match", string(r.Match), texts([]Mode{Exact, Fold, Prefix, Word, Under}))
	one("confidence", string(r.Confidence), texts([]Confidence{Primary, Secondary, Unconfirmed}))
	one("proves", string(r.Proves), texts(Classes()))
	one("platform", r.Platform, []string{AnySystem, Deb, RPM, APK, Snap, Flatpak, Brew, MSI, Winget, Windows, MacOS, Linux, Android, Chrome, Firefox, VSCode})
	if len(r.Value) < 2 || len(r.Value) > MaxValue {
		l.at(n.Line, "value: want 2 to %d bytes, have %d", MaxValue, len(r.Value))
	}
	if r.Match == Under && r.Kind != Path && r.Kind != Registry {
		l.at(n.Line, "match: under is for paths and keys")
	}
	if _, ok := l.sources[r.Source]; !ok {
		l.at(n.Line, "source: %q is not in sources", r.Source)
	}
	i := Identity{
		Product: id, Vendor: l.family, Kind: r.Kind, Value: r.Value, Match: r.Match, Platform: r.Platform, Source: r.Source,
		Confidence: r.Confidence, Proves: r.Proves, Note: r.Note, File: l.name, Line: n.Line,
	}
	i.From, i.To = l.date(n.Line, "from", r.From), l.date(n.Line, "to", r.To)
	if !i.To.IsZero() && i.To.Before(i.From) {
		l.at(n.Line, "to: is before from")
	}
	if len(l.wrong) == before {
		l.set.Identities = append(l.set.Identities, i)
	}
}

func (l *loader) date(line int, what, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		l.at(line, "%s: want a date, YYYY-MM-DD, have %q", what, s)
	}
	return t
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// Agrees tells whether a fact is what the identity says. Names of things that a platform has
// are compared only with facts of that platform; a system's with those of its package databases too.
func (i *Identity) Agrees(platform string, f Fact) bool {
	if i.Kind != f.Kind || !covers(i.Platform, platform) {
		return false
	}
	have, want := f.Value, i.Value
	if i.Match == Exact {
		return have == want
	}
	have, want = lower(have), lower(want)
	switch i.Match {
	case Fold:
		return have == want
	case Prefix:
		return strings.HasPrefix(have, want)
	case Word:
		return hasWord(have, want)
	case Under:
		rest, ok := strings.CutPrefix(have, strings.TrimRight(want, `/\`))
		return ok && (rest == "" || rest[0] == '/' || rest[0] == '\\')
	}
	return false
}

// covers tells whether an identity of platform want is meant for facts of platform have.
func covers(want, have string) bool {
	if want == AnySystem || want == have {
		return true
	}
	switch want {
	case Linux:
		return slices.Contains([]string{Deb, RPM, APK, Snap, Flatpak}, have)
	case Windows:
		return have == MSI || have == Winget
	case MacOS:
		return have == Brew
	}
	return false
}

// lower folds ASCII letters, and nothing else: what Unicode folds together differs between systems.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func hasWord(s, word string) bool {
	for at := 0; ; {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(word)
		if (from == 0 || !alnum(s[from-1])) && (to == len(s) || !alnum(s[to])) {
			return true
		}
		at = from + 1
	}
}

// alnum takes bytes of letters beyond ASCII for letters.
func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80
}
