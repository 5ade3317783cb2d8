package groups

import "encoding/base64"

// TopicName is the name under which a topic secret travels in GossipSub: it
// stands in every gossip message, so it is the 32 bytes and nothing else, in
// 43 letters. It is the name of an epoch's topic (seal.Keys.Topic) and of a
// passcode's lobby alike; both are outputs of one key derivation under
// labels of their own and cannot meet.
func TopicName(topic [32]byte) string { return base64.RawURLEncoding.EncodeToString(topic[:]) }

// dayMs is a day in ms.
const dayMs = 24 * 60 * 60 * 1000

// Day counts whole UTC days since 1970 of a time in ms, as rendezvous keys
// do (seal.DHTKey).
func Day(ms uint64) uint32 { return uint32(ms / dayMs) }

// Days gives the days under which to announce and look up at a time: that
// day, the day before and the day after, since clocks differ and a record
// outlives midnight.
func Days(ms uint64) [3]uint32 {
	d := Day(ms)
	if d == 0 {
		return [3]uint32{0, 0, 1}
	}
	return [3]uint32{d, d - 1, d + 1}
}
