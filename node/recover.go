package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// maxAgeHeader bounds what lies before the sealed part: one recipient has 1.6 KiB.
const maxAgeHeader = 64 << 10

// source is a backup's file that was found fit to be read.
type source struct {
	path string
	size int64
	key  age.Identity
}

// backupSource looks at a file from outside: whether it is one of age, and
// which of the two keys it asks for.
func backupSource(path, passphrase string, words *identity.Entropy) (*source, error) {
	if !filepath.IsAbs(path) {
		return nil, api.NewProblem(api.BadRequest).Explain("file is an absolute path on the node's machine")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileProblem(err)
	}
	if !info.Mode().IsRegular() {
		return nil, api.NewProblem(api.BadRequest).Explain("%s is no file", path)
	}
	head, err := ageHeader(path)
	if err != nil {
		return nil, fileProblem(err)
	}
	src := &source{path: path, size: info.Size()}
	switch locked := bytes.Contains(head, []byte("\n-> scrypt ")); {
	case locked && passphrase == "":
		return nil, api.NewProblem(api.BadRequest).Explain("the backup was made with a passphrase: give it")
	case locked:
		id, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return nil, err
		}
		id.SetMaxWorkFactor(scryptMost)
		src.key = id
	case words == nil:
		return nil, api.NewProblem(api.BadRequest).Explain("the backup opens with the words of the account: give them")
	default:
		if src.key, err = backupIdentity(*words); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// ageHeader reads a file up to where its sealed part begins.
func ageHeader(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAgeHeader))
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, []byte("age-encryption.org/v1\n")) {
		return nil, fmt.Errorf("%w: no file of age", errBackupBad)
	}
	end := bytes.Index(b, []byte("\n---"))
	switch {
	case end < 0 && len(b) < maxAgeHeader:
		return nil, errBackupCut
	case end < 0:
		return nil, fmt.Errorf("%w: no end of its header in %d bytes", errBackupBad, maxAgeHeader)
	}
	return b[:end], nil
}

// each decrypts the file and hands each entry to take; read is told how many
// bytes of the file were used.
func (s *source) each(read func(bytes int64), take func(backupHeader, backupEntry) error) (backupHeader, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return backupHeader{}, err
	}
	defer f.Close()
	plain, err := age.Decrypt(bufio.NewReaderSize(&counting{from: f, tell: read}, 1<<20), s.key)
	switch {
	case errors.Is(err, age.ErrIncorrectIdentity):
		return backupHeader{}, err
	case err != nil:
		return backupHeader{}, cutOff(err)
	}
	return readBackup(plain, take)
}

// counting tells how far a file was read.
type counting struct {
	from io.Reader
	tell func(int64)
	n    int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}

// survey reads all of a backup, says what is in it, and whether it holds.
func (s *source) survey(ctx context.Context, read func(int64)) (api.Backup, error) {
	out := api.Backup{File: s.path, Bytes: s.size}
	h, err := s.each(read, func(_ backupHeader, e backupEntry) error {
		switch e.Kind {
		case backupGroup:
			out.Groups++
		case backupOps:
			seg, err := backupSegment(e.Body)
			if err != nil {
				return err
			}
			out.Operations += len(seg.Frames)
		case backupOwn:
			name, err := nameIn(e.Body)
			if err != nil {
				return err
			}
			out.Name = name(out.Name)
		}
		return ctx.Err()
	})
	out.Account, out.Device, out.At = h.Account, h.By, msTime(h.Ms)
	return out, err
}

// nameIn finds the account's name among items; what it gives keeps the one
// found before if there is none. Whose profile it is shows once the header is
// known to hold.
func nameIn(body []byte) (func(was string) string, error) {
	var items []ownItem
	if err := wire.Unmarshal(body, &items); err != nil {
		return nil, fmt.Errorf("%w: %v", errBackupBad, err)
	}
	return func(was string) string {
		for _, it := range items {
			if p, err := as[identity.SignedProfile](it); it.Kind == ownProfile && err == nil && len(p.Chain) > 0 && p.Profile.Account == p.Chain[0].Cert.Account && was == "" {
				return p.Profile.Name
			}
		}
		return was
	}, nil
}

func backupSegment(b []byte) (*groups.Segment, error) {
	m, err := groups.DecodeSync(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errBackupBad, err)
	}
	seg, ok := m.(*groups.Segment)
	if !ok {
		return nil, fmt.Errorf("%w: no segment", errBackupBad)
	}
	return seg, nil
}

