package api

// Answers of AutoAccept.
const (
	AutoAcceptOff     = "off"
	AutoAcceptMutuals = "mutuals"
)

// Settings are how a node behaves for its person; they hold for this account
// on this device.
type Settings struct {
	AutoAccept string `json:"auto_accept" enum:"off,mutuals" doc:"seats that mutuals offer: off asks, mutuals takes them at once"`
}

// SettingsPatch changes what is given.
type SettingsPatch struct {
	AutoAccept *string `json:"auto_accept,omitempty" enum:"off,mutuals"`
}
