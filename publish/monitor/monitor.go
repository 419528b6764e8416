// Package monitor reads a publisher's log as anyone may, and holds every release
// against it: each entry of the log is explained by a manifest, each manifest's changes
// are those of its rules, and the log continues the one that was seen before. It prints what each
// version added and took away, so that somebody looks at it.
package monitor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/translog"
	"github.com/showcause/showcause/update/signed"
)

// State is what a monitor remembers between its looks.
type State struct {
	Checkpoint []byte      `json:"checkpoint,omitempty"`
	Version    int64       `json:"version"`          // of the last release that was looked at
	Next       int64       `json:"next"`             // entry that the next release begins with
	Rules      signed.List `json:"rules,omitzero"`   // of that release
	Hashes     []tlog.Hash `json:"hashes,omitempty"` // of full subtrees of the entries before Next, from the left
}

// Found is something that should not be. What is read goes on as far as it can.
type Found struct{ What []string }

func (f *Found) Error() string {
	return fmt.Sprintf("monitor: %d things are not as they should be", len(f.What))
}

const maxFile = 512 << 20 // bytes: a list of rules

// Look reads what is new in a site's log, writes what each version changed to w, and
// returns what to remember. A *Found says what is wrong: then nothing is remembered.
func Look(ctx context.Context, site signed.Site, st State, fetch signed.Fetch, w io.Writer) (State, error) {
	v, err := note.NewVerifier(site.LogKey)
	if err != nil {
		return st, fmt.Errorf("monitor: log key: %w", err)
	}
	m := &look{ctx: ctx, site: site, fetch: fetch, w: w, st: st}
	m.st.Hashes = slices.Clone(st.Hashes)
	if err := m.read(v); err != nil {
		return st, err
	}
	if len(m.found) > 0 {
		return st, &Found{m.found}
	}
	return m.st, nil
}

type look struct {
	ctx   context.Context
	site  signed.Site
	fetch signed.Fetch
	w     io.Writer
	st    State
	tree  tlog.Tree
	found []string

	bundle      []byte // the last one that was read
	bundleN     int64
	bundleWidth int
}

func (m *look) bad(format string, a ...any) {
	s := fmt.Sprintf(format, a...)
	m.found = append(m.found, s)
	fmt.Fprintf(m.w, "WRONG  %s\n", showcause.Escape(s))
}

func (m *look) read(v note.Verifier) error {
	cp, err := m.fetch(m.ctx, "log/checkpoint", maxFile)
	if err != nil {
		return fmt.Errorf("monitor: checkpoint: %w", err)
	}
	if m.tree, err = translog.OpenTree(cp, v); err != nil {
		m.bad("checkpoint: %v", err)
		return nil
	}
	if m.st.Checkpoint != nil {
		was, err := translog.OpenTree(m.st.Checkpoint, v)
		if err != nil {
			return fmt.Errorf("monitor: what was seen before: %w", err)
		}
		if was.N > m.tree.N {
			m.bad("the log has %d entries and had %d", m.tree.N, was.N)
			return nil
		}
		if root := m.root(); was.N != m.st.Next || root != was.Hash {
			return errors.New("monitor: its own state is damaged")
		}
	}
	for m.st.Next < m.tree.N && len(m.found) == 0 {
		if err := m.release(); err != nil {
			return err
		}
	}
	if len(m.found) == 0 && m.root() != m.tree.Hash {
		m.bad("the entries do not give the checkpoint's root: another log was shown before, or is shown to others")
	}
	m.st.Checkpoint = cp
	return nil
}

