package quarantine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
)

// State says where an item stands; see the package's comment.
type State string

// The closed list.
const (
	Taking    State = "taking"
	Taken     State = "taken"
	Stored    State = "stored"
	Restoring State = "restoring"
	Restored  State = "restored"
	Purging   State = "purging"
	Purged    State = "purged"
	Stranded  State = "stranded"
)

// kept tells whether the content is kept.
func (s State) kept() bool { return s == Taken || s == Stored || s == Restoring || s == Stranded }

func (s State) known() bool {
	switch s {
	case Taking, Taken, Stored, Restoring, Restored, Purging, Purged, Stranded:
		return true
	}
	return false
}

const itemFormat = "showcause-quarantine/v1"

// Item is one file in quarantine, by all names that were taken.
type Item struct {
	Format string   `json:"format"`
	ID     string   `json:"id"`     // 16 random bytes, hexadecimal
	State  State    `json:"state"`  //
	Record string   `json:"record"` // name of the finding
	Rule   string   `json:"rule"`   //
	Time   string   `json:"time"`   // when it was taken: RFC 3339, UTC
	SHA256 string   `json:"sha256"` // of the content
	Size   int64    `json:"size"`
	Holes  []Hole   `json:"holes,omitempty"` // ascending; their zeros are not in ID.age
	Names  []Name   `json:"names"`           // at least one
	Meta   Meta     `json:"meta"`
	Inode  Inode    `json:"inode"`             // of the file that was taken
	New    *Inode   `json:"new,omitempty"`     // of the file that is being restored
	To     string   `json:"to,omitempty"`      // folder that it is restored to, if not to its own; showcause.Escape
	Deeds  []string `json:"deeds,omitempty"`   // names of the records of what was done
	Deed   []byte   `json:"pending,omitempty"` // a record that is sealed and not yet in the store
	Note   string   `json:"note,omitempty"`    // why it is stranded
}

// Name is one name of the file.
type Name struct {
	Path  string `json:"path"`  // showcause.Escape, for people
	Bytes []byte `json:"bytes"` // the path itself, base64: absolute, without links
	Held  string `json:"held"`  // name of the file while it is held: in held/, or beside Path if it begins with a dot
}

// Inode names a file among those that exist.
type Inode struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

func newName(p, held string) Name {
	return Name{Path: showcause.Escape(p), Bytes: []byte(p), Held: held}
}

func (n Name) dir() string  { return path.Dir(string(n.Bytes)) }
func (n Name) base() string { return path.Base(string(n.Bytes)) }

// beside tells whether the held file is in the folder of the path.
func (n Name) beside() bool { return n.Held[0] == '.' }

// check refuses an item that this program did not write.
func (it *Item) check(id string) error {
	sum, err := hex.DecodeString(it.SHA256)
	switch {
	case it.Format != itemFormat:
		return fmt.Errorf("format %q", it.Format)
	case it.ID != id:
		return errors.New("another id")
	case !it.State.known():
		return fmt.Errorf("state %q", it.State)
	case err != nil || len(sum) != 32 || it.Size < 0:
		return errors.New("digest or size")
	case len(it.Names) == 0:
		return errors.New("no name")
	}
	if _, err := time.Parse(time.RFC3339, it.Time); err != nil {
		return errors.New("time")
	}
	for i, n := range it.Names {
		p := string(n.Bytes)
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || showcause.Escape(p) != n.Path {
			return fmt.Errorf("path %s", n.Path)
		}
		if n.Held != fmt.Sprintf("%s.%d", id, i) && n.Held != heldBeside(id, i) {
			return fmt.Errorf("held name %q", n.Held)
		}
	}
	if err := checkHoles(it.Holes, it.Size); err != nil {
		return err
	}
	return it.Meta.check()
}

func heldBeside(id string, i int) string { return fmt.Sprintf(".showcause-%s.%d", id, i) }

// read reads an item strictly.
func (q *Quarantine) read(id string) (*Item, error) {
	b, err := q.dir.ReadFile(id+itemSuffix, maxItem)
	if err != nil {
		return nil, err
	}
	it, err := decodeItem(b, id)
	if err != nil {
		return nil, fmt.Errorf("item %s: %w", id, err)
	}
	return it, nil
}

