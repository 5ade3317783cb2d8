package store

// PutRequest stores a request under its id, replacing the one before.
func (tx *Tx) PutRequest(id string, data []byte) error {
	k, err := named(newKey(pRequest), id)
	if err != nil {
		return err
	}
	return tx.set(k, data)
}

// Request returns a request, if there is one.
func (tx *Tx) Request(id string) ([]byte, bool, error) {
	k, err := named(newKey(pRequest), id)
	if err != nil {
		return nil, false, nil // no such id can have been stored
	}
	return tx.get(k)
}

// EachRequest calls fn for each request, by id.
func (tx *Tx) EachRequest(fn func(id string, data []byte) error) error {
	return tx.scan(span{prefix: newKey(pRequest)}, func(k row, v []byte) error { return fn(string(k.rest()), v) })
}

// DeleteRequest forgets a request; none is no error.
func (tx *Tx) DeleteRequest(id string) error {
	k, err := named(newKey(pRequest), id)
	if err != nil {
		return err
	}
	return tx.del(k)
}
