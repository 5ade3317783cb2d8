package store

// PutTask stores a task under its id, replacing the one before.
func (tx *Tx) PutTask(id string, data []byte) error {
	k, err := named(newKey(pTask), id)
	if err != nil {
		return err
	}
	return tx.set(k, data)
}

// Task returns a task, if there is one.
func (tx *Tx) Task(id string) ([]byte, bool, error) {
	k, err := named(newKey(pTask), id)
	if err != nil {
		return nil, false, nil // no such id can have been stored
	}
	return tx.get(k)
}

// EachTask calls fn for each task, by id.
func (tx *Tx) EachTask(fn func(id string, data []byte) error) error {
	return tx.scan(span{prefix: newKey(pTask)}, func(k row, v []byte) error { return fn(string(k.rest()), v) })
}

// DeleteTask forgets a task; none is no error.
func (tx *Tx) DeleteTask(id string) error {
	k, err := named(newKey(pTask), id)
	if err != nil {
		return err
	}
	return tx.del(k)
}
