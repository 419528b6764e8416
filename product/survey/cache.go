package survey

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/product/inspect"
)

// key is what a file must have kept for its result to hold.
type key struct {
	Path                                  [16]byte // SHA-256, cut
	Device, Inode, Size, Written, Changed uint64
}

func keyOf(name string, st *unix.Stat_t) key {
	sum := sha256.Sum256([]byte(name))
	k := key{Device: st.Dev, Inode: st.Ino, Size: uint64(st.Size), Written: uint64(st.Mtim.Nano()), Changed: uint64(st.Ctim.Nano())}
	copy(k.Path[:], sum[:])
	return k
}

// cache is the results of a tree: what was read from the file, and what will be written.
//
//	"showcause-inventory-cache 1\n", SHA-256 of what follows, SHA-256 of what the results depend on, then
//	entries: key (56 bytes), read u8, n u32, n bytes of JSON of the result; n 0: nothing
type cache struct {
	fs        *disk.FS
	dir, name string
	what      [32]byte
	old       map[key]cached
	new       bytes.Buffer
}

type cached struct {
	read bool
	json []byte
}

const cacheMagic = "showcause-inventory-cache 1\n"

// maxCache is how many bytes of a cache are read.
const maxCache = 2 << 30

// openCache reads the cache of a tree. One that is damaged, of other readers, or not its owner's alone, is none.
func openCache(s *disk.FS, dir, target, what string) (*cache, error) {
	c := &cache{fs: s, dir: dir, what: sha256.Sum256([]byte(what)), old: map[key]cached{}}
	sum := sha256.Sum256([]byte(target))
	c.name = "inventory-" + hex.EncodeToString(sum[:12])
	d, err := s.MakeDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	defer d.Close()
	if err := d.Own(); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	b, err := d.ReadFile(c.name, maxCache)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("cache: %w", err)
	}
	c.load(b)
	return c, nil
}

const keySize = 16 + 5*8

func (c *cache) load(b []byte) {
	b, ok := bytes.CutPrefix(b, []byte(cacheMagic))
	if !ok || len(b) < 64 {
		return
	}
	if sum := sha256.Sum256(b[32:]); !bytes.Equal(sum[:], b[:32]) || !bytes.Equal(b[32:64], c.what[:]) {
		return
	}
	for b = b[64:]; len(b) >= keySize+5; {
		var k key
		if _, err := binary.Decode(b, binary.LittleEndian, &k); err != nil {
			return
		}
		read, n := b[keySize] == 1, int64(binary.LittleEndian.Uint32(b[keySize+1:]))
		b = b[keySize+5:]
		if n > int64(len(b)) {
			return
		}
		c.old[k] = cached{read, b[:n]}
		b = b[n:]
	}
}

// get is the result of a file that is as it was.
func (c *cache) get(k key) (r *inspect.Result, read, ok bool) {
	if c == nil {
		return nil, false, false
	}
	e, ok := c.old[k]
	if !ok {
		return nil, false, false
	}
	r = &inspect.Result{}
	if len(e.json) > 0 && json.Unmarshal(e.json, r) != nil {
		return nil, false, false
	}
	return r, e.read, true
}

// settled is how long a file must have been left alone for its times to tell of the next change.
const settled = 2 * time.Second

// put keeps a result. What may be otherwise the next time is not kept.
func (c *cache) put(k key, r *inspect.Result, read bool, began time.Time) {
	if int64(k.Changed) > began.Add(-settled).UnixNano() {
		return
	}
	for _, g := range r.Gaps {
		switch g.Code {
		case showcause.Crash, showcause.LimitTime, showcause.Changed, showcause.Unreadable, showcause.LimitMemory, showcause.LimitSpill:
			return
		}
	}
	var b []byte
	if read {
		var err error
		if b, err = json.Marshal(r); err != nil {
			return
		}
	}
	head, _ := binary.Append(nil, binary.LittleEndian, k)
	flag := byte(0)
	if read {
		flag = 1
	}
	head = append(head, flag)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(b)))
	c.new.Write(head)
	c.new.Write(b)
}

func (c *cache) save() error {
	d, err := c.fs.MakeDir(c.dir)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	defer d.Close()
	body := append(bytes.Clone(c.what[:]), c.new.Bytes()...)
	sum := sha256.Sum256(body)
	out := append([]byte(cacheMagic), sum[:]...)
	if err := d.WriteFile(c.name, append(out, body...), 0o600); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}
