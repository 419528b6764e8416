package signed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"golang.org/x/mod/sumdb/note"

	"github.com/showcause/showcause/translog"
)

// Site is whose releases are taken. It comes to a host with its configuration.
type Site struct {
	Pack   string          `json:"pack"`
	Root   json.RawMessage `json:"root"`             // the first root metadata that is trusted
	LogKey string          `json:"log_key"`          // of the log, as a line (C2SP signed-note)
	Policy string          `json:"policy,omitempty"` // which witnesses must have signed the log (C2SP tlog-policy); "": none
}

// State is what a host remembers of a site, so that it is never led back. The zero
// value is that of a host that has seen nothing.
type State struct {
	Root       []byte    `json:"root,omitempty"`
	Timestamp  []byte    `json:"timestamp,omitempty"`
	Snapshot   []byte    `json:"snapshot,omitempty"`
	Checkpoint []byte    `json:"checkpoint,omitempty"` // of the log
	Version    int64     `json:"version,omitempty"`    // of the release that was taken
	Manifest   []byte    `json:"manifest,omitempty"`   // of that release
	Latest     time.Time `json:"latest"`               // the latest time at which it was asked
}

// Fetch gets a file of a site by its path there, of at most max bytes. A file that is not
// there is ErrAbsent; one that is longer is ErrLong.
type Fetch func(ctx context.Context, path string, max int64) ([]byte, error)

// What a Fetch may answer.
var (
	ErrAbsent = errors.New("it is not there")
	ErrLong   = errors.New("it is longer than it may be")
)

// Longest files, bytes.
const (
	maxRoot      = 512 << 10
	maxTimestamp = 16 << 10
	maxSnapshot  = 1 << 20
	maxTargets   = 8 << 20
	maxProof     = 300 << 10
	maxRoots     = 1024 // that are followed at once
)

// Release is one that is proven: its manifest, and how to get its files.
type Release struct {
	Manifest *Manifest
	Index    int64 // of its leaf
	State    State // to remember once it is taken
	New      bool  // it is not the one that State.Version tells of
	before   *Manifest
}

// Client asks one site.
type Client struct {
	site     Site
	fetch    Fetch
	now      time.Time
	verifier note.Verifier
	trusted  *trustedmetadata.TrustedMetadata
	state    State
}

// NewClient returns a client. Everything is held against this one time.
func NewClient(site Site, state State, now time.Time, fetch Fetch) (*Client, error) {
	v, err := note.NewVerifier(site.LogKey)
	if err != nil {
		return nil, fmt.Errorf("site: log key: %w", err)
	}
	if !plain(site.Pack) {
		return nil, fmt.Errorf("site: pack %q", site.Pack)
	}
	return &Client{site: site, fetch: fetch, now: now.UTC(), verifier: v, state: state}, nil
}

// Refresh asks for the newest release and proves it: what the roles of TUF sign, that
// it is not older than what was seen, not expired, whole, in the log, that the
// log continues the one that was seen, and that enough witnesses saw it. An error is a *Refusal, or of the Fetch.
func (c *Client) Refresh(ctx context.Context) (*Release, error) {
	if c.now.Add(24 * time.Hour).Before(c.state.Latest) {
		return nil, refuse(Clock, "clock", "it is %s, and was %s", c.now.Format(time.RFC3339), c.state.Latest.Format(time.RFC3339))
	}
	if c.state.Latest.After(c.now) {
		c.now = c.state.Latest
	}
	c.state.Latest = c.now
	for _, step := range []func(context.Context) error{c.root, c.timestamp, c.snapshot, c.targets} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return c.release(ctx)
}

// get fetches a file and says what its absence or length means.
func (c *Client) get(ctx context.Context, path string, max int64) ([]byte, error) {
	b, err := c.fetch(ctx, path, max)
	switch {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(Missing, path, "%v", err)
	case errors.Is(err, ErrLong), err == nil && int64(len(b)) > max:
		return nil, refuse(TooLong, path, "more than %d bytes", max)
	}
	return b, err
}

