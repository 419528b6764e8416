package release

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/translog"
)

// VerifySelf is the command "verify-self". refused ends the program with the
// exit code of a finding.
func VerifySelf(refused error) *cobra.Command {
	var dir, key, logKey, witnesses string
	c := &cobra.Command{
		Use:   "verify-self",
		Short: "Compare this program with the release that was signed and logged",
		Long: `Compare this program, as it runs, with a release: its digest stands in SHA256SUMS,
the list is signed by --key, and the log of --log-key has the list, as the witnesses of
--witnesses saw it. Nothing is fetched: --release names the folder with the release's
small files (SHA256SUMS, .sig, .proof, provenance.json and .dsse). docs/verify.md says how to
build the same program again.

Exit code: 0 it is that release; 1 it is not; 2 it could not be told, or not all of it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var t Trust
			var err error
			if key == "" || logKey == "" {
				return errors.New("verify-self: --key and --log-key name the keys that a release is held against; take them from more than one place")
			}
			if t.Key, err = ReadPublicKey(key); err != nil {
				return err
			}
			if t.LogKey, err = ReadPublicKey(logKey); err != nil {
				return err
			}
			if witnesses != "" {
				if t.Policy, err = os.ReadFile(witnesses); err != nil {
					return fmt.Errorf("policy: %w", err)
				}
			}
			return verifySelf(c.OutOrStdout(), dir, t, refused)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "release", "", "folder of the release's files (default: that of this program)")
	f.StringVar(&key, "key", "", "public key of releases, PEM")
	f.StringVar(&logKey, "log-key", "", "public key of the log, PEM")
	f.StringVar(&witnesses, "witnesses", "", "file that names the log's witnesses, which must have signed (C2SP tlog-policy)")
	return c
}

// ReadPublicKey reads an Ed25519 key: PEM, SubjectPublicKeyInfo.
func ReadPublicKey(file string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("key %s: no PEM", showcause.Escape(file))
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", showcause.Escape(file), err)
	}
	pub, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key %s: not an Ed25519 key", showcause.Escape(file))
	}
	return pub, nil
}

func verifySelf(w io.Writer, dir string, t Trust, refused error) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("verify-self: %w", err)
	}
	if dir == "" {
		dir = filepath.Dir(path)
	}
	if runtime.GOOS == "linux" {
		path = "/proc/self/exe" // the file itself, whatever stands at its path by now
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("verify-self: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("verify-self: %w", err)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	fmt.Fprintf(w, "binary     sha256 %s\n", hex.EncodeToString(sum[:]))
	r, err := Open(dir)
	if err != nil {
		return err
	}
	return r.tell(w, sum, t, refused)
}

// tell holds a program against the release, and says each step.
func (r *Release) tell(w io.Writer, sum [sha256.Size]byte, t Trust, refused error) error {
	fmt.Fprintf(w, "release    %s, revision %s, %s\n", showcause.Escape(r.Version), showcause.Escape(r.Revision), showcause.Escape(r.Go))
	bad := false
	say := func(what string, err error, good string) {
		if err != nil {
			bad = true
			good = "NO: " + showcause.Escape(err.Error())
		}
		fmt.Fprintf(w, "%-10s %s\n", what, good)
	}
	name := r.Find(sum)
	var err error
	if name == "" {
		err = errors.New("no program of this digest is in the release")
	}
	say("program", err, showcause.Escape(name))
	say("signature", r.Signed(t.Key), "the list is signed by the key")
	say("provenance", r.Attested(t.Key), "signed by the key, of this list")
	index, err := r.Logged(t)
	witnessed := "as the policy's witnesses saw it"
	if t.Policy == nil {
		witnessed = "NOT held against witnesses: no --witnesses"
	}
	say("log", err, fmt.Sprintf("entry %d of %s, %s", index, translog.Origin(t.LogKey), witnessed))
	if bad {
		fmt.Fprintln(w, "REFUSED")
		return refused
	}
	fmt.Fprintln(w, "verified")
	return nil
}
