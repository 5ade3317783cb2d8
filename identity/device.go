package identity

import (
	"crypto/ed25519"
	"fmt"
	"io"

	"mutuals/identity/wire"
)

// DeviceKeys are the two private keys of this device: Op signs what the
// person does, Peer is the libp2p identity. They are made on the device and
// never leave it; neither words nor a backup bring them back. They print as
// "[secret]" under every verb.
type DeviceKeys struct{ Op, Peer ed25519.PrivateKey }

// NewDeviceKeys draws two keys from rand; the error is rand's.
func NewDeviceKeys(rand io.Reader) (DeviceKeys, error) {
	var op, peer [32]byte
	for _, b := range [][]byte{op[:], peer[:]} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return DeviceKeys{}, fmt.Errorf("drawing device keys: %w", err)
		}
	}
	return DeviceKeysFromSeeds(op, peer), nil
}

// DeviceKeysFromSeeds returns the keys whose seeds [DeviceKeys.OpSeed] and
// [DeviceKeys.PeerSeed] gave.
func DeviceKeysFromSeeds(op, peer [32]byte) DeviceKeys {
	return DeviceKeys{Op: ed25519.NewKeyFromSeed(op[:]), Peer: ed25519.NewKeyFromSeed(peer[:])}
}

// OpSeed returns the Ed25519 seed of the op key.
func (k DeviceKeys) OpSeed() [32]byte { return [32]byte(k.Op.Seed()) }

// PeerSeed returns the Ed25519 seed of the peer key.
func (k DeviceKeys) PeerSeed() [32]byte { return [32]byte(k.Peer.Seed()) }

// ID returns the device's id: its public op key.
func (k DeviceKeys) ID() wire.DeviceID { return wire.DeviceID(k.Op.Public().(ed25519.PublicKey)) }

// PeerKey returns the public key the device proves to libp2p.
func (k DeviceKeys) PeerKey() wire.PeerKey { return wire.PeerKey(k.Peer.Public().(ed25519.PublicKey)) }

// Format keeps the keys out of logs.
func (DeviceKeys) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the keys out of JSON.
func (DeviceKeys) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// Capabilities of a device, as bits of [Certificate.Caps]. A bit that is not
// listed makes a certificate ErrNewer: it might restrict what we would allow.
const (
	// CapAddDevices lets a device certify others of its account.
	CapAddDevices uint64 = 1 << 0
	// CapBot marks a device that no person sits at.
	CapBot uint64 = 1 << 1

	knownCaps = CapAddDevices | CapBot
)

// Certificate ties a device to an account. Its place in a [Chain] says who
// signed it. It holds no name: names travel encrypted (I6).
//
// Evolution: fields are never added or reused; another shape is another V.
type Certificate struct {
	_        struct{} `cbor:",toarray"`
	V        uint64
	Account  wire.AccountID
	OpKey    wire.DeviceID
	PeerKey  wire.PeerKey
	DeviceNo uint64 // counts an account's devices, from 1; not unique among devices made apart
	Caps     uint64
	IssuedMs uint64 // ms since 1970
}

// NewCertificate returns an unsigned certificate for k's public keys.
func NewCertificate(account wire.AccountID, k DeviceKeys, deviceNo, caps, issuedMs uint64) Certificate {
	return Certificate{V: Version, Account: account, OpKey: k.ID(), PeerKey: k.PeerKey(), DeviceNo: deviceNo, Caps: caps, IssuedMs: issuedMs}
}

func (c *Certificate) check() error {
	if err := checkVersion(c.V); err != nil {
		return err
	}
	if extra := c.Caps &^ knownCaps; extra != 0 {
		return fmt.Errorf("%w: capability bits %#x", ErrNewer, extra)
	}
	if c.DeviceNo >= 1<<32 {
		return fmt.Errorf("%w: device number %d", ErrBounds, c.DeviceNo)
	}
	if err := checkMs("issue time", c.IssuedMs); err != nil {
		return err
	}
	op, peer := [32]byte(c.OpKey), [32]byte(c.PeerKey)
	if op == peer || op == c.Account || peer == c.Account {
		return fmt.Errorf("%w: account, op key and peer key are not three keys", ErrBadChain)
	}
	return nil
}

// sharesKey tells whether a key of one device is a key of the other.
func (c *Certificate) sharesKey(d *Certificate) bool {
	op, peer := [32]byte(c.OpKey), [32]byte(c.PeerKey)
	return c.OpKey == d.OpKey || c.PeerKey == d.PeerKey || op == d.PeerKey || peer == d.OpKey
}

// checkKeys tells whether all three keys can carry a signature (W4).
func (c *Certificate) checkKeys() error {
	for _, key := range [][32]byte{c.Account, c.OpKey, c.PeerKey} {
		if err := wire.ValidKey(key); err != nil {
			return fmt.Errorf("certificate of device %v: %w", c.OpKey, err)
		}
	}
	return nil
}