func decodeItem(b []byte, id string) (*Item, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	it := &Item{}
	if err := d.Decode(it); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows")
	}
	return it, it.check(id)
}

func (it *Item) encode() ([]byte, error) {
	b, err := json.MarshalIndent(it, "", "  ")
	return append(b, '\n'), err
}

// write makes an item durable in a state.
func (q *Quarantine) write(it *Item, s State) error {
	was := it.State
	it.State = s
	b, err := it.encode()
	if err == nil {
		err = q.dir.WriteFile(it.ID+itemSuffix, b, 0o600)
	}
	if err != nil {
		it.State = was
	}
	return err
}

// Lines describes an item for a person.
func (it *Item) Lines() (out []string) {
	add := func(key, format string, a ...any) {
		out = append(out, fmt.Sprintf("%-9s ", key)+fmt.Sprintf(format, a...))
	}
	add("item", "%s (%s)", it.ID, it.State)
	for _, n := range it.Names {
		add("path", "%s", n.Path)
	}
	size := fmt.Sprintf("%d bytes", it.Size)
	if kept := stored(it.Holes, it.Size); kept < it.Size {
		size += fmt.Sprintf(", %d of them in holes", it.Size-kept)
	}
	add("sha256", "%s, %s", it.SHA256, size)
	add("rule", "%s", showcause.Escape(it.Rule))
	add("finding", "%s", it.Record)
	add("taken", "%s", it.Time)
	add("mode", "%s, owner %d:%d, %d names, %d attributes", it.Meta.Mode, it.Meta.UID, it.Meta.GID, it.Meta.Links, len(it.Meta.Xattrs))
	for _, d := range it.Deeds {
		add("deed", "%s", d)
	}
	if it.Note != "" {
		add("note", "%s", showcause.Escape(it.Note))
	}
	return out
}

// seal makes the record of a deed.
func (q *Quarantine) seal(it *Item, deed, result, reason string) (*evidence.Record, error) {
	engine := q.o.Engine
	if engine == (evidence.Engine{}) {
		finding, err := q.store.Read(it.Record)
		if err != nil {
			return nil, err
		}
		engine = finding.Statement().Engine
	}
	detail := map[string]string{"item": it.ID, "names": fmt.Sprint(len(it.Names)), "rule": it.Rule}
	return evidence.Seal(&evidence.Statement{
		Kind:    evidence.Deed,
		Subject: evidence.Digests{SHA256: it.SHA256},
		Predicate: evidence.Predicate{
			Input:  &evidence.Input{Size: it.Size},
			Engine: engine,
			Action: &evidence.Action{
				Deed: deed, Record: it.Record, Result: result,
				Reason: evidence.Private{Text: clip(reason)}, Detail: detail,
			},
			Context: evidence.Context{Path: evidence.Private{Text: it.Names[0].Path}},
			Time:    evidence.Time{Observed: q.o.Now().UTC().Format("2006-01-02T15:04:05Z")},
		},
	}, q.store.Keys()...)
}

// clip keeps a reason to what a record takes.
func clip(s string) string {
	const most = 4096
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// announce seals a deed into the item's journal.
func (q *Quarantine) announce(it *Item, s State, deed, reason string) error {
	r, err := q.seal(it, deed, "done", reason)
	if err != nil {
		return err
	}
	it.Deed = r.Bytes()
	it.Deeds = append(it.Deeds, r.Name())
	if err := q.write(it, s); err != nil {
		it.Deed, it.Deeds = nil, it.Deeds[:len(it.Deeds)-1]
		return err
	}
	return nil
}

// publish brings the announced deed into the store.
func (q *Quarantine) publish(it *Item) error {
	if it.Deed == nil {
		return nil
	}
	r, err := evidence.Parse(it.Deed)
	if err != nil {
		return fmt.Errorf("item %s: deed: %w", it.ID, err)
	}
	if err := q.store.Append([]*evidence.Record{r}); err != nil {
		return err
	}
	it.Deed = nil
	return nil
}
