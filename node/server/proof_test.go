package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

func (f *fake) VerifyProof(_ context.Context, b []byte) (api.Consent, error) {
	if string(b) == "bad" {
		return api.Consent{}, api.NewProblem(api.ProofInvalid, "where", "2", "why", "bad signature")
	}
	return api.Consent{Way: api.WayInvited, Operations: len(b)}, nil
}

func (f *fake) Proof(context.Context, wire.GroupID, wire.AccountID) (api.Proof, error) {
	return api.Proof{Proof: []byte{0x85, 0, 0xff}}, nil
}

func (f *fake) Audit(_ context.Context, g wire.GroupID, at time.Time) (api.Audit, error) {
	return api.Audit{Group: g, At: at, Acts: []api.Act{{Kind: api.ActRemove, Void: &api.Void{Cause: "rank"}}}}, nil
}

// A proof is judged where nobody has an account, is no JSON, and may be larger
// than other bodies.
func TestProofsAreJudgedWithoutAnIdentity(t *testing.T) {
	s := newTestServer(t, &fake{noIdentity: true})
	octets := func(r *http.Request) { r.Header.Set("Content-Type", "application/octet-stream") }
	w := ask(t, s, "POST", "/api/v1/proofs/verify", strings.Repeat("p", 1<<20), octets)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"operations":1048576`) || !strings.Contains(w.Body.String(), "The inviter's device signed") {
		t.Errorf("%d %.300s", w.Code, w.Body)
	}
	w = ask(t, s, "POST", "/api/v1/proofs/verify", "p", func(r *http.Request) {
		octets(r)
		r.Header.Set("Accept-Language", "zh")
	})
	if w.Code != 200 || !strings.Contains(w.Body.String(), "邀请人的设备") {
		t.Errorf("%d %.300s", w.Code, w.Body)
	}
	p := wantProblem(t, ask(t, s, "POST", "/api/v1/proofs/verify", "bad", octets), 422, api.ProofInvalid)
	if !strings.Contains(p.Detail, "bad signature") {
		t.Errorf("detail %q", p.Detail)
	}
	wantProblem(t, ask(t, s, "POST", "/api/v1/proofs/verify", "p", nil), 415, api.BadRequest)
	wantProblem(t, ask(t, s, "POST", "/api/v1/proofs/verify", strings.Repeat("p", api.MaxProof+1), octets), 413, api.TooLarge)
	wantProblem(t, ask(t, s, "GET", "/api/v1/groups/"+someGroup+"/audit", "", nil), 409, api.NoIdentity)
}

func TestProofAsAFile(t *testing.T) {
	s := newTestServer(t, &fake{})
	path := "/api/v1/groups/" + someGroup + "/members/" + someAccount + "/proof"
	w := ask(t, s, "GET", path+"/file", "", nil)
	if w.Code != 200 || w.Body.String() != "\x85\x00\xff" || w.Header().Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	w = ask(t, s, "GET", path, "", nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"proof":"hQD/"`) || !strings.Contains(w.Body.String(), "names every account") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAuditAtATime(t *testing.T) {
	s := newTestServer(t, &fake{})
	path := "/api/v1/groups/" + someGroup + "/audit"
	for query, want := range map[string]string{
		"":                         `"at":"0001-01-01T00:00:00Z"`,
		"?at=2026-11-23T10:00:00Z": `"at":"2026-11-23T10:00:00Z"`,
	} {
		w := ask(t, s, "GET", path+query, "", func(r *http.Request) { r.Header.Set("Accept-Language", "zh") })
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "没有相应的身份") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	wantProblem(t, ask(t, s, "GET", path+"?at=yesterday", "", nil), 400, api.BadRequest)
}
