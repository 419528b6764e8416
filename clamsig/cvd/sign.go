package cvd

import (
	"crypto"
	_ "crypto/sha256" // the digests that signers may name
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A .sign file begins with the line "#clamsign-1.0". Each line that is neither
// empty nor a comment is min:max:pkcs7-pem:BASE64, a range of functionality
// levels and a detached PKCS#7 SignedData (RFC 2315, RFC 5652 section 5).
const (
	signMagic = "#clamsign-1.0"
	maxSign   = 1 << 20
	signLevel = 230 // of ClamAV 1.5, which this reads signatures as
)

// LoadRoots reads the certificates of a folder: all of its .pem and .crt files.
func LoadRoots(dir string) (*x509.CertPool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	pool, n := x509.NewCertPool(), 0
	for _, e := range entries {
		if x := filepath.Ext(e.Name()); x != ".pem" && x != ".crt" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		for {
			var block *pem.Block
			if block, b = pem.Decode(b); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("certificates: %s: %w", e.Name(), err)
			}
			pool.AddCert(c)
			n++
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("certificates: no .pem or .crt file with one in %s", dir)
	}
	return pool, nil
}

// VerifySign checks a .sign file over the content, and returns who signed. One
// signature that holds is enough, as for ClamAV; one that is of another content
// is not looked over.
func VerifySign(roots *x509.CertPool, sign []byte, content io.Reader) (who string, err error) {
	if len(sign) > maxSign {
		return "", errors.New("signature file is too long")
	}
	first, rest, _ := strings.Cut(string(sign), "\n")
	if strings.TrimSpace(first) != signMagic {
		return "", fmt.Errorf("signature file does not begin with %s", signMagic)
	}
	return verifyLines(roots, rest, content)
}

// verifyLines looks for a line that holds.
func verifyLines(roots *x509.CertPool, lines string, content io.Reader) (string, error) {
	d, err := digestsOf(content)
	if err != nil {
		return "", err
	}
	last := ErrUnsigned
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		t := strings.Split(line, ":")
		if len(t) != 4 {
			return "", fmt.Errorf("signature file: a line of %d fields, 4 expected", len(t))
		}
		from, err := strconv.Atoi(t[0])
		to := signLevel
		if err == nil && t[1] != "" {
			to, err = strconv.Atoi(t[1])
		}
		if err != nil {
			return "", errors.New("signature file: a level is no number")
		}
		if from > signLevel || to < signLevel || t[2] != "pkcs7-pem" {
			continue // for other engines
		}
		der, err := base64.StdEncoding.DecodeString(t[3])
		if err != nil {
			return "", errors.New("signature file: a line is not base64")
		}
		who, err := d.verify(roots, der)
		if err == nil {
			return who, nil
		}
		if errors.Is(err, ErrSignature) {
			return "", err
		}
		last = err
	}
	return "", last
}

// digests are those of what is signed.
type digests map[crypto.Hash][]byte

func digestsOf(r io.Reader) (digests, error) {
	all := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	var to []io.Writer
	d := digests{}
	for _, h := range all {
		to = append(to, h.New())
	}
	if _, err := io.Copy(io.MultiWriter(to...), r); err != nil {
		return nil, fmt.Errorf("contents: %w", err)
	}
	for i, h := range all {
		d[h] = to[i].(interface{ Sum([]byte) []byte }).Sum(nil)
	}
	return d, nil
}
