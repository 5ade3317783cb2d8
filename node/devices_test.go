package node

import (
	"testing"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// An account lists its devices; this one is among them.
func TestDevicesListSelf(t *testing.T) {
	n := startNode(t, t.TempDir(), "Ann", nil)
	list := must[[]api.Device](t)(n.Devices(t.Context()))
	if len(list) != 1 || !list[0].This || !list[0].MayLink || list[0].Number != 1 || list[0].Device != n.dev.id() || list[0].LinkedBy != (wire.DeviceID{}) {
		t.Fatalf("%+v", list)
	}
}

// What is remembered of devices is bounded, keeps this one, and takes none in
// on the word of somebody else.
func TestOwnDevicesBound(t *testing.T) {
	n := startNode(t, t.TempDir(), "Ann", nil)
	chain := func(no uint64) ownDevice {
		k := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(n.cfg.Rand))
		cert := identity.NewCertificate(n.dev.account(), k, no, 0, n.nowMs())
		return ownDevice{Chain: must[identity.Chain](t)(n.dev.chain.Extend(n.dev.keys, cert)), Pop: k.Prove(cert)}
	}
	for no := range uint64(maxOwnDevices + 5) {
		d := chain(no + 2)
		if known, err := n.learnDevice(t.Context(), d); known || err != nil {
			t.Fatalf("device %d: known %v, %v", no, known, err)
		}
		if known, err := n.learnDevice(t.Context(), d); !known || err != nil {
			t.Fatalf("device %d again: known %v, %v", no, known, err)
		}
	}
	all := n.devices.all()
	if len(all) != maxOwnDevices || all[0].id() != n.dev.id() || all[len(all)-1].Chain.Leaf().DeviceNo != maxOwnDevices+6 {
		t.Fatalf("%d devices, from %d to %d", len(all), all[0].Chain.Leaf().DeviceNo, all[len(all)-1].Chain.Leaf().DeviceNo)
	}
	stranger := must[*applicant](t)(newApplicant(t.Context()))
	defer stranger.mesh.Close()
	unproved := chain(99)
	unproved.Pop.Peer = wire.Sig{}
	for name, d := range map[string]ownDevice{"a stranger's": {Chain: stranger.chain, Pop: stranger.pop}, "one without proof of its peer key": unproved, "none": {}} {
		if _, err := n.learnDevice(t.Context(), d); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
