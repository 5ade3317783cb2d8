package timeline

import (
	"mutuals/groups"
	"mutuals/identity/wire"
)

// profileName reads the name in a profile payload written by author.
func profileName(author wire.AccountID, payload wire.Raw) (string, error) {
	_, err := groups.DecodeProfileContent(payload)
	return "", err
}
