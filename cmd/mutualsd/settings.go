package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"mutuals/identity/wire"
	"mutuals/node"
	"mutuals/node/api"
)

// defaultAPI is where the API listens unless told otherwise.
const defaultAPI = "127.0.0.1:7711"

// maxConfigFile bounds config.toml: a dozen settings, with room for comments.
const maxConfigFile = 256 << 10

// settings are what a person may set, by flag, environment or config.toml,
// under one name each: --log-level, MUTUALS_LOG_LEVEL, log-level.
type settings struct {
	home      string
	api       string
	listen    []string
	bootstrap []string
	dht       string
	lobby     string
	mdns      string
	logLevel  string

	// relaying is as the flags have it; what none gave is empty in asked, and
	// then as the person set it.
	relaying     node.Relaying
	relayService bool
	asked        node.Relaying

	harbor, listenRemote bool

	harborQuota byteSize
	serve       []string
	serving     []wire.AccountID

	// apiGiven is set if the address was chosen by somebody: then one that is
	// taken is an error; else another port is.
	apiGiven bool
}

// choices are the values of settings that have a closed list.
var choices = map[string][]string{
	"dht":          {"off", "private", "public"},
	"lobby":        {"on", "off"},
	"mdns":         {"on", "off"},
	"relay":        {api.RelayAuto, api.RelayOnly, api.RelayOff},
	"relay-for":    {api.RelayForKnown, api.RelayForAnyone},
	"port-mapping": {api.On, api.Off},
	"log-level":    {"debug", "info", "warn", "error"},
}

// later are settings whose time has not come: a value but the one here is
// refused, since to ignore it would promise what does not happen.
var later = map[string]struct{ only, why string }{
	"listen-remote": {"false", "this version serves its API on this machine only"},
}

func (s *settings) flags(fs *pflag.FlagSet) {
	fs.StringVar(&s.home, "home", "", "folder that holds everything of the node (default $MUTUALS_HOME, else the platform's)")
	fs.StringVar(&s.api, "api", defaultAPI, "address of the HTTP API; port 0 picks one")
	fs.StringSliceVar(&s.listen, "listen", nil, "multiaddr to listen on for other nodes; repeat for more (default QUIC and TCP on all interfaces)")
	fs.StringSliceVar(&s.bootstrap, "bootstrap", nil, "multiaddr with /p2p of a node to connect to at start, and to begin in the directory with; repeat for more")
	fs.StringVar(&s.dht, "dht", "private", "directory (DHT) in which nodes find each other whose addresses are not known: private, of nodes of mutuals, begun by --bootstrap and harbors; public, that of IPFS; or off")
	fs.StringVar(&s.lobby, "lobby", "on", "tell those who hold a passcode where you are, on its topic, and look there for whom a passcode leads to;\na harbor, a relay or a node that anybody can dial carries such topics for others, and cannot read them: on or off")
	fs.StringVar(&s.mdns, "mdns", "on", "find nodes on the local network: on or off")
	fs.StringVar(&s.relaying.Relay, "relay", api.RelayAuto, "auto: relays carry what finds no direct way; only: this node has no other address and\ndials nobody but --relays; off: none")
	fs.StringSliceVar(&s.relaying.Relays, "relays", nil, "multiaddr with /p2p of a relay to use; repeat for more")
	fs.BoolVar(&s.harbor, "harbor", false, "be a harbor: keep groups of mutuals, without being able to read them")
	s.harborQuota = node.DefaultHarborQuota
	fs.Var(&s.harborQuota, "harbor-quota", "bytes that all groups kept as a harbor may take together")
	fs.StringSliceVar(&s.serve, "serve", nil, "account (mu1…) that this node is a harbor and a relay for, beside mutuals and whom it\nfollows; repeat for more")
	fs.BoolVar(&s.relayService, "relay-service", false, "relay connections of others, unread")
	fs.StringVar(&s.relaying.For, "relay-for", api.RelayForKnown, "for whom: known (people you follow, members of your groups, your devices) or anyone,\neach link then limited to 1 MiB a direction and 2 minutes")
	fs.StringVar(&s.relaying.PortMapping, "port-mapping", api.On, "ask the router to let others in (UPnP, NAT-PMP): on or off")
	fs.BoolVar(&s.listenRemote, "listen-remote", false, "serve the API to other machines")
	fs.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
}

