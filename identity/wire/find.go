package wire

import (
	"unicode"
	"unicode/utf8"
)

// Armoured is one intact armoured text.
type Armoured struct {
	Mark    Mark
	Payload []byte
}

// Dearmour finds what was armoured under m in s, which may be the bare letters
// in any case and grouping or a whole pasted message. The error is an
// *[ArmourError].
func Dearmour(m Mark, s string) ([]byte, error) {
	all, err := FindArmour(s)
	for _, a := range all {
		if a.Mark == m {
			return a.Payload, nil
		}
	}
	if err == nil {
		err = &ArmourError{Fault: Malformed}
	}
	return nil, err
}

// FindArmour returns the intact armoured texts in the first MaxFindText bytes
// of text, in their order, at most MaxFound. When there is none the error is
// an *[ArmourError] about the most complete of the damaged ones.
//
// Letters count in either case and full width. Spaces, line breaks,
// punctuation, zero-width and combining characters between them do not
// matter; any other character (Chinese, emoji) ends an armoured text.
func FindArmour(text string) ([]Armoured, error) {
	if len(text) > MaxFindText {
		text = text[:MaxFindText]
	}
	f := finder{best: ArmourError{Fault: Malformed}, score: -1}
	runs := runsOf(text)
	for i, run := range runs {
		f.search(run, i == len(runs)-1 && run.open, run.alone)
		if len(f.found) == MaxFound {
			break
		}
	}
	if len(f.found) > 0 {
		return f.found, nil
	}
	return nil, &f.best
}

// letter is one letter or digit of the text, folded to upper case.
type letter struct {
	r     rune // ASCII
	digit int8 // -1 if not of the alphabet: 0, 1, I, L, O
	first bool // something that is no letter stands before it
	space bool // of which some is white space
}

// run is letters with nothing but separators between them.
type run struct {
	letters []letter
	open    bool // no other character follows it
	alone   bool // nor stands before it
}

// runsOf folds and splits text.
func runsOf(text string) []run {
	var all []run
	cur := make([]letter, 0, len(text)) // one stretch of memory for all runs
	first, space, alone := true, true, true
	for _, r := range text {
		if r == '-' {
			first = true
			continue
		}
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch {
		case r >= '0' && r <= '9' || r >= 'A' && r <= 'Z':
			cur = append(cur, letter{r, int8(value(r)), first, space})
			first, space = false, false
		case unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me):
			// invisible: not even the edge of a word
		case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
			first, space = true, true
		case unicode.In(r, unicode.P, unicode.Cc) || r < utf8.RuneSelf:
			first = true
		default:
			if len(cur) > 0 {
				all = append(all, run{letters: cur})
				cur = cur[len(cur):]
			}
			first, space, alone = true, true, false
		}
	}
	if len(cur) > 0 {
		all = append(all, run{letters: cur, open: true, alone: alone})
	}
	return all
}

// finder keeps what is intact, and the best of what is not.
type finder struct {
	found []Armoured
	best  ArmourError
	score int // groups that were right in best
}

func (f *finder) damaged(score int, fault ArmourFault, group int, at []letter) {
	if score <= f.score {
		return
	}
	from := min(len(at), (group-1)*groupLen)
	to := min(len(at), group*groupLen)
	var s []rune
	for _, l := range at[from:to] {
		s = append(s, l.r)
	}
	f.score, f.best = score, ArmourError{Fault: fault, Group: group, Letters: string(s)}
}

// search looks at every place of a run. last: the text ends with this run.
// only: the text is this run.
func (f *finder) search(r run, last, only bool) {
	for i := 0; i < len(r.letters) && len(f.found) < MaxFound; i++ {
		at := r.letters[i:]
		if at[0].first && last && len(at) < markLen && (len(at) > 1 || only && i == 0) && likeness(at) == len(at) {
			f.damaged(0, CutOff, 1, at)
		}
		if len(at) < markLen {
			continue
		}
		switch like := likeness(at[:markLen]); {
		case like == markLen:
			i += f.examine(at)
		case like >= markLen-2 && f.tail(at):
			// A letter, or two neighbours, of the mark are wrong, and what
			// follows is right.
			f.damaged(later(at, 1), Mistyped, 1, at)
		}
	}
}

