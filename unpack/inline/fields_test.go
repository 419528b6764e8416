package inline

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// pieces is a text in one run a letter.
func pieces(text string) string {
	var b strings.Builder
	for _, c := range text {
		b.WriteString("<w:r><w:rPr><w:b/></w:rPr><w:instrText xml:space=\"preserve\">" + string(c) + "</w:instrText></w:r>")
	}
	return b.String()
}

const (
	fieldBegins = `<w:r><w:fldChar w:fldCharType="begin"/></w:r>`
	fieldEnds   = `<w:r><w:fldChar w:fldCharType="end"/></w:r>`
	wordPart    = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n" + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p>`
	wordPartEnd = `</w:p></w:body></w:document>`
)

// fieldSamples are documents and what their fields are to do.
func fieldSamples() map[string][2]string {
	one := func(inside string) string { return wordPart + fieldBegins + inside + fieldEnds + wordPartEnd }
	return map[string][2]string{
		"whole":      {one("<w:instrText>DDEAUTO a b</w:instrText>"), "DDEAUTO a b\n"},
		"letters":    {one(pieces("DDEAUTO c:\\x.exe")), "DDEAUTO c:\\x.exe\n"},
		"references": {one("<w:instrText>a &quot;b&quot; &amp;&lt;&gt;&apos;&#65;&#x42;</w:instrText>"), "a \"b\" &<>'AB\n"},
		"CDATA":      {one("<w:instrText>a<![CDATA[b]c]]>d</w:instrText>"), "abcd\n"},
		"comment":    {one("<w:instrText>a<!-- </w:instrText> -->b</w:instrText>"), "ab\n"},
		"two":        {wordPart + fieldBegins + pieces("one") + fieldEnds + "<w:t>text</w:t>" + fieldBegins + pieces("two") + fieldEnds + wordPartEnd, "one\ntwo\n"},
		"no end":     {wordPart + fieldBegins + pieces("DDE x"), "DDE x"},
		"other name": {strings.ReplaceAll(one(pieces("DDE x")), "w:", "other:"), "DDE x\n"},
		"comments":   {"<!-- <a> --><?x?><!DOCTYPE a>" + strings.TrimPrefix(one(pieces("DDE x")), wordPart[:strings.Index(wordPart, "\n")]), "DDE x\n"},
		"none":       {wordPart + "<w:t>instrText</w:t>" + fieldBegins + fieldEnds + wordPartEnd, ""},
	}
}

func TestFields(t *testing.T) {
	for name, c := range fieldSamples() {
		wide := "\xff\xfe"
		for i := range len(c[0]) {
			wide += c[0][i:i+1] + "\x00"
		}
		for _, text := range []string{c[0], wide} {
			src := showcause.Bytes(text)
			if !Fields().Match(unpacktest.Probe(src)) {
				t.Errorf("%s: no match", name)
				continue
			}
			got := ""
			r := unpacktest.Walk(t, Fields(), src, noLimits)
			for _, child := range r.Children {
				got += child.Op + "=" + string(child.Data)
			}
			want := ""
			if c[1] != "" {
				want = "fields.text=" + c[1]
			}
			if cut := name == "no end"; got != want || r.Unread() != cut {
				t.Errorf("%s: %q %v, want %q", name, got, r.Gaps, want)
			}
		}
	}
	for _, text := range []string{"", "instrText", "<document><w:p/></document>", "<html><instrText>a</instrText></html>", "<!-- " + wordPart + " -->", wordPart[:90], strings.Repeat(" ", 20) + wordPart} {
		if Fields().Match(unpacktest.Probe(showcause.Bytes(text))) {
			t.Errorf("%q matches", text)
		}
	}
}

func TestFieldsConform(t *testing.T) {
	samples := map[string][]byte{}
	for name, c := range fieldSamples() {
		samples[name] = []byte(c[0])
	}
	unpacktest.Conform(t, Fields(), samples)
}

func FuzzFields(f *testing.F) {
	var seeds [][]byte
	for _, c := range fieldSamples() {
		seeds = append(seeds, []byte(c[0]))
	}
	unpacktest.Fuzz(f, Fields(), seeds...)
}
