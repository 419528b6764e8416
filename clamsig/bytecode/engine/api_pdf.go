package engine

// PDFFile is what is known of a PDF file at the time of a hook.
type PDFFile struct {
	// Phase is 1 when the objects are known, 2 after one was taken out, 3 at the end,
	// 4 in front of all: ClamAV's enum pdf_phase.
	Phase   int
	Flags   uint32 // of the file, in ClamAV's enum pdf_flag
	Objects []PDFObject
	Start   uint32 // of the PDF file in the input
	Size    uint32 // bytes from there
	Dumped  int    // Phase 2: the index of the object
}

// PDFObject is one indirect object.
type PDFObject struct {
	ID    uint32 // its number in the upper 24 bits, its generation in the others
	Flags uint32 // in ClamAV's enum pdf_objflags
	Start uint32 // of what stands behind "obj", from the file's Start
}

const pdfDumped = 2 // a phase

func (m *run) pdf() *PDFFile {
	if p := m.ctx.PDF; p != nil && p.Phase > 0 {
		return p
	}
	return nil
}

func (m *run) pdfObject(i uint64) *PDFObject {
	p := m.pdf()
	if p == nil || i >= uint64(len(p.Objects)) {
		return nil
	}
	return &p.Objects[i]
}

func pdfObjects(m *run, _ []uint64) uint64 {
	if p := m.pdf(); p != nil {
		return uint64(len(p.Objects))
	}
	return no
}

func pdfFlags(m *run, _ []uint64) uint64 {
	if p := m.pdf(); p != nil {
		return uint64(p.Flags)
	}
	return no
}

func pdfSetFlags(m *run, a []uint64) uint64 {
	p := m.pdf()
	if p == nil {
		return no
	}
	p.Flags = uint32(a[0])
	return 0
}

// pdf_lookupobj(id): the index of the first object of the number.
func pdfLookup(m *run, a []uint64) uint64 {
	if p := m.pdf(); p != nil && m.Charge(int64(len(p.Objects)/8)) {
		for i := range p.Objects {
			if uint64(p.Objects[i].ID) == a[0] {
				return uint64(i)
			}
		}
	}
	return no
}

// pdf_getobjsize(index): up to where the next one begins, or the file ends.
func pdfObjectSize(m *run, a []uint64) uint64 {
	o := m.pdfObject(a[0])
	if o == nil || m.pdf().Phase == pdfDumped {
		return 0
	}
	if next := m.pdfObject(a[0] + 1); next != nil {
		return uint64(next.Start - o.Start - 4)
	}
	return uint64(m.pdf().Size - o.Start)
}

// pdf_getobj(index, amount).
func pdfObject(m *run, a []uint64) uint64 {
	n := a[1]
	o := m.pdfObject(a[0])
	if o == nil || n == 0 || n > pdfObjectSize(m, a) || int64(o.Start)+int64(n) > m.input.Size() || !m.Allocate(int64(n)) {
		return 0
	}
	b := make([]byte, n)
	if m.readAt(b, int64(o.Start)) < len(b) {
		return 0
	}
	return m.Register(b, true)
}

func pdfObjectID(m *run, a []uint64) uint64 {
	if o := m.pdfObject(a[0]); o != nil {
		return uint64(o.ID)
	}
	return no
}

func pdfObjectFlags(m *run, a []uint64) uint64 {
	if o := m.pdfObject(a[0]); o != nil {
		return uint64(o.Flags)
	}
	return no
}

// pdf_setobjflags(index, flags).
func pdfSetObjectFlags(m *run, a []uint64) uint64 {
	o := m.pdfObject(a[0])
	if o == nil {
		return no
	}
	o.Flags = uint32(a[1])
	return 0
}

func pdfOffset(m *run, a []uint64) uint64 {
	if o := m.pdfObject(a[0]); o != nil {
		return uint64(m.pdf().Start + o.Start)
	}
	return no
}

func pdfPhase(m *run, _ []uint64) uint64 {
	if p := m.pdf(); p != nil {
		return uint64(p.Phase)
	}
	return 0
}

func pdfDumpedObject(m *run, _ []uint64) uint64 {
	if p := m.pdf(); p != nil && p.Phase == pdfDumped {
		return uint64(p.Dumped)
	}
	return no
}
