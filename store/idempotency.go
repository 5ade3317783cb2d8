package store

// Answer is what an idempotent request was answered with.
type Answer struct {
	AtMs        uint64   // when, in ms since 1970
	RequestHash [32]byte // of the request; another one under the same key is a conflict
	Status      uint32   // HTTP status
	Body        []byte
}

// PutAnswer keeps the answer under the request's idempotency key, for 24
// hours.
func (tx *Tx) PutAnswer(idempotencyKey string, a Answer) error {
	k, err := named(newKey(pAnswer), idempotencyKey)
	if err != nil {
		return err
	}
	return tx.set(k, key(nil).u64(a.AtMs).id(a.RequestHash).u32(a.Status), a.Body)
}

// Answer returns the answer kept under a key, unless it is 24 hours old.
func (tx *Tx) Answer(idempotencyKey string, nowMs uint64) (Answer, bool, error) {
	k, err := named(newKey(pAnswer), idempotencyKey)
	if err != nil {
		return Answer{}, false, err
	}
	v, ok, err := tx.get(k)
	if err != nil || !ok {
		return Answer{}, false, err
	}
	a, err := readAnswer(v)
	if err != nil || a.expired(nowMs) {
		return Answer{}, false, err
	}
	return a, true, nil
}

// PruneAnswers deletes answers that are 24 hours old, as many as fit the
// transaction. Node calls it once an hour.
func (tx *Tx) PruneAnswers(nowMs uint64) error {
	return tx.scan(span{prefix: newKey(pAnswer)}, func(k row, v []byte) error {
		if tx.Full() {
			return errStop
		}
		a, err := readAnswer(v)
		if err != nil || !a.expired(nowMs) {
			return err
		}
		return tx.del(append(key{pAnswer}, k.b...))
	})
}

func (a Answer) expired(nowMs uint64) bool { return nowMs >= a.AtMs+AnswerMs }

func readAnswer(v []byte) (Answer, error) {
	r := row{b: v}
	a := Answer{AtMs: r.u64(), RequestHash: r.id(), Status: r.u32()}
	if r.bad {
		return a, damaged("answer row")
	}
	a.Body = r.rest()
	return a, nil
}
