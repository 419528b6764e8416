package bytecodetest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Official gives the files of the official bytecode.cvd in the folder that
// SHOWCAUSE_DATA names, by their paths, as sigtool unpacks them to dir; or why there
// are none.
func Official(dir string) (files map[string][]byte, why string) {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		return nil, "SHOWCAUSE_DATA is not set"
	}
	cvd := filepath.Join(root, "clamav", "bytecode.cvd")
	if _, err := os.Stat(cvd); err != nil {
		return nil, err.Error()
	}
	cmd := exec.Command("sigtool", "--unpack", cvd)
	cmd.Dir = dir
	if err := cmd.Run(); err != nil {
		return nil, "sigtool: " + err.Error()
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.cbc"))
	files = map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, err.Error()
		}
		files[n] = b
	}
	return files, ""
}
