package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"filippo.io/age"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const (
	// scryptWork is what a guess at a passphrase costs: 2^18 rounds, a second
	// and 256 MiB. scryptMost is what a file may ask of who opens it.
	scryptWork = 18
	scryptMost = 20
	// minPassphrase bounds how short a passphrase may be: whoever has the file
	// may guess for years.
	minPassphrase = 8
	// backupPart is what the file is called until all of it is there.
	backupPart = ".part"
)

// backupIdentity is what the words give to open backups with (identity I26).
func backupIdentity(e identity.Entropy) (*age.HybridIdentity, error) {
	seed := e.BackupSeed()
	id, err := age.ParseHybridIdentity(strings.ToUpper(wire.Bech32("age-secret-key-pq-", seed[:])))
	if err != nil {
		return nil, fmt.Errorf("deriving the backup key: %w", err)
	}
	return id, nil
}

// keepRecipient writes what backups are sealed to, so that they need no words.
func (n *Node) keepRecipient(e identity.Entropy) error {
	id, err := backupIdentity(e)
	if err != nil {
		return err
	}
	return n.home.write(fileRecipient, []byte(id.Recipient().String()))
}

// backupRecipient is whom a backup is sealed to: who knows the passphrase, or
// if there is none, who has the words.
func (n *Node) backupRecipient(passphrase string) (age.Recipient, error) {
	if passphrase != "" {
		if utf8.RuneCountInString(passphrase) < minPassphrase {
			return nil, api.NewProblem(api.BadRequest).Explain("a passphrase has at least %d characters", minPassphrase)
		}
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, fmt.Errorf("preparing the passphrase: %w", err)
		}
		r.SetWorkFactor(scryptWork)
		return r, nil
	}
	b, err := n.home.read(fileRecipient)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.NewProblem(api.BadRequest).Explain("the words were never typed on this device, so it cannot seal a backup to them: give a passphrase")
	}
	if err != nil {
		return nil, err
	}
	r, err := age.ParseHybridRecipient(string(b))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", fileRecipient, err)
	}
	return r, nil
}

// Backup begins to write everything this account has here, but for its keys,
// into an encrypted file, which must not exist. The task counts operations; the
// file appears whole, or not at all.
func (n *Node) Backup(_ context.Context, in api.BackupCreate) (api.Task, error) {
	if err := freshFile(in.File); err != nil {
		return api.Task{}, err
	}
	to, err := n.backupRecipient(in.Passphrase)
	if err != nil {
		return api.Task{}, err
	}
	if !n.backing.TryLock() {
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("a backup is being made already")
	}
	ctx, cancel := context.WithCancel(n.ctx)
	t := n.tasks.begin(api.TaskBackup, api.StageWriting, cancel)
	n.wg.Go(func() {
		defer cancel()
		made, err := n.backUp(ctx, t, in.File, to)
		n.backing.Unlock() // before anybody is told: they may want another
		if err != nil {
			n.log.Warn("a backup failed", "err", err)
			t.fail(fileProblem(err))
			return
		}
		t.set(func(k *api.Task) {
			k.State, k.Stage, k.Result = api.TaskDone, api.StageWritten, &api.TaskResult{Backup: &made}
		})
	})
	return n.Task(ctx, t.t.ID)
}

// freshFile tells whether a file may be made there.
func freshFile(path string) error {
	if !filepath.IsAbs(path) {
		return api.NewProblem(api.BadRequest).Explain("file is an absolute path on the node's machine")
	}
	switch _, err := os.Lstat(path); {
	case err == nil:
		return api.NewProblem(api.FileExists, "file", path)
	case !errors.Is(err, fs.ErrNotExist):
		return api.NewProblem(api.BadRequest).Explain("%v", err)
	}
	return nil
}

