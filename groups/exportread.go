package groups

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// ExportError says in which line of an export something does not hold.
type ExportError struct {
	Line int // from 1
	Err  error
}

func (e *ExportError) Error() string {
	return fmt.Sprintf("the export does not hold: line %d: %v", e.Line, e.Err)
}

// Unwrap gives what is wrong in the line.
func (e *ExportError) Unwrap() error { return e.Err }

var (
	errExportLine = errors.New("it is not what its operation says")
	errExportCut  = errors.New("the export is cut off")
)

// anyLine is a line of an export before it is known which.
type anyLine struct {
	Operation, Member, Message json.RawMessage
	End                        *exportSeal
	Frame, Key                 []byte
}

// VerifyExport reads an export to its end with nothing but its bytes: it judges
// every operation, opens every message with its key, and compares each line with
// what these say. The error is an *ExportError, or the reader's. What a whole
// export does not show stands in EXPORT.md.
func VerifyExport(r io.Reader) (ExportSummary, error) {
	v := exportReader{in: bufio.NewReaderSize(r, 64<<10)}
	err := v.read()
	var out ExportSummary
	if v.x != nil {
		out = v.x.Summary()
	}
	var bad *ExportError
	if err == nil || errors.As(err, &bad) || v.broken {
		return out, err
	}
	return out, &ExportError{Line: v.lines, Err: err}
}

type exportReader struct {
	in      *bufio.Reader
	x       *Export
	lines   int
	broken  bool // the reader failed, not the export
	members [][]byte
	started bool       // members were derived
	run     [][32]byte // hashes of lines whose run has not ended
}

func (v *exportReader) read() error {
	sum := sha256.New()
	first, err := v.line()
	if err != nil {
		return err
	}
	var h ExportHeader
	if err := json.Unmarshal(first, &h); err != nil {
		return errors.New("no header of an export")
	}
	if v.x, err = NewExport(h); err != nil {
		return err
	}
	if !bytes.Equal(v.x.Header(), first) {
		return errors.New("a header that is written in another way")
	}
	sum.Write(first)
	for {
		line, err := v.line()
		if err != nil {
			return err
		}
		var l anyLine
		if err := json.Unmarshal(line, &l); err != nil {
			return errors.New("no line of an export")
		}
		if l.End != nil {
			return v.end(line, l.End, [32]byte(sum.Sum(nil)))
		}
		sum.Write(line)
		if err := v.take(line, l); err != nil {
			return err
		}
	}
}

func (v *exportReader) take(line []byte, l anyLine) error {
	switch {
	case l.Operation != nil:
		want, err := v.x.Control(l.Frame)
		return same(line, want, err)
	case l.Member != nil:
		if err := v.derive(); err != nil {
			return err
		}
		if len(v.members) == 0 {
			return errors.New("a member more than there are")
		}
		want := v.members[0]
		v.members = v.members[1:]
		return same(line, want, nil)
	case l.Message != nil:
		if err := v.derive(); err != nil {
			return err
		}
		if len(v.members) > 0 {
			return errors.New("a member is missing before it")
		}
		return v.message(line, l)
	}
	return errors.New("no line of an export")
}

func (v *exportReader) derive() (err error) {
	if !v.started {
		v.started = true
		v.members, err = v.x.Members()
	}
	return err
}

func (v *exportReader) message(line []byte, l anyLine) error {
	var key *seal.MessageKey
	if len(l.Key) > 0 {
		if len(l.Key) != len(seal.MessageKey{}) {
			return fmt.Errorf("a key of %d bytes", len(l.Key))
		}
		k := seal.MessageKey(l.Key)
		key = &k
	}
	v.run = append(v.run, sha256.Sum256(line))
	want, err := v.x.Content(l.Frame, key)
	if err != nil || want == nil {
		return err
	}
	for i, w := range want {
		if sha256.Sum256(w) != v.run[i] {
			return &ExportError{Line: v.lines - len(want) + i + 1, Err: errExportLine}
		}
	}
	v.run = nil
	return nil
}

func (v *exportReader) end(line []byte, s *exportSeal, sum [32]byte) error {
	if err := v.derive(); err != nil {
		return err
	}
	switch {
	case len(v.members) > 0:
		return errors.New("a member is missing before it")
	case len(s.Sig) != len(wire.Sig{}):
		return fmt.Errorf("a signature of %d bytes", len(s.Sig))
	case s.Lines != v.lines-1:
		return fmt.Errorf("%d lines come before it, it says %d", v.lines-1, s.Lines)
	case s.SHA256 != hex.EncodeToString(sum[:]):
		return errors.New("something before it was changed")
	}
	sig := wire.Sig(s.Sig)
	h := v.x.head
	if !wire.Verify(wire.DomainExport, h.Device, wire.Context(h.Group), v.x.Core(s.Lines, sum), sig) {
		return errors.New("its signature does not hold")
	}
	want, err := v.x.End(s.Lines, sum, sig)
	if err := same(line, want, err); err != nil {
		return err
	}
	switch _, err := v.in.ReadByte(); {
	case err == nil:
		return errors.New("something follows it")
	case !errors.Is(err, io.EOF):
		v.broken = true
		return err
	}
	return nil
}

func same(line, want []byte, err error) error {
	if err == nil && !bytes.Equal(line, want) {
		err = errExportLine
	}
	return err
}

// line reads one line, its end included.
func (v *exportReader) line() ([]byte, error) {
	v.lines++
	var line []byte
	for {
		part, err := v.in.ReadSlice('\n')
		if len(line)+len(part) > MaxExportLine {
			return nil, fmt.Errorf("a line of more than %d bytes", MaxExportLine)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, errExportCut
		case !errors.Is(err, bufio.ErrBufferFull):
			v.broken = true
			return nil, err
		}
	}
}
