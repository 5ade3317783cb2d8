package api

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What doctor finds has words in both languages, and both name the same things.
func TestFindingsHaveWords(t *testing.T) {
	named := regexp.MustCompile(`[{<]\d[}>]`)
	codes := []FindingCode{}
	for code := range findingKinds {
		codes = append(codes, code)
	}
	for code := range advice {
		codes = append(codes, adviceFinding+FindingCode(code))
	}
	for _, code := range codes {
		k, ok := findingKindOf(code)
		if !ok || k.check == "" || !slices.Contains([]string{"ok", "warning", "error"}, k.level) {
			t.Errorf("%s: check %q, level %q", code, k.check, k.level)
		}
		pairs := [][2]string{{k.en.title, k.zh.title}, {k.en.detail, k.zh.detail}, {k.en.hint, k.zh.hint}}
		for i, p := range pairs {
			en, zh := named.FindAllString(p[0], -1), named.FindAllString(p[1], -1)
			slices.Sort(en)
			slices.Sort(zh)
			if (p[0] == "") != (p[1] == "") || i == 0 && p[0] == "" || !slices.Equal(en, zh) {
				t.Errorf("%s: %q is in Chinese %q", code, p[0], p[1])
			}
		}
		if k.level == "error" && k.en.hint == "" {
			t.Errorf("%s is an error with nothing to do about it", code)
		}
	}
}

// A name is told as it is, whatever it says; a term is translated.
func TestFindingsNameThings(t *testing.T) {
	f := NewFinding(FoundPeersShutOut, 2, "relay, {1}")
	if zh := f.In(Chinese); !strings.Contains(f.Title, ": relay, {1}") || !strings.Contains(zh.Title, "2 个节点") || !strings.HasSuffix(zh.Title, "：relay, {1}") {
		t.Errorf("%q, %q", f.Title, zh.Title)
	}
	f = NewFinding(FoundPublicReached, "harbor_relay", "/ip4/203.0.113.7/tcp/1")
	if want := "本节点是港湾兼中继，别人从 /ip4/203.0.113.7/tcp/1 连入"; f.In(Chinese).Title != want {
		t.Errorf("%q, want %q", f.In(Chinese).Title, want)
	}
	for _, reach := range []string{Public, Private, Unguessed} {
		for _, nat := range []string{NATUnknown, NATNone, NATCone, NATSymmetric} {
			f := NewFinding(FoundNetworkStands, 1, 2, "reach_"+reach, "nat_"+nat, 3)
			if strings.ContainsAny(f.Title+f.In(Chinese).Title, "{}<>_") {
				t.Errorf("%q, %q", f.Title, f.In(Chinese).Title)
			}
		}
	}
	strange := Finding{Check: "x", Level: "ok", Code: "of_a_newer_node", Title: "as it was sent"}
	if strange.In(Chinese).Title != strange.Title || f.In(English).Title != f.Title {
		t.Error("a finding without words lost them")
	}
}