// likeness is how many letters of at agree with the mark most like it.
func likeness(at []letter) int {
	best := 0
	for _, m := range marks {
		n := 0
		for i := range at {
			if at[i].r == rune(m[i]) {
				n++
			}
		}
		best = max(best, n)
	}
	return best
}

// tail tells whether groups 3 to 6 are right: by chance once in 31⁴. Group 2
// may have suffered from the same slip as group 1.
func (f *finder) tail(at []letter) bool {
	for g := 3; g <= 6; g++ {
		if !right(at, g) {
			return false
		}
	}
	return true
}

// right tells whether group g is whole and fits its check letter.
func right(at []letter, g int) bool {
	if len(at) < g*groupLen {
		return false
	}
	sum := placeSum(g)
	group := at[(g-1)*groupLen : g*groupLen]
	for i := range group {
		if group[i].digit < 0 {
			return false
		}
		sum += (i + 1) * int(group[i].digit)
	}
	return sum%radix == 0
}

// later counts right groups after g, looking at a few only, so that a text
// made of beginnings costs little.
func later(at []letter, g int) int {
	n := 0
	for k := g + 1; k <= g+lookahead; k++ {
		if right(at, k) {
			n++
		}
	}
	return n
}

// lookahead is enough to tell an armoured text from chance.
const lookahead = 8

// examine reads the armoured text that at begins with, a mark being there,
// and returns how many letters after the first to skip: all of an intact one.
func (f *finder) examine(at []letter) int {
	if len(at) < groupLen {
		if at[0].first {
			f.damaged(1, CutOff, 1, at)
		}
		return 0
	}
	if !right(at, 1) {
		// Without a second sign only a mark that begins a word counts.
		switch n := later(at, 1); {
		case n == 0 && at[0].first && broken(at[1:], 1):
			f.damaged(0, CutOff, 1, at)
		case n >= 4 || at[0].first:
			f.damaged(n, Mistyped, 1, at)
		}
		return 0
	}
	size := (int(at[4].digit)*radix+int(at[5].digit))*radix + int(at[6].digit)
	if size == 0 || size > MaxArmoured {
		return 0
	}
	groups := 1 + armourGroups(size)
	for g := 2; g <= groups; g++ {
		if right(at, g) {
			continue
		}
		switch n := later(at, g); {
		case len(at) < g*groupLen, n == 0 && len(at) < groups*groupLen && broken(at, g):
			f.damaged(g, CutOff, g, at)
		default:
			f.damaged(g-1+n, Mistyped, g, at[:min(len(at), groups*groupLen)])
		}
		return 0
	}
	payload := make([]byte, 0, size)
	digits := make([]int, 0, blockGroups*groupData)
	for g := 1; g < groups; g++ {
		for _, l := range at[g*groupLen : g*groupLen+groupData] {
			digits = append(digits, int(l.digit))
		}
		if len(digits) < cap(digits) && g < groups-1 {
			continue
		}
		b, ok := blockOf(digits, min(blockBytes, size-len(payload)))
		if !ok {
			return 0
		}
		payload, digits = append(payload, b...), digits[:0]
	}
	f.found = append(f.found, Armoured{Mark: Mark(textOf(at[:markLen])), Payload: payload})
	return groups*groupLen - 1
}

func textOf(at []letter) string {
	var s []rune
	for _, l := range at {
		s = append(s, l.r)
	}
	return string(s)
}

// broken tells whether white space stands before or within group g: what
// follows a text that was cut off is other words.
func broken(at []letter, g int) bool {
	for _, l := range at[(g-1)*groupLen : min(len(at), g*groupLen)] {
		if l.space {
			return true
		}
	}
	return false
}
