// Package filetype tells what a stretch of bytes is, from the bytes alone.
package filetype

// Type is a file type. The zero Type is Unknown ("data").
type Type uint8
