package api

import "mutuals/identity/wire"

// IdentityCreate makes an account, or takes one up again from its words.
type IdentityCreate struct {
	Name  string `json:"name" minLength:"1" maxLength:"64" doc:"what others see; at most 64 characters"`
	Words string `json:"words,omitempty" maxLength:"512" doc:"24 words of an account that exists"`
}

// Identity is the account and the device this node speaks for.
type Identity struct {
	Account wire.AccountID `json:"account"`
	Device  wire.DeviceID  `json:"device"`
	Name    string         `json:"name,omitempty"`
	Card    string         `json:"card,omitempty" doc:"contact card as text"`
	Words   string         `json:"words,omitempty" doc:"only in the answer to making a new account"`
}

// WordsRequest asks for the words; with Confirmed it says that they are
// written down, which erases them here.
type WordsRequest struct {
	Confirmed bool `json:"confirmed,omitempty"`
}

// Words are the 24 words of the account, until they were confirmed.
type Words struct {
	Words     string `json:"words,omitempty"`
	Confirmed bool   `json:"confirmed" doc:"written down; the node keeps them no longer"`
}

// Card is the contact card: what makes a stranger reachable.
type Card struct {
	Text string `json:"text"`
	Link string `json:"link" doc:"mutuals:// form of the same"`
}

// Profile is what a person shows of itself, signed.
type Profile struct {
	Account wire.AccountID `json:"account"`
	Name    string         `json:"name"`
	Bio     string         `json:"bio"`
}

// ProfilePatch changes what is given.
type ProfilePatch struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Bio  *string `json:"bio,omitempty" maxLength:"1024"`
}
