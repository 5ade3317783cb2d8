package mesh

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrTooLarge means that a frame is longer than its kind allows. It is found
// from the length alone: nothing was allocated, and the stream is of no more
// use.
var ErrTooLarge = errors.New("frame too large")

// ReadFrame reads one frame: an unsigned varint length, then that many bytes.
// The length is held against most before a byte is allocated, and must be
// written in the fewest bytes. io.EOF means that the writer ended cleanly
// between two frames.
func ReadFrame(r *bufio.Reader, most int) ([]byte, error) {
	n, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(max(most, 0)) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, most)
	}
	// A length is a promise: memory is given for what has come, or some hundred
	// streams that announce a megabyte each and send none would take it all.
	b := make([]byte, min(n, frameChunk))
	for at := 0; ; {
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, fmt.Errorf("reading frame of %d bytes: %w", n, noEOF(err))
		}
		if at = len(b); uint64(at) == n {
			return b, nil
		}
		next := make([]byte, min(n, 4*uint64(at)))
		copy(next, b)
		b = next
	}
}

func readLength(r *bufio.Reader) (uint64, error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil {
			if shift == 0 {
				return 0, err
			}
			return 0, fmt.Errorf("reading frame length: %w", noEOF(err))
		}
		// Five bytes hold 34 GB: no frame of any kind is near that.
		if shift == 28 && c >= 0x80 {
			return 0, fmt.Errorf("%w: length of more than 5 bytes", ErrTooLarge)
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if c == 0 && shift > 0 {
				return 0, errors.New("reading frame length: padded varint")
			}
			return n, nil
		}
	}
}

// AppendFrame appends frame with its length in front to b.
func AppendFrame(b, frame []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(frame))), frame...)
}

// noEOF: an end inside a frame is not an end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
