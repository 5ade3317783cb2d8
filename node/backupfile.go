package node

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// What a backup holds, inside its encryption (PROTOCOLS.md N17): a header,
// entries, and the signature over all that came before; each a length and CBOR.

// maxBackupFrame bounds one of them: a segment of operations is the largest.
const maxBackupFrame = groups.MaxSegmentBytes + 32<<10

// Kinds of entries in a backup. Numbers are never reused.
const (
	backupEnd     = 0 // a backupSeal
	backupOwn     = 1 // [ownItem…]: people, settings, own devices
	backupRecord  = 2 // a backupPeer: where somebody was reached
	backupGroup   = 3 // a genesis frame; what follows, up to the next, is the group's
	backupOps     = 4 // a segment, as in sync
	backupEpochs  = 5 // [backupEpoch…]
	backupSingles = 6 // [backupSingle…]
	backupRead    = 7 // a readItem
)

// maxBackupItems bounds what one entry lists, so that it fits its frame.
const maxBackupItems = 1024

// backupHeader says whose backup it is, and of when.
type backupHeader struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID
	Chain   identity.Chain
	Ms      uint64
}

type backupEntry struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64
	Body []byte
}

// backupCore is what the device signs at the end.
type backupCore struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID
	Ms      uint64
	Hash    [32]byte // of everything before
}

type backupSeal struct {
	_   struct{} `cbor:",toarray"`
	Sig wire.Sig
}

type backupPeer struct {
	_      struct{} `cbor:",toarray"`
	Peer   wire.PeerKey
	Record []byte // signed
}

type backupEpoch struct {
	_      struct{} `cbor:",toarray"`
	EID    [32]byte
	Secret [32]byte
}

type backupSingle struct {
	_   struct{} `cbor:",toarray"`
	Op  wire.OpID
	Key [32]byte
}

// Errors of a backup that cannot be used.
var (
	errBackupCut     = errors.New("the backup is cut off")
	errBackupBad     = errors.New("the backup is damaged or forged")
	errBackupNewer   = errors.New("the backup is of a newer version")
	errBackupForeign = errors.New("the backup is of another account")
)

// backupWriter writes the frames of one backup and remembers what it wrote.
type backupWriter struct {
	to     io.Writer
	sum    hash.Hash
	header backupHeader
	dev    *device
}

func newBackupWriter(to io.Writer, dev *device, ms uint64) (*backupWriter, error) {
	w := &backupWriter{to: to, sum: sha256.New(), dev: dev, header: backupHeader{V: 1, Account: dev.account(), By: dev.id(), Chain: dev.chain, Ms: ms}}
	return w, w.frame(wire.Marshal(w.header))
}

func (w *backupWriter) frame(b []byte) error {
	if len(b) > maxBackupFrame {
		return fmt.Errorf("an entry of %d bytes, at most %d", len(b), maxBackupFrame)
	}
	b = append(binary.AppendUvarint(nil, uint64(len(b))), b...)
	w.sum.Write(b)
	_, err := w.to.Write(b)
	return err
}

func (w *backupWriter) put(kind uint64, body []byte) error {
	return w.frame(wire.Marshal(backupEntry{Kind: kind, Body: body}))
}

// end signs what was written.
func (w *backupWriter) end() error {
	core := w.header.core(w.sum)
	sig := wire.Sign(wire.DomainBackup, w.dev.keys.Op, wire.NoContext, wire.Marshal(core))
	return w.put(backupEnd, wire.Marshal(backupSeal{Sig: sig}))
}

func (h backupHeader) core(sum hash.Hash) backupCore {
	return backupCore{V: 1, Account: h.Account, By: h.By, Ms: h.Ms, Hash: [32]byte(sum.Sum(nil))}
}

// readBackup reads a backup from its header to its signature and hands each
// entry to take. It says whether all of it is signed only at its end: who acts
// on what take got reads it twice.
func readBackup(from io.Reader, take func(backupHeader, backupEntry) error) (backupHeader, error) {
	in := bufio.NewReader(from)
	sum := sha256.New()
	var h backupHeader
	b, err := readBackupFrame(in)
	if err != nil {
		return h, err
	}
	if err := h.read(b.body); err != nil {
		return h, err
	}
	b.count(sum)
	for {
		b, err := readBackupFrame(in)
		if err != nil {
			return h, err
		}
		var e backupEntry
		if err := wire.Unmarshal(b.body, &e); err != nil {
			return h, fmt.Errorf("%w: %v", errBackupBad, err)
		}
		if e.Kind != backupEnd {
			b.count(sum)
			if err := take(h, e); err != nil {
				return h, err
			}
			continue
		}
		var seal backupSeal
		if err := wire.Unmarshal(e.Body, &seal); err != nil {
			return h, fmt.Errorf("%w: %v", errBackupBad, err)
		}
		if !wire.Verify(wire.DomainBackup, h.By, wire.NoContext, wire.Marshal(h.core(sum)), seal.Sig) {
			return h, fmt.Errorf("%w: its signature does not hold", errBackupBad)
		}
		switch _, err := in.ReadByte(); {
		case err == nil:
			return h, fmt.Errorf("%w: something follows its end", errBackupBad)
		case !errors.Is(err, io.EOF):
			return h, cutOff(err)
		}
		return h, nil
	}
}

func (h *backupHeader) read(b []byte) error {
	if err := wire.Unmarshal(b, h); err != nil {
		return fmt.Errorf("%w: %v", errBackupBad, err)
	}
	if h.V != 1 {
		return fmt.Errorf("%w: version %d", errBackupNewer, h.V)
	}
	leaf, err := h.Chain.Verify()
	if err != nil {
		return fmt.Errorf("%w: %w", errBackupBad, err)
	}
	if leaf.Account != h.Account || leaf.OpKey != h.By {
		return fmt.Errorf("%w: its certificate is of another device", errBackupBad)
	}
	return nil
}

// backupFrame is one as read, with the length as it was written.
type backupFrame struct{ length, body []byte }

func (f backupFrame) count(sum hash.Hash) {
	sum.Write(f.length)
	sum.Write(f.body)
}

func readBackupFrame(in *bufio.Reader) (f backupFrame, err error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return f, cutOff(err)
	}
	if n > maxBackupFrame {
		return f, fmt.Errorf("%w: an entry of %d bytes, at most %d", errBackupBad, n, maxBackupFrame)
	}
	f.length, f.body = binary.AppendUvarint(nil, n), make([]byte, n)
	if _, err := io.ReadFull(in, f.body); err != nil {
		return f, cutOff(err)
	}
	return f, nil
}

// cutOff tells an end that came too early from one that cannot be read.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errBackupCut
	}
	return fmt.Errorf("%w: %w", errBackupBad, err)
}
