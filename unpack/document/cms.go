package document

func (w *mailWalk) cms(p *part, head []byte) {}
