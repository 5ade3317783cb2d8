package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// backUpTo makes a backup and returns its file.
func backUpTo(t testing.TB, n *Node, passphrase string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "home.backup")
	task := waitTask(t, n, must[api.Task](t)(n.Backup(t.Context(), api.BackupCreate{File: file, Passphrase: passphrase})).ID)
	if task.Stage != api.StageWritten || task.Result.Backup.File != file || task.Progress.Done != task.Progress.Total {
		t.Fatalf("backup: %+v %+v", task, task.Problem)
	}
	if info := must[os.FileInfo](t)(os.Stat(file)); info.Mode().Perm() != 0o600 || info.Size() != task.Result.Backup.Bytes {
		t.Errorf("the file: %v, %d bytes, told %d", info.Mode(), info.Size(), task.Result.Backup.Bytes)
	}
	return file
}

func restoring(t testing.TB, n *Node, in api.BackupRestore) api.Task {
	t.Helper()
	return awaitTask(t, n, must[api.Task](t)(n.RestoreBackup(t.Context(), in)).ID, api.Task.Over)
}

// What a backup brings back is read at once, by a new device with nobody near;
// then whoever shares the group lets it in, and it goes on.
func TestRestoreFromABackup(t *testing.T) {
	t.Parallel()
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{Name: "Choir"})
	join(t, bo, invite(t, ann, g, 2, ""))
	say(t, ann, g, "one")
	hears(t, bo, g, "one")
	say(t, bo, g, "two")
	hears(t, ann, g, "two")
	within(t, ann, patience, "mutual", func() bool { return ann.people.mutual(bo.dev.account()) })
	page := must[api.MessagePage](t)(ann.Messages(t.Context(), g, api.Page{}))
	if err := ann.MarkRead(t.Context(), g, page.Items[len(page.Items)-1].ID.String()); err != nil {
		t.Fatal(err)
	}
	say(t, bo, g, "three")
	hears(t, ann, g, "three")
	words, old := wordsOf(t, ann), ann.dev.id()
	file := backUpTo(t, ann, "")
	if _, err := ann.Backup(t.Context(), api.BackupCreate{File: file}); !isCode(err, api.FileExists) {
		t.Errorf("over a file: %v", err)
	}
	if err := ann.Close(); err != nil {
		t.Fatal(err)
	}

	again := openNode(t, t.TempDir())
	if task := restoring(t, again, api.BackupRestore{File: file, Words: words}); task.Stage != api.StageRestored {
		t.Fatalf("restore: %+v %+v", task, task.Problem)
	}
	if again.dev.id() == old || again.ownName() != "Ann" {
		t.Errorf("device %v, name %q", again.dev.id(), again.ownName())
	}
	if p := must[api.Person](t)(again.Person(t.Context(), bo.dev.account())); !p.Mutual || p.Name != "Bo" {
		t.Errorf("Bo: %+v", p)
	}
	got := must[api.Group](t)(again.Group(t.Context(), g))
	if got.Name != "Choir" || !got.Returning || got.Unread != 1 || got.Role != "owner" {
		t.Errorf("the group: %+v", got)
	}
	if texts := textsOf(t, again, g); texts != "one two three" {
		t.Errorf("read at once: %q", texts)
	}
	if _, err := again.Send(t.Context(), g, api.MessageCreate{Text: "too early"}); !isCode(err, api.NotSynced) {
		t.Errorf("written before it is back: %v", err)
	}
	follow(t, again, bo)
	isBack(t, again, g)
	say(t, again, g, "four")
	hears(t, bo, g, "four")
	say(t, bo, g, "five")
	hears(t, again, g, "five")
	if texts := textsOf(t, again, g); texts != "one two three four five" {
		t.Errorf("in the end: %q", texts)
	}
	if got := must[api.Group](t)(again.Group(t.Context(), g)); got.Returning {
		t.Error("still returning")
	}
}

