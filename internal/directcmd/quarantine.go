package directcmd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/quarantine"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/worker"
)

// loose are the programs that a finding rests on and that stand in the target as files: no package manager knows them, and nothing
// else is in them that would go too.
func (s *session) loose(f *casefile.Finding) (out []casefile.Taken) {
	for _, r := range s.state.Runs {
		if r.Entry != f.Last {
			continue
		}
		for _, e := range f.Evidence {
			o := &r.Inventory.Observations[e.Observation]
			path := filepath.Join(f.Target, o.Place.Path)
			whole := e.SHA256 != "" && e.Record == "" && e.Length <= e.Size && len(o.Place.Trail) == 0 && o.Place.Root == "" && o.Evidence.Length == 0
			if whole && utf8.ValidString(o.Place.Path) && !slices.ContainsFunc(out, func(t casefile.Taken) bool { return t.Path == path }) {
				out = append(out, casefile.Taken{Path: path, SHA256: e.SHA256, Size: e.Size})
			}
		}
	}
	return out
}

// takeAway puts files into the quarantine. Each is scanned anew, by a reader in the jail, for its bytes as the finding has them:
// that makes the sealed finding without which the quarantine takes nothing.
func (s *session) takeAway(f *casefile.Finding, proposal string, files []casefile.Taken) (string, error) {
	var list, log strings.Builder
	for _, t := range files {
		fmt.Fprintf(&list, "%s:%d:Order.%s\n", t.SHA256, t.Size, f.Product)
	}
	scan, pool, err := s.reader(list.String())
	if err != nil {
		return "", err
	}
	defer pool.Close()
	var requests []quarantine.Request
	for _, t := range files {
		sealed, err := s.sealed(scan, pool, t)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(&log, "%s: is not there any more\n", showcause.Escape(t.Path))
			continue
		}
		if err != nil {
			return log.String(), fmt.Errorf("%s: %w", showcause.Escape(t.Path), err)
		}
		requests = append(requests, quarantine.Request{Finding: sealed, Approved: true, Why: "proposal " + proposal + " of the finding " + f.ID})
	}
	// Two persons said which files: how many there are is no reason to stop.
	q, err := quarantine.Open(s.held, quarantine.Options{Engine: scan.Engine, FS: s.FS, Limits: quarantine.Limits{Takes: -1, Bytes: -1, Share: -1}})
	if err != nil {
		return log.String(), fmt.Errorf("quarantine: %w", err)
	}
	defer q.Close()
	done, err := q.Take(s.c.Context(), requests, true)
	for _, x := range done {
		fmt.Fprintf(&log, "%s: %s %s %s\n", x.Path, x.Result, x.Item, x.Text)
		if err == nil && x.Result != quarantine.Done {
			err = fmt.Errorf("%s: %s: %s", x.Path, x.Result, x.Text)
		}
	}
	return log.String(), err
}

// reader is a reader with rules of ClamAV's form for digests.
func (s *session) reader(list string) (*draft.Scan, *worker.Pool, error) {
	dir, err := os.MkdirTemp("", "showcause-order")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "order.hsb")
	if err := os.WriteFile(name, []byte(list), 0o600); err != nil {
		return nil, nil, err
	}
	data, err := rules.Compile([]string{name}, rules.Options{})
	if err != nil {
		return nil, nil, err
	}
	db, err := ruledb.New(data)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(data)
	scan := &draft.Scan{DB: db, Database: hex.EncodeToString(sum[:]), Policy: draft.Policy(db, showcause.Limits{}, nil), Context: draft.Here()}
	if scan.Engine, err = draft.Engine(); err == nil {
		err = scan.Begin()
	}
	if err != nil {
		return nil, nil, err
	}
	pool, err := worker.NewPool(worker.Options{DB: db, TopOnly: true, Digests: true, Names: true, Workers: 1, Args: s.Reader})
	return scan, pool, err
}

// sealed makes the sealed finding of a file whose bytes are still those that the finding rests on, and puts it into the store.
func (s *session) sealed(scan *draft.Scan, pool *worker.Pool, t casefile.Taken) (*evidence.Sealed, error) {
	file, err := os.OpenFile(t.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("no regular file"))
	}
	sum, err := draft.Digest(file)
	if err != nil {
		return nil, err
	}
	if sum != t.SHA256 {
		return nil, errors.New("has other bytes than the finding: search again")
	}
	report, err := pool.Scan(s.c.Context(), file)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(report.Findings, func(f showcause.Finding) bool { return len(f.Trail) == 0 && f.Alarms() })
	if i < 0 {
		return nil, errors.New("its digest was not found by the reader")
	}
	statement, err := scan.Finding(t.Path, evidence.Digests{SHA256: sum}, &report, &report.Findings[i])
	if err != nil {
		return nil, err
	}
	record, err := evidence.Seal(statement, s.held.Keys()...)
	if err == nil {
		err = s.held.Append([]*evidence.Record{record})
	}
	if err != nil {
		return nil, err
	}
	return s.held.Verify(record.Name())
}

// takenText is the dry run of a removal into the quarantine.
func takenText(files []casefile.Taken) string {
	var b bytes.Buffer
	for _, t := range files {
		fmt.Fprintf(&b, "would go to the quarantine: %s, %d bytes, SHA-256 %s\n", showcause.Escape(t.Path), t.Size, t.SHA256)
	}
	return b.String()
}
