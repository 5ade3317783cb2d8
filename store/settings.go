package store

// PutSetting stores a value under a name, replacing the one before.
func (tx *Tx) PutSetting(name string, value []byte) error {
	k, err := named(newKey(pSettings), name)
	if err != nil {
		return err
	}
	return tx.set(k, value)
}

// Setting returns the value of a name, if there is one.
func (tx *Tx) Setting(name string) ([]byte, bool, error) {
	k, err := named(newKey(pSettings), name)
	if err != nil {
		return nil, false, nil // no such name can have been stored
	}
	return tx.get(k)
}

// DeleteSetting forgets a name; none is no error.
func (tx *Tx) DeleteSetting(name string) error {
	k, err := named(newKey(pSettings), name)
	if err != nil {
		return err
	}
	return tx.del(k)
}
