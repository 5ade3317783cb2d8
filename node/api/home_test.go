package api

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func TestWhereAHomeIs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths here are of unix")
	}
	all := func(d string) Home { return Home{d, d, d, d} }
	for name, c := range map[string]struct {
		dir, goos string
		env       map[string]string
		want      Home
	}{
		"flag beats env": {"/h", "linux", map[string]string{"MUTUALS_HOME": "/e", "HOME": "/u"}, all("/h")},
		"env":            {"", "linux", map[string]string{"MUTUALS_HOME": "/e", "HOME": "/u"}, all("/e")},
		"xdg": {"", "linux", map[string]string{"HOME": "/u", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"},
			Home{"/c/mutuals", "/d/mutuals", "/s/mutuals", "/r/mutuals"}},
		"xdg unset, one relative": {"", "linux", map[string]string{"HOME": "/u", "XDG_DATA_HOME": "rel"},
			Home{"/u/.config/mutuals", "/u/.local/share/mutuals", "/u/.local/state/mutuals", ""}},
		"mac":     {"", "darwin", map[string]string{"HOME": "/u"}, all("/u/Library/Application Support/mutuals")},
		"windows": {"", "windows", map[string]string{"LocalAppData": "/l"}, all("/l/mutuals")},
	} {
		got, err := homeFrom(c.dir, c.goos, func(k string) string { return c.env[k] })
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := homeFrom("", "linux", func(string) string { return "" }); err == nil {
		t.Error("no home at all is accepted")
	}
}

func TestEndpointFile(t *testing.T) {
	run, state := t.TempDir(), t.TempDir()
	h := Home{Runtime: filepath.Join(run, "new"), State: state}
	if _, err := h.ReadEndpoint(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("none yet: %v", err)
	}
	e := Endpoint{URL: "http://127.0.0.1:1", Socket: "s", Token: "t", PID: 7}
	file, err := h.WriteEndpoint(e)
	if err != nil || file != filepath.Join(run, "new", "api.json") {
		t.Fatal(file, err)
	}
	if got, err := h.ReadEndpoint(); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	// A daemon that stops late leaves its successor's file.
	if err := h.RemoveEndpoint(8); err != nil {
		t.Error(err)
	}
	if _, err := h.ReadEndpoint(); err != nil {
		t.Errorf("another's file is gone: %v", err)
	}
	if err := h.RemoveEndpoint(7); err != nil {
		t.Error(err)
	}
	if _, err := h.ReadEndpoint(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("still there: %v", err)
	}
	// A reader without a runtime folder finds the one in state.
	if _, err := (Home{State: state}).WriteEndpoint(e); err != nil {
		t.Fatal(err)
	}
	if got, err := h.ReadEndpoint(); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
	if got := (Home{"h", "h", "h", "h"}).EndpointFiles(); !slices.Equal(got, []string{filepath.Join("h", "api.json")}) {
		t.Errorf("%q", got)
	}
}