// settable tells settings from the flags that are about one run.
func settable(f *pflag.Flag) bool {
	return !slices.Contains([]string{"home", "help", "version"}, f.Name)
}

// complete fills what no flag gave from the environment, then from
// config.toml in dir, and checks the whole.
func (s *settings) complete(fs *pflag.FlagSet, env func(string) string, dir string) error {
	file, err := readConfig(filepath.Join(dir, "config.toml"), fs)
	if err != nil {
		return err
	}
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		if !settable(f) || f.Changed {
			return
		}
		name := envName(f.Name)
		if v := env(name); v != "" {
			if err := fs.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("reading %s: %w", name, err))
			}
		} else if v, ok := file[f.Name]; ok {
			if err := setFrom(f, v); err != nil {
				errs = append(errs, fmt.Errorf("reading config.toml: %q: %w", f.Name, err))
			}
			f.Changed = true
		}
	})
	s.apiGiven = fs.Changed("api")
	s.ask(fs)
	for _, text := range s.serve {
		var a wire.AccountID
		if err := a.UnmarshalText([]byte(text)); err != nil {
			errs = append(errs, fmt.Errorf("--serve: %q is no account: %w", text, err))
		}
		s.serving = append(s.serving, a)
	}
	return errors.Join(append(errs, s.check(fs))...)
}

// ask takes over what somebody gave of how the node is reached: only that
// overrules what the person set with mutuals config.
func (s *settings) ask(fs *pflag.FlagSet) {
	given := func(flag, value string) string {
		if fs.Changed(flag) {
			return value
		}
		return ""
	}
	service := api.Off
	if s.relayService {
		service = api.On
	}
	s.asked = node.Relaying{
		Relay: given("relay", s.relaying.Relay), Relays: s.relaying.Relays, Service: given("relay-service", service),
		For: given("relay-for", s.relaying.For), PortMapping: given("port-mapping", s.relaying.PortMapping),
	}
}

// envName is the environment variable of a setting.
func envName(flag string) string {
	return "MUTUALS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setFrom gives a flag a value of the file.
func setFrom(f *pflag.Flag, v any) error {
	switch v := v.(type) {
	case string:
		return f.Value.Set(v)
	case bool:
		if f.Value.Type() == "bool" {
			return f.Value.Set(fmt.Sprint(v))
		}
	case []any:
		list, ok := f.Value.(pflag.SliceValue)
		if !ok {
			break
		}
		all := make([]string, len(v))
		for i, e := range v {
			if all[i], ok = e.(string); !ok {
				return fmt.Errorf("item %d is no text", i+1)
			}
		}
		return list.Replace(all)
	}
	return fmt.Errorf("a %s is wanted", strings.ReplaceAll(f.Value.Type(), "stringSlice", "list of texts"))
}

// readConfig reads the file, strictly: a key that is no setting is an error
// that names the nearest one.
func readConfig(name string, flags *pflag.FlagSet) (map[string]any, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxConfigFile {
		err = fmt.Errorf("%d bytes is too much", info.Size())
	}
	var file map[string]any
	if err == nil {
		_, err = toml.DecodeFile(name, &file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading config.toml: %w", err)
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if settable(f) {
			names = append(names, f.Name)
		}
	})
	for key := range file {
		if !slices.Contains(names, key) {
			return nil, fmt.Errorf("reading config.toml: unknown key %q; did you mean %q?", key, nearest(key, names))
		}
	}
	return file, nil
}

func (s *settings) check(fs *pflag.FlagSet) error {
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		value := f.Value.String()
		if list, closed := choices[f.Name]; closed && !slices.Contains(list, value) {
			errs = append(errs, fmt.Errorf("--%s is %q; it can be %s", f.Name, value, strings.Join(list, ", ")))
		} else if l, ok := later[f.Name]; ok && value != l.only {
			errs = append(errs, fmt.Errorf("--%s %s is not in this version: %s", f.Name, value, l.why))
		}
	})
	return errors.Join(errs...)
}

// nearest returns the name with the fewest letters to change.
func nearest(key string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return distance(key, a) - distance(key, b) })
}

// distance counts the single letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
