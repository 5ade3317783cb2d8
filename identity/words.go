package identity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tyler-smith/go-bip39"
	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/text/unicode/norm"
)

// wordCount words of 11 bits hold 256 bits and a check of 8 (BIP-39).
const wordCount = 24

// WordsFault says what is wrong with typed words.
type WordsFault string

// The list of faults.
const (
	WordsCount    WordsFault = "count"    // not 24 of them
	WordsUnknown  WordsFault = "unknown"  // one is not in the English list
	WordsChecksum WordsFault = "checksum" // all known, but not 24 that belong together
)

// WordsError tells what is wrong with typed words. Its Error holds none of
// them, since words never enter a log.
type WordsError struct {
	// Position of the first unknown word, from 1; 0 unless WordsUnknown.
	Position int
	// Found is how many words there were.
	Found int
	// Word is the unknown word as read, for showing to the person who typed
	// it and to nobody else.
	Word   string
	Reason WordsFault
}

func (e *WordsError) Error() string {
	switch e.Reason {
	case WordsCount:
		return fmt.Sprintf("%d words instead of %d", e.Found, wordCount)
	case WordsUnknown:
		return fmt.Sprintf("word %d is not in the list", e.Position)
	}
	return "the words do not belong together: one is wrong or two changed places"
}

// Words returns the 24 English words of e, lower case, one space between (I5).
func (e Entropy) Words() string {
	s, err := bip39.NewMnemonic(e[:])
	if err != nil {
		panic("internal error: bip39: " + err.Error())
	}
	return s
}

// ParseWords reads 24 words: any white space between and around, either case,
// full-width letters too (I5). The error is a *[WordsError].
func ParseWords(s string) (Entropy, error) {
	if len(s) > MaxWordsText {
		return Entropy{}, &WordsError{Found: len(strings.Fields(s)), Reason: WordsCount}
	}
	words := strings.Fields(strings.ToLower(norm.NFKD.String(s)))
	for i, w := range words {
		if i < wordCount && !inList(w) {
			return Entropy{}, &WordsError{Position: i + 1, Found: len(words), Word: w, Reason: WordsUnknown}
		}
	}
	if len(words) != wordCount {
		return Entropy{}, &WordsError{Found: len(words), Reason: WordsCount}
	}
	b, err := bip39.EntropyFromMnemonic(strings.Join(words, " "))
	if err != nil || len(b) != len(Entropy{}) {
		return Entropy{}, &WordsError{Found: len(words), Reason: WordsChecksum}
	}
	return Entropy(b), nil
}

// inList tells whether w is one of the 2048 words, which are sorted.
func inList(w string) bool {
	_, found := slices.BinarySearch(wordlists.English, w)
	return found
}
