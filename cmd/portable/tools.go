package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/translog"
	"github.com/showcause/showcause/yara"
)

func unpackTo(w io.Writer, src source, dir string) error {
	n, gaps := 0, 0
	var failed error
	rep := scan.Walk(src, scan.Options{Spill: spill}, scan.Visitor{
		Layer: func(l showcause.Layer, t filetype.Type) (int64, error) {
			n++
			fmt.Fprintf(w, "%6d  %-12s %12d  %s\n", n, t, l.Source.Size(), showcause.Escape(l.Trail.String()))
			if dir == "" || failed != nil {
				return l.Source.Size(), nil
			}
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%06d", n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				failed = err
				return l.Source.Size(), nil
			}
			read, err := io.Copy(f, io.NewSectionReader(l.Source, 0, l.Source.Size()))
			failed = f.Close()
			return read, err
		},
		Gap: func(g showcause.Gap) {
			gaps++
			fmt.Fprintf(w, "   GAP  %s: %s at %d, %d bytes\n", showcause.Escape(g.Trail.String()), g.Code, g.Offset, g.Length)
		},
	})
	switch {
	case failed != nil:
		return failed
	case gaps > 0 || len(rep.Gaps) > 0:
		return exitCode(2)
	}
	return nil
}

func yaraCommand() *cobra.Command {
	c := &cobra.Command{Use: "yara", Short: "Check YARA rules (scan --db uses them)", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(&cobra.Command{
		Use: "check FILE...", Short: "Say what is wrong, or likely wrong, with YARA rules", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			comp := yara.NewCompiler(yara.Options{Include: yara.Folders()})
			for _, name := range yara.UsualExternals() {
				if err := comp.Define(name, ""); err != nil {
					return err
				}
			}
			for _, a := range args {
				ns, path := yara.SplitNamespace(a)
				if err := comp.AddFile(ns, path); err != nil {
					return err
				}
			}
			_, said := comp.Check()
			for i := range said {
				fmt.Fprintln(c.OutOrStdout(), said[i].String())
			}
			if len(said.Errors()) > 0 {
				return exitCode(1)
			}
			return nil
		},
	})
	return c
}

func evidenceCommand() *cobra.Command {
	c := &cobra.Command{Use: "evidence", Short: "Verify records", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var keyFile, witnesses string
	var needProof bool
	v := &cobra.Command{
		Use: "verify RECORD...", Short: "Check records without the file: signatures, log proof, consistency, condition", Args: cobra.MinimumNArgs(1),
		Long: "Check records without the file that they are of.\n\nExit code: 0 all verify; 1 one is refused, with every reason; 2 an error.",
		RunE: func(c *cobra.Command, args []string) error {
			b, err := os.ReadFile(keyFile)
			if err != nil {
				return fmt.Errorf("flag --key: %w", err)
			}
			keys, err := evidence.ParsePublicKeys(b)
			if err != nil {
				return fmt.Errorf("flag --key: %w", err)
			}
			var policy []byte
			if witnesses != "" {
				if policy, err = os.ReadFile(witnesses); err != nil {
					return fmt.Errorf("flag --witnesses: %w", err)
				}
			}
			o := evidence.VerifyOptions{Keys: keys, NeedProof: needProof, Log: translog.Logged(keys, policy)}
			refused := false
			for _, a := range args {
				bad, err := verifyRecord(c.OutOrStdout(), a, o)
				if err != nil {
					return err
				}
				refused = refused || bad
			}
			if refused {
				return exitCode(1)
			}
			return nil
		},
	}
	f := v.Flags()
	f.StringVar(&keyFile, "key", "", "public key file of the host that is trusted")
	f.StringVar(&witnesses, "witnesses", "", "file that names witnesses of the log, which must have signed (C2SP tlog-policy)")
	f.BoolVar(&needProof, "need-proof", false, "refuse a record that carries no proof of the log")
	c.AddCommand(v)
	return c
}

// verifyRecord says whether a record holds.
func verifyRecord(w io.Writer, name string, o evidence.VerifyOptions) (refused bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var problems evidence.Problems
	r, err := evidence.ReadRecord(f)
	if err == nil {
		var sealed *evidence.Sealed
		if sealed, err = r.Verify(o); err == nil {
			fmt.Fprintf(w, "verified  %s: record %s, signed by key %s\n", showcause.Escape(name), r.Name(), sealed.Signer().ID())
			for _, n := range sealed.Notes() {
				fmt.Fprintf(w, "          %s\n", showcause.Escape(n.String()))
			}
			return false, nil
		}
	}
	if !errors.As(err, &problems) {
		return false, err
	}
	fmt.Fprintf(w, "REFUSED   %s\n", showcause.Escape(name))
	for _, p := range problems {
		fmt.Fprintf(w, "          %s\n", showcause.Escape(p.String()))
	}
	return true, nil
}