func textsOf(t testing.TB, n *Node, g wire.GroupID) string {
	t.Helper()
	var out []string
	for _, m := range must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{})).Items {
		if m.Text != "" {
			out = append(out, m.Text)
		}
	}
	return strings.Join(out, " ")
}

func isCode(err error, code api.Code) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Code == code
}

// Whatever is wrong with a backup is said, and leaves a home without identity
// in which the next try works.
func TestBackupRefused(t *testing.T) {
	t.Parallel()
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{Name: "Choir"})
	say(t, ann, g, "one")
	words, others := wordsOf(t, ann), wordsOf(t, bo)
	file := backUpTo(t, ann, "")
	whole := must[[]byte](t)(os.ReadFile(file))
	locked := backUpTo(t, ann, "correct horse")
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1000] ^= 1
	stranger, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	entropy := must[identity.Entropy](t)(identity.ParseWords(words))
	own := must[*age.HybridIdentity](t)(backupIdentity(entropy))
	sealed := func(name string, to age.Recipient, plain func(io.Writer) error) string {
		var b bytes.Buffer
		w := must[io.WriteCloser](t)(age.Encrypt(&b, to))
		if err := errors.Join(plain(w), w.Close()); err != nil {
			t.Fatal(err)
		}
		return put(name, b.Bytes())
	}
	unsigned := func(w io.Writer) error {
		_, err := newBackupWriter(w, ann.dev, 1)
		return err
	}
	forged := func(w io.Writer) error {
		other := *ann.dev
		b, err := newBackupWriter(w, &other, 1)
		other.keys = bo.dev.keys
		return errors.Join(err, b.end())
	}
	foreign := func(w io.Writer) error { // well signed, and of Bo
		b, err := newBackupWriter(w, bo.dev, 1)
		return errors.Join(err, b.end())
	}
	longer := func(w io.Writer) error {
		b, err := newBackupWriter(w, ann.dev, 1)
		_, more := w.Write([]byte{1, 0x80})
		return errors.Join(err, b.end(), more)
	}
	huge := func(w io.Writer) error {
		_, err := w.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
		return err
	}
	slow := must[*age.ScryptRecipient](t)(age.NewScryptRecipient("correct horse"))
	slow.SetWorkFactor(scryptMost + 1)
	header := append([]byte("age-encryption.org/v1\n-> "), bytes.Repeat([]byte("a"), maxAgeHeader)...)
	home := openNode(t, t.TempDir())
	for name, c := range map[string]struct {
		in   api.BackupRestore
		code api.Code
	}{
		"no file":          {api.BackupRestore{File: filepath.Join(dir, "none"), Words: words}, api.NotFound},
		"a folder":         {api.BackupRestore{File: dir, Words: words}, api.BadRequest},
		"relative":         {api.BackupRestore{File: "home.backup", Words: words}, api.BadRequest},
		"no words":         {api.BackupRestore{File: file}, api.BadRequest},
		"other words":      {api.BackupRestore{File: file, Words: others}, api.BackupKey},
		"no passphrase":    {api.BackupRestore{File: locked, Words: words}, api.BadRequest},
		"wrong passphrase": {api.BackupRestore{File: locked, Words: words, Passphrase: "battery staple"}, api.BackupKey},
		"not its account":  {api.BackupRestore{File: locked, Words: others, Passphrase: "correct horse"}, api.BackupForeign},
		"no backup":        {api.BackupRestore{File: put("text", []byte("hello")), Words: words}, api.BackupBad},
		"empty":            {api.BackupRestore{File: put("empty", nil), Words: words}, api.BackupBad},
		"head cut":         {api.BackupRestore{File: put("head", whole[:100]), Words: words}, api.BackupCutOff},
		"endless head":     {api.BackupRestore{File: put("endless", header), Words: words}, api.BackupBad},
		"cut":              {api.BackupRestore{File: put("cut", whole[:len(whole)-500]), Words: words}, api.BackupBad},
		"flipped":          {api.BackupRestore{File: put("flip", flipped), Words: words}, api.BackupBad},
		"for another":      {api.BackupRestore{File: sealed("stranger", stranger.Recipient(), unsigned), Words: words}, api.BackupKey},
		"unsigned":         {api.BackupRestore{File: sealed("unsigned", own.Recipient(), unsigned), Words: words}, api.BackupCutOff},
		"forged":           {api.BackupRestore{File: sealed("forged", own.Recipient(), forged), Words: words}, api.BackupBad},
		"foreign":          {api.BackupRestore{File: sealed("foreign", own.Recipient(), foreign), Words: words}, api.BackupForeign},
		"longer":           {api.BackupRestore{File: sealed("longer", own.Recipient(), longer), Words: words}, api.BackupBad},
		"huge entry":       {api.BackupRestore{File: sealed("huge", own.Recipient(), huge), Words: words}, api.BackupBad},
	} {
		task, err := home.RestoreBackup(t.Context(), c.in)
		if err == nil {
			if task = awaitTask(t, home, task.ID, api.Task.Over); task.Problem != nil {
				err = task.Problem
			}
		}
		if !isCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if home.begun.Load() {
			t.Fatalf("%s: there is an identity", name)
		}
	}
	if task := restoring(t, home, api.BackupRestore{File: locked, Words: words, Passphrase: "correct horse", Name: "Anna"}); task.Stage != api.StageRestored {
		t.Fatalf("restore: %+v", task.Problem)
	}
	if home.ownName() != "Anna" || textsOf(t, home, g) != "one" {
		t.Errorf("%q, %q", home.ownName(), textsOf(t, home, g))
	}
	if _, err := home.RestoreBackup(t.Context(), api.BackupRestore{File: file, Words: words}); !isCode(err, api.NotAllowed) {
		t.Errorf("over an identity: %v", err)
	}
}

