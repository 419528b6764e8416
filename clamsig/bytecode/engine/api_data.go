package engine

// malloc(size).
func malloc(m *run, a []uint64) uint64 {
	if !m.Allocate(int64(uint32(a[0]))) {
		return 0
	}
	return m.Register(make([]byte, uint32(a[0])), false)
}

// hashset is a set of numbers; nil is one that is done with.
type hashset map[uint32]struct{}

func hashsetNew(m *run, _ []uint64) uint64 {
	if !m.Allocate(128) {
		return no
	}
	m.hashsets = append(m.hashsets, hashset{})
	return uint64(len(m.hashsets) - 1)
}

func (m *run) hashset(id uint64) hashset {
	if id >= uint64(len(m.hashsets)) {
		return nil
	}
	return m.hashsets[id]
}

// hashset_add(set, key).
func hashsetAdd(m *run, a []uint64) uint64 {
	s := m.hashset(a[0])
	if s == nil || !m.Allocate(16) {
		return no
	}
	s[uint32(a[1])] = struct{}{}
	return 0
}

// hashset_remove(set, key).
func hashsetRemove(m *run, a []uint64) uint64 {
	s := m.hashset(a[0])
	if _, ok := s[uint32(a[1])]; !ok {
		return no
	}
	delete(s, uint32(a[1]))
	return 0
}

// hashset_contains(set, key).
func hashsetContains(m *run, a []uint64) uint64 {
	s := m.hashset(a[0])
	if s == nil {
		return no
	}
	if _, ok := s[uint32(a[1])]; ok {
		return 1
	}
	return 0
}

// hashset_empty(set).
func hashsetEmpty(m *run, a []uint64) uint64 {
	if len(m.hashset(a[0])) == 0 {
		return 1
	}
	return 0
}

// hashset_done(set): the last set's number is given again.
func hashsetDone(m *run, a []uint64) uint64 {
	if m.hashset(a[0]) == nil {
		return no
	}
	if m.hashsets[a[0]] = nil; a[0] == uint64(len(m.hashsets)-1) {
		m.hashsets = m.hashsets[:a[0]]
	}
	return 0
}

// table is a map of keys of one size to values; nil is one that is done with.
type table struct {
	keySize, valueSize int // of values 0: any
	at                 map[string]int
	values             [][]byte
	inserted, found    int // indexes of values, -1 for none
}

// map_new(keysize, valuesize).
func mapNew(m *run, a []uint64) uint64 {
	k, v := int32(a[0]), int32(a[1])
	if k <= 0 || v < 0 || !m.Allocate(256) {
		return no
	}
	m.maps = append(m.maps, &table{keySize: int(k), valueSize: int(v), at: map[string]int{}, inserted: -1, found: -1})
	return uint64(len(m.maps) - 1)
}

func (m *run) table(id uint64) *table {
	if id >= uint64(len(m.maps)) {
		return nil
	}
	return m.maps[id]
}

// key gives the key and the map of a call with (key, size, map). The answer is for
// when there is none.
func (m *run) key(a []uint64) (k []byte, t *table, answer uint64) {
	k = m.Resolve(a[0], a[1], false)
	if t = m.table(a[2]); k == nil || t == nil || !m.Charge(int64(len(k))/16) {
		return nil, nil, no
	}
	if len(k) != t.keySize {
		return nil, nil, no
	}
	return k, t, 0
}

// map_addkey(key, size, map): 1 if it is new.
func mapAddKey(m *run, a []uint64) uint64 {
	k, t, answer := m.key(a)
	if t == nil {
		return answer
	}
	if i, ok := t.at[string(k)]; ok {
		t.inserted = i
		return 0
	}
	if !m.Allocate(int64(len(k)+t.valueSize) + 64) {
		return no
	}
	t.inserted = len(t.values)
	t.at[string(k)] = t.inserted
	t.values = append(t.values, make([]byte, t.valueSize))
	return 1
}

// map_setvalue(value, size, map): of the key that was added last.
func mapSetValue(m *run, a []uint64) uint64 {
	v, t := m.Resolve(a[0], a[1], false), m.table(a[2])
	if v == nil || t == nil {
		return no
	}
	if t.inserted < 0 || t.valueSize > 0 && len(v) != t.valueSize {
		return no
	}
	if !m.Allocate(int64(len(v))) {
		return no
	}
	t.values[t.inserted] = append([]byte(nil), v...)
	return 0
}

// map_remove(key, size, map): 1 if it was there.
func mapRemove(m *run, a []uint64) uint64 {
	k, t, answer := m.key(a)
	if t == nil {
		return answer
	}
	i, ok := t.at[string(k)]
	if !ok {
		return 0
	}
	delete(t.at, string(k))
	t.values[i] = make([]byte, t.valueSize)
	return 1
}

