package seal

const (
	minStep = 256
	maxStep = 60 << 10
)

// step returns the padded length of n bytes and their end mark: the smallest
// of 256, 384, 512, 768, 1 K, 1.5 K … 32 K, 60 K that holds them (S4). ok is
// false when none does.
func step(n int) (padded int, ok bool) {
	if n < 0 || n > MaxPlain {
		return 0, false
	}
	for s := minStep; s <= 32<<10; s *= 2 {
		if n < s {
			return s, true
		}
		if s < 32<<10 && n < s+s/2 {
			return s + s/2, true
		}
	}
	return maxStep, true
}

// isStep tells whether n is one of the padded lengths.
func isStep(n int) bool {
	s, ok := step(n - 1)
	return ok && s == n
}

// pad appends 0x80 and zeros up to the step.
func pad(plain []byte) ([]byte, bool) {
	n, ok := step(len(plain))
	if !ok {
		return nil, false
	}
	out := make([]byte, n, n+tagLen)
	copy(out, plain)
	out[len(plain)] = 0x80
	return out, true
}

// unpad returns what stands before the last 0x80, which zeros alone may
// follow. Call it only on bytes an AEAD has verified: then its timing tells
// nothing to anybody who could not read them anyway.
func unpad(padded []byte) ([]byte, bool) {
	for i := len(padded) - 1; i >= 0; i-- {
		switch padded[i] {
		case 0:
		case 0x80:
			return padded[:i], true
		default:
			return nil, false
		}
	}
	return nil, false
}