// root follows the roots from the one that is trusted, each signed by the one before.
func (c *Client) root(ctx context.Context) error {
	first := c.state.Root
	if first == nil {
		first = c.site.Root
	}
	if err := sound(first, "root.json"); err != nil {
		return err
	}
	t, err := trustedmetadata.New(first)
	if err != nil {
		return judge("root.json", err)
	}
	t.RefTime = c.now
	c.trusted = t
	c.state.Root = first
	for range maxRoots {
		name := fmt.Sprintf("metadata/%d.root.json", t.Root.Signed.Version+1)
		b, err := c.fetch(ctx, name, maxRoot)
		if errors.Is(err, ErrAbsent) {
			return nil
		}
		if b, err = c.got(b, err, name, maxRoot); err != nil {
			return err
		}
		if _, err := t.UpdateRoot(b); err != nil {
			return judge(name, err)
		}
		c.state.Root = b
	}
	return refuse(TooLong, "root.json", "more than %d new ones", maxRoots)
}

// got is what get does with an answer, for metadata.
func (c *Client) got(b []byte, err error, path string, max int64) ([]byte, error) {
	switch {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(Missing, path, "%v", err)
	case errors.Is(err, ErrLong), err == nil && int64(len(b)) > max:
		return nil, refuse(TooLong, path, "more than %d bytes", max)
	case err != nil:
		return nil, err
	}
	return b, sound(b, path)
}

func (c *Client) metadata(ctx context.Context, path string, max int64) ([]byte, error) {
	b, err := c.fetch(ctx, path, max)
	return c.got(b, err, path, max)
}

func (c *Client) timestamp(ctx context.Context) error {
	const name = "metadata/timestamp.json"
	if old := c.state.Timestamp; old != nil && sound(old, name) == nil {
		// One that does not hold under the present root is forgotten: after keys were
		// taken away, versions that their thieves made do not count.
		if _, err := c.trusted.UpdateTimestamp(old); err != nil && c.trusted.Timestamp == nil && c.trusted.Root.Signed.IsExpired(c.now) {
			return judge("root.json", err)
		}
	}
	b, err := c.metadata(ctx, name, maxTimestamp)
	if err != nil {
		return err
	}
	if err := hasMeta(b, name, "snapshot.json"); err != nil {
		return err
	}
	_, err = c.trusted.UpdateTimestamp(b)
	var equal *metadata.ErrEqualVersionNumber
	if errors.As(err, &equal) {
		if !bytes.Equal(b, c.state.Timestamp) && !sameSigned(b, c.state.Timestamp) {
			return refuse(Rollback, name, "another one of the same version")
		}
		if c.trusted.Timestamp.Signed.IsExpired(c.now) {
			return refuse(Frozen, name, "it expired at %s", c.trusted.Timestamp.Signed.Expires.Format(time.RFC3339))
		}
		return nil
	}
	if err != nil {
		return judge(name, err)
	}
	c.state.Timestamp = b
	return nil
}

func (c *Client) snapshot(ctx context.Context) error {
	want := c.trusted.Timestamp.Signed.Meta["snapshot.json"]
	if want == nil {
		return refuse(Form, "metadata/timestamp.json", "it names no snapshot")
	}
	if old := c.state.Snapshot; old != nil && sound(old, "snapshot.json") == nil {
		if _, err := c.trusted.UpdateSnapshot(old, true); err == nil {
			return nil
		}
	}
	name := fmt.Sprintf("metadata/%d.snapshot.json", want.Version)
	b, err := c.metadata(ctx, name, maxSnapshot)
	if err != nil {
		return err
	}
	if err := hasMeta(b, name, "targets.json"); err != nil {
		return err
	}
	if _, err := c.trusted.UpdateSnapshot(b, false); err != nil {
		return judge(name, err)
	}
	c.state.Snapshot = b
	return nil
}

