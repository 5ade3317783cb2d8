package api

import (
	"bytes"
	"encoding/json"
)

// Array is a list that is written as [] when it is empty or nil, never as
// null: a script may loop over it unseen.
type Array[T any] []T

// MarshalJSON writes [] for nil.
func (a Array[T]) MarshalJSON() ([]byte, error) {
	if len(a) == 0 {
		return []byte("[]"), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode([]T(a)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// List is the body of every list that is short enough to come whole.
type List[T any] struct {
	Items Array[T] `json:"items"`
}
