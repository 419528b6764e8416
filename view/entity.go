package view

import (
	"bytes"
	"html"
	"strings"
	"sync"
)

// entityNames are the names that ClamAV knows: the HTML 4 names and the ISO
// 8879 sets that HTML 5 took over, found by asking it for each name of HTML 5.
// Their values are those of HTML 5, but for entityOther.
const entityNames = `
AElig Aacute Acirc Acy Agrave Alpha Aring Atilde Auml Barwed Bcy Beta CHcy Cap Ccedil Chi Cup DJcy DScy DZcy
Dagger Dcy Delta Dot DotDot ETH Eacute Ecirc Ecy Egrave Epsilon Eta Euml Fcy GJcy Gamma Gcy Gg Gt HARDcy IEcy
IOcy Iacute Icirc Icy Igrave Iota Iukcy Iuml Jcy Jsercy Jukcy KHcy KJcy Kappa Kcy LJcy Lambda Lcy Ll Lt Mcy Mu
NJcy Ncy Ntilde Nu OElig Oacute Ocirc Ocy Ograve Omega Omicron Oslash Otilde Ouml Pcy Phi Pi Prime Psi Rcy Rho
SHCHcy SHcy SOFTcy Scaron Scy Sigma Sub Sup THORN TSHcy TScy Tau Tcy Theta Uacute Ubrcy Ucirc Ucy Ugrave Upsi
Upsilon Uuml Vcy Vdash Verbar Vvdash Xi YAcy YIcy YUcy Yacute Ycy Yuml ZHcy Zcy Zeta aacute acirc acute acy
aelig agrave alefsym aleph alpha amalg amp and ang angmsd angsph angst ap ape apos aring ast asymp atilde auml
barwed bcong bcy bdquo becaus bepsi bernou beta beth blank blk12 blk14 blk34 block bottom bowtie boxDL boxDR
boxDl boxDr boxH boxHD boxHU boxHd boxHu boxUL boxUR boxUl boxUr boxV boxVH boxVL boxVR boxVh boxVl boxVr
boxdL boxdR boxdl boxdr boxh boxhD boxhU boxhd boxhu boxuL boxuR boxul boxur boxv boxvH boxvL boxvR boxvh
boxvl boxvr bprime breve brvbar bsim bsime bsol bull bump bumpe cap caret caron ccedil cedil cent chcy check
chi cir circ cire clubs colon colone comma commat comp compfn cong conint coprod copy copysr crarr cross cuepr
cuesc cup curren cuvee cuwed dArr dagger daleth darr dash dashv dblac dcy deg delta diam diams die divide
divonx djcy dlcorn dlcrop dollar dot drcorn drcrop dscy dtri dtrif dzcy eDot eacute ecir ecirc ecolon ecy
efDot egrave egs ell els empty emsp emsp13 emsp14 ensp epsi epsilon epsiv equals equiv erDot esdot eta eth
euml euro excl exist fcy female ffilig fflig ffllig filig flat fllig fnof forall fork frac12 frac13 frac14
frac15 frac16 frac18 frac23 frac25 frac34 frac35 frac38 frac45 frac56 frac58 frac78 frasl frown gE gEl gamma
gammad gap gcy ge gel ges gimel gjcy gl grave gsim gt hArr hairsp half hamilt hardcy harr hearts hellip horbar
hybull hyphen iacute icirc icy iecy iexcl iff igrave image incare infin inodot int intcal iocy iota iquest
isin iukcy iuml jcy jsercy jukcy kappa kappav kcy khcy kjcy lArr lE lEg lagran lambda lang lap laquo larr
lceil lcub lcy ldquo ldquor le leg les lfloor lg lhblk ljcy lowast lowbar loz lozf lpar lrm lsaquo lsim lsqb
lsquo lsquor lt lthree ltimes ltri ltrie ltrif macr male malt marker mcy mdash micro mid middot minus minusb
mldr mnplus models mu nabla natur nbsp ncy ndash ne nexist ni njcy nldr not notin nsub ntilde nu num numero
numsp oS oacute oast ocir ocirc ocy odash odot oelig ogon ograve ohm oline omega omicron ominus oplus or order
ordf ordm oslash osol otilde otimes ouml par para part pcy percnt period permil perp phi phiv phmmat phone pi
piv planck plus plusb plusdo plusmn pound pr prap pre prime prod prop prsim psi puncsp quest quot rArr radic
rang raquo rarr rceil rcub rcy rdquo rdquor real rect reg rfloor rho rhov ring rlm rpar rpargt rsaquo rsqb
rsquo rsquor rthree rtimes rtri rtrie rtrif rx sbquo sc scap scaron sccue sce scsim scy sdot sdotb sect semi
setmn sext sfrown sharp shchcy shcy shy sigma sigmaf sigmav sim sime smid smile softcy sol spades spar sqcap
sqcup sqsub sqsube sqsup sqsupe squ square squf ssetmn ssmile sstarf star starf sub subE sube sum sung sup
sup1 sup2 sup3 supE supe szlig target tau tcy tdot telrec there4 theta thetasym thetav thinsp thkap thksim
thorn tilde times timesb top tprime trade trie tscy tshcy twixt uArr uacute uarr ubrcy ucirc ucy ugrave uhblk
ulcorn ulcrop uml uplus upsi upsih upsilon urcorn urcrop utri utrif uuml vDash vcy vdash veebar vellip verbar
vltri vprop vrtri wedgeq weierp wreath xcirc xdtri xi xutri yacute yacy ycy yen yicy yucy yuml zcy zeta zhcy
zwj zwnj`