// map_find(key, size, map): 1 if it is there, and its value is then to be had.
func mapFind(m *run, a []uint64) uint64 {
	k, t, answer := m.key(a)
	if t == nil {
		return answer
	}
	i, ok := t.at[string(k)]
	if !ok {
		return 0
	}
	t.found = i
	return 1
}

// map_getvaluesize(map).
func mapValueSize(m *run, a []uint64) uint64 {
	t := m.table(a[0])
	switch {
	case t == nil:
		return no
	case t.valueSize > 0:
		return uint64(t.valueSize)
	case t.found < 0:
		return no
	}
	return uint64(len(t.values[t.found]))
}

// map_getvalue(map, size): an address of what was found last.
func mapValue(m *run, a []uint64) uint64 {
	t := m.table(a[0])
	if t == nil || t.found < 0 || uint64(len(t.values[t.found])) != a[1] || a[1] == 0 {
		return 0
	}
	return m.Register(t.values[t.found], false)
}

// map_done(map): the last map's number is given again.
func mapDone(m *run, a []uint64) uint64 {
	if m.table(a[0]) == nil {
		return no
	}
	if m.maps[a[0]] = nil; a[0] == uint64(len(m.maps)-1) {
		m.maps = m.maps[:a[0]]
	}
	return 0
}

// pipe is a buffer that is written at one cursor and read at another; one without
// bytes reads the file.
type pipe struct {
	bytes       []byte
	file        bool
	read, write int64
}

// buffer_pipe_new(size).
func pipeNew(m *run, a []uint64) uint64 {
	if a[0] == 0 || !m.Allocate(int64(a[0])+64) {
		return no
	}
	m.pipes = append(m.pipes, &pipe{bytes: make([]byte, a[0])})
	return uint64(len(m.pipes) - 1)
}

// buffer_pipe_new_fromfile(pos).
func pipeNewFromFile(m *run, a []uint64) uint64 {
	if int64(a[0]) >= m.input.Size() || !m.Allocate(64) {
		return no
	}
	m.pipes = append(m.pipes, &pipe{file: true, read: int64(a[0])})
	return uint64(len(m.pipes) - 1)
}

func (m *run) pipe(id uint64) *pipe {
	if id >= uint64(len(m.pipes)) {
		return nil
	}
	return m.pipes[id]
}

// readable is how many bytes there are to be read. Of a file it is no more than
// 8,192 at once.
func (m *run) readable(p *pipe) int64 {
	switch {
	case p == nil:
		return 0
	case p.file:
		return min(max(m.input.Size()-p.read, 0), 8192)
	}
	return max(p.write-p.read, 0)
}

func (p *pipe) writable() int64 {
	if p == nil {
		return 0
	}
	return max(int64(len(p.bytes))-p.write, 0)
}

// reading gives n bytes to be read.
func (m *run) reading(p *pipe, n int64) []byte {
	if p.file {
		b := make([]byte, n)
		return b[:m.readAt(b, p.read)]
	}
	return p.bytes[p.read : p.read+n : p.read+n]
}

// advance tells that n bytes were read.
func (m *run) advance(p *pipe, n int64) {
	if p.file {
		p.read += n
		return
	}
	p.read = min(p.read+n, p.write)
	if end := int64(len(p.bytes)); p.read >= end && p.write >= end {
		p.read, p.write = 0, 0
	}
}

func pipeReadAvail(m *run, a []uint64) uint64 { return uint64(m.readable(m.pipe(a[0]))) }

// buffer_pipe_read_get(pipe, size).
func pipeReadGet(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil || a[1] == 0 || int64(a[1]) > m.readable(p) || p.file && !m.Allocate(int64(a[1])) {
		return 0
	}
	b := m.reading(p, int64(a[1]))
	if int64(len(b)) < int64(a[1]) {
		return 0
	}
	return m.Register(b, p.file)
}

// buffer_pipe_read_stopped(pipe, size).
func pipeReadStopped(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil || !p.file && p.write <= p.read {
		return no
	}
	m.advance(p, int64(a[1]))
	return 0
}

func pipeWriteAvail(m *run, a []uint64) uint64 { return uint64(m.pipe(a[0]).writable()) }

// buffer_pipe_write_get(pipe, size).
func pipeWriteGet(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil || a[1] == 0 || int64(a[1]) > p.writable() {
		return 0
	}
	end := p.write + int64(a[1])
	return m.Register(p.bytes[p.write:end:end], false)
}

// buffer_pipe_write_stopped(pipe, size).
func pipeWriteStopped(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil || p.bytes == nil {
		return no
	}
	p.write = min(p.write+int64(a[1]), int64(len(p.bytes)))
	return 0
}

// buffer_pipe_done(pipe): its bytes are gone. ClamAV reads the file from then on.
func pipeDone(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil {
		return no
	}
	*p = pipe{}
	return 0
}
