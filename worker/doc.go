// Package worker is the jail's two sides: Read is the reader's, a process that
// is locked before its first byte of input and scans descriptors; Pool is the
// broker's, which opens files, passes them, and believes nothing that it is told.
//
// What they say to each other is in package wire: the broker over a socket
// (descriptor 3 of the reader), the reader over a pipe (descriptor 1).
//
// A reader that was taken over can say wrong things about the file
// that did it, those in the same message, and those that it is handed until it is
// replaced (Options.Recycle files at most, 32 of them at once), in the words of
// package wire; it can say nothing else. If it does anything that no reader does, it is
// ended, what came in the same read is scanned again by another, and Pool.Incidents
// tells of it: what it had answered before stands, and may be wrong.
//
// The reader scans one file after the other in the order of the jobs and
// answers in that order, so that the first job without an answer is the one that
// killed it.
package worker
