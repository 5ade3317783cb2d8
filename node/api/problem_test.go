package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// The list as it was agreed, word for word: a code is never taken away.
const contract = `not_mutual group_full waitlisted not_member role_needed invite_expired invite_used invite_revoked removed declined no_identity passcode_malformed passcode_cut_off passcode_mistyped passcode_newer already_member revoked pending clock_wrong not_found not_allowed unauthorized bad_request rate_limited timeout disk_full internal locked not_synced too_large key_missing peer_unreachable idempotency_conflict cursor_invalid update_needed proof_invalid owner_stays cap_too_low no_succession direct_conversation other_left only_copy devices_full link_code_bad link_code_expired link_ended number_wrong admission_void no_harbor cloned file_exists backup_key backup_bad backup_cut_off backup_foreign disk_read_only export_invalid receipts_off group_unreadable`

func TestEachCodeOfTheContractIsWholeInBothLanguages(t *testing.T) {
	want := strings.Fields(contract)
	if len(want) != len(Codes()) {
		t.Errorf("%d codes, the contract has %d", len(Codes()), len(want))
	}
	han := regexp.MustCompile(`\p{Han}`)
	for _, code := range want {
		p := NewProblem(Code(code))
		if p.Type != "urn:mutuals:problem:"+code || p.Status < 400 || p.Status > 599 || p.Exit() == ExitOK {
			t.Errorf("%s: %+v", code, p)
		}
		for _, l := range []Lang{English, Chinese} {
			q := p.In(l)
			if q.Title == "" || q.Hint == "" || q.Detail == "" || strings.Contains(q.Detail, "{") {
				t.Errorf("%s in %s: %+v", code, l, q)
			}
			if (l == Chinese) != han.MatchString(q.Title) || (l == Chinese) != han.MatchString(q.Hint) {
				t.Errorf("%s in %s: %q, %q", code, l, q.Title, q.Hint)
			}
		}
		// What the text names must be nameable in both.
		arg := regexp.MustCompile(`\{[a-z]+\}`)
		en, zh := arg.FindAllString(codes[p.Code].en.detail, -1), arg.FindAllString(codes[p.Code].zh.detail, -1)
		for _, a := range zh {
			if !strings.Contains(strings.Join(en, " "), a) {
				t.Errorf("%s: Chinese names %s, English does not", code, a)
			}
		}
	}
}

func TestExitCodesOfTheContract(t *testing.T) {
	for code, want := range map[Code]Exit{
		InviteRevoked: 4, InviteExpired: 4, Removed: 4, NotMutual: 4, Unauthorized: 4, RoleNeeded: 4,
		PasscodeMalformed: 2, PasscodeMistyped: 2, PasscodeCutOff: 2, BadRequest: 2,
		NotFound: 5, PeerUnreachable: 6, Timeout: 6, Locked: 7, GroupFull: 8, InviteUsed: 8, IdempotencyConflict: 8, Internal: 1,
	} {
		if got := NewProblem(code).Exit(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestAProblemSurvivesJSONAndTakesAnotherLanguage(t *testing.T) {
	p := NewProblem(PasscodeMistyped, "part", "3", "letters", "ABCDE")
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	q := parseProblem(400, b)
	if got := q.In(Chinese).Detail; got != "第 3 段（ABCDE）有误。" {
		t.Errorf("%q", got)
	}
	if got := q.In(Chinese).In(English).Detail; got != p.Detail {
		t.Errorf("%q", got)
	}
	if got := p.Explain("its own").In(Chinese).Detail; got != "its own" {
		t.Errorf("%q", got)
	}
	wrapped := fmt.Errorf("joining: %w", p)
	if CodeOf(wrapped) != PasscodeMistyped || !errors.Is(wrapped, &Problem{Code: PasscodeMistyped}) || errors.Is(wrapped, &Problem{Code: Internal}) {
		t.Error("the code is not found in a wrapped error")
	}
	if got := AsProblem(errors.New("secret")); got.Code != Internal || strings.Contains(got.Detail, "secret") {
		t.Errorf("%+v", got)
	}
	if got := parseProblem(502, []byte("<html>")); got.Status != 502 || got.Code != Internal {
		t.Errorf("%+v", got)
	}
}