// SignedCert is a certificate and the signature of the root or of the device
// before it in the chain, domain device-cert.
type SignedCert struct {
	_    struct{} `cbor:",toarray"`
	Cert Certificate
	Sig  wire.Sig
}

// Chain leads from an account to one of its devices: the first certificate is
// signed by the root, each other by the device before it; at most [MaxChain].
type Chain []SignedCert

// NewChain certifies k as a device of the root's account: a chain of one.
func NewChain(r Root, k DeviceKeys, deviceNo, caps, issuedMs uint64) Chain {
	return Chain{r.Certify(NewCertificate(r.Account(), k, deviceNo, caps, issuedMs))}
}

// Leaf returns the last certificate: the device the chain is of. It panics on
// an empty chain; one that verified has a leaf.
func (c Chain) Leaf() Certificate { return c[len(c)-1].Cert }

// Extend certifies c as a further device, signed by k, whose own chain this
// is. The error is ErrBadChain when k may not add devices, the chain is full,
// or the result would not verify.
func (c Chain) Extend(k DeviceKeys, cert Certificate) (Chain, error) {
	mustMatch(k, c)
	longer := append(c[:len(c):len(c)], SignedCert{
		Cert: cert,
		Sig:  wire.Sign(wire.DomainDeviceCert, k.Op, wire.NoContext, wire.Marshal(cert)),
	})
	if _, err := longer.Verify(); err != nil {
		return nil, fmt.Errorf("certifying a device: %w", err)
	}
	return longer, nil
}

// Verify checks the chain by itself (I7) and returns its leaf, whose peer key
// is proved by a [Pop] only: without one it is an address (I9). Verify does not
// know revocations: whoever holds some asks [SignedRevocation.Voids]. Errors:
// ErrBadChain, ErrBadSignature, ErrBounds, ErrNewer, wire.ErrBadKey.
func (c Chain) Verify() (Certificate, error) {
	if len(c) == 0 || len(c) > MaxChain {
		return Certificate{}, fmt.Errorf("%w: %d certificates", ErrBadChain, len(c))
	}
	if err := c.check(); err != nil {
		return Certificate{}, err
	}
	signer := [32]byte(c[0].Cert.Account)
	for i := range c {
		if err := c[i].Cert.checkKeys(); err != nil {
			return Certificate{}, err
		}
		if !wire.Verify(wire.DomainDeviceCert, signer, wire.NoContext, wire.Marshal(c[i].Cert), c[i].Sig) {
			return Certificate{}, fmt.Errorf("certificate %d of the chain: %w", i+1, ErrBadSignature)
		}
		signer = c[i].Cert.OpKey
	}
	return c.Leaf(), nil
}

// check judges everything about a chain but keys and signatures.
func (c Chain) check() error {
	if len(c) > MaxChain {
		return fmt.Errorf("%w: %d certificates", ErrBadChain, len(c))
	}
	for i := range c {
		cert := &c[i].Cert
		if err := cert.check(); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		signer := &c[i-1].Cert
		switch {
		case cert.Account != signer.Account:
			return fmt.Errorf("%w: two accounts", ErrBadChain)
		case signer.Caps&CapAddDevices == 0:
			return fmt.Errorf("%w: device %v may not add devices", ErrBadChain, signer.OpKey)
		case signer.Caps&CapBot != 0 && cert.Caps&CapBot == 0:
			return fmt.Errorf("%w: a bot certified a device that is none", ErrBadChain)
		}
		for _, before := range c[:i] {
			if cert.sharesKey(&before.Cert) {
				return fmt.Errorf("%w: devices %v and %v share a key", ErrBadChain, before.Cert.OpKey, cert.OpKey)
			}
		}
	}
	return nil
}

// Pop proves that a device holds both keys its certificate names: two
// signatures over the certificate, domains device-pop and peer-pop. Without
// the second, a stranger's peer key could be taken for somebody's (I9).
type Pop struct {
	_        struct{} `cbor:",toarray"`
	Op, Peer wire.Sig
}

// Prove signs cert with both keys. The certificate must be k's own.
func (k DeviceKeys) Prove(cert Certificate) Pop {
	core := wire.Marshal(cert)
	return Pop{
		Op:   wire.Sign(wire.DomainDevicePop, k.Op, wire.NoContext, core),
		Peer: wire.Sign(wire.DomainPeerPop, k.Peer, wire.NoContext, core),
	}
}

// Verify tells whether p proves both keys of cert; the error is ErrBadProof
// or wire.ErrBadKey.
func (p Pop) Verify(cert Certificate) error {
	if err := cert.checkKeys(); err != nil {
		return err
	}
	core := wire.Marshal(cert)
	if !wire.Verify(wire.DomainDevicePop, cert.OpKey, wire.NoContext, core, p.Op) {
		return fmt.Errorf("%w: op key", ErrBadProof)
	}
	if !wire.Verify(wire.DomainPeerPop, cert.PeerKey, wire.NoContext, core, p.Peer) {
		return fmt.Errorf("%w: peer key", ErrBadProof)
	}
	return nil
}
