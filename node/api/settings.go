package api

// Answers of AutoAccept.
const (
	AutoAcceptOff     = "off"
	AutoAcceptDirect  = "direct"
	AutoAcceptMutuals = "mutuals"
)

// Settings are how a node behaves for its person; they hold for this account
// on this device.
type Settings struct {
	AutoAccept string `json:"auto_accept" enum:"off,direct,mutuals" doc:"seats that mutuals offer: off asks, direct takes those of direct conversations at once, mutuals all"`
}

// SettingsPatch changes what is given.
type SettingsPatch struct {
	AutoAccept *string `json:"auto_accept,omitempty" enum:"off,direct,mutuals"`
}
