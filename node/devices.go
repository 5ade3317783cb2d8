package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// devicesKey names the row of the own account's devices.
const devicesKey = "devices"

// maxOwnDevices bounds the devices of this account that are remembered: five
// live ones, and those that came and went. The newest are kept.
const maxOwnDevices = 64

// ownDevice is a device of this account, as its certificate and its proof of
// both keys say. What one device knows of another is on the ground of these
// alone: a certificate cannot be taken back but by a revocation.
type ownDevice struct {
	_     struct{} `cbor:",toarray"`
	Chain identity.Chain
	Pop   identity.Pop
}

func (d ownDevice) id() wire.DeviceID  { return d.Chain.Leaf().OpKey }
func (d ownDevice) peer() wire.PeerKey { return d.Chain.Leaf().PeerKey }

// verify tells whether this is a device of an account: the chain holds, and
// the device has both keys.
func (d ownDevice) verify(a wire.AccountID) error {
	leaf, err := d.Chain.Verify()
	if err != nil {
		return err
	}
	if leaf.Account != a {
		return fmt.Errorf("%w: a device of another account", identity.ErrBadChain)
	}
	return d.Pop.Verify(leaf)
}

// devices are the devices of this account that are known here, this one among
// them. Rows lie in the store; a copy lies here.
type devices struct {
	mu   sync.Mutex
	self wire.DeviceID
	list []ownDevice // by number, then key
	// links are to siblings that are linked now; wishes the groups this device
	// waits to be added to.
	links  map[wire.PeerKey]*siblingLink
	wishes map[wire.GroupID]*wish
	over   func(identity.Chain) bool // whether one was revoked
}

// loadDevices reads the devices of the own account; this one is among them
// whatever the disk says.
func (n *Node) loadDevices() error {
	n.devices = &devices{self: n.dev.id(), over: n.people.revoked, links: map[wire.PeerKey]*siblingLink{}, wishes: map[wire.GroupID]*wish{}}
	if err := n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(devicesKey)
		if err != nil || !ok {
			return err
		}
		return wire.Unmarshal(b, &n.devices.list)
	}); err != nil {
		return fmt.Errorf("reading own devices: %w", err)
	}
	n.devices.add(ownDevice{Chain: n.dev.chain, Pop: n.dev.pop})
	return nil
}

// add takes a verified device in; false if it is known. The lock is not held.
func (ds *devices) add(d ownDevice) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if slices.ContainsFunc(ds.list, func(o ownDevice) bool { return o.id() == d.id() }) {
		return false
	}
	ds.list = append(ds.list, d)
	slices.SortFunc(ds.list, compareOwn)
	if len(ds.list) > maxOwnDevices {
		at := slices.IndexFunc(ds.list, func(o ownDevice) bool { return o.id() != ds.self })
		ds.list = slices.Delete(ds.list, at, at+1)
	}
	return true
}

func compareOwn(a, b ownDevice) int {
	x, y := a.id(), b.id()
	return cmp.Or(cmp.Compare(a.Chain.Leaf().DeviceNo, b.Chain.Leaf().DeviceNo), slices.Compare(x[:], y[:]))
}

// all returns every device, by number.
func (ds *devices) all() []ownDevice {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return slices.Clone(ds.list)
}

// siblings returns the other devices that are live.
func (ds *devices) siblings() []ownDevice {
	return slices.DeleteFunc(ds.all(), func(d ownDevice) bool { return d.id() == ds.self || ds.over(d.Chain) })
}

// knows tells whether a device is among them.
func (ds *devices) knows(d wire.DeviceID) bool {
	return slices.ContainsFunc(ds.all(), func(o ownDevice) bool { return o.id() == d })
}

// sibling returns the live device of this account that proved a peer key.
func (ds *devices) sibling(p wire.PeerKey) (ownDevice, bool) {
	for _, d := range ds.siblings() {
		if d.peer() == p {
			return d, true
		}
	}
	return ownDevice{}, false
}

// nextNo is the number of the next device.
func (ds *devices) nextNo() uint64 {
	var top uint64
	for _, d := range ds.all() {
		top = max(top, d.Chain.Leaf().DeviceNo)
	}
	return min(top+1, 1<<32-1)
}

// learnDevice keeps a device of this account once it is verified; known tells
// whether it was known before.
func (n *Node) learnDevice(ctx context.Context, d ownDevice) (known bool, err error) {
	if err := d.verify(n.dev.account()); err != nil {
		return false, err
	}
	if !n.devices.add(d) {
		return true, nil
	}
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutSetting(devicesKey, wire.Marshal(n.devices.all()))
	})
	if n.mesh != nil {
		n.tuneKeeps()
		n.linkSibling(d.peer())
		n.ownChanged()
	}
	return false, err
}

// Devices lists the devices of this account, by number.
func (n *Node) Devices(context.Context) ([]api.Device, error) {
	var out []api.Device
	for _, d := range n.devices.all() {
		leaf := d.Chain.Leaf()
		one := api.Device{
			Device: d.id(), Number: leaf.DeviceNo, This: d.id() == n.devices.self, LinkedAt: msTime(leaf.IssuedMs),
			MayLink: leaf.Caps&identity.CapAddDevices != 0, Peer: d.peer().String(),
		}
		one.Online = one.This || n.mesh.Connected(d.peer())
		if rev, over := n.people.endOf(d.Chain); over {
			one.RevokedAt, one.RevokedReason = msTime(rev.Ms), reasonOfRevocation(rev.Reason)
		}
		if len(d.Chain) > 1 {
			one.LinkedBy = d.Chain[len(d.Chain)-2].Cert.OpKey
		}
		out = append(out, one)
	}
	return out, nil
}
