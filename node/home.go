package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// Names in a node's home. Folders are 0700, files 0600.
const (
	fileKeys   = "keys.sealed" // device keys and the store's master key
	fileRoot   = "root.sealed" // the words, until they were written down
	fileDevice = "device.cert" // certificate chain and proof of possession
	fileListen = "listen.json" // the ports once chosen
	// fileRecipient is what backups are sealed to; the words alone open them.
	fileRecipient = "backup.recipient"
	dirStore      = "store"
)

// maxHomeFile bounds what is read of any of these files: the largest is a
// certificate chain of three.
const maxHomeFile = 64 << 10

// home is the folder of one node.
type home struct{ dir string }

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

func (h home) make() error {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return fmt.Errorf("making the home folder: %w", err)
	}
	return nil
}

// read returns a file's bytes; fs.ErrNotExist if there is none.
func (h home) read(name string) ([]byte, error) {
	info, err := os.Stat(h.path(name))
	if err != nil {
		return nil, err
	}
	if info.Size() > maxHomeFile {
		return nil, fmt.Errorf("%s has %d bytes, more than any such file", name, info.Size())
	}
	return os.ReadFile(h.path(name))
}

// write replaces a file so that after a power cut either the old or the new
// one is there, whole: new file, sync, rename, sync of the folder.
func (h home) write(name string, b []byte) (err error) {
	tmp := h.path(name + ".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, h.path(name))
	}
	if err == nil {
		err = h.syncDir()
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (h home) remove(name string) error {
	if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return h.syncDir()
}

func (h home) syncDir() error {
	d, err := os.Open(h.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// deviceFile is what fileDevice holds: everything a device shows of itself.
type deviceFile struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	Chain identity.Chain
	Pop   identity.Pop
}

// device is this device, able to sign.
type device struct {
	keys    identity.DeviceKeys
	chain   identity.Chain
	pop     identity.Pop
	secrets identity.Secrets
}

func (d *device) account() wire.AccountID { return d.chain.Leaf().Account }
func (d *device) id() wire.DeviceID       { return d.chain.Leaf().OpKey }
func (d *device) peer() wire.PeerKey      { return d.chain.Leaf().PeerKey }

// storeKey is the key the store is encrypted under.
func (d *device) storeKey() [32]byte { return wire.Expand(d.secrets.Master, wire.LabelStore) }
