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
	"strconv"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Export begins to write a group as lines of JSON that anybody can verify
// (groups/EXPORT.md) into a file, which must not exist.
func (n *Node) Export(_ context.Context, in api.ExportCreate) (api.Task, error) {
	r, err := n.memberRoom(in.Group)
	if err != nil {
		return api.Task{}, err
	}
	if err := freshFile(in.File); err != nil {
		return api.Task{}, err
	}
	if !n.backing.TryLock() {
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("a backup or an export is being made already")
	}
	ctx, cancel := context.WithCancel(n.ctx)
	t := n.tasks.begin(api.TaskExport, api.StageWriting, cancel)
	n.wg.Go(func() {
		defer cancel()
		made, err := r.exportTo(ctx, t, in.File)
		n.backing.Unlock() // before anybody is told: they may want another
		if err != nil {
			n.log.Warn("an export failed", "err", err)
			t.fail(fileProblem(err))
			return
		}
		t.set(func(k *api.Task) {
			k.State, k.Stage, k.Result = api.TaskDone, api.StageWritten, &api.TaskResult{Group: r.group, Export: &made}
		})
	})
	return n.Task(ctx, t.t.ID)
}

func (r *room) exportTo(ctx context.Context, t *task, path string) (made api.Export, err error) {
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
	out := bufio.NewWriterSize(f, 1<<20)
	if err := r.export(ctx, t, out); err != nil {
		return made, err
	}
	if err := errors.Join(out.Flush(), f.Sync()); err != nil {
		return made, err
	}
	t.set(func(k *api.Task) { k.Stage = api.StageVerifying })
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return made, err
	}
	found, err := groups.VerifyExport(f)
	if err != nil {
		return made, fmt.Errorf("verifying what was written: %w", err)
	}
	made = exportAPI(path, found)
	if info, err := f.Stat(); err == nil {
		made.Bytes = info.Size()
	}
	return made, place(part, path)
}

func exportAPI(path string, s groups.ExportSummary) api.Export {
	return api.Export{
		File: path, Group: s.Header.Group, At: s.Header.At, Account: s.Header.Account, Device: s.Header.Device, Lines: s.Lines,
		Operations: s.Operations, Members: s.Members, Messages: s.Messages, Locked: s.Locked, Pruned: s.Pruned, Incomplete: s.Incomplete,
	}
}

// exporter writes lines and remembers what it wrote.
type exporter struct {
	r     *room
	x     *groups.Export
	to    io.Writer
	lines int
}

func (e *exporter) put(lines ...[]byte) error {
	for _, l := range lines {
		if _, err := e.to.Write(l); err != nil {
			return err
		}
		e.lines++
	}
	return nil
}

// export writes the group as it was at one moment.
func (r *room) export(ctx context.Context, t *task, to io.Writer) error {
	x, err := groups.NewExport(groups.ExportHeader{
		Version: groups.ExportVersion, Group: r.group, At: msTime(r.n.nowMs()), Account: r.n.dev.account(), Device: r.n.dev.id(), Chain: wire.Marshal(r.n.dev.chain),
	})
	if err != nil {
		return err
	}
	sum := sha256.New()
	e := &exporter{r: r, x: x, to: io.MultiWriter(to, sum)}
	if err := e.put(x.Header()); err != nil {
		return err
	}
	if err := r.n.store.View(func(tx *store.Tx) error { return e.write(ctx, tx, t) }); err != nil {
		return err
	}
	hash := [32]byte(sum.Sum(nil))
	sig := wire.Sign(wire.DomainExport, r.n.dev.keys.Op, wire.Context(r.group), x.Core(e.lines, hash))
	end, err := x.End(e.lines, hash, sig)
	if err != nil {
		return err
	}
	_, err = to.Write(end)
	return err
}

func (e *exporter) write(ctx context.Context, tx *store.Tx, t *task) error {
	heads, err := tx.Heads(e.r.group)
	if err != nil {
		return err
	}
	total := 0
	for _, h := range heads {
		total += int(h.Kept())
	}
	count := func() {
		t.set(func(k *api.Task) { k.Progress = api.Progress{Done: e.lines, Total: max(total, e.lines), Unit: "lines"} })
	}
	if err := tx.EachControl(e.r.group, func(op store.StoredOp) error {
		line, err := e.x.Control(op.Frame)
		var refusal *groups.Refusal
		if errors.As(err, &refusal) {
			return nil // what does not hold by what is known now is no part of it
		}
		return errors.Join(err, ctx.Err(), e.put(line))
	}); err != nil {
		return err
	}
	members, err := e.x.Members()
	if err != nil {
		return err
	}
	if err := e.put(members...); err != nil {
		return err
	}
	for _, h := range heads {
		if groups.ChainKind(h.Chain) != groups.Content {
			continue
		}
		if err := e.chain(ctx, tx, h, count); err != nil {
			return err
		}
	}
	return nil
}