// entityOther are values of before HTML 5.
var entityOther = map[string]rune{
	"angst": 0x212b, "epsi": 0x3f5, "epsiv": 0x3b5, "lang": 0x2329,
	"ohm": 0x2126, "phiv": 0x3c6, "rang": 0x232a,
}

// entities maps a name, in its own case, to its value.
var entities = sync.OnceValue(func() map[string]rune {
	m := make(map[string]rune, 700)
	for _, n := range strings.Fields(entityNames) {
		r, ok := entityOther[n]
		if !ok {
			r = []rune(html.UnescapeString("&" + n + ";"))[0]
		}
		m[n] = r
	}
	return m
})

func (h *document) beginEntity() {
	h.back, h.state = h.state, inEntity
	h.name = h.name[:0]
}

// nameOfEntity tells whether c can stand in an entity's name.
func nameOfEntity(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == ':'
}

func (h *document) entityByte(c byte) bool {
	switch {
	case c == '#' && len(h.name) == 0:
		h.state = inNumber
		h.num, h.digits, h.hex = 0, 0, false
		return false
	case c == ';':
		r, ok := entities()[string(h.name)]
		if !ok {
			h.breakEntity()
			h.emit([]byte{';'})
			return false
		}
		h.state = h.back
		h.putRune(r)
		return false
	case nameOfEntity(c) && len(h.name) < maxName:
		h.name = append(h.name, c)
		return false
	}
	h.breakEntity()
	return true
}

// breakEntity writes what turned out to be no entity, and goes back to the
// state in which it began.
func (h *document) breakEntity() {
	if h.state == inNumber {
		h.state = h.back
		h.emitDoc(byte(h.num))
		return
	}
	h.state = h.back
	h.emit(append([]byte{'&'}, bytes.ToLower(h.name)...))
}

// emit writes bytes of an entity, as they are, to the view without comments
// and to the value that is being read.
func (h *document) emit(b []byte) {
	h.putGap()
	h.doc.puts(b)
	if h.state == inValue {
		h.value.b = append(h.value.b, b...)
	}
}

func (h *document) emitDoc(c byte) {
	h.putGap()
	h.doc.put(c)
}

// maxDigits is how many digits of a character reference are read.
const maxDigits = 20

func (h *document) numberByte(c byte) bool {
	var d, base uint32 = 16, 10
	if h.hex {
		base = 16
	}
	switch {
	case c >= '0' && c <= '9':
		d = uint32(c - '0')
	case c >= 'a' && c <= 'f':
		d = uint32(c-'a') + 10
	case c >= 'A' && c <= 'F':
		d = uint32(c-'A') + 10
	}
	switch {
	case (c == 'x' || c == 'X') && !h.hex && h.digits == 0:
		h.hex = true
		return false
	case d < base && h.digits < maxDigits:
		h.num = h.num*base + d
		h.digits++
		return false
	case c == ';':
		h.state = h.back
		if h.num < 0xff {
			h.putGap()
			h.doc.put(lower(byte(h.num)))
			if h.state == inValue {
				h.value.b = append(h.value.b, byte(h.num))
			}
		} else {
			h.putRune(rune(h.num & 0xffff))
		}
		return false
	}
	h.breakEntity()
	return true
}

const hexDigits = "0123456789abcdef"

// putRune writes the value of an entity: a byte below 0xff, nothing for 0, else &#xhhhh;.
func (h *document) putRune(r rune) {
	switch {
	case r == 0:
	case r < 0xff:
		h.emit([]byte{byte(r)})
	default:
		h.emit([]byte{'&', '#', 'x', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15], ';'})
	}
}
