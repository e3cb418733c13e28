package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// lineReader reads whole lines: one without its end is none, since the connection may have broken in the midst of it.
type lineReader struct {
	r     *bufio.Reader
	limit int64
	buf   []byte
}

func newLineReader(r io.Reader, limit int64) *lineReader {
	return &lineReader{r: bufio.NewReader(r), limit: limit}
}

// next returns the next line without its LF, valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return l.buf[:len(l.buf)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case int64(len(l.buf)) > l.limit:
			return nil, fmt.Errorf("%w: a line of more than %d bytes (Config.MaxMessage)", ErrLimit, l.limit)
		}
	}
}
