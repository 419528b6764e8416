package view

import "bytes"

// beginValue starts an attribute's value with the given quote, 0 for none.
func (h *document) beginValue(quote byte) {
	h.state = inValue
	h.value = attribute{quote: quote, b: h.value.b[:0]}
}

func (h *document) valueByte(c byte) {
	v := &h.value
	free := v.quote == 0 || v.loose // white space and > end the value
	switch {
	case space(c) && v.fresh:
		return
	case c == '>' && free:
		h.endValue()
		h.closeTag()
		return
	case space(c) && free:
		h.endValue()
		h.state, h.gap = inTag, true
		return
	case space(c):
		v.loose, v.fresh = true, true
		if c == '\n' {
			c = ' '
		}
		h.put(c)
		v.b = append(v.b, ' ')
		return
	case c == '>':
		v.loose, v.fresh = true, true
		h.put(c)
		v.b = append(v.b, c)
		return
	case c == v.quote && !free:
		h.put('"')
		h.endValue()
		h.state, h.gap = inTag, true
		return
	case c == '\'' || c == '"':
		v.fresh = false
		h.put('"')
		v.b = append(v.b, '"')
		return
	case c == '&':
		v.fresh = false
		h.beginEntity()
		return
	}
	v.fresh = false
	if isBig5Dot(h.inner.v, c) {
		h.inner = run{}
		h.putDot(false)
		return
	}
	h.putHigh(&h.inner)
	h.put(c)
	v.b = append(v.b, c)
	if c == ':' && string(v.b) == "data:" {
		h.beginData()
	}
}

// beginData leaves a value that begins with "data:". Neither the colon nor
// what follows is in the view; DataURIs finds the content.
func (h *document) beginData() {
	h.doc.b = bytes.TrimSuffix(h.doc.b, []byte{':'})
	if h.value.quote != 0 {
		h.put('"')
	}
	h.value.b = h.value.b[:0]
	h.state = inData
}

func (h *document) dataByte(c byte) {
	if q := h.value.quote; q != 0 && c == q || q == 0 && (space(c) || c == '>') {
		h.openAttr()
		h.after = false
		h.state, h.gap = inTag, false
	}
}

// endValue takes note of a link's or image's address.
func (h *document) endValue() {
	v := &h.value
	if v.loose && len(v.b) > 0 {
		v.b = v.b[:len(v.b)-1]
	}
	tag, attr := string(h.tag), string(h.attr)
	h.attr = h.attr[:0]
	if h.link != nil || len(v.b) == 0 {
		return
	}
	if tag == "a" && attr == "href" || tag == "img" && attr == "src" {
		h.link = append([]byte{}, v.b...)
	}
}

// rawByte reads the content of a script or style element: white space is
// dropped, and so is nothing else. A style element ends with </script> too.
func (h *document) rawByte(c byte) {
	switch {
	case space(c) && h.state != rawTag:
		return
	case h.state == rawOpen:
		h.state = inRaw
		if c == '/' || c == '!' {
			h.state, h.tag = rawTag, keep(h.tag[:0], c)
		}
		h.put(c)
		return
	case h.state == rawTag && space(c) && h.tag[0] == '!':
		return
	case h.state == rawTag && (c == '>' || space(c)):
		h.endRawTag(c)
		return
	case h.state == rawTag:
		h.tag = keep(h.tag, c)
	case c == '<':
		h.state = rawOpen
	case c == '&':
		h.beginEntity()
		return
	}
	if c == '\'' && (h.state == inRaw || h.tag[0] == '!') {
		c = '"'
	}
	h.put(c)
}

// endRawTag ends what may be an end tag, with > or white space.
func (h *document) endRawTag(c byte) {
	if c == '>' {
		h.put(c)
	}
	tag := string(h.tag)
	if tag != "/script" && (tag != "/style" || h.isJS) {
		h.state = inRaw
		return
	}
	h.ended = h.isJS
	h.enterText()
	if c != '>' {
		h.plain(' ')
	}
}

// addScript keeps a byte of a script, if one is being read.
func (h *document) addScript(c byte) {
	if h.ended && !space(c) {
		h.endScript()
	}
	if h.isJS {
		h.keepScript([]byte{c})
	}
}

// keepScript keeps bytes of the script that is being read.
func (h *document) keepScript(p []byte) {
	if room := maxScript - len(h.script); len(p) > room {
		h.js.cut = true
		p = p[:room]
	}
	h.script = extend(h.script, p)
}

// endScript writes the script that was read to its view.
func (h *document) endScript() {
	h.isJS, h.ended = false, false
	if h.anyJS {
		h.js.put('\n')
	}
	h.anyJS = true
	h.scripts.normalise(&h.js, h.script)
	h.script = h.script[:0]
}

// end reads the end of the document.
func (h *document) end() {
	switch h.state {
	case tagOpen:
		h.put('<')
	case inEntity:
		if r, ok := entities()[string(h.name)]; ok {
			h.putRune(r)
		} else if len(h.name) > 0 {
			h.breakEntity()
		}
	}
	if h.isJS && len(h.script) > 0 {
		h.endScript()
	}
}
