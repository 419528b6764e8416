package cvd

import (
	"bytes"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
)

// Trust says whose word is taken for a database. The zero value takes nobody's;
// Official is what ClamAV has built in.
type Trust struct {
	Container *rsa.PublicKey // signs the MD5 digest of a .cvd file's archive
	Info      *rsa.PublicKey // signs the list in an .info file
	Diff      *rsa.PublicKey // signs a .cdiff file
	// Roots are the certificate authorities of detached signatures (.sign, ClamAV 1.5). nil: such files are not looked at.
	Roots *x509.CertPool
	// Detached refuses what has no detached signature: the others rest on MD5, or on keys from before 2012.
	Detached bool
	Unsigned bool // what has no valid signature is taken as well
}

// The public keys of ClamAV's databases, as ClamAV is compiled with them.
const (
	containerN = "118640995551645342603070001658453189751527774412027743746599405743243142607464144767361060640655844749760788890022283424922762488917565551002467771109669598189410434699034532232228621591089508178591428456220796841621637175567590476666928698770143328137383952820383197532047771780196576957695822641224262693037"
	infoN      = "11088894983048545473659556106627194923928941791795047620591658697413581043322715912172496806525381055880964520618400224333320534660299233983755341740679502866829909679955734391392668378361221524205396631090105151641270857277080310734320951653700508941717419168723942507890702904702707587451621691050754307850383399865346487203798464178537392211402786481359824461197231102895415093770394216666324484593935762408468516826633192140826667923494822045805347809932848454845886971706424360558667862775876072059437703365380209101697738577515476935085469455279994113145977994084618328482151013142393373316337519977244732747977"
	diffN      = "14783905874077467090262228516557917570254599638376203532031989214105552847269687489771975792123442185817287694951949800908791527542017115600501303394778618535864845235700041590056318230102449612217458549016089313306591388590790796515819654102320725712300822356348724011232654837503241736177907784198700834440681124727060540035754699658105895050096576226753008596881698828185652424901921668758326578462003247906470982092298106789657211905488986281078346361469524484829559560886227198091995498440676639639830463593211386055065360288422394053998134458623712540683294034953818412458362198117811990006021989844180721010947"
)

// Official returns the keys of ClamAV's own databases.
func Official() Trust {
	key := func(n string, e int) *rsa.PublicKey {
		v, _ := new(big.Int).SetString(n, 10)
		return &rsa.PublicKey{N: v, E: e}
	}
	return Trust{Container: key(containerN, 100001027), Info: key(infoN, 100002049), Diff: key(diffN, 100002053)}
}

var (
	// ErrSignature is wrapped where a signature is there and does not hold.
	ErrSignature = errors.New("digital signature does not hold")
	// ErrUnsigned is wrapped where there is none.
	ErrUnsigned = errors.New("no digital signature")
)

// digits are those of numbers in signatures: 64 of them, the least significant first.
const digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"

// maxNumber bounds the digits of a signature: 2,100 bits.
const maxNumber = 350

// number reads a number in ClamAV's digits.
func number(s string) (*big.Int, bool) {
	if s == "" || len(s) > maxNumber {
		return nil, false
	}
	v := new(big.Int)
	for i := len(s) - 1; i >= 0; i-- {
		d := strings.IndexByte(digits, s[i])
		if d < 0 {
			return nil, false
		}
		v.Or(v.Lsh(v, 6), big.NewInt(int64(d)))
	}
	return v, true
}

// raise is the number that was signed, in as many bytes as the key has; nil if
// the text is no signature under the key.
func raise(key *rsa.PublicKey, text string) []byte {
	c, ok := number(text)
	if !ok || key == nil || c.Cmp(key.N) >= 0 {
		return nil
	}
	c.Exp(c, big.NewInt(int64(key.E)), key.N)
	return c.FillBytes(make([]byte, (key.N.BitLen()+7)/8))
}

// signsMD5 checks the signature of a container: RSA without padding over a
// digest. ClamAV looks at the last 16 bytes of the number alone; all the others
// are zero in what it signs, and must be here.
func signsMD5(key *rsa.PublicKey, sum [md5.Size]byte, text string) bool {
	b := raise(key, text)
	if len(b) < len(sum) {
		return false
	}
	head, tail := b[:len(b)-len(sum)], b[len(b)-len(sum):]
	return bytes.Equal(tail, sum[:]) && bytes.Count(head, []byte{0}) == len(head)
}

// signsSHA256 checks RSASSA-PSS (RFC 8017, 8.1.2) with SHA-256, a salt of 32
// bytes and its mask function. The two bits that do not fit into the keys' 2,047
// bits are left out of the comparison, as those who signed left them.
func signsSHA256(key *rsa.PublicKey, sum [sha256.Size]byte, text string) bool {
	const salt = 32
	b := raise(key, text)
	n := len(b) - sha256.Size - 1
	if n < salt+1 || b[len(b)-1] != 0xbc {
		return false
	}
	block, digest := b[:n], b[n:n+sha256.Size]
	for i := 0; i < n; i += sha256.Size {
		at := i / sha256.Size
		mask := sha256.Sum256(append(bytes.Clone(digest), 0, 0, byte(at>>8), byte(at)))
		for j := range min(sha256.Size, n-i) {
			block[i+j] ^= mask[j]
		}
	}
	block[0] &= 0x3f
	pad := block[:n-salt-1]
	if bytes.Count(pad, []byte{0}) != len(pad) || block[len(pad)] != 1 {
		return false
	}
	h := sha256.New()
	h.Write(make([]byte, 8))
	h.Write(sum[:])
	h.Write(block[n-salt:])
	return bytes.Equal(h.Sum(nil), digest)
}