// No private key of the device or the account lies in a backup: not the seeds,
// nor the master key, nor a KEM seed.
func TestBackupHoldsNoKey(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{Name: "Choir"})
	say(t, ann, g, "one")
	words := wordsOf(t, ann)
	file := backUpTo(t, ann, "")
	e := must[identity.Entropy](t)(identity.ParseWords(words))
	src := must[*source](t)(backupSource(file, "", &e))
	seed, root := e.BackupSeed(), e.Root().Seed()
	secret := [][]byte{e[:], seed[:], root[:], ann.dev.secrets.OpSeed[:], ann.dev.secrets.PeerSeed[:], ann.dev.secrets.Master[:]}
	if err := ann.store.View(func(tx *store.Tx) error {
		kems, err := tx.KEMs(g)
		for _, k := range kems {
			secret = append(secret, k.Seed[:])
		}
		return err
	}); err != nil || len(secret) < 7 {
		t.Fatalf("%d secrets, %v", len(secret), err)
	}
	kinds := map[uint64]int{}
	_, err := src.each(func(int64) {}, func(_ backupHeader, e backupEntry) error {
		kinds[e.Kind]++
		for i, s := range secret {
			if bytes.Contains(e.Body, s) {
				t.Errorf("an entry of kind %d holds secret %d", e.Kind, i)
			}
		}
		return nil
	})
	if err != nil || kinds[backupGroup] != 1 || kinds[backupOps] == 0 || kinds[backupEpochs] == 0 || kinds[backupOwn] == 0 {
		t.Errorf("%v, kinds %v", err, kinds)
	}
}