// VerifyBackup begins to read a backup to its end and tells in the task what is
// in it. It needs no identity.
func (n *Node) VerifyBackup(_ context.Context, in api.BackupOpen) (api.Task, error) {
	var words *identity.Entropy
	if in.Words != "" {
		e, err := n.entropy(in.Words)
		if err != nil {
			return api.Task{}, err
		}
		words = &e
	}
	src, err := backupSource(in.File, in.Passphrase, words)
	if err != nil {
		return api.Task{}, err
	}
	ctx, cancel := context.WithCancel(n.ctx)
	t := n.tasks.begin(api.TaskVerify, api.StageVerifying, cancel)
	n.wg.Go(func() {
		defer cancel()
		found, err := src.survey(ctx, progressOf(t, 0, src.size))
		if err == nil && words != nil && found.Account != words.Root().Account() {
			err = errBackupForeign
		}
		if err != nil {
			t.fail(fileProblem(err))
			return
		}
		t.set(func(k *api.Task) {
			k.State, k.Stage, k.Result = api.TaskDone, api.StageVerified, &api.TaskResult{Backup: &found}
		})
	})
	return n.Task(ctx, t.t.ID)
}

// progressOf shows a task how much of so many bytes was read.
func progressOf(t *task, before, total int64) func(int64) {
	return func(n int64) {
		t.set(func(k *api.Task) {
			k.Progress = api.Progress{Done: int(before + n), Total: int(total), Unit: "bytes"}
		})
	}
}

// RestoreBackup begins to make this home a new device of an account, from its
// words, with what a backup of it holds. The backup is read to its end first:
// nothing of one that does not hold is used. A restore that fails, or is cut
// off, leaves a home without identity.
func (n *Node) RestoreBackup(_ context.Context, in api.BackupRestore) (api.Task, error) {
	if in.Words == "" {
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("the words of the account are needed: they make this a device of it")
	}
	e, err := n.entropy(in.Words)
	if err != nil {
		return api.Task{}, err
	}
	src, err := backupSource(in.File, in.Passphrase, &e)
	if err != nil {
		return api.Task{}, err
	}
	if !n.beginning.TryLock() {
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("an identity is being made here already")
	}
	if n.begun.Load() {
		n.beginning.Unlock()
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("this node has an identity already: restore into a fresh home")
	}
	ctx, cancel := context.WithCancel(n.ctx)
	t := n.tasks.begin(api.TaskRestore, api.StageVerifying, cancel)
	n.wg.Go(func() {
		defer cancel()
		found, err := n.recover(ctx, t, src, e, strings.TrimSpace(in.Name))
		n.beginning.Unlock() // before anybody is told: they may try again
		if err != nil {
			n.log.Info("restoring a backup failed", "err", err)
			t.fail(fileProblem(err))
			return
		}
		t.set(func(k *api.Task) {
			k.State, k.Stage = api.TaskDone, api.StageRestored
			k.Result = &api.TaskResult{Account: n.dev.account(), Device: n.dev.id(), Backup: &found}
		})
	})
	return n.Task(ctx, t.t.ID)
}

func (n *Node) recover(ctx context.Context, t *task, src *source, e identity.Entropy, name string) (found api.Backup, err error) {
	if found, err = src.survey(ctx, progressOf(t, 0, 2*src.size)); err != nil {
		return found, err
	}
	if found.Account != e.Root().Account() {
		return found, errBackupForeign
	}
	if err := n.clearHome(); err != nil {
		return found, err
	}
	dev, err := n.certify(e, false)
	if err != nil {
		return found, err
	}
	n.beginRestored()
	defer func() {
		if err != nil {
			err = errors.Join(err, n.unbegin())
		}
	}()
	if err := n.open(dev); err != nil {
		return found, err
	}
	t.set(func(k *api.Task) { k.Stage = api.StageRestoring })
	fill := &filling{n: n, ctx: ctx}
	_, err = src.each(progressOf(t, src.size, 2*src.size), fill.take)
	if err = errors.Join(err, fill.end()); err != nil {
		return found, err
	}
	// Last: a home with keys.sealed is a home with an identity.
	if err := n.writeKeys(dev); err != nil {
		return found, err
	}
	if err := n.openUp(); err != nil {
		return found, err
	}
	if name == "" && n.ownName() == "" {
		name = found.Name
	}
	if name != "" && name != n.ownName() {
		_, err = n.SetProfile(ctx, api.ProfilePatch{Name: &name})
	}
	return found, err
}

// filling writes what a backup holds into a home that is no device yet. People
// come first, then the groups, each through a room of its own: every operation
// is judged as if it came from a peer.
type filling struct {
	n      *Node
	ctx    context.Context
	joined bool
	r      *room
}

func (f *filling) take(_ backupHeader, e backupEntry) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	switch e.Kind {
	case backupOwn:
		return f.own(e.Body)
	case backupRecord:
		return f.record(e.Body)
	case backupGroup:
		return f.group(e.Body)
	}
	if f.r == nil {
		return fmt.Errorf("%w: an entry of kind %d before any group", errBackupBad, e.Kind)
	}
	switch e.Kind {
	case backupOps:
		return f.ops(e.Body)
	case backupEpochs:
		return f.epochs(e.Body)
	case backupSingles:
		return f.singles(e.Body)
	case backupRead:
		var mark readItem
		if err := wire.Unmarshal(e.Body, &mark); err != nil {
			return fmt.Errorf("%w: %v", errBackupBad, err)
		}
		return f.r.step(f.ctx, func(c *commit) error { return f.r.readTo(c, mark.Ms, mark.ID, receiptSibling) })
	}
	return nil // of a newer version
}

