package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// serveFiles serves a folder to the script: serve DIR. $URL and $TLSURL say
// where, and ca.pem is the certificate of the latter.
func serveFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve DIR")
	}
	h := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	secure.Config.ErrorLog = nil
	ts.Defer(func() { plain.Close(); secure.Close() })
	ts.Setenv("URL", plain.URL)
	ts.Setenv("TLSURL", secure.URL)
	block := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), pem.EncodeToMemory(block), 0o644))
}
