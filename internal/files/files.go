// Package files reads files whose names come from a configuration: regular ones only, and no more
// of them than was agreed on.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The limits on the kinds of file that are read. Real ones are a hundredth of that.
const (
	MaxConfig = 1 << 20 // configuration, adapters.xml
	MaxPEM    = 4 << 20 // keys and certificates; a bundle of all public authorities has 0.25 MB
)

// Errors of Read, inside of a *fs.PathError.
var (
	ErrNotRegular = errors.New("not a regular file")
	ErrTooLarge   = errors.New("too large")
)

// Read reads the regular file of that name, which may be a symbolic link to one. A larger one than
// limit bytes is refused, as is anything else: a named pipe, a device, a socket, a folder. It does
// not wait for a writer, takes no more memory than limit, and opens nothing that is not regular,
// since to open a device may have an effect. Errors name the file.
func Read(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if err = check(name, info, limit); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// What is open may be another file than the one asked about.
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if err := check(name, info, limit); err != nil {
		return nil, err
	}
	text := make([]byte, 0, info.Size()+1) // one more, so that the end is found without growing
	for {
		n, err := file.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if int64(len(text)) > limit { // it has grown, or its size was not told
			return nil, tooLarge(name, limit)
		}
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
	}
}

func check(name string, info fs.FileInfo, limit int64) error {
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is %s, %w", kind(info.Mode()), ErrNotRegular)}
	}
	if info.Size() > limit {
		return tooLarge(name, limit)
	}
	return nil
}

func tooLarge(name string, limit int64) error {
	return &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: longer than the %d bytes that such a file may have", ErrTooLarge, limit)}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