func (f *filling) own(body []byte) error {
	if f.joined {
		return fmt.Errorf("%w: people after groups", errBackupBad)
	}
	var items []ownItem
	if err := wire.Unmarshal(body, &items); err != nil {
		return fmt.Errorf("%w: %v", errBackupBad, err)
	}
	for _, it := range items {
		if it.Kind == ownGroup || it.Kind == ownRequest || it.Kind == ownRead {
			return fmt.Errorf("%w: an item of kind %d", errBackupBad, it.Kind)
		}
	}
	err := f.n.takeOwn(f.ctx, wire.PeerKey{}, items)
	if errors.Is(err, errDirectRefused) {
		f.n.log.Warn("something of what the backup knows of people does not hold", "err", err)
		err = nil
	}
	return err
}

func (f *filling) record(body []byte) error {
	var p backupPeer
	if err := wire.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("%w: %v", errBackupBad, err)
	}
	if signer, _, _, err := mesh.ParseRecord(p.Record); err != nil || signer != p.Peer {
		return nil // addresses of somebody else: of no use
	}
	return f.n.store.Update(f.ctx, func(tx *store.Tx) error { return tx.PutRecord(p.Peer, p.Record) })
}

// group begins a group; this device is not in it yet, and shows what it holds.
func (f *filling) group(frame []byte) error {
	if err := f.join(); err != nil {
		return err
	}
	f.close()
	genesis, refusal := groups.Decode(frame)
	if refusal == nil {
		_, refusal = groups.Found(genesis)
	}
	if refusal != nil {
		return fmt.Errorf("%w: %v", errBackupBad, refusal)
	}
	g := wire.GroupID(genesis.ID)
	err := f.n.store.Update(f.ctx, func(tx *store.Tx) error {
		if _, twice, err := tx.Group(g); err != nil || twice {
			return errors.Join(err, fmt.Errorf("%w: a group twice", errBackupBad))
		}
		if err := tx.PutSetting(keptKey(g), []byte{1}); err != nil {
			return err
		}
		return putGenesis(tx, genesis, wire.PeerKey{})
	})
	if err != nil {
		return err
	}
	f.r, err = f.n.openRoom(g)
	return err
}

// join begins the network, which rooms need, once people are known.
func (f *filling) join() error {
	if f.joined {
		return nil
	}
	f.joined = true
	return f.n.joinNetwork()
}

func (f *filling) ops(body []byte) error {
	seg, err := backupSegment(body)
	if err != nil {
		return err
	}
	one, err := f.r.decodeRun(wire.PeerKey{}, seg)
	if err == nil {
		// Of a chain with a hole the newest comes after it.
		_, err = f.r.takeRuns(f.ctx, wire.PeerKey{}, []run{one}, true)
	}
	if err != nil {
		var refusal *groups.Refusal
		if errors.As(err, &refusal) {
			return fmt.Errorf("%w: %v", errBackupBad, err)
		}
		return err
	}
	return nil
}

func (f *filling) epochs(body []byte) error {
	var list []backupEpoch
	if err := wire.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("%w: %v", errBackupBad, err)
	}
	return f.r.step(f.ctx, func(c *commit) error {
		for _, e := range list {
			if epoch, ok := f.r.g.EpochByEID(e.EID); ok {
				f.r.keepSecret(c, epoch.Ctx, e.EID, seal.Secret(e.Secret))
			}
		}
		return nil
	})
}

// singles are kept as those that a member hands over: a message shows whether
// one fits.
func (f *filling) singles(body []byte) error {
	var list []backupSingle
	if err := wire.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("%w: %v", errBackupBad, err)
	}
	return f.r.step(f.ctx, func(*commit) error {
		for _, m := range list {
			if len(f.r.keys.single) < maxSingles {
				f.r.keys.single[m.Op] = seal.MessageKey(m.Key)
			}
		}
		return nil
	})
}

// close ends the room of the group that is complete: all rooms are opened anew
// once this is a device.
func (f *filling) close() {
	if f.r == nil {
		return
	}
	f.n.roomsMu.Lock()
	delete(f.n.rooms, f.r.group)
	f.n.roomsMu.Unlock()
	f.r.stop()
	f.r = nil
}

func (f *filling) end() error {
	f.close()
	return f.join()
}

// keptKey marks a group that came from a backup: what was said is shown though
// this device is not in it yet.
func keptKey(g wire.GroupID) string { return "kept/" + g.String() }
