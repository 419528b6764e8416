package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause/clamsig/cvd"
)

const (
	// maxAge is how old the text that tells the versions may be.
	maxAge = 12 * time.Hour
	// maxChain is the number of scripts beyond which the whole database is less to fetch.
	maxChain = 60
	maxDiff  = 256 << 20
	maxSign  = 1 << 20
	maxHead  = 16 << 20 // a server may answer with the whole database
	maxWhole = 2 << 30
)

// fields are where the text in the domain name system tells the versions of the
// databases that freshclam knows; others are asked for by their header.
var fields = map[string]int{"main": 1, "daily": 2, "safebrowsing": 6, "bytecode": 7}

// timeField is when the text was made, Unix time.
const timeField = 3

// local is a database of the folder.
type local struct {
	file    string // its name, "": there is none
	version int
}

// clamav brings ClamAV's databases up to date.
func (u *run) clamav(ctx context.Context, s *Source, change *set, r *Result) error {
	var all error
	for _, name := range s.Databases {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := u.database(ctx, s, name, change)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", name, err))
			continue
		}
		r.Lines = append(r.Lines, name+": "+line)
		r.Changed = r.Changed || strings.Contains(line, "there is")
	}
	return all
}

// database brings one of them up to date, by the first mirror that can.
func (u *run) database(ctx context.Context, s *Source, name string, change *set) (line string, err error) {
	have, err := u.local(name)
	if err != nil {
		u.Told("%s: %v: fetching it again", name, err)
	}
	told := u.told(ctx, s, name)
	for i, mirror := range s.Mirrors {
		var merr error
		if line, merr = u.from(ctx, s, strings.TrimRight(mirror, "/"), name, have, told, change); merr == nil {
			return line, nil
		}
		err = errors.Join(err, merr)
		if ctx.Err() != nil {
			break
		}
		if i+1 < len(s.Mirrors) {
			u.Told("%v; the next mirror", merr)
		}
	}
	return "", err
}

// local finds a database in the folder and proves it.
func (u *run) local(name string) (have local, err error) {
	for _, kind := range []string{"cvd", "cld"} {
		file := name + "." + kind
		f, ferr := u.f.read(file)
		if errors.Is(ferr, fs.ErrNotExist) {
			continue
		}
		if ferr != nil {
			return local{}, ferr
		}
		defer f.Close()
		c, ferr := open(f, file, kind)
		if ferr == nil {
			var sign []byte
			if sign, ferr = os.ReadFile(f.Name()[:len(f.Name())-len(file)] + c.SignName()); errors.Is(ferr, fs.ErrNotExist) {
				ferr = nil
			}
			if ferr == nil {
				ferr = c.Prove(u.Trust, sign)
			}
		}
		if ferr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", file, ferr))
			continue
		}
		if c.Header.Version >= have.version {
			have = local{file: file, version: c.Header.Version}
		}
	}
	return have, err
}

func open(f *os.File, name, kind string) (*cvd.File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return cvd.Open(name, kind, f, st.Size())
}

// told is the version that the domain name system tells, 0 if it does not.
func (u *run) told(ctx context.Context, s *Source, name string) int {
	at, ok := fields[name]
	if s.DNS == "" || !ok {
		return 0
	}
	texts, asked := u.texts[s.DNS]
	if !asked {
		var err error
		if texts, err = u.Courier.TXT(ctx, s.DNS); err != nil {
			u.Told("%s: %v: asking the mirror", s.DNS, err)
		}
		u.texts[s.DNS] = texts
	}
	for _, text := range texts {
		t := strings.Split(text, ":")
		if len(t) <= max(at, timeField) {
			continue
		}
		made, err1 := strconv.ParseInt(t[timeField], 10, 64)
		version, err2 := strconv.Atoi(t[at])
		age := u.Now().Sub(time.Unix(made, 0))
		if err1 == nil && err2 == nil && version > 0 && age < maxAge && age > -maxAge {
			return version
		}
	}
	return 0
}

