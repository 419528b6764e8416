package extract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
)

// Folder writes layers as files below a folder. Each gets a name of its own in it, made of
// the name that its container gives (safeName), numbered where that is
// taken; what is in a layer stands in a folder beside it with its name and
// ".unpacked". Files appear when they are whole, for their owner only; nothing that is
// there is replaced, and no link is followed. It is not safe for concurrent use.
type Folder struct {
	dir  *disk.Dir
	top  *place
	deep *place // for what would be too far down

	layer *Layer     // the last one
	at    []*written // the layers on the way to it, the input first
	file  *disk.File // of the last, until it is whole
	open  *disk.Dir  // the place that was used last, unless it is the top
	where *place     // which it is

	Files int64 // that were written
	Bytes int64 // in them
}

// place is a folder that exists.
type place struct {
	path  string            // from the top
	taken map[string]bool   // names in it, in lower case
	next  map[string]int    // the form to try, of names that were asked for
	subs  map[string]*place // by the element that asked for it
}

// written is a layer that is, or will be, a file.
type written struct {
	in     *place
	name   string // in it
	inside *place // for what is in it
}

// unpacked is what the name of the folder with the content of a file ends with.
const unpacked = ".unpacked"

// NewFolder makes a folder, or takes one that is empty, and refuses any other. The input's
// own name is what names of streams in it are made of.
func NewFolder(s *disk.FS, name, input string) (*Folder, error) {
	d, err := s.MakeDir(name)
	if err != nil {
		if at, e := os.Lstat(name); e == nil && at.Mode()&fs.ModeSymlink != 0 {
			err = fmt.Errorf("%s is a symbolic link, which is not followed: give the folder itself", showcause.Escape(name))
		}
		return nil, fmt.Errorf("folder: %w", err)
	}
	names, err := d.Names()
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%s: not empty", showcause.Escape(name))
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("folder: %w", err)
	}
	f := &Folder{dir: d, top: newPlace("")}
	f.at = []*written{{name: safeElement(orDot(path.Base(input))), inside: f.top}}
	return f, nil
}

func orDot(s string) string {
	if s == "" {
		return "."
	}
	return s
}

func newPlace(p string) *place {
	return &place{path: p, taken: map[string]bool{}, next: map[string]int{}, subs: map[string]*place{}}
}

// Close lets go of the folder. A file that is not whole is gone then.
func (f *Folder) Close() error {
	f.discard()
	f.leave()
	return f.dir.Close()
}

func (f *Folder) discard() {
	if f.file != nil {
		f.file.Discard()
		f.file = nil
	}
}

func (f *Folder) leave() {
	if f.open != nil {
		f.open.Close()
	}
	f.open, f.where = nil, nil
}

// enter returns the open folder of a place.
func (f *Folder) enter(p *place) (*disk.Dir, error) {
	if p.path == "" {
		return f.dir, nil
	}
	if f.where == p {
		return f.open, nil
	}
	d, err := f.dir.Sub(p.path, false)
	if err != nil {
		return nil, err
	}
	f.leave()
	f.open, f.where = d, p
	return d, nil
}

// claim takes the first form of a name that is free in a place.
func (p *place) claim(name string) string {
	asked := strings.ToLower(name)
	for {
		p.next[asked]++
		c := numbered(name, p.next[asked])
		if key := strings.ToLower(c); !p.taken[key] {
			p.taken[key] = true
			return c
		}
	}
}

// sub returns the folder in a place that an element of a name asks for, and
// makes it where it is missing. It is another for each element and tail.
func (f *Folder) sub(p *place, element, tail string) (*place, error) {
	if s := p.subs[element+"/"+tail]; s != nil {
		return s, nil
	}
	d, err := f.enter(p)
	if err != nil {
		return nil, err
	}
	for {
		name := p.claim(element + tail)
		err := d.Mkdir(name)
		if errors.Is(err, fs.ErrExist) {
			continue // a file system for which more names are equal
		}
		if err != nil {
			return nil, err
		}
		s := newPlace(path.Join(p.path, name))
		p.subs[element+"/"+tail] = s
		return s, nil
	}
}

// inside returns the folder for what is in a layer.
func (f *Folder) inside(w *written) (p *place, err error) {
	if w.inside == nil {
		if w.inside, err = f.sub(w.in, w.name, unpacked); err != nil {
			return nil, err
		}
	}
	return w.inside, nil
}

// Begin begins the file of a layer. The input has none.
func (f *Folder) Begin(l *Layer) error {
	f.layer = l
	n := len(l.Trail)
	if n == 0 {
		return nil
	}
	f.at = f.at[:n]
	w, err := f.settle(l)
	if err != nil {
		return f.failed(err)
	}
	f.at = append(f.at, w)
	d, err := f.enter(w.in)
	if err == nil {
		f.file, err = d.Temp(w.name)
	}
	if err != nil {
		return f.failed(err)
	}
	return nil
}

// settle chooses the name of a layer, and makes the folders on the way to it.
func (f *Folder) settle(l *Layer) (*written, error) {
	n := len(l.Trail)
	step := l.Trail[n-1]
	p, err := f.inside(f.at[n-1])
	if err != nil {
		return nil, err
	}
	elements := safeName(step.Name)
	if len(elements) == 0 {
		elements = []string{unnamed(f.at[n-1].name, step.Index, step.Op, l.Type)}
	}
	if len(p.path)+len(path.Join(elements...))+maxElement > maxPath {
		if p, err = f.far(); err != nil {
			return nil, err
		}
		elements = elements[len(elements)-1:]
	}
	last := len(elements) - 1
	for _, e := range elements[:last] {
		if p, err = f.sub(p, e, ""); err != nil {
			return nil, err
		}
	}
	return &written{in: p, name: p.claim(elements[last])}, nil
}

// far returns the folder at the top for what would be too far down.
func (f *Folder) far() (p *place, err error) {
	if f.deep == nil {
		f.deep, err = f.sub(f.top, "deep", "")
	}
	return f.deep, err
}

// Data writes bytes of the layer.
func (f *Folder) Data(b []byte) error {
	if f.file == nil {
		return nil
	}
	if _, err := f.file.Write(b); err != nil {
		return f.failed(err)
	}
	return nil
}

// End gives the file its name.
func (f *Folder) End(l *Layer) error {
	if f.file == nil {
		return nil
	}
	w := f.at[len(f.at)-1]
	d, err := f.enter(w.in)
	for err == nil {
		if err = f.file.Link(d, w.name); errors.Is(err, fs.ErrExist) {
			w.name, err = w.in.claim(w.name), nil
			continue
		}
		break
	}
	if err != nil {
		return f.failed(err)
	}
	err = f.file.Close()
	f.file = nil
	if err != nil {
		return f.failed(err)
	}
	f.Files++
	f.Bytes += l.Read
	return nil
}

// Path is where the last layer was written, from the folder; "" for the input.
func (f *Folder) Path() string {
	if len(f.at) == 1 {
		return ""
	}
	w := f.at[len(f.at)-1]
	return path.Join(w.in.path, w.name)
}

// failed ends a file that cannot be written: none of it is left.
func (f *Folder) failed(err error) error {
	f.discard()
	var broken *fs.PathError
	if errors.As(err, &broken) {
		err = broken.Err
	}
	return fmt.Errorf("folder %s: %s: %w; it is not written, nor is what follows", showcause.Escape(f.dir.Name()), f.layer.Trail, err)
}