func (c *Client) targets(ctx context.Context) error {
	want := c.trusted.Snapshot.Signed.Meta["targets.json"]
	if want == nil {
		return refuse(Form, "metadata/snapshot.json", "it names no targets")
	}
	name := fmt.Sprintf("metadata/%d.targets.json", want.Version)
	b, err := c.metadata(ctx, name, maxTargets)
	if err != nil {
		return err
	}
	if _, err := c.trusted.UpdateTargets(b); err != nil {
		return judge(name, err)
	}
	return nil
}

// release reads the manifest and proves that it is logged.
func (c *Client) release(ctx context.Context) (*Release, error) {
	b, err := c.target(ctx, ManifestName, maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := ParseManifest(b)
	if err != nil {
		return nil, err
	}
	if m.Pack != c.site.Pack {
		return nil, refuse(Wrong, ManifestName, "it is of the pack %q, not %q", m.Pack, c.site.Pack)
	}
	if m.Version < c.state.Version {
		return nil, refuse(Rollback, ManifestName, "release %d, and %d is there", m.Version, c.state.Version)
	}
	files := maps.Clone(m.Files)
	if files == nil {
		files = map[string]File{}
	}
	files[RulesName] = File{m.Rules.SHA256, m.Rules.Length}
	signed := c.trusted.Targets[metadata.TARGETS].Signed.Targets
	for name := range signed {
		if _, ok := files[name]; !ok && name != ManifestName {
			return nil, refuse(Wrong, name, "the release has no such file")
		}
	}
	for name, f := range files {
		t := signed[name]
		if t == nil || t.Length != f.Length || hex.EncodeToString(t.Hashes["sha256"]) != f.SHA256 {
			return nil, refuse(Mixed, name, "the manifest and the signed list disagree")
		}
	}
	index, err := c.logged(ctx, m, b)
	if err != nil {
		return nil, err
	}
	r := &Release{Manifest: m, Index: index, New: m.Version > c.state.Version}
	if was, err := ParseManifest(c.state.Manifest); err == nil {
		r.before = was
	}
	c.state.Manifest, c.state.Version = b, m.Version
	r.State = c.state
	return r, nil
}

// Follow reads the list of the release's rules, calls each with them, in order, and holds that
// the changes which are logged are those since the release before, where that is the one that
// was taken. Monitors do it for each. old opens the list of
// the rules that were taken, which has that SHA-256; nil: there is none.
func (r *Release) Follow(list io.Reader, old func(sum string) (io.ReadCloser, error), each func(Rule) error) error {
	m := r.Manifest
	next := func(yield func(Rule, error) bool) {
		for v, err := range Rules(m.Rules.Check(list, RulesName)) {
			if err == nil {
				err = each(v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
	none := func(func(Rule, error) bool) {}
	before := iter.Seq2[Rule, error](none)
	known := m.Version == 1
	if was := r.before; !known && old != nil && was != nil && was.Version+1 == m.Version {
		if in, err := old(was.Rules.SHA256); err == nil {
			defer in.Close()
			before, known = Rules(was.Rules.Check(in, "the rules that are there")), true
		}
	}
	changes, err := Of(Changed(before, next), io.Discard)
	if err != nil {
		return err
	}
	if known && changes != m.Changes {
		return refuse(Unlogged, ManifestName, "the changes that are logged are not those of the rules")
	}
	return nil
}

// target fetches a signed file.
func (c *Client) target(ctx context.Context, name string, max int64) ([]byte, error) {
	t := c.trusted.Targets[metadata.TARGETS].Signed.Targets[name]
	if t == nil {
		return nil, refuse(Missing, name, "the signed list has no such file")
	}
	sum := t.Hashes["sha256"]
	if len(sum) != sha256.Size || t.Length > max {
		return nil, refuse(Form, name, "no SHA-256, or %d bytes", t.Length)
	}
	b, err := c.get(ctx, "targets/"+hex.EncodeToString(sum)+"."+name, t.Length)
	if err != nil {
		return nil, err
	}
	if have := sha256.Sum256(b); int64(len(b)) != t.Length || !bytes.Equal(have[:], sum) {
		return nil, refuse(Altered, name, "%d bytes that are not those which were signed", len(b))
	}
	return b, nil
}

// File fetches a file of the release that Refresh returned, or its list of rules.
func (c *Client) File(ctx context.Context, name string) ([]byte, error) {
	if !plain(name) && name != RulesName {
		return nil, refuse(Form, name, "no name of a rule file")
	}
	return c.target(ctx, name, 1<<30)
}

// logged proves that the log has the release where its changes end, and that the log
// continues the one that was seen before.
func (c *Client) logged(ctx context.Context, m *Manifest, manifest []byte) (int64, error) {
	name := fmt.Sprintf("proofs/%d", m.Version)
	b, err := c.get(ctx, name, maxProof)
	if err != nil {
		var r *Refusal
		if errors.As(err, &r) && r.Code == Missing {
			r.Code = Unlogged
		}
		return 0, err
	}
	var policy []byte
	if c.site.Policy != "" {
		policy = []byte(c.site.Policy)
	}
	index, err := translog.CheckProof(b, m.Leaf(manifest), c.verifier, policy)
	if err != nil {
		var f *translog.Fault
		if errors.As(err, &f) && f.Code == translog.NoQuorum {
			return 0, refuse(Unwitnessed, name, "%v", err)
		}
		return 0, refuse(Unlogged, name, "%v", err)
	}
	if index != m.Index() {
		return 0, refuse(Unlogged, name, "its leaf is entry %d: %d rules changed since entry %d", index, m.Changes.Count, m.Previous)
	}
	return index, c.continues(ctx, b)
}

// judge says what a fault of the metadata is.
func judge(what string, err error) error {
	code := Form
	var (
		unsigned *metadata.ErrUnsignedMetadata
		version  *metadata.ErrBadVersionNumber
		expired  *metadata.ErrExpiredMetadata
		altered  *metadata.ErrLengthOrHashMismatch
		missing  *metadata.ErrRepository
	)
	switch {
	case errors.As(err, &unsigned):
		code = Unsigned
	case errors.As(err, &version):
		code = Rollback
	case errors.As(err, &expired):
		code = Frozen
	case errors.As(err, &altered):
		code = Mixed
	case errors.As(err, &missing):
		code = Mixed
	}
	return refuse(code, what, "%v", err)
}

// sound refuses JSON with a null in it, or more than one value: the library takes
// pointers of what it reads without looking.
func sound(b []byte, what string) error {
	d := json.NewDecoder(bytes.NewReader(b))
	depth, values := 0, 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			if depth != 0 || values != 1 {
				return refuse(Form, what, "not one JSON value")
			}
			return nil
		}
		if err != nil {
			return refuse(Form, what, "%v", err)
		}
		switch t {
		case nil:
			return refuse(Form, what, "a null in it")
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > 16 {
			return refuse(Form, what, "too deep")
		}
		if depth == 0 {
			values++
		}
	}
}

// hasMeta refuses metadata that does not name another file.
func hasMeta(b []byte, what, name string) error {
	var m struct {
		Signed struct {
			Meta map[string]struct{ Version int64 } `json:"meta"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return refuse(Form, what, "%v", err)
	}
	if _, ok := m.Signed.Meta[name]; !ok {
		return refuse(Form, what, "it does not name %s", name)
	}
	return nil
}

// sameSigned tells whether two files say the same, whoever signed them.
func sameSigned(a, b []byte) bool {
	var x, y struct {
		Signed json.RawMessage `json:"signed"`
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && bytes.Equal(x.Signed, y.Signed)
}
