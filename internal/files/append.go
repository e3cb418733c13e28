package files

import (
	"errors"
	"io/fs"
	"os"
)

// Append opens a regular file to append to, and makes it with mode 0600 if there is none. Anything
// but a regular file is refused without being opened.
func Append(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil {
		if err := check(name, info, info.Size()); err != nil {
			return nil, renamed(err)
		}
	}
	file, err := openAppend(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat() // what is open may be another file than the one asked about
	if err == nil {
		err = renamed(check(name, info, info.Size()))
	}
	if err != nil {
		_ = file.Close() // an error is being reported already
		return nil, err
	}
	return file, nil
}

// renamed makes an error of check that of an append.
func renamed(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		at.Op = "append to"
	}
	return err
}
