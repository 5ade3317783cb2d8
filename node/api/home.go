package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Home says where everything of one node lies. With --home or MUTUALS_HOME it
// is one folder four times; else the folders of the platform. Folders are made
// by who writes into them, 0700.
type Home struct {
	Config  string // config.toml
	Data    string // keys and store
	State   string // logs, ports once chosen
	Runtime string // socket and api.json; "" where the system has none
}

// FindHome returns the home of this process: dir if not empty (the --home
// flag), else MUTUALS_HOME, else the platform's folders.
func FindHome(dir string) (Home, error) {
	return homeFrom(dir, runtime.GOOS, os.Getenv)
}

// homeFrom is FindHome with its surroundings as arguments.
func homeFrom(dir, goos string, env func(string) string) (Home, error) {
	if dir == "" {
		dir = env("MUTUALS_HOME")
	}
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return Home{}, fmt.Errorf("finding the home folder: %w", err)
		}
		return Home{abs, abs, abs, abs}, nil
	}
	user := env("HOME")
	if goos == "windows" {
		user = env("LocalAppData")
	}
	if user == "" {
		return Home{}, errors.New("finding the home folder: no home directory is known: give --home DIR or set MUTUALS_HOME")
	}
	switch goos {
	case "windows":
		d := filepath.Join(user, "mutuals")
		return Home{d, d, d, d}, nil
	case "darwin":
		d := filepath.Join(user, "Library", "Application Support", "mutuals")
		return Home{d, d, d, d}, nil
	}
	xdg := func(name, otherwise string) string {
		// The XDG rules: a relative path is to be ignored.
		if d := env(name); filepath.IsAbs(d) {
			return filepath.Join(d, "mutuals")
		}
		if otherwise == "" {
			return ""
		}
		return filepath.Join(user, otherwise, "mutuals")
	}
	return Home{
		Config:  xdg("XDG_CONFIG_HOME", ".config"),
		Data:    xdg("XDG_DATA_HOME", filepath.Join(".local", "share")),
		State:   xdg("XDG_STATE_HOME", filepath.Join(".local", "state")),
		Runtime: xdg("XDG_RUNTIME_DIR", ""),
	}, nil
}

const endpointFile = "api.json"

// EndpointFiles returns where api.json may lie: the daemon writes the first,
// readers try them in order, since a CLI started from cron has no runtime
// folder where the daemon had one.
func (h Home) EndpointFiles() []string {
	var files []string
	for _, d := range []string{h.Runtime, h.State} {
		if f := filepath.Join(d, endpointFile); d != "" && (len(files) == 0 || files[0] != f) {
			files = append(files, f)
		}
	}
	return files
}

// Endpoint is api.json: how to reach a running node. It holds the token, so
// the file is 0600.
type Endpoint struct {
	URL    string `json:"url"`
	Socket string `json:"socket,omitempty"`
	Token  string `json:"token"`
	PID    int    `json:"pid"`
}

// ErrNotRunning means that no daemon runs on this home, or none that answers.
var ErrNotRunning = errors.New("no mutualsd is running on this home")

// maxEndpointFile bounds api.json: four short fields.
const maxEndpointFile = 16 << 10

// ReadEndpoint reads the home's api.json; the error wraps ErrNotRunning when
// there is none.
func (h Home) ReadEndpoint() (Endpoint, error) {
	for _, file := range h.EndpointFiles() {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Endpoint{}, fmt.Errorf("reading api.json: %w", err)
		}
		if info.Size() > maxEndpointFile {
			return Endpoint{}, fmt.Errorf("reading api.json: %d bytes is too much", info.Size())
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return Endpoint{}, fmt.Errorf("reading api.json: %w", err)
		}
		var e Endpoint
		if err := json.Unmarshal(b, &e); err != nil {
			return Endpoint{}, fmt.Errorf("reading api.json: %w", err)
		}
		return e, nil
	}
	return Endpoint{}, ErrNotRunning
}

// WriteEndpoint writes api.json in one step, 0600, and returns the file.
func (h Home) WriteEndpoint(e Endpoint) (file string, err error) {
	file = h.EndpointFiles()[0]
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing api.json: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("writing api.json: %w", err)
	}
	// CreateTemp makes 0600, so the token is never readable by others.
	f, err := os.CreateTemp(filepath.Dir(file), endpointFile+".*")
	if err != nil {
		return "", fmt.Errorf("writing api.json: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("writing api.json: %w", err)
	}
	return file, nil
}

// RemoveEndpoint removes api.json if it is still the one that names pid: a
// daemon that stops late must not take away its successor's.
func (h Home) RemoveEndpoint(pid int) error {
	e, err := h.ReadEndpoint()
	if errors.Is(err, ErrNotRunning) || err == nil && e.PID != pid {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(h.EndpointFiles()[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing api.json: %w", err)
	}
	return nil
}