// fileProblem tells what went wrong with a backup's or an export's file.
func fileProblem(err error) *api.Problem {
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, store.ErrDiskFull):
		return api.NewProblem(api.DiskFull)
	case errors.Is(err, fs.ErrExist):
		return api.NewProblem(api.FileExists)
	case errors.Is(err, fs.ErrNotExist):
		return api.NewProblem(api.NotFound).Explain("%v", err)
	case errors.Is(err, fs.ErrPermission):
		return api.NewProblem(api.NotAllowed).Explain("%v", err)
	case errors.Is(err, errBackupCut):
		return api.NewProblem(api.BackupCutOff)
	case errors.Is(err, errBackupNewer), errors.Is(err, identity.ErrNewer):
		return api.NewProblem(api.UpdateNeeded)
	case errors.Is(err, errBackupForeign):
		return api.NewProblem(api.BackupForeign)
	case errors.Is(err, age.ErrIncorrectIdentity):
		return api.NewProblem(api.BackupKey)
	case errors.Is(err, errBackupBad):
		return api.NewProblem(api.BackupBad)
	}
	return api.NewProblem(api.Internal).Explain("%v", err)
}

// backUp writes the file under another name, reads back what lies on the disk,
// and only then gives it its own.
func (n *Node) backUp(ctx context.Context, t *task, path string, to age.Recipient) (made api.Backup, err error) {
	part := path + backupPart // of one that was cut off: written over
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return made, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if rm := os.Remove(part); !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	box, err := age.Encrypt(out, to)
	if err != nil {
		return made, fmt.Errorf("sealing the backup: %w", err)
	}
	if made, err = n.writeBackup(ctx, t, box); err != nil {
		return made, err
	}
	if err := errors.Join(box.Close(), out.Flush(), f.Sync()); err != nil {
		return made, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return made, err
	}
	lies := sha256.New()
	if made.Bytes, err = io.Copy(lies, f); err != nil {
		return made, fmt.Errorf("reading the backup again: %w", err)
	}
	if [32]byte(lies.Sum(nil)) != [32]byte(sum.Sum(nil)) {
		return made, errors.New("the disk gave back other bytes than were written")
	}
	made.File = path
	return made, place(part, path)
}

// place gives a finished file its name if nothing has that name.
func place(part, path string) error {
	err := os.Link(part, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: there is a moment between look and name.
		if _, miss := os.Lstat(path); errors.Is(miss, fs.ErrNotExist) {
			err = os.Rename(part, path)
		}
	}
	if err != nil {
		return err
	}
	return home{dir: filepath.Dir(path)}.syncDir()
}

// writeBackup writes what a backup holds, as it was at one moment.
func (n *Node) writeBackup(ctx context.Context, t *task, to io.Writer) (made api.Backup, err error) {
	now := n.nowMs()
	made = api.Backup{Account: n.dev.account(), Device: n.dev.id(), At: msTime(now)}
	items, err := n.ownItems()
	if err != nil {
		return made, err
	}
	w, err := newBackupWriter(to, n.dev, now)
	if err != nil {
		return made, err
	}
	if err := w.own(items); err != nil {
		return made, err
	}
	var rooms []*room
	for _, r := range n.openRooms() {
		if r.view.Load().ours() {
			rooms = append(rooms, r)
		}
	}
	err = n.store.View(func(tx *store.Tx) error {
		if err := tx.EachRecord(func(peer wire.PeerKey, record []byte) error {
			return w.put(backupRecord, wire.Marshal(backupPeer{Peer: peer, Record: record}))
		}); err != nil {
			return err
		}
		total := 0
		for _, r := range rooms {
			heads, err := tx.Heads(r.group)
			if err != nil {
				return err
			}
			for _, h := range heads {
				total += int(h.Kept())
			}
		}
		t.set(func(k *api.Task) { k.Progress = api.Progress{Total: total, Unit: "operations"} })
		for _, r := range rooms {
			if err := w.group(ctx, tx, r, func(ops int) {
				made.Operations += ops
				t.set(func(k *api.Task) { k.Progress.Done = made.Operations })
			}); err != nil {
				return fmt.Errorf("group %s: %w", r.group.Short(), err)
			}
			made.Groups++
		}
		return nil
	})
	for _, g := range n.unreadableGroups() {
		made.Unreadable = append(made.Unreadable, g.Name)
	}
	if err != nil {
		return made, err
	}
	return made, w.end()
}