// from brings a database up to date by one mirror.
func (u *run) from(ctx context.Context, s *Source, mirror, name string, have local, told int, change *set) (string, error) {
	kind := "cvd"
	if told == 0 {
		h, which, err := u.header(ctx, mirror, name)
		if err != nil && (u.Check || ctx.Err() != nil || errors.Is(err, errCooling) || errors.Is(err, errMissing)) {
			return "", err
		}
		if err != nil { // a server that gives no parts of files
			u.Told("%s: %v: fetching it whole", name, err)
			version, proof, err := u.whole(ctx, mirror, name+"."+kind, have, change)
			return fmt.Sprintf("%d, whole; %s", version, proof), err
		}
		told, kind = h.Version, which
	}
	switch {
	case told == have.version && told > 0:
		return fmt.Sprintf("%d, up to date", told), nil
	case told < have.version:
		return fmt.Sprintf("%d, newer than what the mirror has (%d)", have.version, told), nil
	case u.Check && have.version == 0:
		return fmt.Sprintf("none; there is %d", told), nil
	case u.Check:
		return fmt.Sprintf("%d; there is %d", have.version, told), nil
	}
	if have.version > 0 && told-have.version <= maxChain && !s.Whole {
		err := u.chain(ctx, mirror, name, have, told, change)
		if err == nil {
			return fmt.Sprintf("%d, from %d by %d scripts", told, have.version, told-have.version), nil
		}
		if errors.Is(err, errCooling) || ctx.Err() != nil {
			return "", err
		}
		u.Told("%s: %v: fetching the whole database", name, err)
	}
	version, proof, err := u.whole(ctx, mirror, name+"."+kind, have, change)
	if err != nil {
		return "", err
	}
	if version < told {
		u.Told("%s: %s has %d, %d was told of", name, mirror, version, told)
	}
	return fmt.Sprintf("%d, whole; %s", version, proof), nil
}

// header reads the head of a database on a mirror, or in a folder of the newer one of two kinds.
func (u *run) header(ctx context.Context, mirror, name string) (best cvd.Header, kind string, err error) {
	kinds := []string{"cvd"}
	if u.Medium {
		kinds = append(kinds, "cld")
	}
	for _, k := range kinds {
		where := mirror + "/" + name + "." + k
		g, gerr := u.get(ctx, Ask{URL: where, Metadata: true, Small: true, To: cvd.HeaderSize, Max: maxHead})
		var h cvd.Header
		if gerr == nil {
			if h, gerr = cvd.ParseHeader(g.Content[:min(len(g.Content), cvd.HeaderSize)]); gerr != nil {
				gerr = fmt.Errorf("%s: %w", where, gerr)
			}
		}
		switch {
		case gerr != nil && (k == "cvd" || !errors.Is(gerr, errMissing)):
			err = gerr
		case gerr == nil && (kind == "" || h.Version > best.Version):
			best, kind = h, k
		}
	}
	if kind != "" {
		return best, kind, nil
	}
	return best, "", err
}

// sign fetches a detached signature, where there are certificates to hold it
// against; nil if there is none.
func (u *run) sign(ctx context.Context, where string) ([]byte, error) {
	if u.Trust.Roots == nil {
		return nil, nil
	}
	g, err := u.get(ctx, Ask{URL: where, Metadata: true, Small: true, Max: maxSign})
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	return g.Content, err
}

