package api

import (
	"time"

	"mutuals/identity/wire"
)

// BackupCreate asks for a backup: everything this account has on the node but
// for its keys, encrypted to the account's words or to a passphrase.
type BackupCreate struct {
	File       string `json:"file" maxLength:"4096" doc:"absolute path on the node's machine, where nothing is yet"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" doc:"opens it; without one the 24 words do"`
}

// BackupOpen names a backup and what opens it.
type BackupOpen struct {
	File       string `json:"file" maxLength:"4096" doc:"absolute path on the node's machine"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" doc:"if it was made with one"`
	Words      string `json:"words,omitempty" maxLength:"1024" doc:"the account's 24 words"`
}

// BackupRestore makes a home without identity a new device of the account.
type BackupRestore struct {
	File       string `json:"file" maxLength:"4096" doc:"absolute path on the node's machine"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" doc:"if it was made with one"`
	Words      string `json:"words" maxLength:"1024" doc:"the account's 24 words, always: they make this a device of it"`
	Name       string `json:"name,omitempty" maxLength:"256" doc:"what others see; else as it was"`
}

// Backup is what a backup holds.
type Backup struct {
	File       string         `json:"file"`
	Bytes      int64          `json:"bytes"`
	Account    wire.AccountID `json:"account"`
	Device     wire.DeviceID  `json:"device" doc:"which made it"`
	Name       string         `json:"name,omitempty" doc:"of the account, when it is read"`
	At         time.Time      `json:"at" doc:"when it was made"`
	Groups     int            `json:"groups"`
	Operations int            `json:"operations"`
	Unreadable []string       `json:"unreadable,omitempty" doc:"groups that are not in it, when it is made: they cannot be read from this disk"`
}
