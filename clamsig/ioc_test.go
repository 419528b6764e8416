package clamsig

import (
	"slices"
	"strings"
	"testing"
)

func TestIOC(t *testing.T) {
	md5, sha1, sha256 := strings.Repeat("0a", 16), strings.Repeat("Bc", 20), strings.Repeat("12", 32)
	text := `<?xml version="1.0" encoding="us-ascii"?>
<ioc xmlns="http://schemas.mandiant.com/2010/ioc"><short_description>x</short_description>
<Content type="md5">` + strings.Repeat("ff", 16) + `</Content>
<definition><Indicator operator="AND"><Indicator operator="OR">
<IndicatorItem condition="is"><Context document="FileItem" search="FileItem/Md5sum"/><Content type="md5"> ` + md5 + `
</Content></IndicatorItem>
<IndicatorItem condition="is"><Content type="string">` + sha1 + `</Content></IndicatorItem>
<IndicatorItem condition="is"><Content type="string">a name</Content></IndicatorItem>
<IndicatorItem condition="is"><Content type="md5">` + strings.Repeat("zz", 16) + `</Content></IndicatorItem></Indicator>
<IndicatorItem condition="is"><Content type="sha256">` + sha256 + `</Content></IndicatorItem>
`
	got, stats := load(t, "t.ioc", text, Options{})
	var want []string
	for i, c := range []struct{ sum, line, digest string }{{"0", "6", md5}, {"1", "7", sha1}, {"2", "10", sha256}} {
		want = append(want, "digest t.ioc."+c.digest+".UNOFFICIAL sum="+c.sum+" scope=0 size=-1 "+strings.ToLower(c.digest)+
			" allow=false t.ioc:"+c.line+" <Indicator><Content>"+c.digest+"</Content></Indicator>")
		again, _ := load(t, "t.ioc", "<Indicator><Content>"+c.digest+"</Content></Indicator>", Options{})
		if len(again) != 1 || i < len(got) && strings.Replace(got[i], "ioc:"+c.line, "ioc:1", 1) != again[0] {
			t.Errorf("read again from its text: %q", again)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if stats.Loaded() != 3 || stats.Known() != 0 || stats.Skipped() != 0 {
		t.Errorf("loaded %d, known %d, skipped %d: clamscan knows none of them", stats.Loaded(), stats.Known(), stats.Skipped())
	}
	for n := range text {
		if got, _ := load(t, "t.ioc", text[:n], Options{}); len(got) > 3 {
			t.Fatalf("%d digests in %d bytes", len(got), n)
		}
	}
}

func FuzzIOC(f *testing.F) {
	f.Add("<ioc><definition><Indicator><IndicatorItem><Content type=\"md5\">" + strings.Repeat("0a", 16) + "</Content></IndicatorItem></Indicator></definition></ioc>")
	f.Add("<Indicator><Content>" + strings.Repeat("12", 32) + "</Indicator></Content>")
	f.Add("<?xml version=\"1.0\" encoding=\"x\"?><!DOCTYPE a [<!ENTITY b \"c\">]><Indicator>&b;<Content>&#48;")
	f.Fuzz(func(t *testing.T, text string) {
		c := &checker{t: t}
		if _, err := LoadReader("t.ioc", strings.NewReader(text), Options{}, c); err != nil {
			t.Fatal(err)
		}
	})
}
