package node

import (
	"mutuals/groups"
	"mutuals/identity/wire"
)

const protocolRestore = "/mutuals/restore/1"

// The messages of /mutuals/restore/1 after the hello (PROTOCOLS.md N9). What is
// shown of a group is told as in /mutuals/join/1: genesis alone, then the rest.
const (
	restoreList    = 2
	restoreShow    = 3
	restorePath    = 4
	restoreAsk     = 5
	restoreVerdict = 6
)

const (
	// maxRestoreGroups bounds the groups that a member tells at once: far more
	// than one person shares with another.
	maxRestoreGroups = 256
	// maxToldRevocations bounds the revocations told with them: an account has
	// five devices, and replaces one now and then.
	maxToldRevocations = 16
	// maxListFrame holds 256 ids, an edge and the revocations.
	maxListFrame = 32 << 10
	maxShowFrame = 64
)

// listMsg tells a device what its account has here.
type listMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Groups  []wire.GroupID // where its account is in, ascending
	Said    []byte         // the newest edge its account made to this one, or empty
	Revoked [][]byte       // revocations of its account's devices
}

// showMsg asks for one of them.
type showMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Group   wire.GroupID
}

// returnMsg asks to be added to the group shown last.
type returnMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Request groups.JoinRequest
	Sig     wire.Sig
}
