package api

// Answers of AutoAccept.
const (
	AutoAcceptOff     = "off"
	AutoAcceptDirect  = "direct"
	AutoAcceptMutuals = "mutuals"
)

// Whose groups a node with mutualsd --harbor keeps when it is asked.
const (
	HarborForMutuals = "mutuals"
	HarborForSelf    = "self"
)

// Settings are how a node behaves for its person. AutoAccept holds for this
// account on all its devices, HarborFor for this device.
type Settings struct {
	AutoAccept string `json:"auto_accept" enum:"off,direct,mutuals" doc:"seats that mutuals offer: off asks, direct takes those of direct conversations at once, mutuals all"`
	HarborFor  string `json:"harbor_for" enum:"mutuals,self" doc:"whose groups a node with --harbor agrees to keep: mutuals' and own ones, or own ones only"`
}

// SettingsPatch changes what is given.
type SettingsPatch struct {
	AutoAccept *string `json:"auto_accept,omitempty" enum:"off,direct,mutuals"`
	HarborFor  *string `json:"harbor_for,omitempty" enum:"mutuals,self"`
}