// chain writes what one device said, up to its last signature.
func (e *exporter) chain(ctx context.Context, tx *store.Tx, h store.HeadRow, count func()) error {
	b := groups.SegmentBuilder{Inc: h.Inc, Chain: uint64(h.Chain)}
	take := func(s groups.Segment) error {
		keys, err := e.r.keysOf(ctx, s.Frames)
		if err != nil {
			return err
		}
		for i, frame := range s.Frames {
			lines, err := e.x.Content(frame, keys[i])
			if err != nil {
				return fmt.Errorf("operation of inc %s: %w", h.Inc.Short(), err)
			}
			if err := e.put(lines...); err != nil {
				return err
			}
		}
		count()
		return ctx.Err()
	}
	// What lies below a hole that is being filled is left out: a chain without
	// its beginning is told as such.
	err := tx.EachOp(e.r.group, h.Inc, h.Chain, h.Floor, h.Seq, func(op store.StoredOp) error {
		s, full, err := b.Add(op.Frame, groups.FrameSigned(op.Frame))
		if err != nil || !full {
			return err
		}
		return take(s)
	})
	if err != nil {
		return err
	}
	if s, ok := b.Rest(); ok {
		return take(s)
	}
	return nil
}

// keysOf gives the keys of single messages, nil where this device has none.
func (r *room) keysOf(ctx context.Context, frames [][]byte) (keys []*seal.MessageKey, err error) {
	err = r.step(ctx, func(*commit) error {
		keys = make([]*seal.MessageKey, len(frames))
		for i, frame := range frames {
			op, refusal := groups.Reread(frame)
			if refusal != nil {
				return refusal
			}
			if !op.Whole() {
				continue
			}
			key, ok := r.keys.message(op.ID, op.IncID(), op.EID, op.Seq, op.Salt)
			if !ok {
				continue
			}
			if _, err := key.Open(groups.ContentAAD(r.group, op), op.Cipher); err == nil {
				keys[i] = &key
			}
		}
		return nil
	})
	return keys, err
}

// VerifyExport begins to judge an export by its bytes alone. It needs no
// identity and asks nobody; the task's problem is export_invalid.
func (n *Node) VerifyExport(_ context.Context, in api.ExportOpen) (api.Task, error) {
	if !filepath.IsAbs(in.File) {
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("file is an absolute path on the node's machine")
	}
	info, err := os.Stat(in.File)
	if err != nil {
		return api.Task{}, fileProblem(err)
	}
	if !info.Mode().IsRegular() {
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("%s is no file", in.File)
	}
	ctx, cancel := context.WithCancel(n.ctx)
	t := n.tasks.begin(api.TaskVerify, api.StageVerifying, cancel)
	n.wg.Go(func() {
		defer cancel()
		found, err := verifyExport(ctx, in.File, progressOf(t, 0, info.Size()))
		if err != nil {
			t.fail(exportProblem(err))
			return
		}
		out := exportAPI(in.File, found)
		out.Bytes = info.Size()
		t.set(func(k *api.Task) {
			k.State, k.Stage, k.Result = api.TaskDone, api.StageVerified, &api.TaskResult{Group: out.Group, Export: &out}
		})
	})
	return n.Task(ctx, t.t.ID)
}

func verifyExport(ctx context.Context, path string, read func(int64)) (groups.ExportSummary, error) {
	f, err := os.Open(path)
	if err != nil {
		return groups.ExportSummary{}, err
	}
	defer f.Close()
	return groups.VerifyExport(&counting{from: &abortable{ctx, f}, tell: read})
}

// abortable fails once its context is done.
type abortable struct {
	ctx  context.Context
	from io.Reader
}

func (a *abortable) Read(b []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	return a.from.Read(b)
}

func exportProblem(err error) *api.Problem {
	var bad *groups.ExportError
	switch {
	case errors.Is(err, identity.ErrNewer):
		return api.NewProblem(api.UpdateNeeded)
	case errors.As(err, &bad):
		return api.NewProblem(api.ExportInvalid, "line", strconv.Itoa(bad.Line), "why", bad.Err.Error())
	}
	return fileProblem(err)
}