// chain fetches the scripts that lead from one version to another.
func (u *run) chain(ctx context.Context, mirror, name string, have local, to int, change *set) error {
	f, err := u.f.read(have.file)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := open(f, have.file, have.file[len(name)+1:])
	if err != nil {
		return err
	}
	members, err := c.Unpack()
	if err != nil {
		return err
	}
	for v := have.version + 1; v <= to; v++ {
		where := fmt.Sprintf("%s/%s-%d.cdiff", mirror, name, v)
		g, err := u.get(ctx, Ask{URL: where, Small: true, Max: maxDiff})
		if err != nil {
			return err
		}
		if len(g.Content) == 0 { // so it is said that this step has no script
			return fmt.Errorf("%s: empty", where)
		}
		sign, err := u.sign(ctx, where+".sign")
		if err != nil {
			return err
		}
		d, err := cvd.OpenDiff(g.Content, u.Trust, sign)
		if err == nil && d.Version != v {
			err = fmt.Errorf("it is one for version %d", d.Version)
		}
		if err == nil {
			err = d.Apply(members)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		u.Told("%s: %d (%s)", name, v, d.Proof)
	}
	return u.patched(name, members, to, change)
}

// patched makes a .cld file ready of what the scripts made, if its signed list
// proves it.
func (u *run) patched(name string, members cvd.Set, to int, change *set) error {
	var b bytes.Buffer
	if err := cvd.WriteCLD(&b, members); err != nil {
		return err
	}
	file := name + ".cld"
	c, err := cvd.Open(file, "cld", bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err == nil {
		t := u.Trust
		t.Detached = false // the scripts were proven by theirs
		err = c.Prove(t, nil)
	}
	if err == nil && c.Header.Version != to {
		err = fmt.Errorf("it became version %d", c.Header.Version)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := u.f.stage(file, &b); err != nil {
		return err
	}
	u.swap(change, name, file)
	return nil
}

// swap notes that files take the place of what there is of a database.
func (u *run) swap(change *set, name string, files ...string) {
	change.place = append(change.place, files...)
	names, _ := u.f.dir.Names()
	for _, n := range names {
		old := n == name+".cvd" || n == name+".cld" || strings.HasPrefix(n, name+"-") && strings.HasSuffix(n, ".cvd.sign")
		if old && !slices.Contains(files, n) {
			change.remove = append(change.remove, n)
		}
	}
}

// whole fetches a database as it is.
func (u *run) whole(ctx context.Context, mirror, file string, have local, change *set) (version int, proof string, err error) {
	where := mirror + "/" + file
	for try := 0; ; try++ {
		if _, err := u.get(ctx, Ask{URL: where, Max: maxWhole}); err != nil {
			return 0, "", err
		}
		version, proof, err = u.fetched(ctx, mirror, file, have, change)
		if ferr := u.f.forget(); ferr != nil {
			return 0, "", ferr
		}
		// The two halves of a transfer that was gone on with may be of two versions.
		if err == nil || try > 0 || ctx.Err() != nil || errors.Is(err, errCooling) {
			break
		}
		u.Told("%s: %v; once more", where, err)
	}
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", where, err)
	}
	return version, proof, nil
}

// fetched makes a database ready that the inbox holds, if it is proven and not older.
func (u *run) fetched(ctx context.Context, mirror, file string, have local, change *set) (int, string, error) {
	name, kind, _ := strings.Cut(file, ".")
	in, _, err := u.content()
	if err != nil {
		return 0, "", err
	}
	c, err := open(in, file, kind)
	if err != nil {
		return 0, "", err
	}
	sign, err := u.sign(ctx, mirror+"/"+c.SignName())
	if err != nil {
		return 0, "", err
	}
	if err := c.Prove(u.Trust, sign); err != nil {
		return 0, "", err
	}
	if c.Header.Version < have.version {
		return 0, "", fmt.Errorf("version %d is older than ours, %d", c.Header.Version, have.version)
	}
	if c.Header.Version == have.version {
		return c.Header.Version, "as ours", nil
	}
	if err := u.f.stage(file, io.NewSectionReader(in, 0, c.Size())); err != nil {
		return 0, "", err
	}
	files := []string{file}
	if sign != nil {
		if err := u.f.stage(c.SignName(), bytes.NewReader(sign)); err != nil {
			return 0, "", err
		}
		files = append(files, c.SignName())
	}
	u.swap(change, name, files...)
	return c.Header.Version, c.Proof, nil
}
