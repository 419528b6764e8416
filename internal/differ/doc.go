// Package differ is a test: files of this system are unpacked here and by the
// formats' own tools, and both have to find the same.
//
//	go test ./internal/differ                                  # a sample
//	go test -timeout 60m ./internal/differ -v -args -full      # every archive of the system
//	go test -timeout 60m ./internal/differ -v -args -full -more FOLDER   # and those in a folder, such as packages
package differ