// release looks at the next release.
func (m *look) release() error {
	name := fmt.Sprintf("releases/%d.json", m.st.Version+1)
	b, err := m.fetch(m.ctx, name, maxFile)
	if errors.Is(err, signed.ErrAbsent) {
		m.bad("entry %d is of no release that is published: %s is not there", m.st.Next, name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	r, err := signed.ParseManifest(b)
	if err != nil {
		m.bad("%s: %v", name, err)
		return nil
	}
	if r.Pack != m.site.Pack || r.Version != m.st.Version+1 || r.Previous != m.st.Next-1 {
		m.bad("%s: it is release %d of %q after entry %d", name, r.Version, r.Pack, r.Previous)
	}
	changes, err := m.changes(name, r)
	if err != nil || changes == nil {
		return err
	}
	at := m.st.Next
	leaf := func(want [sha256.Size]byte) (bool, error) {
		if at >= m.tree.N {
			m.bad("%s: the log ends within it", name)
			return false, nil
		}
		got, err := m.entry(at)
		if err != nil {
			return false, err
		}
		if got != want {
			m.bad("entry %d is not what %s says", at, name)
			return false, nil
		}
		m.push(tlog.RecordHash(got[:]), at)
		at++
		return true, nil
	}
	for c := range signed.Changes(bytes.NewReader(changes)) {
		if ok, err := leaf(r.ChangeLeaf(&c)); err != nil || !ok {
			return err
		}
	}
	if ok, err := leaf(r.Leaf(b)); err != nil || !ok {
		return err
	}
	fmt.Fprintf(m.w, "release %d, %s: %d rules, %d changes, entry %d\n", r.Version, r.Time.Format("2006-01-02 15:04:05Z07:00"), r.Rules.Count, r.Changes.Count, r.Index())
	for c := range signed.Changes(bytes.NewReader(changes)) {
		fmt.Fprintf(m.w, "  %-5s %s  %s  %s\n", c.Op, c.Digest[:16], c.Stage, showcause.Escape(c.Name))
	}
	m.st.Version, m.st.Rules, m.st.Next = r.Version, r.Rules, at
	return nil
}

// changes fetches the changes of a release, and holds them against its rules and those of the
// release before; nil: something is wrong.
func (m *look) changes(name string, r *signed.Manifest) ([]byte, error) {
	list := func(path string, l signed.List) ([]byte, error) {
		b, err := m.fetch(m.ctx, path, min(l.Length, maxFile))
		if err != nil && !errors.Is(err, signed.ErrAbsent) && !errors.Is(err, signed.ErrLong) {
			return nil, fmt.Errorf("monitor: %w", err)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, l.Check(bytes.NewReader(b), path))
		}
		if err != nil {
			m.bad("%s: %s: %v", name, path, err)
			return nil, nil
		}
		return append([]byte{}, b...), nil
	}
	rules := func(l signed.List) ([]byte, error) { return list("targets/"+l.SHA256+"."+signed.RulesName, l) }
	var old []byte
	var err error
	if m.st.Version > 0 {
		if old, err = rules(m.st.Rules); err != nil || old == nil {
			return nil, err
		}
	}
	now, err := rules(r.Rules)
	if err != nil || now == nil {
		return nil, err
	}
	changes, err := list(fmt.Sprintf("releases/%d.changes", r.Version), r.Changes)
	if err != nil || changes == nil {
		return nil, err
	}
	var want bytes.Buffer
	if _, err := signed.Of(signed.Changed(signed.Rules(bytes.NewReader(old)), signed.Rules(bytes.NewReader(now))), &want); err != nil {
		m.bad("%s: %v", name, err)
		return nil, nil
	}
	if !bytes.Equal(want.Bytes(), changes) {
		m.bad("%s: the changes that it logs are not those of its rules", name)
		return nil, nil
	}
	return changes, nil
}

// entry reads an entry from its bundle: 256 of u16 length and digest.
func (m *look) entry(i int64) (out [32]byte, err error) {
	const width, size = 1 << translog.TileHeight, 34
	n, w := i/width, width
	if (n+1)*width > m.tree.N {
		w = int(m.tree.N - n*width)
	}
	if m.bundle == nil || m.bundleN != n || m.bundleWidth != w {
		path := "log/" + translog.TilePath(tlog.Tile{H: translog.TileHeight, L: -1, N: n, W: w})
		if m.bundle, err = m.fetch(m.ctx, path, width*size); err != nil {
			m.bundle = nil
			return out, fmt.Errorf("monitor: %s: %w", path, err)
		}
		m.bundleN, m.bundleWidth = n, w
	}
	at := int(i%width) * size
	if len(m.bundle) < at+size || binary.BigEndian.Uint16(m.bundle[at:]) != 32 {
		return out, nil // what it holds is no digest: it will not be the one that it must be
	}
	return [32]byte(m.bundle[at+2 : at+size]), nil
}

// push adds a leaf: of two full subtrees of one size one is made.
func (m *look) push(h tlog.Hash, index int64) {
	for n := index; n&1 == 1; n >>= 1 {
		last := len(m.st.Hashes) - 1
		h = tlog.NodeHash(m.st.Hashes[last], h)
		m.st.Hashes = m.st.Hashes[:last]
	}
	m.st.Hashes = append(m.st.Hashes, h)
}

// root is that of all that was pushed.
func (m *look) root() tlog.Hash {
	hs := m.st.Hashes
	if len(hs) == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := hs[len(hs)-1]
	for i := len(hs) - 2; i >= 0; i-- {
		h = tlog.NodeHash(hs[i], h)
	}
	return h
}

// Save and Load keep a state as JSON.
func (s State) Save() ([]byte, error) { return json.Marshal(s) }

// Load reads a saved state; nothing is the first look.
func Load(b []byte) (s State, err error) {
	if len(b) == 0 {
		return s, nil
	}
	if err = json.Unmarshal(b, &s); err != nil {
		err = fmt.Errorf("monitor: state: %w", err)
	}
	return s, err
}
