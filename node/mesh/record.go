package mesh

import (
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// Record returns this device's signed peer record: where it can be dialled
// now, best address first, signed with the peer key. Addresses that only this
// machine can use are left out unless there are no others. It is passed on
// from member to member, so who never met can dial each other. As long as the
// addresses stay, it stays the same to the byte: who has it need not verify
// it again.
func (m *Mesh) Record() []byte {
	addrs := byReach(m.host.Addrs())
	m.recordMu.Lock()
	defer m.recordMu.Unlock()
	if now := texts(addrs); m.recorded == nil || !slices.Equal(m.recordOf, now) {
		m.recordOf, m.recorded = now, m.sealRecord(addrs)
	}
	return m.recorded
}

func (m *Mesh) sealRecord(addrs []ma.Multiaddr) []byte {
	rec := peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: m.host.ID(), Addrs: addrs})
	env, err := record.Seal(rec, m.key)
	if err != nil {
		panic("internal error: sealing peer record: " + err.Error())
	}
	b, err := env.Marshal()
	if err != nil {
		panic("internal error: encoding peer record: " + err.Error())
	}
	return b
}

// ShortRecord is Record made anew, with a number of this moment, of at most most
// bytes: of addresses that are too many the best of each kind stay.
func (m *Mesh) ShortRecord(most int) []byte {
	for n := maxShortAddrs; n > 0; n-- {
		var addrs []ma.Multiaddr
		for _, a := range m.Hints(n) {
			if _, plain, err := ParseAddr(a); err == nil {
				addrs = append(addrs, ma.StringCast(plain))
			}
		}
		if b := m.sealRecord(addrs); len(b) <= most {
			return b
		}
	}
	return m.sealRecord(nil)
}

// FoundBy reads a signed record that a stranger handed on: who signed it, and of
// its addresses those that may be dialled. It is an error if there are none, or if
// the record is not of the last age, by the signer's clock.
func (m *Mesh) FoundBy(record []byte, now time.Time, age time.Duration) (Found, error) {
	key, addrs, seq, err := ParseRecord(record)
	if err != nil {
		return Found{}, err
	}
	if at := time.Unix(0, int64(seq)); key == m.self || now.Sub(at) > age || at.Sub(now) > age {
		return Found{}, fmt.Errorf("reading peer record: own, or of another day: %v", at)
	}
	var told []ma.Multiaddr
	for _, a := range addrs {
		if a, err := ma.NewMultiaddr(a); err == nil {
			told = append(told, a)
		}
	}
	f := Found{Peer: key, Addrs: texts(m.worthDialling(told))}
	if len(f.Addrs) == 0 || !m.gater.allows(idOf(key)) {
		return Found{}, fmt.Errorf("reading peer record: no address that may be dialled")
	}
	return f, nil
}

// ParseRecord verifies a signed peer record and returns whose it is, where it
// can be dialled (without /p2p), and its number: of two records of a peer the
// higher is newer.
func ParseRecord(b []byte) (key wire.PeerKey, addrs []string, seq uint64, err error) {
	if len(b) > maxRecord {
		return key, nil, 0, fmt.Errorf("peer record of %d bytes: %w", len(b), ErrTooLarge)
	}
	var rec peer.PeerRecord
	env, err := record.ConsumeTypedEnvelope(b, &rec)
	if err != nil {
		return key, nil, 0, fmt.Errorf("reading peer record: %w", err)
	}
	// The envelope proves who signed; only the peer itself may say where it is.
	key, ok := keyOf(rec.PeerID)
	if !ok || !rec.PeerID.MatchesPublicKey(env.PublicKey) {
		return wire.PeerKey{}, nil, 0, fmt.Errorf("reading peer record: signed by another than %q", rec.PeerID)
	}
	for _, a := range rec.Addrs[:min(len(rec.Addrs), maxAddrs)] {
		addrs = append(addrs, a.String())
	}
	return key, addrs, rec.Seq, nil
}