// own writes what all own devices know but for the groups, which follow, and
// what the person is being asked, which others ask again.
func (w *backupWriter) own(items []ownItem) error {
	var part []ownItem
	size := 0
	for _, it := range items {
		switch it.Kind {
		case ownGroup, ownRead, ownRequest:
			continue
		}
		if len(part) == maxBackupItems || size+len(it.Body) > maxBackupFrame/2 {
			if err := w.put(backupOwn, wire.Marshal(part)); err != nil {
				return err
			}
			part, size = nil, 0
		}
		part, size = append(part, it), size+len(it.Body)
	}
	if len(part) == 0 {
		return nil
	}
	return w.put(backupOwn, wire.Marshal(part))
}

// group writes one group: its control chains as they arrived, what opens its
// messages, and those.
func (w *backupWriter) group(ctx context.Context, tx *store.Tx, r *room, wrote func(ops int)) error {
	if err := w.put(backupGroup, r.genesis); err != nil {
		return err
	}
	segment := func(s groups.Segment) error {
		wrote(len(s.Frames))
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.put(backupOps, groups.EncodeSync(&s))
	}
	err := tx.EachControl(r.group, func(op store.StoredOp) error {
		if op.ID == wire.OpID(r.group) {
			return nil
		}
		return segment(groups.Segment{Inc: op.Inc, Chain: uint64(op.Chain), Frames: [][]byte{op.Frame}})
	})
	if err != nil {
		return err
	}
	if err := w.secrets(tx, r.group); err != nil {
		return err
	}
	heads, err := tx.Heads(r.group)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if groups.ChainKind(h.Chain) != groups.Content {
			continue
		}
		b, last := groups.SegmentBuilder{Inc: h.Inc, Chain: uint64(h.Chain)}, uint64(0)
		err := tx.EachOp(r.group, h.Inc, h.Chain, 0, h.Seq, func(op store.StoredOp) error {
			if last > 0 && op.Seq > last+1 { // a hole that is being filled
				if s, ok := b.Rest(); ok {
					if err := segment(s); err != nil {
						return err
					}
				}
				b = groups.SegmentBuilder{Inc: h.Inc, Chain: uint64(h.Chain)}
			}
			last = op.Seq
			s, full, err := b.Add(op.Frame, groups.FrameSigned(op.Frame))
			if err != nil || !full {
				return err
			}
			return segment(s)
		})
		if err != nil {
			return err
		}
		if s, ok := b.Rest(); ok {
			if err := segment(s); err != nil {
				return err
			}
		}
	}
	if meta := r.view.Load().meta; len(meta.ReadID) > 0 {
		return w.put(backupRead, wire.Marshal(readItem{Group: r.group, Ms: meta.ReadMs, ID: meta.ReadID}))
	}
	return nil
}

func (w *backupWriter) secrets(tx *store.Tx, group wire.GroupID) error {
	rows, err := tx.Epochs(group)
	if err != nil {
		return err
	}
	var epochs []backupEpoch
	for _, e := range rows {
		epochs = append(epochs, backupEpoch{EID: e.EID, Secret: e.Secret})
	}
	single, err := tx.MessageKeys(group)
	if err != nil {
		return err
	}
	var singles []backupSingle
	for _, m := range single {
		singles = append(singles, backupSingle{Op: m.Op, Key: m.Key})
	}
	return errors.Join(putParts(w, backupEpochs, epochs), putParts(w, backupSingles, singles))
}

// putParts writes a list in entries of at most maxBackupItems.
func putParts[T any](w *backupWriter, kind uint64, list []T) error {
	for len(list) > 0 {
		n := min(len(list), maxBackupItems)
		if err := w.put(kind, wire.Marshal(list[:n])); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
