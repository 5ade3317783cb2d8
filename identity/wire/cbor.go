package wire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// ErrNotCanonical means that bytes decode, but are not the one encoding this
// protocol allows for their value (RFC 8949 section 4.2.1).
var ErrNotCanonical = errors.New("not the canonical encoding")

// ErrMalformed means that bytes are no CBOR this protocol allows: cut off,
// trailing bytes, a tag, a map, a float, too deep, too long, or of another
// shape than asked for.
var ErrMalformed = errors.New("malformed encoding")

// Raw is one encoded value that is decoded later, when its kind is known.
// Check it with [Canonical] or decode it with [Unmarshal]: being inside a
// canonical value does not make it canonical.
type Raw = cbor.RawMessage

// codec is built once: the library's modes are immutable and safe to share.
var encMode, decMode = mustModes()

func mustModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		ShortestFloat: cbor.ShortestFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode()
	if err != nil {
		panic("internal error: cbor encoder options: " + err.Error())
	}
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  MaxNesting,
		MaxArrayElements: MaxElements,
		MaxMapPairs:      16, // the library's least; maps are refused by Canonical and by every shape we decode into
		IntDec:           cbor.IntDecConvertNone,
		UTF8:             cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic("internal error: cbor decoder options: " + err.Error())
	}
	return enc, dec
}

// Marshal returns the canonical encoding of v: a struct whose first field is
// `_ struct{} "cbor:\",toarray\""`, or a slice, number, byte string or text.
// It panics when v holds something this protocol has no encoding for, which
// is a mistake of the caller's code, never of a peer's bytes.
func Marshal(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic("internal error: encoding: " + err.Error())
	}
	return b
}

// Unmarshal decodes b into v, encodes v again and compares. It returns
// ErrMalformed or ErrNotCanonical, wrapped with what was wrong. A field of
// type [Raw] is carried, not judged.
func Unmarshal(b []byte, v any) error {
	if err := Reread(b, v); err != nil {
		return err
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if !bytes.Equal(b, again) {
		return ErrNotCanonical
	}
	return nil
}

// Reread decodes what this program encoded, or compared, before: it does not
// compare again. It returns ErrMalformed, wrapped with what was wrong.
func Reread(b []byte, v any) error {
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return nil
}

// Canonical tells whether b is one canonical value made of arrays, unsigned
// and negative integers, byte strings, text and booleans only; nil if so. It
// is for values whose kind is not known.
func Canonical(b []byte) error {
	if r := Read(b); r.Raw() != nil && r.End() {
		return nil
	}
	var v any
	if err := decMode.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if !plain(v) {
		return fmt.Errorf("%w: a map, float or null", ErrMalformed)
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if !bytes.Equal(b, again) {
		return ErrNotCanonical
	}
	return nil
}

func plain(v any) bool {
	switch v := v.(type) {
	case uint64, int64, []byte, string, bool:
		return true
	case []any:
		for _, e := range v {
			if !plain(e) {
				return false
			}
		}
		return true
	}
	return false
}

// First splits b into its first encoded value and what follows it. It judges
// form only, as deep as the decoder's bounds: decode or check the item next.
// It returns ErrMalformed, wrapped with what was wrong.
func First(b []byte) (item Raw, rest []byte, err error) {
	rest, err = decMode.UnmarshalFirst(b, &item)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return b[: len(b)-len(rest) : len(b)-len(rest)], rest, nil
}
