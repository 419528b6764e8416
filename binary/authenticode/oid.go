package authenticode

import (
	"crypto/md5"  //nolint:gosec // signatures have them
	"crypto/sha1" //nolint:gosec // signatures have them
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// The object identifiers that are looked for (RFC 5652, RFC 2985, RFC 3161,
// Microsoft, "Windows Authenticode Portable Executable Signature Format").
const (
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
	oidCountersign   = "1.2.840.113549.1.9.6"
	oidTSTInfo       = "1.2.840.113549.1.9.16.1.4"
	oidIndirectData  = "1.3.6.1.4.1.311.2.1.4"
	oidOpusInfo      = "1.3.6.1.4.1.311.2.1.12"
	oidNested        = "1.3.6.1.4.1.311.2.4.1"
	oidTimestamp     = "1.3.6.1.4.1.311.3.3.1"

	oidRSA  = "1.2.840.113549.1.1.1"
	oidDSA  = "1.2.840.10040.4.1"
	oidEC   = "1.2.840.10045.2.1"
	oidP256 = "1.2.840.10045.3.1.7"
	oidP384 = "1.3.132.0.34"
	oidP521 = "1.3.132.0.35"
)

// algorithm is a digest algorithm.
type algorithm struct {
	name   string
	new    func() hash.Hash
	prefix string // of DigestInfo, with NULL for parameters
}

// digest is the digest algorithm of an object identifier, of a digest or of a
// signature with one.
func digest(id string) (algorithm, bool) {
	switch id {
	case "1.2.840.113549.2.5", "1.2.840.113549.1.1.4":
		return algorithm{"md5", md5.New, "\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10"}, true
	case "1.3.14.3.2.26", "1.2.840.113549.1.1.5", "1.3.14.3.2.29", "1.2.840.10040.4.3", "1.2.840.10045.4.1":
		return algorithm{"sha1", sha1.New, "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"}, true
	case "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11", "2.16.840.1.101.3.4.3.2", "1.2.840.10045.4.3.2":
		return algorithm{"sha256", sha256.New, sha2Prefix(1, 32)}, true
	case "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.12", "2.16.840.1.101.3.4.3.3", "1.2.840.10045.4.3.3":
		return algorithm{"sha384", sha512.New384, sha2Prefix(2, 48)}, true
	case "2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13", "2.16.840.1.101.3.4.3.4", "1.2.840.10045.4.3.4":
		return algorithm{"sha512", sha512.New, sha2Prefix(3, 64)}, true
	case "2.16.840.1.101.3.4.2.4", "1.2.840.113549.1.1.14", "1.2.840.10045.4.3.1":
		return algorithm{"sha224", sha256.New224, sha2Prefix(4, 28)}, true
	}
	return algorithm{}, false
}

// sha2Prefix is the DigestInfo of a digest of SHA-2 before the digest.
func sha2Prefix(arc, n byte) string {
	return string([]byte{0x30, 17 + n, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc, 5, 0, 4, n})
}

// algorithmName is the name of an algorithm as OpenSSL has it, the identifier
// itself if it has none here.
func algorithmName(id string) string {
	switch id {
	case "1.2.840.113549.2.2":
		return "md2"
	case "1.2.840.113549.2.4":
		return "md4"
	case "1.2.840.113549.2.5":
		return "md5"
	case "1.3.14.3.2.26":
		return "sha1"
	case "2.16.840.1.101.3.4.2.1":
		return "sha256"
	case "2.16.840.1.101.3.4.2.2":
		return "sha384"
	case "2.16.840.1.101.3.4.2.3":
		return "sha512"
	case "2.16.840.1.101.3.4.2.4":
		return "sha224"
	case oidRSA:
		return "rsaEncryption"
	case oidDSA:
		return "dsaEncryption"
	case oidEC:
		return "id-ecPublicKey"
	case "1.2.840.113549.1.1.2":
		return "md2WithRSAEncryption"
	case "1.2.840.113549.1.1.3":
		return "md4WithRSAEncryption"
	case "1.2.840.113549.1.1.4":
		return "md5WithRSAEncryption"
	case "1.2.840.113549.1.1.5":
		return "sha1WithRSAEncryption"
	case "1.3.14.3.2.29":
		return "sha1WithRSA"
	case "1.2.840.113549.1.1.10":
		return "rsassaPss"
	case "1.2.840.113549.1.1.11":
		return "sha256WithRSAEncryption"
	case "1.2.840.113549.1.1.12":
		return "sha384WithRSAEncryption"
	case "1.2.840.113549.1.1.13":
		return "sha512WithRSAEncryption"
	case "1.2.840.113549.1.1.14":
		return "sha224WithRSAEncryption"
	case "1.2.840.10040.4.3":
		return "dsaWithSHA1"
	case "2.16.840.1.101.3.4.3.2":
		return "dsa_with_SHA256"
	case "1.2.840.10045.4.1":
		return "ecdsa-with-SHA1"
	case "1.2.840.10045.4.3.1":
		return "ecdsa-with-SHA224"
	case "1.2.840.10045.4.3.2":
		return "ecdsa-with-SHA256"
	case "1.2.840.10045.4.3.3":
		return "ecdsa-with-SHA384"
	case "1.2.840.10045.4.3.4":
		return "ecdsa-with-SHA512"
	}
	return id
}

// attributeName is the short name of a part of a name (X.520, RFC 4519), the
// identifier itself if it has none here.
func attributeName(id string) string {
	switch id {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.4":
		return "SN"
	case "2.5.4.5":
		return "serialNumber"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "street"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "2.5.4.12":
		return "title"
	case "2.5.4.13":
		return "description"
	case "2.5.4.15":
		return "businessCategory"
	case "2.5.4.16":
		return "postalAddress"
	case "2.5.4.17":
		return "postalCode"
	case "2.5.4.18":
		return "postOfficeBox"
	case "2.5.4.20":
		return "telephoneNumber"
	case "2.5.4.41":
		return "name"
	case "2.5.4.42":
		return "GN"
	case "2.5.4.43":
		return "initials"
	case "2.5.4.44":
		return "generationQualifier"
	case "2.5.4.46":
		return "dnQualifier"
	case "2.5.4.65":
		return "pseudonym"
	case "2.5.4.97":
		return "organizationIdentifier"
	case "1.2.840.113549.1.9.1":
		return "emailAddress"
	case "1.2.840.113549.1.9.2":
		return "unstructuredName"
	case "1.2.840.113549.1.9.8":
		return "unstructuredAddress"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "1.3.6.1.4.1.311.60.2.1.1":
		return "jurisdictionL"
	case "1.3.6.1.4.1.311.60.2.1.2":
		return "jurisdictionST"
	case "1.3.6.1.4.1.311.60.2.1.3":
		return "jurisdictionC"
	}
	return id
}
