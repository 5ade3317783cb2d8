package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"mutuals/node"
)

// settle reads settings as the daemon does.
func settle(t *testing.T, config string, env map[string]string, args ...string) (settings, error) {
	t.Helper()
	dir := t.TempDir()
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var s settings
	fs := pflag.NewFlagSet("mutualsd", pflag.ContinueOnError)
	s.flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := s.complete(fs, func(name string) string { return env[name] }, dir)
	return s, err
}

func TestSettingsPrecedence(t *testing.T) {
	config := "log-level = \"warn\"\nmdns = \"off\"\nlisten = [\"/ip4/127.0.0.1/tcp/1\", \"/ip4/127.0.0.1/tcp/2\"]\napi = \"127.0.0.1:1\"\n"
	env := map[string]string{"MUTUALS_LOG_LEVEL": "error", "MUTUALS_API": "127.0.0.1:2"}
	s, err := settle(t, config, env, "--api", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	if s.api != "127.0.0.1:3" || s.logLevel != "error" || s.mdns != "off" || len(s.listen) != 2 || !s.apiGiven {
		t.Errorf("flag over environment over file over default: got %+v", s)
	}
	s, err = settle(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.api != defaultAPI || s.apiGiven || s.mdns != "on" || s.logLevel != "info" || len(s.listen) != 0 {
		t.Errorf("defaults: got %+v", s)
	}
	s, err = settle(t, "", map[string]string{"MUTUALS_LISTEN": "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1"})
	if err != nil || len(s.listen) != 2 {
		t.Errorf("a list in the environment: got %v, %v", s.listen, err)
	}
}

func TestSettingsRefused(t *testing.T) {
	for _, c := range []struct {
		name, config string
		env          map[string]string
		args         []string
		want         string
	}{
		{"unknown key", "lisen = [\"/ip4/127.0.0.1/tcp/1\"]", nil, nil, `unknown key "lisen"; did you mean "listen"?`},
		{"unknown table", "[network]\nmdns = \"on\"", nil, nil, `unknown key "network"`},
		{"home in the file", "home = \"/elsewhere\"", nil, nil, `unknown key "home"`},
		{"no toml", "mdns = ", nil, nil, "reading config.toml"},
		{"wrong kind", "mdns = true", nil, nil, `"mdns": a string is wanted`},
		{"wrong item", "listen = [1]", nil, nil, "item 1 is no text"},
		{"wrong value", "mdns = \"maybe\"", nil, nil, `--mdns is "maybe"; it can be on, off`},
		{"wrong level", "", map[string]string{"MUTUALS_LOG_LEVEL": "loud"}, nil, `--log-level is "loud"`},
		{"no service", "relay-service = \"yes\"", nil, nil, `"relay-service"`},
		{"for whom", "relay-for = \"all\"", nil, nil, `--relay-for is "all"; it can be known, anyone`},
		{"no unit", "harbor-quota = \"512\"", nil, nil, `"512" has no unit`},
		{"too small", "harbor-quota = \"3KiB\"", nil, nil, "no size between 1MiB and 1024TiB"},
		{"no size", "", map[string]string{"MUTUALS_HARBOR_QUOTA": "-1GiB"}, nil, "no size between"},
		{"no relay", "", nil, []string{"--relay", "maybe"}, `--relay is "maybe"; it can be auto, only, off`},
		{"nobody to serve", "serve = [\"ana\"]", nil, nil, `--serve: "ana" is no account`},
		{"no mapping", "", map[string]string{"MUTUALS_PORT_MAPPING": "yes"}, nil, `--port-mapping is "yes"`},
	} {
		_, err := settle(t, c.config, c.env, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestHarborSettings(t *testing.T) {
	s, err := settle(t, "harbor = true\nharbor-quota = \"1536MiB\"", nil)
	if err != nil || !s.harbor || s.harborQuota != 3<<29 || s.harborQuota.String() != "1536MiB" {
		t.Errorf("harbor %v of %s, %v", s.harbor, &s.harborQuota, err)
	}
	if s, err = settle(t, "", nil); err != nil || s.harbor || s.harborQuota != 1<<30 || s.harborQuota.String() != "1GiB" {
		t.Errorf("by default harbor %v of %s, %v", s.harbor, &s.harborQuota, err)
	}
}

// What nobody gave of how the node is reached is left to what the person set.
func TestRelaySettings(t *testing.T) {
	s, err := settle(t, "", nil)
	if err != nil || !reflect.DeepEqual(s.asked, node.Relaying{}) {
		t.Errorf("by default %+v, %v", s.asked, err)
	}
	at := "/ip4/192.0.2.1/tcp/4101/p2p/12D3KooWEyopopk5pTyUq5hn2Y7hHe2E4jzAyRqCoDqpc4Gk3Vpo"
	s, err = settle(t, "relay = \"auto\"\nrelay-service = true\nrelays = [\""+at+"\"]", map[string]string{"MUTUALS_RELAY": "only", "MUTUALS_PORT_MAPPING": "off"}, "--relay-for", "anyone")
	want := node.Relaying{Relay: "only", Relays: []string{at}, Service: "on", For: "anyone", PortMapping: "off"}
	if err != nil || !reflect.DeepEqual(s.asked, want) {
		t.Errorf("got %+v, %v; want %+v", s.asked, err, want)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"lisen", "listen", 1}, {"kitten", "sitting", 3}, {"mdns", "dns", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