// A backup that is given up leaves no file, and one that was cut off hinders
// none after it.
func TestBackupGivenUp(t *testing.T) {
	ann := testNode(t, "Ann")
	say(t, ann, newGroup(t, ann, api.GroupCreate{Name: "Choir"}), "one")
	dir := t.TempDir()
	file := filepath.Join(dir, "home.backup")
	to := must[age.Recipient](t)(ann.backupRecipient(""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ann.backUp(ctx, ann.tasks.begin(api.TaskBackup, api.StageWriting, nil), file, to); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := os.WriteFile(file+backupPart, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	task := waitTask(t, ann, must[api.Task](t)(ann.Backup(t.Context(), api.BackupCreate{File: file})).ID)
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); task.State != api.TaskDone || len(left) != 1 {
		t.Errorf("%+v, left: %v", task.Problem, left)
	}
}

// A restore that was cut off before the keys were written is a home without
// identity, and the next one begins from nothing.
func TestRestoreCutOff(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{Name: "Choir"})
	say(t, ann, g, "one")
	words := wordsOf(t, ann)
	file := backUpTo(t, ann, "")
	dir := t.TempDir()
	home := openNode(t, dir)
	if task := restoring(t, home, api.BackupRestore{File: file, Words: words}); task.State != api.TaskDone {
		t.Fatalf("restore: %+v", task.Problem)
	}
	first := home.dev.id()
	if err := home.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, fileKeys)); err != nil {
		t.Fatal(err)
	}
	home = openNode(t, dir)
	if home.begun.Load() {
		t.Fatal("an identity without keys")
	}
	if task := restoring(t, home, api.BackupRestore{File: file, Words: words}); task.State != api.TaskDone {
		t.Fatalf("restore: %+v", task.Problem)
	}
	if home.dev.id() == first || textsOf(t, home, g) != "one" {
		t.Errorf("device again %v, %q", home.dev.id() == first, textsOf(t, home, g))
	}
}

// FuzzBackup reads any bytes as the inside of a backup.
func FuzzBackup(f *testing.F) {
	// The same in every process that fuzzes.
	root, keys := identity.RootFromSeed([32]byte{1}), identity.DeviceKeysFromSeeds([32]byte{2}, [32]byte{3})
	cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1, IssuedMs: 1}
	dev := &device{keys: keys, chain: identity.Chain{root.Certify(cert)}}
	var b bytes.Buffer
	w, err := newBackupWriter(&b, dev, 1)
	if err != nil {
		f.Fatal(err)
	}
	seg := groups.Segment{Frames: [][]byte{{1}}}
	if err := errors.Join(w.put(backupGroup, []byte{1}), w.put(backupOps, groups.EncodeSync(&seg)), w.put(backupOwn, wire.Marshal([]ownItem{})), w.end()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-1])
	f.Fuzz(func(t *testing.T, in []byte) {
		entries := 0
		h, err := readBackup(bytes.NewReader(in), func(_ backupHeader, e backupEntry) error {
			entries++
			switch e.Kind {
			case backupOps:
				_, _ = backupSegment(e.Body)
			case backupOwn:
				_, _ = nameIn(e.Body)
			}
			return nil
		})
		if err == nil && (h.Account != dev.account() || entries != 3) {
			t.Errorf("taken for a backup: %d entries of %v", entries, h.Account)
		}
	})
}

// What a home keeps without its body is kept so in a backup and an export, and
// both hold.
func TestBackupOfWhatWasPruned(t *testing.T) {
	c, all := &clock{}, "all"
	ann := startNode(t, t.TempDir(), "Ann", func(cfg *Config) { cfg.Now = c.now })
	g := newGroup(t, ann, api.GroupCreate{Name: "Books", Policy: &api.PolicyPatch{History: &all}})
	say(t, ann, g, "old")
	c.shift(20 * 24 * time.Hour)
	say(t, ann, g, "new")
	must[api.Group](t)(ann.Retain(t.Context(), g, 7))
	within(t, ann, patience, "old words to go", func() bool { return textsOf(t, ann, g) == "new" })
	words, file := wordsOf(t, ann), backUpTo(t, ann, "")
	if _, made := exportOf(t, ann, g); made.Pruned == 0 || made.Locked != 0 {
		t.Errorf("exported %+v", made)
	}
	again := openNode(t, t.TempDir())
	again.cfg.Now = c.now
	if task := restoring(t, again, api.BackupRestore{File: file, Words: words}); task.State != api.TaskDone {
		t.Fatalf("restore: %+v", task.Problem)
	}
	if got := textsOf(t, again, g); got != "new" {
		t.Errorf("restored: %q", got)
	}
}
